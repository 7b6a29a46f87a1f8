"""What the MELD scores share."""
import features as F
from formula import half_up
from publish import CONTRAINDICATED, band, output

DIALYSIS = {"name": "dialysis", "label": "Dialysis sessions in the last week", "kind": "procedure",
            "codes": [F.sct("302497006", "Hemodialysis"), F.sct("265764009", "Renal dialysis")], "window": "1w", "aggregate": "count", "missing": "optional"}
LABS = [F.changed(F.CREATININE, missing="required", window="30d"), F.BILIRUBIN, F.INR]
BANDS = [band("40", "critical", "high", ge=40), band("30–39", "critical", "high", ge=30, lt=40), band("20–29", "warning", "high", ge=20, lt=30),
         band("10–19", "warning", "moderate", ge=10, lt=20), band("below 10", "info", "low", lt=10)]


def spec(name, title, features, how, citations, authors, made, applicable=None):
    return {
        "name": name, "version": "1.0.0", "title": title,
        "description": "Severity of end-stage liver disease: points from 6 to 40 that order the risk of death within 90 days without a transplant.",
        "authors": authors, "kind": "prognosis", "features": features, "columns": [f["name"] for f in features],
        **({"applicable": applicable} if applicable else {}),
        "outputs": [output("points", title, "points", "headline", horizon="P90D", unit="{score}", bands=BANDS)],
        "use": {"intended": "Informs the talk about liver transplantation and the severity of liver disease.", "population": "People with chronic liver disease.",
                "users": "Clinicians who look after people with liver disease.",
                "contraindicated": ["People without chronic liver disease", "Allocation of organs: that uses the official registry", CONTRAINDICATED]},
        "limitations": ["That the patient has chronic liver disease is not checked.", "INR under anticoagulants raises the score without liver disease.",
                        "The four values may be of different days within 30 days.", "Dialysis counts only as procedures with an exact code: two or more in the last week."],
        "made_of": {"output": "A whole number of points from 6 to 40.", "type": "Evaluation (a score)", "data": made,
                    "demographics": "Sex is an input of MELD 3.0 only. Race and ethnicity are not."},
        "how": how, "citations": citations}


def rounded(f, x):
    """Whole points from 6 to 40."""
    return f.least(f.most(half_up(f, x), 6.0), 40.0)


def bounded(f, x, low, high=None):
    x = f.most(x, low)
    return x if high is None else f.least(x, high)


def meld(f, x):
    """OPTN's MELD(i): to the tenth, times ten."""
    creatinine = f.where(f.ge(x["dialysis"], 2.0), 4.0, x["creatinine"])
    total = (f.log(bounded(f, creatinine, 1.0, 4.0)) * 0.957 + f.log(bounded(f, x["bilirubin"], 1.0)) * 0.378
             + f.log(bounded(f, x["inr"], 1.0)) * 1.120 + 0.643)
    return half_up(f, total * 10.0)
