"""Death in hospital from the first 48 hours in intensive care: PhysioNet/CinC Challenge 2012, set A (4,000 stays).

Reads training/physionet2012 below GALEN_DATA (default: shared/data beside the project).
Set B is not read: it stays for checking.
"""
import csv
import hashlib
import json
import os
import pathlib
import tarfile

import numpy as np
import onnxruntime
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

import features as F
from learn import SEED, calibration, interval
from publish import CONTRAINDICATED, band, output, publish
from series import Scaling, graph, mean_logits, train

DATA = pathlib.Path(os.environ.get("GALEN_DATA", pathlib.Path(__file__).resolve().parents[4] / "shared" / "data")) / "training" / "physionet2012"
HERE = pathlib.Path(__file__).parent
STEPS, FOLDS = 48, 5
NETWORKS, TRIED = 6, 2  # that ship, and that are tried in each fold: the figures are a little too low



def variable(name, label, parameters, codes, unit, low, high, log=False, aggregate="mean", **more):
    f = F.observation(name, label, codes, unit, "optional", aggregate, plausible={"ge": low, "le": high}, **more)
    return {"feature": f, "parameters": parameters, "low": low, "high": high, "log": log, "sum": aggregate == "sum"}



BP = F.BP_PANELS
VARIABLES = [
    variable("heart_rate", "Heart rate", ["HR"], [F.loinc("8867-4", "Heart rate"), F.sct("364075005", "Heart rate")], "/min", 20, 300),
    variable("respiratory_rate", "Respiratory rate", ["RespRate"], [F.loinc("9279-1", "Respiratory rate")], "/min", 3, 80),
    variable("temperature", "Temperature", ["Temp"], [F.loinc("8310-5", "Body temperature"), F.loinc("8329-5", "Body temperature - Core")], "Cel", 25, 45),
    variable("oxygen_saturation", "Arterial oxygen saturation", ["SaO2"], [F.loinc("2708-6", "Oxygen saturation in Arterial blood")], "%", 30, 100),
    variable("systolic", "Systolic blood pressure", ["SysABP", "NISysABP"], [F.loinc("8480-6", "Systolic blood pressure", panels=BP), F.loinc("76534-7", "Systolic blood pressure by Noninvasive", panels=BP), F.loinc("76215-3", "Invasive Systolic blood pressure", panels=BP)], "mm[Hg]", 30, 300),
    variable("diastolic", "Diastolic blood pressure", ["DiasABP", "NIDiasABP"], [F.loinc("8462-4", "Diastolic blood pressure", panels=BP), F.loinc("76535-4", "Diastolic blood pressure by Noninvasive", panels=BP), F.loinc("76213-8", "Invasive Diastolic blood pressure", panels=BP)], "mm[Hg]", 10, 200),
    variable("mean_pressure", "Mean arterial pressure", ["MAP", "NIMAP"], [F.loinc("8478-0", "Mean blood pressure", panels=BP), F.loinc("76536-2", "Mean blood pressure by Noninvasive", panels=BP), F.loinc("76214-6", "Invasive Mean blood pressure", panels=BP)], "mm[Hg]", 15, 250),
    variable("glasgow", "Glasgow coma score", ["GCS"], [F.loinc("9269-2", "Glasgow coma score total")], "{score}", 3, 15, conversions=[{"unit": "1", "multiply": 1}]),
    variable("inspired_oxygen", "Inspired oxygen fraction", ["FiO2"], [F.loinc("3150-6", "Inhaled oxygen concentration"), F.loinc("19994-3", "Oxygen/Inspired gas setting [Volume Fraction] Ventilator")], "%", 15, 100),
    variable("urine", "Urine output", ["Urine"], [F.loinc("9187-6", "Urine output"), F.loinc("9192-6", "Urine output 24 hour")], "mL", 0, 5000, True, "sum"),
    variable("ph", "Arterial pH", ["pH"], [F.loinc("2744-1", "pH of Arterial blood"), F.loinc("11558-4", "pH of Blood")], "[pH]", 6.5, 8, conversions=[{"unit": "1", "multiply": 1}, {"unit": "{pH}", "multiply": 1}]),
    variable("pao2", "Arterial oxygen pressure", ["PaO2"], [F.loinc("2703-7", "Oxygen [Partial pressure] in Arterial blood")], "mm[Hg]", 15, 700, True),
    variable("paco2", "Arterial carbon dioxide pressure", ["PaCO2"], [F.loinc("2019-8", "Carbon dioxide [Partial pressure] in Arterial blood")], "mm[Hg]", 5, 200, True),
    variable("lactate", "Lactate", ["Lactate"], [F.loinc("2524-7", "Lactate [Moles/volume] in Serum or Plasma"), F.loinc("32693-4", "Lactate [Moles/volume] in Blood")], "mmol/L", 0.1, 40, True, conversions=[{"unit": "mg/dL", "divide": 9.008}]),
    variable("bun", "Blood urea nitrogen", ["BUN"], [F.loinc("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma")], "mg/dL", 1, 300, True, conversions=[{"unit": "mmol/L", "multiply": 2.8}]),
    variable("creatinine", "Creatinine", ["Creatinine"], F.CREATININE["codes"], "mg/dL", 0.1, 30, True, conversions=F.CREATININE["conversions"]),
    variable("sodium", "Sodium", ["Na"], F.SODIUM["codes"], "mmol/L", 90, 200),
    variable("potassium", "Potassium", ["K"], [F.loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma"), F.loinc("6298-4", "Potassium [Moles/volume] in Blood")], "mmol/L", 1, 12),
    variable("bicarbonate", "Bicarbonate", ["HCO3"], [F.loinc("1963-8", "Bicarbonate [Moles/volume] in Serum or Plasma")], "mmol/L", 2, 60),
    variable("glucose", "Glucose", ["Glucose"], [F.loinc("2345-7", "Glucose [Mass/volume] in Serum or Plasma"), F.loinc("2339-0", "Glucose [Mass/volume] in Blood"), F.loinc("14749-6", "Glucose [Moles/volume] in Serum or Plasma")], "mg/dL", 10, 2000, True, conversions=[{"unit": "mmol/L", "multiply": 18.016}]),
    variable("magnesium", "Magnesium", ["Mg"], [F.loinc("19123-9", "Magnesium [Mass/volume] in Serum or Plasma")], "mg/dL", 0.3, 12, conversions=[{"unit": "mmol/L", "multiply": 2.4305}]),
    variable("albumin", "Albumin", ["Albumin"], F.ALBUMIN["codes"], "g/dL", 0.5, 8),
    variable("bilirubin", "Bilirubin", ["Bilirubin"], F.BILIRUBIN["codes"], "mg/dL", 0.05, 100, True, conversions=[{"unit": "umol/L", "divide": 17.1}]),
    variable("alt", "ALT", ["ALT"], F.ALT["codes"], "U/L", 1, 30000, True),
    variable("ast", "AST", ["AST"], F.AST["codes"], "U/L", 1, 50000, True),
    variable("alkaline_phosphatase", "Alkaline phosphatase", ["ALP"], [F.loinc("6768-6", "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma")], "U/L", 5, 5000, True),
    variable("cholesterol", "Total cholesterol", ["Cholesterol"], [F.loinc("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma")], "mg/dL", 20, 1000, conversions=[{"unit": "mmol/L", "divide": 0.02586}]),
    variable("leukocytes", "Leukocytes", ["WBC"], [F.loinc("6690-2", "Leukocytes [#/volume] in Blood by Automated count")], "10*3/uL", 0.05, 500, True),
    variable("hematocrit", "Hematocrit", ["HCT"], [F.loinc("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count"), F.loinc("20570-8", "Hematocrit [Volume Fraction] of Blood")], "%", 5, 75),
    variable("platelets", "Platelets", ["Platelets"], [F.loinc("777-3", "Platelets [#/volume] in Blood by Automated count")], "10*3/uL", 1, 3000, True),
    variable("troponin_i", "Troponin I", ["TroponinI"], [F.loinc("10839-9", "Troponin I.cardiac [Mass/volume] in Serum or Plasma")], "ug/L", 0.001, 500, True),
    variable("troponin_t", "Troponin T", ["TroponinT"], [F.loinc("6598-7", "Troponin T.cardiac [Mass/volume] in Serum or Plasma")], "ug/L", 0.001, 100, True),
    variable("weight", "Body weight", ["Weight"], [F.loinc("29463-7", "Body weight"), F.loinc("3141-9", "Body weight Measured")], "kg", 20, 400),
    variable("ventilated", "Mechanical ventilation", ["MechVent"], [F.sct("40617009", "Artificial respiration")], "1", 0, 1, categories=F.YES_NO),
]
STAY = {"name": "stay", "label": "Hours in intensive care", "kind": "stay", "unit": "h", "missing": "optional"}
AGE = {"name": "age", "label": "Age", "kind": "age", "unit": "a", "plausible": {"ge": 16, "le": 120}, "missing": "required"}
SEX = F.changed(F.SEX, missing="optional")
HEIGHT = F.observation("height", "Body height", [F.loinc("8302-2", "Body height")], "cm", "optional", plausible={"ge": 100, "le": 230})
TABLE = ["age", "sex", "height"]


def read():
    """ids, series [N, 48, F], table [N, 3], death, outcomes by name, in the order of the ids."""
    with open(DATA / "Outcomes-a.txt") as f:
        outcomes = {int(r["RecordID"]): r for r in csv.DictReader(f)}
    where = {p: i for i, v in enumerate(VARIABLES) for p in v["parameters"]}
    ids, all_series, tables = [], [], []
    archive = tarfile.open(DATA / "set-a.tar.gz")
    for member in sorted((m for m in archive.getmembers() if m.name.endswith(".txt")), key=lambda m: m.name):
        fixed, cells = {}, {}
        for line in archive.extractfile(member).read().decode().split()[1:]:
            clock, parameter, text = line.split(",")
            hour, minute = (int(x) for x in clock.split(":"))
            if parameter in ("RecordID", "Age", "Gender", "Height", "ICUType"):
                fixed.setdefault(parameter, float(text))
                continue
            if parameter not in where:
                continue
            i, x = where[parameter], float(text)
            v = VARIABLES[i]
            x *= 100 if parameter == "FiO2" else 1
            if v["low"] <= x <= v["high"]:
                cells.setdefault((min((hour * 60 + minute) // 60, STEPS - 1), i), []).append(x)
        grid = np.full((STEPS, len(VARIABLES)), np.nan)
        for (step, i), xs in cells.items():
            grid[step, i] = sum(xs) / (1 if VARIABLES[i]["sum"] else len(xs))
        ids.append(int(fixed["RecordID"]))
        all_series.append(grid)
        height = fixed["Height"] if 100 <= fixed["Height"] <= 230 else np.nan
        tables.append([fixed["Age"], fixed["Gender"] if fixed["Gender"] >= 0 else np.nan, height, fixed["ICUType"]])
    rows = [outcomes[i] for i in ids]
    return np.array(ids), np.array(all_series), np.array(tables), np.array([int(r["In-hospital_death"]) for r in rows]), rows


def fit(series, table, y, count):
    scaling = Scaling(series, table, np.array([v["log"] for v in VARIABLES]))
    x = scaling.inputs(series, table)
    return scaling, [train(x, y.astype(np.float32), SEED + k) for k in range(count)]


def score1(y, p):
    """Score 1 of the challenge: the lesser of sensitivity and positive predictive value, at the best threshold."""
    best = 0.0
    for t in np.quantile(p, np.linspace(0.5, 0.99, 200)):
        said = p >= t
        best = max(best, min(said[y == 1].mean(), y[said].mean()))
    return best


def news2(series):
    """NEWS2 of the worst hour, from what the data have of it (no SpO2 scale 2; GCS below 15 is altered consciousness)."""
    column = {v["feature"]["name"]: series[:, :, i] for i, v in enumerate(VARIABLES)}
    def points(x, limits, values): return np.where(np.isnan(x), 0, np.array(values)[np.searchsorted(limits, np.nan_to_num(x), side="right")])
    total = points(column["respiratory_rate"], [9, 12, 21, 25], [3, 1, 0, 2, 3]) + points(column["oxygen_saturation"], [92, 94, 96], [3, 2, 1, 0])
    total = total + points(column["systolic"], [91, 101, 111, 220], [3, 2, 1, 0, 3]) + points(column["heart_rate"], [41, 51, 91, 111, 131], [3, 1, 0, 1, 2, 3])
    total = total + points(column["temperature"], [35.1, 36.1, 38.1, 39.1], [3, 1, 0, 1, 2]) + np.where(column["glasgow"] < 15, 3, 0)
    return (total + np.where(column["inspired_oxygen"] > 21, 2, 0)).max(1)


def figure(metric, values, data):
    return {"metric": metric, "value": values[0], "low": values[1], "high": values[2], "data": data, "source": "measured when the model was made"}


def digest(grid):
    """What the served series must be, to eight places: the SHA-256 of its numbers."""
    return hashlib.sha256(",".join("" if np.isnan(x) else f"{x + 0.0:.8f}" for x in grid.ravel()).encode()).hexdigest()


if __name__ == "__main__":
    ids, series, table, y, rows = read()
    known, icu = table[:, :3], table[:, 3]
    out = np.zeros(len(y))
    for a, b in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(series, y):
        scaling, networks = fit(series[a], known[a], y[a], TRIED)
        out[b] = mean_logits(networks, scaling.inputs(series[b], known[b]))[:, -1]
        print("fold AUC", round(roc_auc_score(y[b], out[b]), 4), flush=True)
    platt = LogisticRegression(C=1e9).fit(out[:, None], y)
    slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    p = 1 / (1 + np.exp(-(slope * out + intercept)))
    auc, ap, brier, best = (interval(m, y, p, 300) for m in (roc_auc_score, average_precision_score, brier_score_loss, score1))
    others = {"SAPS-I": np.array([float(r["SAPS-I"]) for r in rows]), "SOFA": np.array([float(r["SOFA"]) for r in rows]), "NEWS2 (worst hour)": news2(series)}
    rivals = {k: interval(roc_auc_score, y[v >= 0], v[v >= 0], 300) for k, v in others.items()}
    groups = {"men": known[:, 1] == 1, "women": known[:, 1] == 0, "under 60": known[:, 0] < 60, "60 to 75": (known[:, 0] >= 60) & (known[:, 0] < 75), "75 and over": known[:, 0] >= 75,
              "coronary care": icu == 1, "cardiac surgery": icu == 2, "medical ICU": icu == 3, "surgical ICU": icu == 4}
    by_group = {k: (*interval(roc_auc_score, y[m], p[m], 200), round(float(p[m].mean() / y[m].mean()), 2)) for k, m in groups.items()}
    print(auc, ap, brier, best, calibration(y, p), rivals, by_group, sep="\n")
    assert auc[0] >= 0.83 and best[0] >= 0.46, "below the threshold: not to be shipped"

    scaling, networks = fit(series, known, y, NETWORKS)
    model = graph("icu-mortality-gru", "Death in hospital after 48 hours in intensive care.", STEPS, scaling, networks, slope, intercept)

    def python(grid, row):
        l = mean_logits(networks, scaling.inputs(grid[None], np.array(row[:3])[None]))[0]
        steps = 1 / (1 + np.exp(-(slope * l + intercept)))
        hours = row[3]
        return steps, steps[int(min(np.floor(48 if np.isnan(hours) else hours), STEPS - 1))]

    def values(a): return [None if np.isnan(x) else float(np.float32(x)) for x in np.asarray(a, float).ravel()]

    rng, cases = np.random.default_rng(SEED), []
    for name, filled, row in (("nothing measured, age 60", 0, [60, np.nan, np.nan, 48]), ("made-up stay, 12 hours in", 0.3, [72, 1, 175, 12.5]), ("made-up stay, over", 0.15, [45, 0, 160, np.nan])):
        grid = np.where(rng.random((STEPS, len(VARIABLES))) < filled, rng.normal(scaling.mean, scaling.std, (STEPS, len(VARIABLES))), np.nan)
        grid = np.round(np.where(scaling.logs, np.expm1(np.abs(grid)), grid), 3)
        steps, risk = python(np.float32(grid).astype(float), row)
        cases.append({"name": name, "source": "computed in JAX by the network as it was trained", "inputs": {
            "series": {"shape": [1, STEPS, len(VARIABLES)], "data": values(grid)}, "table": {"shape": [1, 4], "data": values(row)}},
            "outputs": {"risk": {"shape": [1, 1], "data": [float(risk)]}, "trajectory": {"shape": [1, STEPS], "data": [float(x) for x in steps]}}})

    # What Go must make of real stays (cds/feature, TestSkew), as digests: the data themselves stay outside.
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    skew = {}
    for i in range(0, 400, 10):
        risk = session.run(["risk"], {"series": np.float32(series[i])[None], "table": np.float32([[*known[i], 48]])})[0][0, 0]
        assert abs(risk - python(series[i], [*known[i], 48])[1]) < 1e-5
        skew[str(ids[i])] = {"series": digest(series[i]), "risk": round(float(risk), 7)}
    (HERE / "skew.json").write_text(json.dumps(skew, indent=0) + "\n")

    names = [v["feature"]["name"] for v in VARIABLES]
    text = "; ".join(f"{k} AUC {v[0]} ({v[1]}–{v[2]}), predicted/observed {v[3]}" for k, v in by_group.items())
    rival = "; ".join(f"{k} AUC {v[0]} ({v[1]}–{v[2]})" for k, v in rivals.items())
    data = f"out of fold, {FOLDS} folds of {len(y)} stays ({int(y.sum())} deaths)"
    SPEC = {
        "name": "icu-mortality-gru", "version": "1.0.0", "title": "Death in hospital after intensive care (recurrent network)", "trained": True, "authors": "Galen project", "origin": "model",
        "description": "Probability of death in hospital from the vital signs, laboratory values and treatment of the first 48 hours in intensive care, with the risk as of each hour.", "kind": "prognosis",
        "features": [v["feature"] for v in VARIABLES] + [AGE, SEX, HEIGHT, STAY],
        "inputs": [{"name": "series", "dtype": "float32", "shape": [-1, STEPS, len(names)], "series": {"from": "stay", "features": names, "step": "1h", "length": STEPS, "channels": ["value"], "fill": "nan"}},
                   {"name": "table", "dtype": "float32", "shape": [-1, 4], "columns": TABLE + ["stay"]}],
        "require": [["heart_rate", "systolic", "mean_pressure", "respiratory_rate", "glasgow", "creatinine", "bun", "sodium", "potassium", "hematocrit", "leukocytes", "platelets", "glucose", "ph"]],
        "applicable": [{"feature": "age", "ge": 16, "reason": "the model was made for adults"}],
        "outputs": [
            output("risk", "Death in hospital", "probability", "headline", dtype="float32", shape=[-1, 1], outcome=F.sct("419620001", "Death"), horizon="30d",
                   calibration=f"Platt scaling on out-of-fold predictions; the outcome is death before discharge, for which 30 days stand; slope and intercept after it 1 and 0; {rival} on the same stays",
                   bands=[band("High risk of death", "warning", "high", "Review goals of care and reversible causes.", ge=0.4), band("Raised risk of death", "warning", "moderate", ge=0.15, lt=0.4), band("Low risk of death", "info", "low", lt=0.15)]),
            output("trajectory", "Risk as of each hour", "trajectory", dtype="float32", shape=[-1, STEPS], of="risk")],
        "hooks": [],
        "use": {"intended": "Shows how the risk of death in hospital develops over the first two days in intensive care, for teaching, triage research and benchmarking.", "population": "Adults in intensive care in the United States, 2001–2008.", "users": "Intensivists and researchers.",
                "contraindicated": ["Any decision to limit or withdraw treatment", "Children", "Patients outside intensive care", CONTRAINDICATED]},
        "limitations": ["One hospital (Boston, 2001–2008); care has changed since.", "Stays under 48 hours were not in the data, so earlier hours of the trajectory are of patients who stayed.",
                        "What is measured, and how often, is itself evidence to the network: elsewhere it is measured otherwise.", "Values are averaged over each hour; urine is added up.",
                        "The time counts from the start of the stay's Encounter, or from the first value where there is none.", "Saturation by pulse oximetry is not an input: the data have arterial values."],
        "evaluation": [figure("AUC", auc, data), figure("average precision", ap, data), figure("Brier score", brier, data), figure("Score 1 of the challenge (min of sensitivity and PPV)", best, data)]
        + [figure(f"AUC of {k}, for comparison", v, data) for k, v in rivals.items()],
        "made_of": {"output": "Probability of death before discharge in percent, and the same as of each of 48 hours.", "data": f"{len(y)} stays of at least 48 hours in four kinds of intensive care unit, adults, none left out (PhysioNet/CinC Challenge 2012, set A).",
                    "demographics": "Age and sex are inputs; race and ethnicity are not.", "internal": f"AUC {auc[0]} ({auc[1]}–{auc[2]}), Score 1 {best[0]} ({best[1]}–{best[2]}), Brier score {brier[0]}, out of fold.", "fairness_internal": text},
        "reads": "Analyses a pattern over time of vital signs and laboratory values of the record.", "urgent": True,
        "how": f"The mean of {NETWORKS} gated recurrent units of 48 cells on the logit scale. Inputs of each hour: the last value of 34 variables (logarithm where skewed, standardised, clipped at 5 deviations), whether it was recorded in this hour, the time since; age, sex and height at each step. "
               f"All of that is in the graph: it takes the hourly values with NaN for what was not recorded. Missing values are carried forward, and are the mean before the first; nothing is imputed outside. Deaths ({round(100 * y.mean(), 1)} %) were not reweighted, so that probabilities stay calibrated. "
               f"Trained for 20 epochs (Adam, cosine rate, dropout of 0.2 on inputs and 0.4 on states, L2), {TRIED} networks in each fold of the cross-validation, the last hour weighing half of the loss. By subgroup, out of fold: {text}. On the same stays: {rival}.",
        "citations": [("Silva et al. 2012, Comput Cardiol 39:245 (PhysioNet/CinC Challenge 2012)", "https://physionet.org/content/challenge-2012/1.0.0/"), ("Che et al. 2018, Sci Rep 8:6085", "https://doi.org/10.1038/s41598-018-24271-9")]}
    publish(SPEC, model, cases, tolerance=1e-5)
