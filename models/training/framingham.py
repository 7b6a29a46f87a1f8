"""Framingham general cardiovascular risk: D'Agostino et al. 2008, Circulation 117:743, tables 2 and 5."""
import features as F
from cardio import CVD, DRUGS, FHS_BANDS, LISTS, PREVENTION, between, use
from formula import yes
from publish import probability


def formula_of(tables, logs):
    """tables[sex]: coefficients of ln age, of each of logs, ln SBP untreated, treated, smoker, diabetes, mean, S0."""
    def formula(f, x, value=lambda f, x, k: x[k]):
        risks = []
        for table in tables:
            age, *rest = table
            total = f.log(x["age"]) * age
            for k, b in zip(logs, rest):
                total = total + f.log(value(f, x, k)) * b
            untreated, treated, smoker, diabetes, mean, s0 = rest[len(logs):]
            pressure = f.log(x["systolic"]) * f.where(yes(f, x["bp_treatment"]), treated, untreated)
            total = total + pressure + x["smoker"] * smoker + x["diabetes"] * diabetes
            risks.append(1.0 - s0 ** f.exp(total - mean))
        return {"risk_10y": f.where(yes(f, x["sex"]), risks[1], risks[0])}
    return formula


def spec(name, title, what, features, how, **more):
    return {
        "name": name, "version": "1.0.0", "title": title,
        "description": f"Risk of a first cardiovascular event (coronary, cerebrovascular, peripheral arterial disease or heart failure) within 10 years, from {what}.",
        "authors": "D'Agostino et al.", "kind": "prognosis",
        "columns": [f["name"] for f in features], "features": [*features, F.CVD],
        "applicable": [between("age", 30, 74, "the equation is for ages 30 to 74"), PREVENTION],
        "outputs": [probability("risk_10y", "Cardiovascular disease within 10 years", CVD, "P10Y", "As published for Framingham; not recalibrated", "headline", bands=FHS_BANDS)],
        "use": use("cardiovascular disease", "People of 30 to 74 without cardiovascular disease."),
        "limitations": ["Made in one mostly White American town; overestimates in many other populations.", LISTS, DRUGS],
        "made_of": {"output": "Probability of a first cardiovascular event within 10 years, in percent.",
                    "data": "8,491 participants of the Framingham study of 30 to 74 without cardiovascular disease.",
                    "demographics": "Age and sex are inputs. Race and ethnicity are not."},
        "how": how, "citations": [("D'Agostino et al. 2008, Circulation 117:743", "https://doi.org/10.1161/CIRCULATIONAHA.107.699579")]} | more


COMMON = [F.SBP, F.BP_DRUGS, F.SMOKER, F.DIABETES]
