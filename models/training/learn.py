"""Learning from tables: data of R packages, comparison by cross-validation, export.

Every random choice takes SEED. Candidates are compared on the same folds; the model
that ships is the logistic one unless another is better by more than one standard
error, because its whole sum can be shown on a card.
"""
import bz2
import gzip
import lzma
import os
import pathlib
import subprocess
import zlib

import numpy as np
import pandas as pd
import rdata
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20261124
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "galen" / "data"


def r_data(package, version, name):
    """A data frame of a Debian package r-cran-*, fetched once into the user's cache and read without R."""
    folder = CACHE / f"{package}-{version}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "-qq", "download", f"{package}={version}"], cwd=CACHE, check=True)
        deb = next(CACHE.glob(f"{package}_{version}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    alone = next(folder.glob(f"usr/lib/R/*/*/data/{name}.rda"), None)
    if alone:
        return rdata.read_rda(alone)[name]
    base = next(folder.glob("usr/lib/R/*/*/data/Rdata.rdx")).with_suffix("")
    index = unpack(base.with_suffix(".rdx").read_bytes())["variables"]
    start, length = (int(i) for i in index[name])
    body = base.with_suffix(".rdb").read_bytes()[start + 4:start + length]
    return unpack(body)


def unpack(data):
    """A serialised R object: zlib, gzip, or a byte for bzip2 (2) or raw LZMA (Z)."""
    if data[:2] == b"\x1f\x8b":
        plain = gzip.decompress(data)
    elif data[:1] == b"Z":
        plain = lzma.decompress(data[1:], lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}])
    elif data[:1] == b"2":
        plain = bz2.decompress(data[1:])
    else:
        plain = zlib.decompress(data)
    return rdata.conversion.convert(rdata.parser.parse_data(plain))


def interval(metric, y, p, rounds=1000):
    """A metric with its 95 % bootstrap interval."""
    rng, values = np.random.default_rng(SEED), []
    y, p = np.asarray(y), np.asarray(p)
    while len(values) < rounds:
        i = rng.integers(0, len(y), len(y))
        if 0 < y[i].sum() < len(i):
            values.append(metric(y[i], p[i]))
    low, high = np.percentile(values, [2.5, 97.5])
    return tuple(round(float(v), 3) for v in (metric(y, p), low, high))


def calibration(y, p):
    """Slope and intercept of the logit of p: 1 and 0 are right."""
    logit = np.log(p / (1 - p)).reshape(-1, 1)
    m = LogisticRegression(C=1e9).fit(logit, y)
    return round(float(m.coef_[0, 0]), 2), round(float(m.intercept_[0]), 2)


def candidates(c=1.0):
    return {"logistic": make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=c, max_iter=5000)),
            "random forest": make_pipeline(SimpleImputer(strategy="median"), RandomForestClassifier(300, min_samples_leaf=3, random_state=SEED)),
            "gradient boosting": HistGradientBoostingClassifier(learning_rate=0.05, max_iter=150, max_leaf_nodes=8, random_state=SEED)}


def compare(x, y, folds, c=1.0):
    """Out-of-fold predictions of each candidate on the same folds, printed with intervals."""
    split, out = StratifiedKFold(folds, shuffle=True, random_state=SEED), {}
    for name, model in candidates(c).items():
        p = np.clip(cross_val_predict(model, x, y, cv=split, method="predict_proba")[:, 1], 1e-6, 1 - 1e-6)
        out[name] = {"p": p, "AUC": interval(roc_auc_score, y, p), "average precision": interval(average_precision_score, y, p),
                     "Brier score": interval(brier_score_loss, y, p), "slope": calibration(y, p)}
        print(name, {k: v for k, v in out[name].items() if k != "p"})
    return out


def logistic(x, y, c=1.0):
    """(median, weight) of each column and the constant, on the columns as they come: imputing and scaling go into the numbers."""
    m = candidates(c)["logistic"].fit(x, y)
    impute, scale, fit = (s for _, s in m.steps)
    weight = fit.coef_[0] / scale.scale_
    constant = float(fit.intercept_[0] - (weight * scale.mean_).sum())
    return {k: (float(a), float(b), float(mu)) for k, a, b, mu in zip(x.columns, impute.statistics_, weight, scale.mean_)}, constant


def formula_of(terms, constant, name):
    """1 / (1 + e^−sum) with the median for what is missing; contributions against the mean of the training data."""
    def formula(f, x):
        values = {k: f.where(f.isnan(x[k]), median, x[k]) for k, (median, _, _) in terms.items()}
        total = None
        for k, (_, weight, _) in terms.items():
            total = values[k] * weight + (constant if total is None else total)
        return {name: 1.0 / (f.exp(-total) + 1.0), "contributions": [(values[k] - mean) * weight for k, (_, weight, mean) in terms.items()]}
    return formula


def figures(result, data):
    out = []
    for metric in ("AUC", "average precision", "Brier score"):
        value, low, high = result[metric]
        out.append({"metric": metric, "value": value, "low": low, "high": high, "data": data, "source": "measured when the model was made"})
    return out


def probes(x):
    """Rows for golden cases: the quantiles, one column changed at a time, and one with everything missing that may be."""
    x = pd.DataFrame(x)
    q = x.quantile([.05, .25, .5, .75, .95])
    rows = [dict(q.iloc[i]) for i in range(5)]
    middle = dict(q.iloc[2])
    return rows + [middle | {k: float(q.iloc[j][k])} for k in x.columns for j in (0, 4)]
