"""Recurrence or death after surgery for breast cancer: Cox on R survival's rotterdam (2,982), validated on gbsg (686).

Transformations after Royston and Altman 2013 (BMC Med Res Methodol 13:33): nodes as exp(−0.12 nodes), receptors as
ln(1 + x). Candidates are compared by 5-fold cross-validation inside rotterdam; gbsg is used once, at the end.
"""
import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index
from sklearn.model_selection import KFold

import features as F
from learn import SEED, r_data
from publish import CONTRAINDICATED, band, contributions, probability
from scorecard import grid, make

YEARS = (1, 3, 5)
COLUMNS = ["age", "size_mm", "grade", "nodes", "pgr", "er", "hormone"]
CANDIDATES = {"nodes and size": ["nodes_t", "size_mid", "size_big"], "all, linear": ["age", "size_mid", "size_big", "grade3", "nodes", "pgr", "er", "hormone"],
              "all, transformed": ["age_young", "age", "size_mid", "size_big", "grade3", "nodes_t", "pgr_t", "er_t", "hormone"]}


def table(d, size):
    """size: category 0, 1, 2 (≤ 20, 20–50, > 50 mm)."""
    out = pd.DataFrame({"age": d["age"], "nodes": d["nodes"], "pgr": d["pgr"], "er": d["er"], "hormone": d["hormon"]}).astype(float)
    out["age_young"] = np.exp(-out["age"] / 10)
    out["size_mid"], out["size_big"] = (size >= 1).astype(float), (size >= 2).astype(float)
    out["grade3"] = (d["grade"].astype(int) >= 3).astype(float)
    out["nodes_t"], out["pgr_t"], out["er_t"] = np.exp(-0.12 * out["nodes"]), np.log1p(out["pgr"]), np.log1p(out["er"])
    return out.reset_index(drop=True)


def data():
    r, g = (r_data("r-cran-survival", "3.5-3-1", n) for n in ("rotterdam", "gbsg"))
    train = table(r, r["size"].astype(str).map({"<=20": 0, "20-50": 1, ">50": 2}).to_numpy())
    event = ((r["recur"].astype(int) == 1) | (r["death"].astype(int) == 1)).to_numpy()
    time = np.where(r["recur"].astype(int) == 1, r["rtime"], r["dtime"]).astype(float)
    test = table(g, np.digitize(g["size"].astype(float), [20.0001, 50.0001]))
    return (train.assign(time=time / 365.25, event=event.astype(int)),
            test.assign(time=g["rfstime"].to_numpy(float) / 365.25, event=g["status"].to_numpy(int)))


def fit(train, names): return CoxPHFitter().fit(train[[*names, "time", "event"]], "time", "event")
def c_index(d, risk): return concordance_index(d["time"], -risk, d["event"])


def interval(d, risk, rounds=300):
    rng, values = np.random.default_rng(SEED), []
    for _ in range(rounds):
        i = rng.integers(0, len(d), len(d))
        values.append(c_index(d.iloc[i], risk[i]))
    low, high = np.percentile(values, [2.5, 97.5])
    return tuple(round(float(v), 3) for v in (c_index(d, risk), low, high))


def observed(d, t):
    """Kaplan–Meier event probability by t."""
    from lifelines import KaplanMeierFitter
    return float(1 - KaplanMeierFitter().fit(d["time"], d["event"]).predict(t))


if __name__ == "__main__":
    train, test = data()
    results = {}
    for name, names in CANDIDATES.items():
        risk = np.zeros(len(train))
        for a, b in KFold(5, shuffle=True, random_state=SEED).split(train):
            risk[b] = fit(train.iloc[a], names).predict_log_partial_hazard(train.iloc[b])
        results[name] = interval(train, risk)
        print(name, results[name])
    names = CANDIDATES["all, transformed"]
    model = fit(train, names)
    outside = np.asarray(model.predict_log_partial_hazard(test))
    external = interval(test, outside)
    slope = CoxPHFitter().fit(pd.DataFrame({"lp": outside, "time": test["time"], "event": test["event"]}), "time", "event")
    slope = (float(slope.params_["lp"]), *slope.confidence_intervals_.loc["lp"].to_numpy(float))
    print("external C", external, "slope", slope)
    assert external[0] >= 0.66, "below the threshold: not to be shipped"
    groups = {g: interval(test[m].reset_index(drop=True), outside[m.to_numpy()]) for g, m in (("under 50", test["age"] < 50), ("50 and over", test["age"] >= 50))}
    predicted = {t: float(1 - model.predict_survival_function(test, [t]).to_numpy().mean()) for t in (1, 3, 5)}
    calibration = "; ".join(f"{t} y predicted {predicted[t]:.3f}, observed {observed(test, t):.3f}" for t in YEARS)
    print(groups, calibration)
    beta = {k: float(v) for k, v in model.params_.items()}
    mean = {k: float(v) for k, v in train[names].mean().items()}
    s0 = {t: float(np.exp(-np.interp(t, model.baseline_cumulative_hazard_.index, model.baseline_cumulative_hazard_.iloc[:, 0]))) for t in YEARS}

    def formula(f, x):
        flag = lambda v, limit: f.where(f.isnan(v), v, f.where(f.gt(v, limit), 1.0, 0.0))
        terms = {"age_young": f.exp(x["age"] / -10.0), "age": x["age"], "size_mid": flag(x["size_mm"], 20.0), "size_big": flag(x["size_mm"], 50.0), "grade3": flag(x["grade"], 2.5),
                 "nodes_t": f.exp(x["nodes"] * -0.12), "pgr_t": f.log(x["pgr"] + 1.0), "er_t": f.log(x["er"] + 1.0), "hormone": x["hormone"]}
        part = {k: (terms[k] - mean[k]) * beta[k] for k in names}
        parts = [part["age_young"] + part["age"], part["size_mid"] + part["size_big"], part["grade3"], part["nodes_t"], part["pgr_t"], part["er_t"], part["hormone"]]
        total = parts[0]
        for p in parts[1:]:
            total = total + p
        hazard = f.exp(total)
        return {f"event_{t}y": 1.0 - s0[t] ** hazard for t in YEARS} | {"contributions": parts}

    def own(code, label, unit, high): return F.observation(code.split("-")[-1], label, [F.coding(F.ITEM, "breast-" + code, label)], unit, window="5y", plausible={"ge": 0, "le": high})
    SIZE = F.observation("size_mm", "Tumour size", [F.loinc("33728-7", "Size.maximum dimension in Tumor")], "mm", window="5y", plausible={"ge": 0, "le": 300})
    NODES = F.observation("nodes", "Positive lymph nodes", [F.loinc("21893-3", "Regional lymph nodes positive [#] Specimen")], "1", conversions=[{"unit": "{#}", "multiply": 1}], window="5y", plausible={"ge": 0, "le": 100})
    TAMOXIFEN = F.medication("hormone", "Hormone treatment", F.drugs(("10324", "L02BA01", "tamoxifen"), ("84857", "L02BG03", "anastrozole"), ("72965", "L02BG04", "letrozole"), ("258494", "L02BG06", "exemestane")))
    EVENT = F.sct("254837009", "Malignant neoplasm of breast")
    cv = "; ".join(f"{k}: C {v[0]} ({v[1]}–{v[2]})" for k, v in results.items())
    by = "; ".join(f"{g} C {v[0]} ({v[1]}–{v[2]})" for g, v in groups.items())
    SPEC = {
        "name": "breast-rfs-rotterdam", "version": "1.0.0", "title": "Recurrence or death after breast cancer surgery (Rotterdam)", "trained": True, "authors": "Galen project", "origin": "model", "kind": "prognosis",
        "description": "Risk of recurrence or death within 1, 3 and 5 years of surgery for primary breast cancer.",
        "columns": COLUMNS, "features": [F.AGE, SIZE, F.changed(own("grade", "Tumour grade (1 to 3)", "1", 3)), NODES, own("pgr", "Progesterone receptors (fmol/mg)", "1", 10000), own("er", "Oestrogen receptors (fmol/mg)", "1", 10000), TAMOXIFEN, F.SEX],
        "applicable": [{"feature": "age", "ge": 21, "le": 90, "reason": "the data hold ages 21 to 90"}, {"feature": "sex", "lt": 1, "reason": "the data hold women only"}],
        "outputs": [probability(f"event_{t}y", f"Recurrence or death within {t} year{'s' if t > 1 else ''}", EVENT, f"P{t}Y", f"Breslow baseline of Rotterdam; in GBSG {calibration}", "headline" if t == 5 else None,
                                **({"bands": [band("High", "warning", "high", ge=0.5), band("Moderate", "info", "moderate", ge=0.25, lt=0.5), band("Low", "info", "low", lt=0.25)]} if t == 5 else {})) for t in YEARS]
                   + [contributions("event_5y", COLUMNS, "log-hazard", "the mean of the training data")],
        "use": {"intended": "Demonstrates a trained survival model with external validation; informs nobody's care without local validation.", "population": "Women after surgery for primary breast cancer.", "users": "Researchers.",
                "contraindicated": ["Choice of treatment: effects here are associations, not causes", "HER2-targeted and other present treatments are unknown to the model", CONTRAINDICATED]},
        "limitations": ["Patients of 1978–1993; outcomes are better today.", "Receptors in fmol/mg cytosol protein, not percent of cells as today.", f"External calibration slope {slope[0]:.2f} ({slope[1]:.2f}–{slope[2]:.2f}); {calibration}.", "Grade and receptors are answers under codes of Galen's own."],
        "evaluation": [{"metric": "C statistic, external", "value": external[0], "low": external[1], "high": external[2], "data": f"{len(test)} women of GBSG (node-positive, Germany), {int(test['event'].sum())} events", "source": "measured when the model was made"},
                       {"metric": "C statistic, cross-validated", "value": results["all, transformed"][0], "low": results["all, transformed"][1], "high": results["all, transformed"][2], "data": f"{len(train)} women of Rotterdam, 5 folds", "source": "measured when the model was made"}],
        "made_of": {"output": "Probability of recurrence or death within 1, 3 and 5 years in percent, with contributions.", "data": "2,982 women of the Rotterdam tumour bank with primary breast cancer, none left out.", "demographics": "Age is an input; sex bounds the use. Race and ethnicity are not in the data.",
                    "external": "686 node-positive women of a German trial (GBSG).", "external_party": "Galen project, on public data.", "external_process": "One look at the end: C statistic, calibration slope, mean predicted against Kaplan–Meier.",
                    "internal": f"C {results['all, transformed'][0]} by 5-fold cross-validation.", "validity": f"C {external[0]} ({external[1]}–{external[2]}), calibration slope {slope[0]:.2f}; {calibration}.", "fairness_internal": f"External, by age: {by}."},
        "how": f"Cox model; the graph holds the transformations, the Breslow baseline and the risk. Candidates (5 folds): {cv}. External by age: {by}. Calibration: {calibration}. No value is missing in either data set; a missing input is refused.",
        "citations": [("Foekens et al. 2000, Cancer Res 60:636 (Rotterdam)", "https://pubmed.ncbi.nlm.nih.gov/10676647/"), ("Royston and Altman 2013, BMC Med Res Methodol 13:33", "https://doi.org/10.1186/1471-2288-13-33")]}
    BASE = {"age": 55, "size_mm": 25, "grade": 3, "nodes": 3, "pgr": 40, "er": 60, "hormone": 0}
    make(SPEC, formula, [], grid(BASE, age=[24, 88], size_mm=[20, 20.1, 50, 51], grade=[2], nodes=[0, 34], pgr=[0, 5000], er=[0, 3000], hormone=[1]))
