"""Framingham 2008 with lipids. Second source: the R package CVrisk."""
import features as F
from framingham import COMMON, formula_of, spec
from scorecard import grid, make

WOMEN = (2.32888, 1.20904, -0.70833, 2.76157, 2.82263, 0.52873, 0.69154, 26.1931, 0.95012)
MEN = (3.06117, 1.12370, -0.93263, 1.93303, 1.99881, 0.65451, 0.57367, 23.9802, 0.88936)
SPEC = spec("framingham-2008", "Framingham general cardiovascular risk (2008, lipids)", "age, sex, cholesterol, blood pressure, smoking and diabetes",
            [F.AGE, F.SEX, F.total_cholesterol(), F.hdl(), *COMMON],
            "Two Cox equations on logarithms. Check: woman of 61, cholesterol 180, HDL 47, systolic 124 untreated, smoker → 10.4842 %.",
            evaluation=[{"metric": "C statistic, women", "value": 0.793, "low": 0.772, "high": 0.814, "data": "Framingham, development cohort", "source": "D'Agostino et al. 2008"},
                        {"metric": "C statistic, men", "value": 0.763, "low": 0.746, "high": 0.780, "data": "Framingham, development cohort", "source": "D'Agostino et al. 2008"}])
formula = formula_of((WOMEN, MEN), ("total_cholesterol", "hdl"))
BASE = {"age": 61, "sex": 0, "total_cholesterol": 180, "hdl": 47, "systolic": 124, "bp_treatment": 0, "smoker": 1, "diabetes": 0}
if __name__ == "__main__":
    make(SPEC, formula, [("woman of 61, 180, 47, 124 untreated, smoker", "D'Agostino 2008, case 1", BASE, 5.001e-7, {"risk_10y": 0.104842})],
         [g | {"sex": s} for s in (0, 1) for g in grid(BASE, age=[30, 74], total_cholesterol=[300], hdl=[25], systolic=[180], bp_treatment=[1], smoker=[0], diabetes=[1])])
