"""SCORE2: SCORE2 working group 2021, Eur Heart J 42:2439. Second source: open implementations; both worked examples come out."""
import features as F
from cardio import LISTS, PREVENTION, between, use
from formula import yes
from regions import outputs, recalibrated
from scorecard import grid, make

# age, smoker, SBP, total cholesterol, HDL, age × (smoker, SBP, cholesterol, HDL)
MEN = (0.3742, 0.6012, 0.2777, 0.1458, -0.2698, -0.0755, -0.0255, -0.0281, 0.0426)
WOMEN = (0.4648, 0.7744, 0.3131, 0.1002, -0.2606, -0.1088, -0.0277, -0.0226, 0.0613)
COLUMNS = ["age", "sex", "smoker", "systolic", "total_cholesterol", "hdl"]
SPEC = {
    "name": "score2", "version": "1.0.0", "title": "SCORE2 (ESC 2021)",
    "description": "Risk of a first fatal or non-fatal cardiovascular event within 10 years in people of 40 to 69 without diabetes, for each risk region of Europe.",
    "authors": "SCORE2 working group", "kind": "prognosis", "columns": COLUMNS,
    "features": [F.AGE, F.SEX, F.SMOKER, F.SBP, F.total_cholesterol("mmol/L"), F.hdl("mmol/L"), F.DIABETES, F.CVD],
    "applicable": [between("age", 40, 69, "SCORE2 is for ages 40 to 69"), PREVENTION,
                   {"feature": "diabetes", "lt": 1, "reason": "SCORE2 is for people without diabetes; see SCORE2-Diabetes"}],
    "outputs": outputs(),
    "use": use("cardiovascular disease", "People of 40 to 69 in Europe without cardiovascular disease or diabetes."),
    "limitations": ["The region is not known to the server: read the output of your own region; the headline is the low-risk region, which is too low elsewhere.",
                    "The bands are those for ages 50 to 69; below 50 the ESC counts 2.5 % as high enough and 7.5 % as very high.", LISTS],
    "made_of": {"output": "Probability of a first fatal or non-fatal cardiovascular event within 10 years, in percent, one for each region.",
                "data": "45 cohorts of 13 countries, 677,684 people without cardiovascular disease or diabetes.",
                "demographics": "Age and sex are inputs. Race and ethnicity are not."},
    "how": "Sex-specific sums in (age − 60)/5, smoking, (SBP − 120)/20, cholesterol − 6, (HDL − 1.3)/0.5 and interactions by age; 1 − exp(−exp(a + b·ln(−ln(S0^exp(sum))))), a and b by region and sex. Checks (50 years, smoker, 140, 5.5, 1.3; low risk): man 5.913, woman 4.215 %.",
    "citations": [("SCORE2 working group 2021, Eur Heart J 42:2439", "https://doi.org/10.1093/eurheartj/ehab309")],
}


def formula(f, x):
    age, sbp = (x["age"] - 60.0) / 5.0, (x["systolic"] - 120.0) / 20.0
    chol, hdl, smoker = x["total_cholesterol"] - 6.0, (x["hdl"] - 1.3) / 0.5, x["smoker"]
    terms = [age, smoker, sbp, chol, hdl, age * smoker, age * sbp, age * chol, age * hdl]
    men, women = (sum([t * b for t, b in zip(terms[1:], c[1:])], terms[0] * c[0]) for c in (MEN, WOMEN))
    return recalibrated(f, yes(f, x["sex"]), men, women)


BASE = {"age": 50, "sex": 1, "smoker": 1, "systolic": 140, "total_cholesterol": 5.5, "hdl": 1.3}
if __name__ == "__main__":
    make(SPEC, formula, [("man of 50, smoker, 140, 5.5, 1.3", "SCORE2 2021, supplement", BASE, 5.001e-6, {"risk_10y_low": .05913}),
                         ("woman of 50, smoker, 140, 5.5, 1.3", "SCORE2 2021, supplement", BASE | {"sex": 0}, 5.001e-6, {"risk_10y_low": .04215})],
         [g | {"sex": s} for s in (0, 1) for g in grid(BASE, age=[40, 69], smoker=[0], systolic=[180], total_cholesterol=[8], hdl=[0.8])])
