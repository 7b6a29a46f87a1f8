"""What the cardiovascular models share."""
import features as F
from publish import CONTRAINDICATED, band

CVD = F.sct("49601007", "Disorder of cardiovascular system")
PREVENTION = {"feature": "cvd", "lt": 1, "reason": "cardiovascular disease is on record already; the model is for people without it"}
LISTS = "Diagnoses and drugs count when an exact code of the manifest is on the active record; what is coded otherwise is not seen."
DRUGS = "No drug on record is taken as no drug."


def between(feature, low, high, reason): return {"feature": feature, "ge": low, "le": high, "reason": reason}


def use(what, population):
    return {"intended": f"Informs the talk about prevention of {what}.", "population": population, "users": "Clinicians.",
            "contraindicated": ["People who have cardiovascular disease", "Outside the ages it was made for", CONTRAINDICATED]}


ACC_BANDS = [band("High", "warning", "high", "Statin therapy to lower LDL cholesterol by 50 % or more (ACC/AHA 2019).", ge=0.2),
             band("Intermediate", "warning", "moderate", "Consider a moderate-intensity statin after discussing risk enhancers (ACC/AHA 2019).", ge=0.075, lt=0.2),
             band("Borderline", "info", "low", ge=0.05, lt=0.075), band("Low", "info", "low", "Emphasise a healthy way of life.", lt=0.05)]
FHS_BANDS = [band("High", "warning", "high", ge=0.2), band("Intermediate", "warning", "moderate", ge=0.1, lt=0.2), band("Low", "info", "low", lt=0.1)]
