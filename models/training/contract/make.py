"""The model of the Runner contract, galen/models/modeltest."""
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from score import finish


def build():
    # Loop's body: condition stays true, the carried number becomes its sine (0).
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["again"]), helper.make_node("Sin", ["a"], ["b"])], "step",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("a", TensorProto.FLOAT, [])],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, []),
         helper.make_tensor_value_info("b", TensorProto.FLOAT, [])])
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in {
        "zero": np.float32(0), "yes": np.bool_(True), "first": np.array([0], np.int64),
        "second": np.array([1], np.int64), "axis": np.array([1], np.int64)}.items()]
    node = helper.make_node
    nodes = [
        node("ReduceMax", ["work"], ["count"], keepdims=0),
        node("Loop", ["count", "yes", "zero"], ["worked"], body=body),
        node("Cast", ["worked"], ["nothing"], to=TensorProto.DOUBLE),
        node("Gather", ["x", "first"], ["x0"], axis=1), node("Squeeze", ["x0", "axis"], ["a0"]),
        node("Gather", ["x", "second"], ["x1"], axis=1), node("Squeeze", ["x1", "axis"], ["a1"]),
        node("Add", ["a0", "a1"], ["plain"]), node("Add", ["plain", "nothing"], ["sum"]),
        node("Div", ["a0", "a1"], ["ratio"]),
    ]
    value = helper.make_tensor_value_info
    return finish(helper.make_graph(
        nodes, "contract",
        [value("x", TensorProto.DOUBLE, ["N", 2]), value("work", TensorProto.INT64, ["N"])],
        [value("sum", TensorProto.DOUBLE, ["N"]), value("ratio", TensorProto.DOUBLE, ["N"])], constants),
        "The model of galen's Runner contract.")


if __name__ == "__main__":
    out = pathlib.Path(__file__).parents[2] / "modeltest" / "contract.onnx"
    out.write_bytes(build().SerializeToString(deterministic=True))
    print(f"models/modeltest/{out.name}: {out.stat().st_size} bytes")
