"""Is a finding in a note denied, or past? NegEx/ConText corpus (1,584 sentences of de-identified reports, Apache-2.0).

Reads training/context-assertions.tsv below GALEN_DATA (default: shared/data beside the
project). The features are those of cds/text in Go: the words before and after a mention,
with their distance, as numbers of a hash; golden.json of this folder holds both to the
same numbers.
"""
import csv
import json
import os
import pathlib
import re

import numpy as np
import onnx
from onnx import TensorProto, helper
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import GroupKFold

import features as F
from learn import SEED, interval
from publish import CONTRAINDICATED, band, output, probability, publish
from score import IR, OPSET
from series import Builder

DATA = pathlib.Path(os.environ.get("GALEN_DATA", pathlib.Path(__file__).resolve().parents[4] / "shared" / "data")) / "training" / "context-assertions.tsv"
HERE = pathlib.Path(__file__).parent
HASHES, TOKENS, REPORT, FOLDS = 1 << 15, 160, 10, 10
BEFORE, AFTER = 30, 15  # words looked at
STOPS = {".", ";", ":"}
TOKEN = re.compile(r"[a-z]+|[0-9]+|[^\s]")


def lower(text): return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
def words(text): return TOKEN.findall(lower(text))


def number(feature):
    """FNV-1a of 32 bits, into 1 to HASHES; 0 is no word."""
    h = 0x811C9DC5
    for b in feature.encode():
        h = ((h ^ b) * 0x01000193) & 0xFFFFFFFF
    return 1 + h % (HASHES - 1)


def distance(i): return 0 if i < 2 else 1 if i < 5 else 2 if i < 10 else 3


def names(before, mention, after):
    """The features of a mention, each once, in order."""
    out = []
    back = words(before)[::-1]
    for i, w in enumerate(back[:BEFORE]):
        if w in STOPS:
            break
        out += [f"b{distance(i)}:{w}", f"b:{w}"] + ([f"bb:{back[i + 1]} {w}"] if i + 1 < len(back) else [])
    on = words(after)
    for i, w in enumerate(on[:AFTER]):
        if w in STOPS - {":"}:
            break
        out += [f"a{distance(i)}:{w}", f"a:{w}"] + ([f"aa:{w} {on[i + 1]}"] if i + 1 < len(on) else [])
    inside = words(mention)
    out += ([f"f:{inside[0]}"] if inside else []) + [f"i:{w}" for w in inside]
    return list(dict.fromkeys(out))


def numbers(*parts): return list(dict.fromkeys(number(n) for n in names(*parts)))[:TOKENS]


def read():
    with open(DATA) as f:
        rows = list(csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    parts = []
    for r in rows:
        m = re.search(r"\s+".join(re.escape(w) for w in lower(r[1]).split()), lower(r[2]))
        parts.append((r[2][:m.start()], r[2][m.start():m.end()], r[2][m.end():]) if m else ("", r[1], r[2]))
    return parts, np.array([r[3] == "Negated" for r in rows], int), np.array([r[4] == "Historical" for r in rows], int), np.arange(len(rows)) // REPORT


def table(lists):
    at = [(i, n) for i, ns in enumerate(lists) for n in ns]
    return csr_matrix((np.ones(len(at)), tuple(zip(*at))), shape=(len(lists), HASHES))


def fit(x, y): return LogisticRegression(C=10, max_iter=3000).fit(x, y)


def graph(negated, historical):
    g = Builder()
    weights = np.stack([np.concatenate([[0], m.coef_[0][1:]]) for m in (negated, historical)], 1).astype(np.float32)
    total = g.op("Add", g.op("ReduceSum", g.op("Gather", weights, "words"), np.array([1], np.int64), keepdims=0), np.array([negated.intercept_[0], historical.intercept_[0]], np.float32))
    one, two = g.op("Split", g.op("Sigmoid", total), np.array([1, 1], np.int64), axis=1, count=2)
    g.nodes += [helper.make_node("Identity", [g.op("Sub", 1.0, one)], ["present"]), helper.make_node("Identity", [two], ["historical"])]
    model = helper.make_model(
        helper.make_graph(g.nodes, "context-assertion", [helper.make_tensor_value_info("words", TensorProto.INT64, ["N", TOKENS])],
                          [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 1]) for n in ("present", "historical")], g.constants),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="galen", doc_string="Is a finding in a note denied, or past?")
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    parts, negated, historical, reports = read()
    lists = [numbers(*p) for p in parts]
    x, out = table(lists), {}
    for name, y in (("negated", negated), ("historical", historical)):
        out[name] = np.zeros(len(y))
        for a, b in GroupKFold(FOLDS).split(x, y, reports):
            out[name][b] = fit(x[a], y[a]).predict_proba(x[b])[:, 1]
    said = lambda metric: (lambda y, p: metric(y, p >= 0.5))  # noqa: E731
    f1, precision, recall = (interval(said(m), negated, out["negated"], 500) for m in (f1_score, precision_score, recall_score))
    past = interval(said(f1_score), historical, out["historical"], 500)
    auc = interval(roc_auc_score, negated, out["negated"], 500)
    print("negation F1", f1, "precision", precision, "recall", recall, "AUC", auc, "history F1", past)
    assert f1[0] >= 0.93, "below the threshold: not to be shipped"
    no, was = fit(x, negated), fit(x, historical)
    model = graph(no, was)

    examples = [("The patient denies any ", "chest pain", " or palpitations."), ("", "Pneumonia", " in the right lower lobe."), ("There is no evidence of ", "pulmonary embolism", "."),
                ("History of ", "hypertension", ", well controlled."), ("Father had ", "Diabetes", "; patient does not."), ("No fever. Positive for ", "nausea", " - and vomiting 2 days ago"), ("Zürich: keine ", "Ödeme", " – no")]
    cases, golden = [], []
    for p in examples:
        ns = numbers(*p)
        row = ns + [0] * (TOKENS - len(ns))
        golden.append({"before": p[0], "mention": p[1], "after": p[2], "names": names(*p), "numbers": ns})
        t = table([ns])
        cases.append({"name": " ".join("".join(p).split()), "source": "computed by scikit-learn from the fitted weights", "inputs": {"words": {"shape": [1, TOKENS], "data": row}},
                      "outputs": {"present": {"shape": [1, 1], "data": [float(no.predict_proba(t)[0, 0])]}, "historical": {"shape": [1, 1], "data": [float(was.predict_proba(t)[0, 1])]}}})
    (HERE / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
    data = f"out of fold, {FOLDS} folds by report (ten lines stand for one), {len(parts)} sentences, {int(negated.sum())} negated, {int(historical.sum())} historical"

    def figure(metric, v): return {"metric": metric, "value": v[0], "low": v[1], "high": v[2], "data": data, "source": "measured when the model was made"}

    SPEC = {
        "name": "context-assertion", "version": "1.0.0", "title": "Findings in notes: present, denied or past", "trained": True, "authors": "Galen project", "origin": "model",
        "description": "Finds diagnoses and symptoms in notes and says of each whether it is present, denied, past or somebody else's, with its place in the text.", "kind": "diagnosis",
        "features": [],
        "inputs": [{"name": "words", "dtype": "int64", "shape": [-1, TOKENS], "text": {"types": [F.loinc("34109-9", "Note"), F.loinc("11506-3", "Progress note"), F.loinc("18842-5", "Discharge summary")], "hashes": HASHES, "max_tokens": TOKENS, "lowercase": True}}],
        "outputs": [probability("present", "Present, not denied", F.sct("404684003", "Clinical finding"), None, "Logistic regression, not recalibrated", "headline", dtype="float32", shape=[-1, 1],
                                bands=[band("Present", "info", ge=0.5), band("Denied", "info", lt=0.5)]),
                    output("historical", "Past rather than present", "auxiliary", dtype="float32", shape=[-1, 1])],
        "hooks": [],
        "use": {"intended": "Turns notes into coded findings for review, and finds notes that say something of a condition.", "population": "Patients with notes in English.", "users": "Clinicians and researchers who read the note themselves.",
                "contraindicated": ["Coding or billing without review", "Notes in other languages than English", CONTRAINDICATED]},
        "limitations": ["Findings are found by a list of terms; what is called otherwise is not seen.", "Trained on emergency, radiology, surgery and other reports of one network of hospitals.", "Whose finding it is, is told by words for relatives, not learned: the data have four such sentences.",
                        f"That a finding is past is told with an F1 of {past[0]} only."],
        "evaluation": [figure("negation F1", f1), figure("negation precision", precision), figure("negation recall", recall), figure("negation AUC", auc), figure("history F1", past)],
        "made_of": {"output": "Of each finding the probability in percent that it is present rather than denied, its place, whether it is past, and whose it is.", "type": "Classification", "data": f"{len(parts)} sentences of de-identified reports with one marked condition each.",
                    "demographics": "No demographic variable is an input.", "internal": f"Negation F1 {f1[0]} ({f1[1]}–{f1[2]}), out of fold by report.", "fairness_internal": {"unavailable": "the data hold no demographic variable"}},
        "reads": "Reads notes; no image or signal.",
        "how": f"Logistic regression (L2, C = 10) on the words around a mention: up to {BEFORE} before and {AFTER} after within the clause, each with its distance and its neighbour, and the words of the mention, as numbers of a hash of {HASHES}. The table of weights is in the graph. Classes were not reweighted.",
        "citations": [("Harkema et al. 2009, J Biomed Inform 42:839 (ConText)", "https://doi.org/10.1016/j.jbi.2009.05.002"), ("Data: NegEx/ConText corpus, Apache-2.0", "https://github.com/chapmanbe/negex")]}
    publish(SPEC, model, cases, tolerance=1e-5)
