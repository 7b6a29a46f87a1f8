"""FINDRISC: Lindström and Tuomilehto 2003, Diabetes Care 26:725, with the family and 65+ items of the Finnish Diabetes Association's form."""
import features as F
from cardio import LISTS
from formula import bmi_of, steps, yes
from points import spec, total
from publish import band
from scorecard import grid, make

WAIST = F.observation("waist", "Waist circumference", [F.loinc("8280-0", "Waist Circumference at umbilicus by Tape measure"), F.loinc("56086-2", "Adult Waist Circumference Protocol"), F.sct("276361009", "Waist circumference")],
                      "cm", window="2y", plausible={"ge": 40, "le": 250})
GLUCOSE = F.condition("high_glucose", "High blood glucose ever on record", [F.sct("15777000", "Prediabetes"), F.sct("11687002", "Gestational diabetes mellitus"), *F.icd("R73.03", "Prediabetes")], past=True)
FAMILY = F.changed(F.item("findrisc-family-diabetes", "Family history of diabetes", "10y", most=2), label="Relatives with diabetes (1 grandparent, aunt, uncle or cousin; 2 parent, sibling or child)",
                   codes=[F.coding(F.ITEM, "findrisc-family-diabetes", "Relatives with diabetes"), F.sct("160303001", "Family history: Diabetes mellitus")],
                   categories=[F.sct("373066001", "Yes", value=2), F.sct("373067005", "No", value=0), F.loinc("LA33-6", "Yes", value=2), F.loinc("LA32-8", "No", value=0)])
ACTIVE = F.item("findrisc-active", "Active 30 minutes a day", "2y", "required")
FRUIT = F.item("findrisc-fruit-daily", "Vegetables, fruit or berries every day", "2y", "required")
COLUMNS = ["age", "sex", "bmi", "weight", "height", "waist", "findrisc_active", "findrisc_fruit_daily", "bp_treatment", "high_glucose", "findrisc_family_diabetes"]
SPEC = spec("findrisc", "FINDRISC", "Risk of type 2 diabetes within 10 years: points from 0 to 26.", "prognosis",
            [F.AGE, F.SEX, F.BMI, F.WEIGHT, F.HEIGHT, WAIST, ACTIVE, FRUIT, F.BP_DRUGS, GLUCOSE, FAMILY, F.DIABETES], COLUMNS,
            [band("Very high", "warning", "high", "Measure glucose or HbA1c; about 1 in 2 develops diabetes within 10 years.", gt=20), band("High", "warning", "high", "Measure glucose or HbA1c; about 1 in 3.", ge=15, le=20),
             band("Moderate", "info", "moderate", "About 1 in 6.", ge=12, lt=15), band("Slightly raised", "info", "low", "About 1 in 25.", ge=7, lt=12), band("Low", "info", "low", "About 1 in 100.", lt=7)],
            "Informs who should have blood glucose measured and what to change.", "Adults without diabetes.",
            [LISTS, "Activity, diet and family are answers under codes of Galen's own, for no public code was at hand; without the first two there is no score.", "No record of relatives with diabetes is taken as none."],
            "Age 45–54 2, 55–64 3, 65+ 4; BMI 25–30 1, over 30 3; waist men 94–102 3, over 102 4, women 80–88 3, over 88 4; not active 2; no daily vegetables 1; blood pressure drugs 2; high glucose ever 5; relatives: distant 3, close 5. Check: 58 years, BMI 31, man with 104 cm, inactive, fruit daily, drugs, father → 19.",
            [("Lindström and Tuomilehto 2003, Diabetes Care 26:725", "https://doi.org/10.2337/diacare.26.3.725")], "Lindström and Tuomilehto", "4,435 Finns of 35 to 64 followed for 10 years.", 26, ["People who have diabetes"],
            [{"feature": "diabetes", "lt": 1, "reason": "diabetes is on record already"}, {"feature": "age", "ge": 18, "reason": "FINDRISC was made for adults"}], require=F.BODY, horizon="P10Y",
            demographics="Age and sex are inputs. Race and ethnicity are not.", parts=["age", "bmi", "waist", "findrisc_active", "findrisc_fruit_daily", "bp_treatment", "high_glucose", "findrisc_family_diabetes"])


def formula(f, x):
    bmi = bmi_of(f, x["bmi"], x["weight"], x["height"])
    over = lambda v, limit, points, below: f.where(f.isnan(v), v, f.where(f.gt(v, limit), points, below))
    men, women = over(x["waist"], 102.0, 4.0, steps(f, x["waist"], 0.0, (94, 3.0))), over(x["waist"], 88.0, 4.0, steps(f, x["waist"], 0.0, (80, 3.0)))
    return total([steps(f, x["age"], 0.0, (45, 2.0), (55, 3.0), (65, 4.0)), over(bmi, 30.0, 3.0, steps(f, bmi, 0.0, (25, 1.0))), f.where(yes(f, x["sex"]), men, women),
                  (1.0 - x["findrisc_active"]) * 2.0, 1.0 - x["findrisc_fruit_daily"], x["bp_treatment"] * 2.0, x["high_glucose"] * 5.0,
                  steps(f, x["findrisc_family_diabetes"], 0.0, (1, 3.0), (2, 5.0))])


BASE = {"age": 58, "sex": 1, "bmi": 31, "waist": 104, "findrisc_active": 0, "findrisc_fruit_daily": 1, "bp_treatment": 1, "high_glucose": 0, "findrisc_family_diabetes": 2}
if __name__ == "__main__":
    rows = [g | {"sex": s} for s in (0, 1) for g in grid(BASE, age=[44, 45, 54, 55, 64, 65], bmi=[24.9, 25, 30, 30.1], waist=[79, 80, 88, 89, 93, 94, 102, 103], findrisc_active=[1], findrisc_fruit_daily=[0], bp_treatment=[0], high_glucose=[1], findrisc_family_diabetes=[0, 1])]
    make(SPEC, formula, [("58, BMI 31, man 104 cm, inactive, fruit, drugs, father", "Finnish Diabetes Association's form", BASE, 0, {"points": 19})], rows + [{k: v for k, v in BASE.items() if k != "bmi"} | {"weight": 80, "height": 172}])
