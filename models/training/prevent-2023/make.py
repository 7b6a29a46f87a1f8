"""PREVENT base equations: Khan et al. 2024, Circulation 149:430, supplemental tables S12.
Each coefficient checked against three open implementations.
"""
import features as F
from cardio import CVD, DRUGS, LISTS, PREVENTION, between, use
from formula import bmi_of, ckd_epi_2021, first, yes
from kidney import INKER
from publish import band, output, probability
from scorecard import grid, make

# constant, age, age², non-HDL, HDL, SBP < 110, SBP ≥ 110, diabetes, smoker, eGFR < 60, eGFR ≥ 60, BP drugs, statin,
# BP drugs × SBP, statin × non-HDL, age × (non-HDL, HDL, SBP, diabetes, smoker, eGFR < 60), BMI < 30, BMI ≥ 30, age × BMI
WOMEN = {
    "cvd_10y": (-3.307728, 0.7939329, 0, 0.0305239, -0.1606857, -0.2394003, 0.3600781, 0.8667604, 0.5360739, 0.6045917, 0.0433769, 0.3151672, -0.1477655, -0.0663612, 0.1197879, -0.0819715, 0.0306769, -0.0946348, -0.27057, -0.078715, -0.1637806, 0, 0, 0),
    "ascvd_10y": (-3.819975, 0.719883, 0, 0.1176967, -0.151185, -0.0835358, 0.3592852, 0.8348585, 0.4831078, 0.4864619, 0.0397779, 0.2265309, -0.0592374, -0.0395762, 0.0844423, -0.0567839, 0.0325692, -0.1035985, -0.2417542, -0.0791142, -0.1671492, 0, 0, 0),
    "hf_10y": (-4.310409, 0.8998235, 0, 0, 0, -0.4559771, 0.3576505, 1.038346, 0.583916, 0.7451638, 0.0557087, 0.3534442, 0, -0.0981511, 0, 0, 0, -0.0946663, -0.3581041, -0.1159453, -0.1884289, -0.0072294, 0.2997706, -0.003878),
    "cvd_30y": (-1.318827, 0.5503079, -0.0928369, 0.0409794, -0.1663306, -0.1628654, 0.3299505, 0.6793894, 0.3196112, 0.1857101, 0.0553528, 0.2894, -0.075688, -0.056367, 0.1071019, -0.0751438, 0.0301786, -0.0998776, -0.3206166, -0.1607862, -0.1450788, 0, 0, 0),
    "ascvd_30y": (-1.974074, 0.4669202, -0.0893118, 0.1256901, -0.1542255, -0.0018093, 0.322949, 0.6296707, 0.268292, 0.100106, 0.0499663, 0.1875292, 0.0152476, -0.0276123, 0.0736147, -0.0521962, 0.0316918, -0.1046101, -0.2727793, -0.1530907, -0.1299149, 0, 0, 0),
    "hf_30y": (-2.205379, 0.6254374, -0.0983038, 0, 0, -0.3919241, 0.3142295, 0.8330787, 0.3438651, 0.2981642, 0.0667159, 0.333921, 0, -0.0893177, 0, 0, 0, -0.0974299, -0.404855, -0.1982991, -0.1564215, 0.0594874, 0.2525536, -0.0035619)}
MEN = {
    "cvd_10y": (-3.031168, 0.7688528, 0, 0.0736174, -0.0954431, -0.4347345, 0.3362658, 0.7692857, 0.4386871, 0.5378979, 0.0164827, 0.288879, -0.1337349, -0.0475924, 0.150273, -0.0517874, 0.0191169, -0.1049477, -0.2251948, -0.0895067, -0.1543702, 0, 0, 0),
    "ascvd_10y": (-3.500655, 0.7099847, 0, 0.1658663, -0.1144285, -0.2837212, 0.3239977, 0.7189597, 0.3956973, 0.3690075, 0.0203619, 0.2036522, -0.0865581, -0.0322916, 0.114563, -0.0300005, 0.0232747, -0.0927024, -0.2018525, -0.0970527, -0.1217081, 0, 0, 0),
    "hf_10y": (-3.946391, 0.8972642, 0, 0, 0, -0.6811466, 0.3634461, 0.923776, 0.5023736, 0.6926917, 0.0251827, 0.2980922, 0, -0.0497731, 0, 0, 0, -0.1289201, -0.3040924, -0.1401688, -0.1797778, -0.0485841, 0.3726929, 0.0068126),
    "cvd_30y": (-1.148204, 0.4627309, -0.0984281, 0.0836088, -0.1029824, -0.2140352, 0.2904325, 0.5331276, 0.2141914, 0.1155556, 0.0603775, 0.232714, -0.0272112, -0.0384488, 0.134192, -0.0511759, 0.0165865, -0.1101437, -0.2585943, -0.1566406, -0.1166776, 0, 0, 0),
    "ascvd_30y": (-1.736444, 0.3994099, -0.0937484, 0.1744643, -0.120203, -0.0665117, 0.2753037, 0.4790257, 0.1782635, -0.0218789, 0.0602553, 0.1421182, 0.0135996, -0.0218265, 0.1013148, -0.0312619, 0.020673, -0.0920935, -0.2159947, -0.1548811, -0.0712547, 0, 0, 0),
    "hf_30y": (-1.95751, 0.5681541, -0.1048388, 0, 0, -0.4761564, 0.30324, 0.6840338, 0.2656273, 0.2541805, 0.0638923, 0.2583631, 0, -0.0391938, 0, 0, 0, -0.1269124, -0.3273572, -0.2043019, -0.1342618, 0.0833107, 0.26999, -0.0182831)}
HF = F.HEART_FAILURE[0]
COLUMNS = ["age", "sex", "total_cholesterol", "hdl", "systolic", "bp_treatment", "statin", "diabetes", "smoker", "egfr", "creatinine", "bmi", "weight", "height"]


def risk(name, label, outcome, years, report=None, **more):
    if years == 30:
        more["may_be_nan"] = True
    return probability(name, f"{label} within {years} years", outcome, f"P{years}Y", "As published, calibrated in US cohorts and health records 1992–2017", report, **more)


SPEC = {
    "name": "prevent-2023", "version": "1.0.0", "title": "PREVENT base equations (AHA 2023)",
    "description": "Risk of a first cardiovascular event, of atherosclerotic disease and of heart failure within 10 years, and within 30 years up to age 59.",
    "authors": "Khan et al.", "kind": "prognosis", "columns": COLUMNS,
    "features": [F.AGE, F.SEX, F.total_cholesterol(), F.hdl(), F.SBP, F.BP_DRUGS, F.STATIN, F.DIABETES, F.SMOKER, F.EGFR, F.CREATININE, F.BMI, F.WEIGHT, F.HEIGHT,
                 F.changed(F.CVD, codes=F.CVD["codes"] + F.HEART_FAILURE)],
    "require": [["egfr", "creatinine"], *F.BODY],
    "applicable": [between("age", 30, 79, "the equations are for ages 30 to 79"), PREVENTION,
                   between("total_cholesterol", 130, 320, "the equations are for total cholesterol from 130 to 320 mg/dL"),
                   between("hdl", 20, 100, "the equations are for HDL cholesterol from 20 to 100 mg/dL"),
                   between("systolic", 90, 200, "the equations are for systolic pressure from 90 to 200 mmHg"),
                   {"output": "egfr", "gt": 14, "le": 140, "reason": "the equations are for eGFR from 15 to 140 mL/min/1.73 m²"},
                   {"output": "bmi", "ge": 18.5, "lt": 40, "reason": "the equations are for a body mass index from 18.5 to below 40 kg/m²"}],
    "outputs": [risk("cvd_10y", "Cardiovascular disease", CVD, 10, "headline",
                     bands=[band("High", "warning", "high", ge=0.2), band("Intermediate", "warning", "moderate", ge=0.075, lt=0.2),
                            band("Borderline", "info", "low", ge=0.05, lt=0.075), band("Low", "info", "low", lt=0.05)]),
                risk("ascvd_10y", "Atherosclerotic cardiovascular disease", CVD, 10), risk("hf_10y", "Heart failure", HF, 10),
                risk("cvd_30y", "Cardiovascular disease", CVD, 30), risk("ascvd_30y", "Atherosclerotic cardiovascular disease", CVD, 30),
                risk("hf_30y", "Heart failure", HF, 30),
                output("egfr", "eGFR used", "auxiliary", unit="mL/min/{1.73_m2}"), output("bmi", "Body mass index used", "auxiliary", unit="kg/m2")],
    "use": use("cardiovascular disease and heart failure", "Adults of 30 to 79 without cardiovascular disease (USA)."),
    "limitations": ["Base equations: albuminuria, HbA1c and social deprivation are not used.", "Made for the United States.", LISTS, DRUGS,
                    "Limits of risk bands are those of the pooled cohort equations; guidelines on bands for PREVENT may differ."],
    "evaluation": [{"metric": "C statistic, total CVD 10 years, women (median of cohorts)", "value": 0.794, "data": "3,330,085 people, external validation", "source": "Khan et al. 2024"},
                   {"metric": "C statistic, total CVD 10 years, men (median of cohorts)", "value": 0.757, "data": "3,330,085 people, external validation", "source": "Khan et al. 2024"}],
    "made_of": {"output": "Probabilities of total cardiovascular disease, atherosclerotic disease and heart failure within 10 and 30 years, in percent.",
                "data": "Adults of 30 to 79 without cardiovascular disease of US cohorts and health records: 3,281,919 for development.",
                "demographics": "Age and sex are inputs. Race and ethnicity are not.", "fairness": "Race was left out by the authors.",
                "external": "3,330,085 US adults of other data sets.", "external_party": "The authors (AHA and CKD Prognosis Consortium).",
                "validity": "C statistic for total CVD 0.794 (women), 0.757 (men), medians of data sets (Khan 2024)."},
    "how": "Logistic equations with terms in age, non-HDL and HDL cholesterol (mg/dL × 0.02586), systolic pressure with a knot at 110, eGFR with a knot at 60 and, for heart failure, body mass index with a knot at 30. Check: woman of 50, cholesterol 200, HDL 45, 160 treated, diabetes, eGFR 90, BMI 35 → 14.684, 9.195, 8.056 % in 10 years; 52.985, 35.426, 38.960 % in 30 years.",
    "citations": [("Khan et al. 2024, Circulation 149:430", "https://doi.org/10.1161/CIRCULATIONAHA.123.067626"), INKER],
}


def formula(f, x):
    male = yes(f, x["sex"])
    egfr = first(f, x["egfr"], ckd_epi_2021(f, x["age"], male, x["creatinine"]))
    bmi = bmi_of(f, x["bmi"], x["weight"], x["height"])
    age = (x["age"] - 55.0) / 10.0
    non_hdl = (x["total_cholesterol"] - x["hdl"]) * 0.02586 - 3.5
    hdl = (x["hdl"] * 0.02586 - 1.3) / 0.3
    low, high = (f.least(x["systolic"], 110.0) - 110.0) / 20.0, (f.most(x["systolic"], 110.0) - 130.0) / 20.0
    kidney_low, kidney_high = (f.least(egfr, 60.0) - 60.0) / -15.0, (f.most(egfr, 60.0) - 90.0) / -15.0
    thin, fat = (f.least(bmi, 30.0) - 25.0) / 5.0, (f.most(bmi, 30.0) - 30.0) / 5.0
    drugs, statin, diabetes, smoker = x["bp_treatment"], x["statin"], x["diabetes"], x["smoker"]
    terms = [age, age * age, non_hdl, hdl, low, high, diabetes, smoker, kidney_low, kidney_high, drugs, statin, drugs * high, statin * non_hdl,
             age * non_hdl, age * hdl, age * high, age * diabetes, age * smoker, age * kidney_low, thin, fat, age * fat]
    out = {"egfr": egfr, "bmi": bmi}
    for key in WOMEN:
        total = {}
        for sex, table in (("women", WOMEN[key]), ("men", MEN[key])):
            constant, *betas = table
            s = terms[0] * betas[0] + constant
            for t, b in zip(terms[1:], betas[1:]):
                s = s + t * b if b else s
            total[sex] = s
        p = 1.0 / (f.exp(-f.where(male, total["men"], total["women"])) + 1.0)
        out[key] = f.where(f.ge(x["age"], 60.0), float("nan"), p) if key.endswith("30y") else p
    return out


BASE = {"age": 50, "sex": 0, "total_cholesterol": 200, "hdl": 45, "systolic": 160, "bp_treatment": 1, "statin": 0, "diabetes": 1, "smoker": 0, "egfr": 90, "bmi": 35}
if __name__ == "__main__":
    rows = [g | {"sex": s} for s in (0, 1) for g in grid(BASE, age=[30, 59, 60, 79], total_cholesterol=[300], systolic=[95], bp_treatment=[0], statin=[1], diabetes=[0], smoker=[1], egfr=[25], bmi=[20])]
    rows.append({k: v for k, v in BASE.items() if k not in ("bmi", "egfr")} | {"weight": 80, "height": 172, "creatinine": 1.1})
    make(SPEC, formula, [("woman of 50, 200, 45, 160 treated, diabetes, eGFR 90, BMI 35", "AHA calculator", BASE, 5.001e-6,
                          {"cvd_10y": .14684, "ascvd_10y": .09195, "hf_10y": .08056, "cvd_30y": .52985, "ascvd_30y": .35426, "hf_30y": .38960})], rows)
