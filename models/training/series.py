"""Learning from series: a recurrent network in JAX and the same network as ONNX.

The graph takes the steps as they are recorded, NaN where nothing was, and does the
rest itself: logarithms, scaling, clipping, carrying the last value forward, the mask
and the time since the last value. So what serves it only has to sort values into
steps. The networks are averaged on the logit scale and calibrated by two numbers.
"""
import numpy as np

import jax
import jax.numpy as jnp
import onnx
from jax import lax
from onnx import TensorProto, helper, numpy_helper

from score import IR, OPSET

CLIP = 5.0


class Scaling:
    """Means and deviations of a training set: series [N, T, F] with NaN, table [N, S] with NaN."""

    def __init__(self, series, table, logs):
        self.logs = logs
        z = self.unskewed(series)
        self.mean, self.std = np.nanmean(z, (0, 1)), np.nanstd(z, (0, 1)) + 1e-6
        self.table_mean, self.table_std = np.nanmean(table, 0), np.nanstd(table, 0) + 1e-6

    def unskewed(self, series):
        return np.where(self.logs, np.log1p(np.maximum(series, 0)), series)

    def inputs(self, series, table):
        """What the networks see: last value, mask and time since, and the table with its mask, at each step."""
        steps = series.shape[1]
        z = np.clip((self.unskewed(series) - self.mean) / self.std, -CLIP, CLIP)
        recorded, time = ~np.isnan(z), np.arange(steps)[None, :, None]
        last = np.maximum.accumulate(np.where(recorded, time, -1), 1)
        value = np.where(last >= 0, np.take_along_axis(np.nan_to_num(z), np.maximum(last, 0), 1), 0)
        since = np.where(last >= 0, time - last, steps) / steps
        s = np.clip((table - self.table_mean) / self.table_std, -CLIP, CLIP)
        known = np.concatenate([np.nan_to_num(s), ~np.isnan(s)], 1)[:, None, :].repeat(steps, 1)
        return np.concatenate([value, recorded, since, known], 2).astype(np.float32)


def begin(key, width, hidden):
    keys, r = jax.random.split(key, 3), hidden ** -0.5
    def uniform(k, shape): return jax.random.uniform(k, shape, minval=-r, maxval=r)
    return {"W": uniform(keys[0], (width, 3 * hidden)), "U": uniform(keys[1], (hidden, 3 * hidden)), "b": jnp.zeros(3 * hidden),
            "c": jnp.zeros(3 * hidden), "w": uniform(keys[2], (hidden,)), "o": jnp.array(-1.8)}


def logits(p, x, keep_input=1.0, keep_hidden=1.0):
    """[T, N]: a gated recurrent unit (gates z, r, n as ONNX's, linear_before_reset) and a linear unit on each state."""
    h = p["U"].shape[0]

    def step(state, g):
        u = state @ p["U"] + p["c"]
        z, r = jax.nn.sigmoid(g[:, :h] + u[:, :h]), jax.nn.sigmoid(g[:, h:2 * h] + u[:, h:2 * h])
        n = jnp.tanh(g[:, 2 * h:] + r * u[:, 2 * h:])
        state = (1 - z) * n + z * state
        return state, state

    _, states = lax.scan(step, jnp.zeros((x.shape[0], h)), ((x * keep_input) @ p["W"] + p["b"]).transpose(1, 0, 2))
    return (states * keep_hidden) @ p["w"] + p["o"]


def loss(p, x, y, key, weights, decay):
    a, b = jax.random.split(key)
    keep_input = jax.random.bernoulli(a, 0.8, (x.shape[0], 1, x.shape[2])) / 0.8
    keep_hidden = jax.random.bernoulli(b, 0.6, (1, x.shape[0], p["U"].shape[0])) / 0.6
    l = logits(p, x, keep_input, keep_hidden)
    cross = jnp.maximum(l, 0) - l * y[None] + jnp.log1p(jnp.exp(-jnp.abs(l)))
    return (cross * weights[:, None]).sum(0).mean() + decay * sum((p[k] ** 2).sum() for k in "WUw")


@jax.jit
def update(p, m, v, t, x, y, key, weights, rate, decay):
    g = jax.grad(loss)(p, x, y, key, weights, decay)
    m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
    v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
    p = jax.tree.map(lambda q, a, b: q - rate * (a / (1 - 0.9 ** t)) / (jnp.sqrt(b / (1 - 0.999 ** t)) + 1e-8), p, m, v)
    return p, m, v


def train(x, y, seed, hidden=48, epochs=20, batch=64, rate=2e-3, decay=1e-5):
    """Adam with a cosine rate; the last step weighs half, the others rise towards it, so that each step has a risk of its own."""
    steps = x.shape[1]
    weights = np.linspace(0, 1, steps) ** 2
    weights[-1] = weights[:-1].sum()
    weights = jnp.asarray(weights / weights.sum(), jnp.float32)
    key, order = jax.random.PRNGKey(seed), np.random.default_rng(seed)
    p = begin(key, x.shape[2], hidden)
    m, v, t, rounds = jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), 0, len(y) // batch
    for _ in range(epochs):
        shuffled = order.permutation(len(y))
        for i in range(rounds):
            t, (key, now) = t + 1, jax.random.split(key)
            some = shuffled[i * batch:(i + 1) * batch]
            cosine = rate * 0.5 * (1 + np.cos(np.pi * t / (rounds * epochs)))
            p, m, v = update(p, m, v, float(t), x[some], y[some], now, weights, cosine, decay)
    return {k: np.asarray(a, np.float32) for k, a in p.items()}


predict = jax.jit(lambda p, x: logits(p, x).T)


def mean_logits(networks, x):
    """[N, T]"""
    return np.mean([np.asarray(predict(p, x)) for p in networks], 0)


class Builder:
    """Nodes over float32 tensors, names counted."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def op(self, kind, *inputs, count=1, **attributes):
        out = [f"t{len(self.nodes)}_{i}" if count > 0 else "" for i in range(abs(count))]
        self.nodes.append(helper.make_node(kind, [self.value(i) for i in inputs], out, **attributes))
        return out[0] if count == 1 else out

    def value(self, x):
        if isinstance(x, str):
            return x
        array = np.asarray(x, np.float32) if np.asarray(x).dtype.kind == "f" else np.asarray(x)
        self.constants.append(numpy_helper.from_array(array, f"c{len(self.constants)}"))
        return self.constants[-1].name


def gru(g, x, p):
    """[T, N, H]: the states of one network over x [T, N, D]."""
    h = p["U"].shape[0]
    bias = np.concatenate([p["b"], p["c"]])[None]
    states = g.op("GRU", x, p["W"].T[None], p["U"].T[None], bias, hidden_size=h, linear_before_reset=1, count=2)[0]
    return g.op("Squeeze", states, np.array([1], np.int64))


def graph(name, title, steps, scaling, networks, slope, intercept):
    """Inputs series [N, T, F] and table [N, S+1], whose last column is the hours since the beginning (NaN: over).
    Outputs risk [N, 1], of the step that the assessment lies in, and trajectory [N, T]."""
    g = Builder()
    features, columns = len(scaling.mean), len(scaling.table_mean)
    safe = g.op("Where", g.op("IsNaN", "series"), 0.0, "series")
    positive = g.op("Log", g.op("Add", g.op("Max", safe, 0.0), 1.0))
    plain = g.op("Where", np.array(scaling.logs), positive, safe)
    z = g.op("Clip", g.op("Div", g.op("Sub", plain, scaling.mean), scaling.std), -CLIP, CLIP)
    recorded = g.op("Not", g.op("IsNaN", "series"))
    time = np.arange(steps, dtype=np.float32)[None, :, None]
    # The step of the last value: the greatest recorded step so far, by pooling over all steps before.
    at = g.op("Where", recorded, time, -1.0)
    pooled = g.op("MaxPool", g.op("Transpose", at, perm=[0, 2, 1]), kernel_shape=[steps], strides=[1], pads=[steps - 1, 0])
    last = g.op("Transpose", pooled, perm=[0, 2, 1])
    some = g.op("GreaterOrEqual", last, 0.0)
    index = g.op("Cast", g.op("Max", last, 0.0), to=TensorProto.INT64)
    value = g.op("Where", some, g.op("GatherElements", z, index, axis=1), 0.0)
    since = g.op("Div", g.op("Where", some, g.op("Sub", time, last), float(steps)), float(steps))
    mask = g.op("Cast", recorded, to=TensorProto.FLOAT)
    known, hours = g.op("Split", "table", np.array([columns, 1], np.int64), axis=1, count=2)
    have = g.op("Cast", g.op("Not", g.op("IsNaN", known)), to=TensorProto.FLOAT)
    s = g.op("Where", g.op("IsNaN", known), scaling.table_mean, known)
    s = g.op("Clip", g.op("Div", g.op("Sub", s, scaling.table_mean), scaling.table_std), -CLIP, CLIP)
    fixed = g.op("Tile", g.op("Unsqueeze", g.op("Concat", s, have, axis=1), np.array([1], np.int64)), np.array([1, steps, 1], np.int64))
    x = g.op("Transpose", g.op("Concat", value, mask, since, fixed, axis=2), perm=[1, 0, 2])
    total = None
    for p in networks:
        one = g.op("Add", g.op("MatMul", gru(g, x, p), p["w"][:, None]), p["o"])
        total = one if total is None else g.op("Add", total, one)
    logit = g.op("Transpose", g.op("Squeeze", total, np.array([2], np.int64)), perm=[1, 0])
    calibrated = g.op("Add", g.op("Mul", logit, slope / len(networks)), intercept)
    trajectory = g.op("Sigmoid", calibrated)
    over = g.op("Where", g.op("IsNaN", hours), float(steps), hours)
    now = g.op("Cast", g.op("Floor", g.op("Clip", over, 0.0, float(steps - 1))), to=TensorProto.INT64)
    risk = g.op("GatherElements", trajectory, now, axis=1)
    g.nodes += [helper.make_node("Identity", [risk], ["risk"]), helper.make_node("Identity", [trajectory], ["trajectory"])]
    model = helper.make_model(
        helper.make_graph(g.nodes, name, [helper.make_tensor_value_info("series", TensorProto.FLOAT, ["N", steps, features]),
                                          helper.make_tensor_value_info("table", TensorProto.FLOAT, ["N", columns + 1])],
                          [helper.make_tensor_value_info("risk", TensorProto.FLOAT, ["N", 1]),
                           helper.make_tensor_value_info("trajectory", TensorProto.FLOAT, ["N", steps])], g.constants),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="galen", doc_string=title)
    onnx.checker.check_model(model, full_check=True)
    return model
