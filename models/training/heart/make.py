"""HEART score for chest pain: Six, Backus, Kelder 2008, Neth Heart J 16:191."""
import features as F
from cardio import LISTS
from formula import steps, yes
from points import spec, total
from publish import band
from scorecard import grid, make


def graded(code, label, low, mid, high):
    f = F.item(code, label, "24h", "required", most=2)
    f.pop("categories")
    return f | {"label": f"{label} (0 {low}, 1 {mid}, 2 {high})"}


HISTORY = graded("heart-history", "History", "slightly suspicious", "moderately suspicious", "highly suspicious")
ECG = graded("heart-ecg", "ECG", "normal", "nonspecific repolarisation disturbance", "significant ST deviation")
RATIO = F.observation("heart_troponin_ratio", "Troponin as a multiple of the laboratory's limit", [F.coding(F.ITEM, "heart-troponin-ratio", "Troponin as a multiple of the laboratory's limit")], "1", window="24h", plausible={"ge": 0, "le": 1000000})
LIPIDS = F.condition("hypercholesterolaemia", "Hypercholesterolaemia on record", [F.sct("55822004", "Hyperlipidemia"), F.sct("13644009", "Hypercholesterolemia"), *F.icd("E78.5", "Hyperlipidemia, unspecified", True), *F.icd("E78.00", "Pure hypercholesterolemia, unspecified")])
FAMILY = F.item("heart-family", "Family history of early cardiovascular disease", "10y")
SMOKER = F.changed(F.SMOKER, missing="default", default=0, default_note="smoking is not recorded, so it is taken as no")
COLUMNS = ["heart_history", "heart_ecg", "age", "heart_troponin_ratio", "hypertension", "hypercholesterolaemia", "diabetes", "smoker", "heart_family", "bmi", "cvd"]
SPEC = spec("heart", "HEART score", "Points from 0 to 10 for a major cardiac event within 6 weeks in chest pain.", "prognosis", [HISTORY, ECG, F.AGE, RATIO, F.HYPERTENSION, LIPIDS, F.DIABETES, SMOKER, FAMILY, F.BMI, F.CVD], COLUMNS,
            [band("High", "critical", "high", "Early invasive measures (Backus 2013: about 50–65 % events).", ge=7), band("Moderate", "warning", "moderate", "Observation and further tests (about 12–17 %).", ge=4, lt=7), band("Low", "info", "low", "Discharge may be considered (about 1.7 %).", lt=4)],
            "Informs disposition of adults with chest pain in the emergency department.", "Adults with chest pain and suspected acute coronary syndrome.",
            [LISTS, "History, ECG and troponin ratio are answers under codes of Galen's own: the limit of a troponin assay is the laboratory's.", "A body mass index that is not recorded is taken as not over 30."],
            "History, ECG: 0–2 as judged; age 45–64 1, 65+ 2; risk factors (hypertension, hypercholesterolaemia, diabetes, smoking, family, BMI over 30) one or two 1, three or more or known atherosclerosis 2; troponin over the limit 1, over three times 2.",
            [("Six et al. 2008, Neth Heart J 16:191", "https://doi.org/10.1007/BF03086144"), ("Backus et al. 2013, Int J Cardiol 168:2153", "https://doi.org/10.1016/j.ijcard.2013.01.255")], "Six et al.", "120 people with chest pain (one Dutch hospital); validated in 2,440 (Backus 2013).", 10,
            ["ST-elevation infarction", "Unstable patients"], urgent=True, horizon="6w", demographics="Age is an input. Race and ethnicity are not.", parts=["heart_history", "heart_ecg", "age", "cvd", "heart_troponin_ratio"],
            applicable=[{"feature": "age", "ge": 18, "reason": "the score was made for adults"}])


def formula(f, x):
    fat = f.where(f.gt(x["bmi"], 30.0), 1.0, 0.0)
    count = x["hypertension"] + x["hypercholesterolaemia"] + x["diabetes"] + x["smoker"] + x["heart_family"] + fat
    risk = f.where(yes(f, x["cvd"]), 2.0, steps(f, count, 0.0, (1, 1.0), (3, 2.0)))
    ratio = x["heart_troponin_ratio"]
    troponin = f.where(f.isnan(ratio), ratio, f.where(f.gt(ratio, 3.0), 2.0, f.where(f.gt(ratio, 1.0), 1.0, 0.0)))
    return total([x["heart_history"] * 1.0, x["heart_ecg"] * 1.0, steps(f, x["age"], 0.0, (45, 1.0), (65, 2.0)), risk, troponin])


NONE = dict.fromkeys(COLUMNS, 0) | {"age": 40, "bmi": 24}
if __name__ == "__main__":
    make(SPEC, formula, [("everything", "Six 2008", dict.fromkeys(COLUMNS, 2) | {"age": 70, "heart_troponin_ratio": 4, "bmi": 31, **{k: 1 for k in COLUMNS[4:9]}, "cvd": 1}, 0, {"points": 10}), ("nothing", "Six 2008", NONE, 0, {"points": 0})],
         grid(NONE, heart_history=[1, 2], heart_ecg=[1, 2], age=[44, 45, 64, 65], heart_troponin_ratio=[1, 1.1, 3, 3.1], hypertension=[1], bmi=[30, 30.5], cvd=[1]) + [NONE | {"hypertension": 1, "diabetes": 1}, NONE | {"hypertension": 1, "diabetes": 1, "smoker": 1}])
