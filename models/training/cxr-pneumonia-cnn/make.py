"""Pneumonia on a chest radiograph of a child: PneumoniaMNIST, balanced subset (2,428 + 270 images of 28 × 28).

Reads training/pneumoniamnist-train-val.npz below GALEN_DATA (default: shared/data beside the project).
"""
import os
import pathlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from jax import lax
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

import features as F
from learn import SEED, calibration, interval
from publish import CONTRAINDICATED, band, probability, publish
from score import IR, OPSET
from series import Builder

DATA = pathlib.Path(os.environ.get("GALEN_DATA", pathlib.Path(__file__).resolve().parents[4] / "shared" / "data")) / "training" / "pneumoniamnist-train-val.npz"
SIZE, FOLDS, NETWORKS, EPOCHS = 28, 5, 4, 18
CHANNELS = [(1, 24), (24, 24), (24, 48), (48, 48), (48, 96)]  # a pool after the second and the fourth


def begin(key):
    p = {}
    for i, (a, b) in enumerate(CHANNELS):
        key, k = jax.random.split(key)
        p[f"w{i}"], p[f"b{i}"] = jax.random.normal(k, (b, a, 3, 3)) * np.sqrt(2 / (9 * a)), jnp.zeros(b)
    return p | {"w": jax.random.normal(key, (CHANNELS[-1][1], 1)) * 0.1, "o": jnp.zeros(1)}


def logits(p, x, key=None):
    """[N]: convolutions with ReLU, the mean over the image, a linear unit."""
    h = (x - 0.5) / 0.25
    for i in range(len(CHANNELS)):
        h = jax.nn.relu(lax.conv(h, p[f"w{i}"], (1, 1), "SAME") + p[f"b{i}"][None, :, None, None])
        if i in (1, 3):
            h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    h = h.mean((2, 3))
    if key is not None:
        h = h * jax.random.bernoulli(key, 0.6, h.shape) / 0.6
    return (h @ p["w"] + p["o"])[:, 0]


def augmented(x, rng):
    """Shifts by up to two pixels, mirror images, other brightness and contrast."""
    out = np.empty_like(x)
    for i, image in enumerate(x):
        dy, dx = rng.integers(-2, 3, 2)
        image = np.roll(np.pad(image[0], 2, mode="edge"), (dy, dx), (0, 1))[2:-2, 2:-2]
        out[i, 0] = image[:, ::-1] if rng.random() < 0.5 else image
    return np.clip((out - 0.5) * rng.uniform(0.85, 1.15, (len(x), 1, 1, 1)) + 0.5 + rng.uniform(-0.08, 0.08, (len(x), 1, 1, 1)), 0, 1).astype(np.float32)


def loss(p, x, y, key):
    l = logits(p, x, key)
    return (jnp.maximum(l, 0) - l * y + jnp.log1p(jnp.exp(-jnp.abs(l)))).mean() + 1e-4 * sum((p[k] ** 2).sum() for k in p if k.startswith("w"))


@jax.jit
def update(p, m, v, t, x, y, key, rate):
    g = jax.grad(loss)(p, x, y, key)
    m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
    v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
    return jax.tree.map(lambda q, a, b: q - rate * (a / (1 - 0.9 ** t)) / (jnp.sqrt(b / (1 - 0.999 ** t)) + 1e-8), p, m, v), m, v


def train(x, y, seed, batch=64):
    key, rng = jax.random.PRNGKey(seed), np.random.default_rng(seed)
    p = begin(key)
    m, v, t, rounds = jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), 0, len(y) // batch
    for _ in range(EPOCHS):
        order = rng.permutation(len(y))
        for i in range(rounds):
            t, (key, now) = t + 1, jax.random.split(key)
            some = order[i * batch:(i + 1) * batch]
            rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * t / (rounds * EPOCHS)))
            p, m, v = update(p, m, v, float(t), augmented(x[some], rng), y[some], now, rate)
    return {k: np.asarray(a, np.float32) for k, a in p.items()}


predict = jax.jit(partial(logits, key=None))


def mean_logit(networks, x): return np.mean([np.asarray(predict(p, x)) for p in networks], 0)


def graph(networks, slope, intercept):
    g = Builder()
    x = g.op("Div", g.op("Sub", "image", 0.5), 0.25)
    total = None
    for p in networks:
        h = x
        for i in range(len(CHANNELS)):
            h = g.op("Relu", g.op("Conv", h, p[f"w{i}"], p[f"b{i}"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
            if i in (1, 3):
                h = g.op("MaxPool", h, kernel_shape=[2, 2], strides=[2, 2])
        one = g.op("Add", g.op("MatMul", g.op("Flatten", g.op("GlobalAveragePool", h)), p["w"]), p["o"])
        total = one if total is None else g.op("Add", total, one)
    g.nodes.append(helper.make_node("Sigmoid", [g.op("Add", g.op("Mul", total, slope / len(networks)), intercept)], ["pneumonia"]))
    model = helper.make_model(
        helper.make_graph(g.nodes, "cxr-pneumonia-cnn", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])],
                          [helper.make_tensor_value_info("pneumonia", TensorProto.FLOAT, ["N", 1])], g.constants),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="galen", doc_string="Pneumonia on a chest radiograph of a child.")
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    raw = np.load(DATA)
    x = np.concatenate([raw["train_images"], raw["val_images"]]).astype(np.float32)[:, None] / 255
    y = np.concatenate([raw["train_labels"], raw["val_labels"]]).ravel().astype(np.float32)
    out = np.zeros(len(y))
    for a, b in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(x, y):
        out[b] = mean_logit([train(x[a], y[a], SEED)], x[b])
        print("fold AUC", round(roc_auc_score(y[b], out[b]), 4), flush=True)
    platt = LogisticRegression(C=1e9).fit(out[:, None], y)
    slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    p = 1 / (1 + np.exp(-(slope * out + intercept)))
    auc, ap, brier = (interval(m, y, p, 300) for m in (roc_auc_score, average_precision_score, brier_score_loss))
    print(auc, ap, brier, calibration(y, p))
    assert auc[0] >= 0.94, "below the threshold: not to be shipped"
    networks = [train(x, y, SEED + k) for k in range(NETWORKS)]
    model = graph(networks, slope, intercept)

    def case(name, image):
        image = np.float32(np.round(image, 4))
        want = 1 / (1 + np.exp(-(slope * mean_logit(networks, image[None, None])[0] + intercept)))
        return {"name": name, "source": "computed in JAX by the networks as they were trained",
                "inputs": {"image": {"shape": [1, 1, SIZE, SIZE], "data": [float(v) for v in image.ravel()]}},
                "outputs": {"pneumonia": {"shape": [1, 1], "data": [float(want)]}}}

    ramp = np.linspace(0, 1, SIZE)
    cases = [case("grey", np.full((SIZE, SIZE), 0.5)), case("a ramp", np.tile(ramp, (SIZE, 1))),
             case("two dark fields", 0.7 - 0.5 * np.exp(-((ramp[None] - 0.3) ** 2 + (ramp[:, None] - 0.5) ** 2) * 30) - 0.5 * np.exp(-((ramp[None] - 0.7) ** 2 + (ramp[:, None] - 0.5) ** 2) * 30))]
    data = f"out of fold, {FOLDS} folds of {len(y)} images ({int(y.sum())} with pneumonia), one network each"

    def figure(metric, v): return {"metric": metric, "value": v[0], "low": v[1], "high": v[2], "data": data, "source": "measured when the model was made"}

    SPEC = {
        "name": "cxr-pneumonia-cnn", "version": "1.0.0", "title": "Pneumonia on a child's chest radiograph (convolutional network)", "trained": True, "authors": "Galen project", "origin": "model",
        "description": "Probability that a frontal chest radiograph of a small child shows pneumonia. Paediatric, 28 × 28 pixels, balanced subset, not for clinical use.", "kind": "diagnosis",
        "features": [],
        "inputs": [{"name": "image", "dtype": "float32", "shape": [-1, 1, SIZE, SIZE], "image": {"modality": ["DX", "CR", "RG"], "body_site": [F.sct("51185008", "Thoracic structure"), F.sct("816094009", "Thoracic cross-sectional structure")],
                    "view": ["PA", "AP"], "height": SIZE, "width": SIZE, "mean": 0, "std": 1}}],
        "outputs": [probability("pneumonia", "Pneumonia", F.sct("233604007", "Pneumonia"), None, f"Platt scaling on out-of-fold predictions, at a prevalence of {round(100 * float(y.mean()))} %", "headline", dtype="float32", shape=[-1, 1],
                                bands=[band("Pneumonia likely", "warning", "high", ge=0.5), band("Uncertain", "info", "moderate", ge=0.1, lt=0.5), band("Pneumonia unlikely", "info", "low", lt=0.1)])],
        "hooks": [],
        "use": {"intended": "Demonstrates a convolutional network over an ImagingStudy; not for clinical use.", "population": "Children of one to five years, frontal radiographs, one hospital in Guangzhou.", "users": "Developers and researchers.",
                "contraindicated": ["Any clinical use", "Adults", "Lateral views", CONTRAINDICATED]},
        "limitations": ["Paediatric, 28 × 28 pixels, balanced subset, not for clinical use.", "One hospital; no external validation.", "Half of the images had pneumonia; elsewhere the probability is too high.",
                        "A larger image is cropped to its central square and averaged down to 28 × 28 pixels.", "No age or sex is in the data, so no subgroup could be checked."],
        "evaluation": [figure("AUC", auc), figure("average precision", ap), figure("Brier score", brier)],
        "made_of": {"output": "Probability of pneumonia in percent.", "data": f"{len(y)} frontal radiographs of children, normal and pneumonia in equal parts (MedMNIST v2, PneumoniaMNIST, a balanced subset of its training and validation parts).", "demographics": "No demographic variable is an input.",
                    "internal": f"AUC {auc[0]} ({auc[1]}–{auc[2]}), Brier score {brier[0]}, out of fold.", "fairness_internal": {"unavailable": "the data hold no demographic variable"}},
        "reads": "Analyses a medical image: a device function.",
        "how": f"The mean of {NETWORKS} networks on the logit scale: five convolutions of 3 × 3 with {CHANNELS[0][1]} to {CHANNELS[-1][1]} channels, two poolings, the mean over the image, one linear unit. The graph takes grey values from 0 (black) to 1 after the DICOM pipeline (modality LUT, VOI, photometric interpretation). Trained for {EPOCHS} epochs with shifts, mirror images and changes of brightness and contrast, dropout and L2.",
        "citations": [("Yang et al. 2023, Sci Data 10:41 (MedMNIST v2, CC BY 4.0)", "https://doi.org/10.1038/s41597-022-01721-8"), ("Kermany et al. 2018, Cell 172:1122 (CC BY 4.0)", "https://doi.org/10.1016/j.cell.2018.02.010")],
        "transparency": {}}
    publish(SPEC, model, cases, tolerance=1e-5)
