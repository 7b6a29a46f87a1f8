"""Kidney Failure Risk Equation, 6 variables.

Coefficients and centring: Tangri et al. 2011, JAMA 305:1553; baselines for North
America and elsewhere: Tangri et al. 2016, JAMA 315:164. Second source of each
number: lshpaner/kfre.
"""
import features as F
from formula import ckd_epi_2021, first, yes
from kidney import ESRD, INKER, REPLACED
from publish import CONTRAINDICATED, band, contributions, output, probability
from scorecard import grid, make

# feature: coefficient, scale, centre of (value / scale)
TERMS = {"age": (-0.2218, 10.0, 7.036), "sex": (0.2553, 1.0, 0.5642), "egfr": (-0.5541, 5.0, 7.222), "acr": (0.4562, 1.0, 5.137),
         "diabetes": (-0.1475, 1.0, 0.5106), "hypertension": (0.1426, 1.0, 0.8501)}
BASELINES = {"risk_2y": 0.9750, "risk_5y": 0.9240, "risk_2y_world": 0.9830, "risk_5y_world": 0.9370}
EXTRA = {"diabetes": F.DIABETES, "hypertension": F.HYPERTENSION}
COLUMNS = ["age", "sex", "egfr", "creatinine", "acr", *EXTRA]
SPEC = {
    "name": "kfre-6v", "version": "1.0.0", "title": "Kidney Failure Risk Equation (6 variables)",
    "description": "Risk that an adult with chronic kidney disease G3–G5 needs dialysis or a kidney transplant within 2 and 5 years, from age, sex, eGFR, urine albumin/creatinine ratio, diabetes and hypertension. Without a reported eGFR it is computed from creatinine by CKD-EPI 2021.",
    "authors": "Tangri et al.", "kind": "prognosis", "columns": COLUMNS,
    "features": [F.AGE, F.SEX, F.EGFR, F.CREATININE, F.ACR, *EXTRA.values(), REPLACED],
    "require": [["egfr", "creatinine"]],
    "applicable": [{"feature": "age", "ge": 18, "reason": "the equation was made for adults"},
                   {"feature": "kidney_replacement", "lt": 1, "reason": "kidney failure is on record already (dialysis, transplant or end-stage disease)"},
                   {"output": "egfr", "lt": 60, "reason": "the equation is for chronic kidney disease G3–G5, eGFR below 60 mL/min/1.73 m²"},
                   {"output": "known", "ge": 1, "reason": "neither diabetes nor hypertension is on record, which may only mean that nobody wrote it down; the equation with 4 variables needs neither"}],
    "outputs": [
        probability("risk_2y", "Kidney failure within 2 years", ESRD, "P2Y", f"North American baseline survival {BASELINES['risk_2y']:.4f}", "headline",
                    bands=[band("Very high", "critical", "high", "Prepare for kidney replacement therapy (KDIGO 2024, 2-year risk of 40 % or more).", ge=0.4),
                           band("High", "warning", "high", "Multidisciplinary kidney care (KDIGO 2024, 2-year risk of 10 % or more).", ge=0.1, lt=0.4),
                           band("Moderate", "warning", "moderate", "Consider referral to nephrology (KDIGO 2024, 5-year risk of 5 % or more).", lt=0.1, also={"output": "risk_5y", "ge": 0.05}),
                           band("Low", "info", "low", lt=0.1)]),
        probability("risk_5y", "Kidney failure within 5 years", ESRD, "P5Y", f"North American baseline survival {BASELINES['risk_5y']:.4f}"),
        probability("risk_2y_world", "Kidney failure within 2 years, calibrated outside North America", ESRD, "P2Y", f"Baseline survival {BASELINES['risk_2y_world']:.4f} outside North America"),
        probability("risk_5y_world", "Kidney failure within 5 years, calibrated outside North America", ESRD, "P5Y", f"Baseline survival {BASELINES['risk_5y_world']:.4f} outside North America"),
        output("egfr", "eGFR used", "auxiliary", unit="mL/min/{1.73_m2}"),
        output("known", "Diabetes or hypertension on record", "auxiliary"),
        contributions("risk_2y", list(TERMS), "log-hazard", "the mean of the cohort the equation was made from")],
    "use": {"intended": "Informs referral to nephrology, multidisciplinary care and preparation for kidney replacement therapy.",
            "population": "Adults with chronic kidney disease G3–G5 not on kidney replacement therapy.",
            "users": "Clinicians who look after people with chronic kidney disease.",
            "contraindicated": ["Acute kidney injury or unstable kidney function", "Dialysis or a kidney transplant", "Age under 18", CONTRAINDICATED]},
    "limitations": ["Chronicity (3 months) is not checked; inputs may be from different days.",
                    "The competing risk of death is not modelled, so the risk is overestimated in the old and frail.",
                    "The equation was made with older eGFR formulas; CKD-EPI 2021 changes the input slightly.", "Diabetes and hypertension count when an exact code of the card is on the problem list."],
    "made_of": {"output": "Probability of treated kidney failure within 2 and 5 years, in percent, with the contribution of each input.",
                "data": "Adults with CKD G3–G5 referred to nephrology in Ontario (development, 3,449) and British Columbia (validation, 4,942), Canada.",
                "demographics": "Age, sex, diabetes and hypertension are inputs. Race and ethnicity are not."},
    "how": "risk(t) = 1 − S0(t)^exp(Σ b·(x/s − c)), with (b, s, c): " + ", ".join(f"{k} {v}" for k, v in TERMS.items())
           + " (the ratio as its natural logarithm); S0 " + ", ".join(f"{k} {v}" for k, v in BASELINES.items()) + ".",
    "citations": [("Tangri et al. 2011, JAMA 305:1553", "https://doi.org/10.1001/jama.2011.451"),
                  ("Tangri et al. 2016, JAMA 315:164", "https://doi.org/10.1001/jama.2015.18202"), INKER],
}


def formula(f, x):
    egfr = first(f, x["egfr"], ckd_epi_2021(f, x["age"], yes(f, x["sex"]), x["creatinine"]))
    values = x | {"egfr": egfr, "acr": f.log(x["acr"])}
    parts = [(values[k] / s - c) * b for k, (b, s, c) in TERMS.items()]
    hazard = f.exp(sum(parts[1:], parts[0]))
    return {k: 1.0 - s0 ** hazard for k, s0 in BASELINES.items()} | {"egfr": egfr, "known": f.most(x["diabetes"], x["hypertension"]), "contributions": parts}


BASE = {"age": 55, "sex": 1, "egfr": 45, "acr": 120, "diabetes": 0, "hypertension": 1}
WORKED = []

if __name__ == "__main__":
    rows = grid(BASE, age=[18, 90], sex=[0], egfr=[10, 59.9], acr=[0.5, 5000], diabetes=[1], hypertension=[0])
    rows += [{k: v for k, v in BASE.items() if k != "egfr"} | {"creatinine": c, "sex": s} for s in (0, 1) for c in (0.6, 1.9, 6)]
    make(SPEC, formula, WORKED, rows)
