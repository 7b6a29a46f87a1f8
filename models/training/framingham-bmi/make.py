"""Framingham 2008 with body mass index instead of lipids. Second source: three open
implementations agree on every coefficient (some exchange treated and untreated for
one sex by mistake: treatment must raise the risk)."""
import features as F
from formula import bmi_of
from framingham import COMMON, formula_of, spec
from scorecard import grid, make

WOMEN = (2.72107, 0.51125, 2.81291, 2.88267, 0.61868, 0.77763, 26.0145, 0.94833)
MEN = (3.11296, 0.79277, 1.85508, 1.92672, 0.70953, 0.53160, 23.9388, 0.88431)
FEATURES = [F.AGE, F.SEX, F.BMI, F.WEIGHT, F.HEIGHT, *COMMON]
SPEC = spec("framingham-bmi", "Framingham general cardiovascular risk (2008, body mass index)", "age, sex, body mass index, blood pressure, smoking and diabetes",
            FEATURES, "Two Cox equations on logarithms. A reported body mass index comes before one computed from weight and height.", require=F.BODY)
with_bmi = formula_of((WOMEN, MEN), ("bmi",))


def formula(f, x):
    return with_bmi(f, x | {"bmi": bmi_of(f, x["bmi"], x["weight"], x["height"])})


BASE = {"age": 61, "sex": 0, "bmi": 27, "systolic": 124, "bp_treatment": 0, "smoker": 1, "diabetes": 0}
if __name__ == "__main__":
    rows = [g | {"sex": s} for s in (0, 1) for g in grid(BASE, age=[30, 74], bmi=[18, 45], systolic=[180], bp_treatment=[1], smoker=[0], diabetes=[1])]
    rows.append({k: v for k, v in BASE.items() if k != "bmi"} | {"weight": 80, "height": 172})
    make(SPEC, formula, [], rows)
