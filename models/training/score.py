"""Writing a published score as an ONNX graph in double precision.

A Graph collects nodes; its methods are the few operations scores are made of. The
input is one table [N, F] of features, missing values NaN. Names are counted, no
time stamp or path goes in, so the same code writes the same bytes.
"""
import hashlib
import json
import math
import pathlib
import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR = 8  # the IR version of opset 17's time; newer runtimes read it

# 38.05 × 10 is a hair below 380.5 in binary; the hair must not turn half up into down.
HAIR = 1e-9
CATALOG = pathlib.Path(__file__).parent.parent / "catalog"


class Graph:
    """Columns are [N, 1]: so one node splits the table and one joins columns. Time
    goes by the number of nodes, not of numbers (about 0.3 µs a node)."""

    def __init__(self, name, features):
        self.name, self.features = name, features
        self.nodes, self.constants, self.outputs = [], {}, []

    def op(self, kind, *inputs, **attributes):
        return self.op_many(kind, 1, *inputs, **attributes)[0]

    def op_many(self, kind, count, *inputs, **attributes):
        out = [f"t{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(helper.make_node(kind, [self.value(i) for i in inputs], out, **attributes))
        return out

    def value(self, x):
        """A tensor's name: x itself, or that of a constant made of it."""
        if isinstance(x, str):
            return x
        array = np.asarray(x)
        key = f"{array.dtype}{array.shape}{array.tolist()!r}"
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, f"c{len(self.constants)}")
        return self.constants[key].name

    def split(self, table, count):
        return self.op_many("Split", count, table, np.ones(count, np.int64), axis=1)

    def add(self, a, b): return self.op("Add", a, b)
    def sub(self, a, b): return self.op("Sub", a, b)
    def mul(self, a, b): return self.op("Mul", a, b)
    def div(self, a, b): return self.op("Div", a, b)
    def pow(self, a, b): return self.op("Pow", a, b)
    def min(self, a, b): return self.op("Min", a, b)
    def max(self, a, b): return self.op("Max", a, b)
    def exp(self, a): return self.op("Exp", a)
    def log(self, a): return self.op("Log", a)
    def where(self, condition, a, b): return self.op("Where", condition, a, b)
    def isnan(self, a): return self.op("IsNaN", a)
    def ge(self, a, b): return self.op("GreaterOrEqual", a, b)
    def yes(self, a): return self.op("Greater", a, 0.5)
    def join(self, columns): return self.op("Concat", *columns, axis=1)

    def half_up(self, a):
        """Clinical rounding to whole numbers, halves up (ONNX Round is half to even)."""
        return self.op("Floor", self.add(a, 0.5 + HAIR))

    def steps(self, table, *columns):
        """Step tables, one for each column: the points below the first limit, then
        (from this limit on, points). NaN stays NaN."""
        rows = max(len(c) for c in columns)
        padded = [list(c) + [(math.inf, 0)] * (rows - len(c)) for c in columns]
        points = self.value(np.array([[float(c[0]) for c in padded]]))
        for i in range(1, rows):
            limits, values = (np.array([[float(c[i][k]) for c in padded]]) for k in (0, 1))
            points = self.where(self.ge(table, limits), values, points)
        return self.where(self.isnan(table), math.nan, points)

    def output(self, name, tensor, width=None):
        """An output [N, width], or [N] of a column."""
        if width is None:
            self.nodes.append(helper.make_node("Squeeze", [tensor, self.value(np.array([1], np.int64))], [name]))
        else:
            self.nodes.append(helper.make_node("Identity", [tensor], [name]))
        self.outputs.append(helper.make_tensor_value_info(
            name, TensorProto.DOUBLE, ["N"] if width is None else ["N", width]))

    def model(self, doc):
        table = helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["N", len(self.features)])
        return finish(helper.make_graph(self.nodes, self.name, [table], self.outputs, list(self.constants.values())), doc)


def finish(graph, doc):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR,
                              producer_name="galen", doc_string=doc)
    onnx.checker.check_model(model, full_check=True)
    return model


def case(name, source, features, row, tolerance=None, **outputs):
    """One golden case: one row of features by name (absent is missing)."""
    unknown = set(row) - set(features)
    assert not unknown, unknown
    def cell(x): return None if isinstance(x, float) and math.isnan(x) else float(x)
    c = {"name": name, "source": source}
    if tolerance is not None:
        c["tolerance"] = {"absolute": tolerance, "relative": 0.0}
    c["inputs"] = {"features": {"shape": [1, len(features)], "data": [cell(row.get(f, math.nan)) for f in features]}}
    c["outputs"] = {}
    for key, value in outputs.items():
        flat = value if isinstance(value, list) else [value]
        c["outputs"][key] = {"shape": [1, len(flat)] if isinstance(value, list) else [1], "data": [cell(x) for x in flat]}
    return c


def write(name, version, model, cases):
    """Writes model.onnx and golden.json, and the digest into manifest.yaml."""
    folder = CATALOG / name / version
    folder.mkdir(parents=True, exist_ok=True)
    data = model.SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(data)
    lines = ",\n".join("    " + json.dumps(c, allow_nan=False) for c in cases)
    (folder / "golden.json").write_text(
        '{\n  "tolerance": {"absolute": 1e-12, "relative": 1e-12},\n  "cases": [\n' + lines + "\n  ]\n}\n")
    digest = hashlib.sha256(data).hexdigest()
    manifest = folder / "manifest.yaml"
    if manifest.exists():
        text, n = re.subn(r"(?m)^sha256: .*$", f"sha256: {digest}", manifest.read_text())
        assert n == 1, "manifest.yaml has no sha256 line"
        manifest.write_text(text)
    print(f"{folder.relative_to(CATALOG.parent.parent)}: {len(data)} bytes, sha256 {digest}, {len(cases)} golden cases")
