"""Pooled cohort equations, 10-year risk of a first hard ASCVD event: Goff et al. 2013,
Circulation 129:S49, appendix 7, table A. Baseline survival to 4 digits as printed,
means to the 4 decimals that calculators use; coefficients as printed. The four
examples of the paper come out. Second source of the coefficients: several open
implementations, which agree.
"""
import features as F
from cardio import ACC_BANDS, CVD, DRUGS, LISTS, PREVENTION, between, use
from formula import yes
from publish import probability
from scorecard import grid, make

#          ln age, ln age², ln TC, ×age, ln HDL, ×age, ln SBP treated, ×age, untreated, ×age, smoker, ×age, diabetes, mean, S0
TABLE = {
    "white women": (-29.799, 4.884, 13.540, -3.114, -13.578, 3.149, 2.019, 0, 1.957, 0, 7.574, -1.665, 0.661, -29.1817, 0.9665),
    "black women": (17.114, 0, 0.940, 0, -18.920, 4.475, 29.291, -6.432, 27.820, -6.087, 0.691, 0, 0.874, 86.6081, 0.9533),
    "white men": (12.344, 0, 11.853, -2.664, -7.990, 1.769, 1.797, 0, 1.764, 0, 7.837, -1.795, 0.658, 61.1816, 0.9144),
    "black men": (2.469, 0, 0.302, 0, -0.307, 0, 1.916, 0, 1.809, 0, 0.549, 0, 0.645, 19.5425, 0.8954)}
SPEC = {
    "name": "pce-2013", "version": "1.0.0", "title": "Pooled cohort equations (ACC/AHA 2013)",
    "description": "Risk of a first heart attack, coronary death or stroke within 10 years.",
    "authors": "Goff et al.", "kind": "prognosis",
    "columns": ["age", "sex", "race", "total_cholesterol", "hdl", "systolic", "bp_treatment", "smoker", "diabetes"],
    "features": [F.AGE, F.SEX, F.RACE, F.total_cholesterol(), F.hdl(), F.SBP, F.BP_DRUGS, F.SMOKER, F.DIABETES, F.CVD],
    "applicable": [between("age", 40, 79, "the equations are for ages 40 to 79"), PREVENTION,
                   between("total_cholesterol", 130, 320, "the equations are for total cholesterol from 130 to 320 mg/dL"),
                   between("hdl", 20, 100, "the equations are for HDL cholesterol from 20 to 100 mg/dL"),
                   between("systolic", 90, 200, "the equations are for systolic pressure from 90 to 200 mmHg")],
    "outputs": [probability("risk_10y", "ASCVD within 10 years", CVD, "P10Y", "As published for the pooled cohorts (1968–1993 baselines); overestimates in many present populations", "headline", bands=ACC_BANDS)],
    "use": use("atherosclerotic cardiovascular disease", "Adults of 40 to 79 without cardiovascular disease (USA)."),
    "limitations": ["Overestimates risk in many present cohorts; PREVENT (2023) was made to replace it.",
                    "Made for White and African American people; others get the equation for White people.", LISTS, DRUGS,
                    "Race is a social category; its use here is that of the published equation."],
    "made_of": {"output": "Probability of a first hard ASCVD event within 10 years, in percent.",
                "data": "Pooled cohorts ARIC, CHS, CARDIA, Framingham: 24,626 people of 40 to 79 without cardiovascular disease.",
                "demographics": "Age, sex and race are inputs. Ethnicity is not."},
    "how": "Four sex- and race-specific Cox equations on the logarithms of age, cholesterol, HDL and systolic pressure with interactions by age: 1 − S0^exp(sum − mean). Checks (55 years, 213, 50, 120 untreated): white woman 2.0557, black woman 3.0320, white man 5.3760, black man 6.0587 %.",
    "citations": [("Goff et al. 2014, Circulation 129(suppl 2):S49", "https://doi.org/10.1161/01.cir.0000437741.48606.98")],
}


def formula(f, x):
    la, lt, lh, ls = (f.log(x[k]) for k in ("age", "total_cholesterol", "hdl", "systolic"))
    treated, smoker, diabetes = yes(f, x["bp_treatment"]), x["smoker"], x["diabetes"]
    risks = {}
    for key, (a, a2, t, ta, h, ha, st, sta, su, sua, k, ka, d, mean, s0) in TABLE.items():
        pressure = f.where(treated, ls * (la * sta + st), ls * (la * sua + su))
        total = la * a + la * la * a2 + lt * t + la * lt * ta + lh * h + la * lh * ha + pressure + smoker * (la * ka + k) + diabetes * d
        risks[key] = 1.0 - s0 ** f.exp(total - mean)
    male, black = yes(f, x["sex"]), yes(f, x["race"])
    return {"risk_10y": f.where(male, f.where(black, risks["black men"], risks["white men"]),
                                f.where(black, risks["black women"], risks["white women"]))}


BASE = {"age": 55, "sex": 0, "race": 0, "total_cholesterol": 213, "hdl": 50, "systolic": 120, "bp_treatment": 0, "smoker": 0, "diabetes": 0}
if __name__ == "__main__":
    make(SPEC, formula, [(f"{who} of 55, 213, 50, 120", "Goff 2013, table 4", BASE | {"sex": s, "race": r}, 5.001e-7, {"risk_10y": v})
                         for who, s, r, v in (("white woman", 0, 0, .020557), ("black woman", 0, 1, .030320), ("white man", 1, 0, .053760), ("black man", 1, 1, .060587))],
         [g | {"sex": s, "race": r} for s in (0, 1) for r in (0, 1)
          for g in grid(BASE, age=[40, 79], total_cholesterol=[300], hdl=[25], systolic=[180], bp_treatment=[1], smoker=[1], diabetes=[1])])
