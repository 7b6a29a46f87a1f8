"""CHA2DS2-VASc: Lip et al. 2010, Chest 137:263."""
import features as F
from cardio import LISTS
from formula import steps, yes
from points import spec, total
from publish import band
from scorecard import grid, make

AF = F.condition("atrial_fibrillation", "Atrial fibrillation on record", [
    F.sct("49436004", "Atrial fibrillation"), *F.icd("I48.91", "Unspecified atrial fibrillation"), *F.icd("I48.0", "Paroxysmal atrial fibrillation", True),
    *F.icd("I48.20", "Chronic atrial fibrillation, unspecified"), *F.icd("I48.21", "Permanent atrial fibrillation"), F.coding(F.ICD10, "I48.9", "Atrial fibrillation and atrial flutter, unspecified")], past=True)
STROKE_CODES = {"230690007", "422504002", "266257000", "I63.9", "G45.9", "Z86.73"}
HF = F.condition("heart_failure", "Heart failure on record", F.HEART_FAILURE, past=True)
STROKE = F.condition("stroke", "Stroke or transient ischaemic attack on record", [c for c in F.CVD["codes"] if c["code"] in STROKE_CODES], past=True)
VASCULAR = F.condition("vascular", "Vascular disease on record", [c for c in F.CVD["codes"] if c["code"] not in STROKE_CODES], past=True)
FEATURES = [F.AGE, F.SEX, HF, F.HYPERTENSION, F.DIABETES, STROKE, VASCULAR, AF]
SPEC = spec("cha2ds2-vasc", "CHA₂DS₂-VASc", "Points from 0 to 9 for the risk of stroke in atrial fibrillation.", "prognosis", FEATURES,
            ["age", "sex", "heart_failure", "hypertension", "diabetes", "stroke", "vascular"],
            [band("Anticoagulation recommended", "warning", "high", "Oral anticoagulation is recommended (ESC 2020: 2 or more in men, 3 or more in women).", ge=3),
             band("Anticoagulation recommended", "warning", "high", "Oral anticoagulation is recommended (ESC 2020).", ge=2, lt=3, also={"output": "male", "ge": 1}),
             band("Consider anticoagulation", "info", "moderate", "Oral anticoagulation should be considered (ESC 2020).", ge=2, lt=3),
             band("Consider anticoagulation", "info", "moderate", "Oral anticoagulation should be considered (ESC 2020).", ge=1, lt=2, also={"output": "male", "ge": 1}),
             band("Low", "info", "low", "No anticoagulation for stroke prevention (ESC 2020).", lt=2)],
            "Informs the talk about anticoagulation in atrial fibrillation.", "Adults with non-valvular atrial fibrillation.",
            [LISTS, "Stroke, vascular disease and heart failure count though they are over.", "The risk of bleeding is not looked at."],
            "Heart failure 1, hypertension 1, age ≥ 75 2, diabetes 1, stroke or TIA 2, vascular disease 1, age 65–74 1, female sex 1. Check: woman of 76 with every risk factor → 9.",
            [("Lip et al. 2010, Chest 137:263", "https://doi.org/10.1378/chest.09-1584"), ("ESC 2020, Eur Heart J 42:373", "https://doi.org/10.1093/eurheartj/ehaa612")],
            "Lip et al.", "1,084 people with atrial fibrillation without anticoagulants of the Euro Heart Survey.", 9, ["Mechanical valve or moderate to severe mitral stenosis"],
            [{"feature": "atrial_fibrillation", "ge": 1, "reason": "the score is for people with atrial fibrillation, which is not on record"}, {"feature": "age", "ge": 18, "reason": "the score was made for adults"}],
            extra=[{"name": "male", "dtype": "float64", "shape": [-1], "label": "Man", "meaning": "auxiliary"}], horizon="P1Y", demographics="Age and sex are inputs. Race and ethnicity are not.")


def formula(f, x):
    return total([steps(f, x["age"], 0.0, (65, 1.0), (75, 2.0)), 1.0 - x["sex"], x["heart_failure"], x["hypertension"], x["diabetes"], x["stroke"] * 2.0, x["vascular"]], male=x["sex"] * 1.0)


NONE = {"age": 50, "sex": 1, "heart_failure": 0, "hypertension": 0, "diabetes": 0, "stroke": 0, "vascular": 0}
ALL = {k: 1 for k in NONE} | {"age": 76, "sex": 0}
if __name__ == "__main__":
    make(SPEC, formula, [("woman of 76 with every risk factor", "Lip 2010", ALL, 0, {"points": 9}), ("man of 50 with none", "Lip 2010", NONE, 0, {"points": 0})],
         grid(NONE, age=[64, 65, 74, 75], sex=[0], heart_failure=[1], hypertension=[1], diabetes=[1], stroke=[1], vascular=[1]))
