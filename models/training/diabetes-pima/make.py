"""Diabetes by WHO criteria in Pima women (768; mlbench PimaIndiansDiabetes2, zeros that mean missing set to missing)."""
import features as F
from learn import compare, figures, formula_of, interval, logistic, probes, r_data
from publish import CONTRAINDICATED, band, contributions, probability
from scorecard import make
from sklearn.metrics import roc_auc_score

FOLDS, C = 10, 1.0
NAMES = {"pregnant": "pregnancies", "glucose": "glucose", "pressure": "diastolic", "triceps": "triceps", "insulin": "insulin", "mass": "bmi", "pedigree": "pedigree", "age": "age"}


def data():
    raw = r_data("r-cran-mlbench", "2.1-3-1", "PimaIndiansDiabetes2")
    x = raw[list(NAMES)].rename(columns=NAMES).astype(float)
    return x, (raw["diabetes"].astype(str) == "pos").astype(int)


if __name__ == "__main__":
    x, y = data()
    assert len(x) == 768 and y.sum() == 268
    results = compare(x, y, FOLDS, C)
    best = results["logistic"]
    assert best["AUC"][0] >= 0.82, "below the threshold: not to be shipped"
    groups = {g: interval(roc_auc_score, y[m], best["p"][m]) for g, m in (("under 30", x.age < 30), ("30 and over", x.age >= 30))}
    print("subgroups", groups)
    terms, constant = logistic(x, y, C)
    missing = x.isna().mean()
    rows = "; ".join(f"{k}: AUC {v['AUC'][0]} ({v['AUC'][1]}–{v['AUC'][2]}), Brier {v['Brier score'][0]}" for k, v in results.items())
    features = [
        F.observation("pregnancies", "Pregnancies", [F.loinc("11996-6", "[#] Pregnancies")], "1", "optional", conversions=[{"unit": "{#}", "multiply": 1}], window="10y", plausible={"ge": 0, "le": 30}),
        F.observation("glucose", "Glucose 2 hours after 75 g", [F.loinc("1518-0", "Glucose [Mass/volume] in Serum or Plasma --2 hours post 75 g glucose PO")], "mg/dL", conversions=[{"unit": "mmol/L", "multiply": 18.016}], window="1y", plausible={"ge": 20, "le": 1000}),
        F.changed(F.DBP, missing="optional"),
        F.observation("triceps", "Triceps skin fold", [F.coding(F.ITEM, "triceps-skin-fold", "Triceps skin fold")], "mm", "optional", window="1y", plausible={"ge": 1, "le": 150}),
        F.observation("insulin", "Insulin 2 hours after 75 g", [F.coding(F.ITEM, "insulin-2h", "Insulin 2 hours after 75 g glucose")], "u[IU]/mL", "optional", window="1y", plausible={"ge": 1, "le": 2000}),
        F.BMI, F.observation("pedigree", "Diabetes pedigree function", [F.coding(F.ITEM, "diabetes-pedigree", "Diabetes pedigree function")], "1", "optional", window="10y", plausible={"ge": 0, "le": 5}), F.AGE]
    SPEC = {
        "name": "diabetes-pima", "version": "1.0.0", "title": "Diabetes in Pima women", "trained": True, "authors": "Galen project", "origin": "model", "kind": "prognosis",
        "description": "Probability of diabetes within five years of a glucose tolerance test, as in the Pima Indians study.",
        "columns": list(NAMES.values()), "features": [*features, F.SEX, F.DIABETES], "require": [["bmi"]],
        "applicable": [{"feature": "age", "ge": 21, "le": 81, "reason": "the data hold ages 21 to 81"}, {"feature": "sex", "lt": 1, "reason": "the data hold women only"}, {"feature": "diabetes", "lt": 1, "reason": "diabetes is on record already"}],
        "outputs": [probability("diabetes_5y", "Diabetes within 5 years", F.DIABETES_CODES[0], "P5Y", f"Logistic regression; out-of-fold slope {best['slope'][0]}, intercept {best['slope'][1]}; prevalence 35 % in the data", "headline",
                                bands=[band("High", "warning", "high", ge=0.5), band("Moderate", "info", "moderate", ge=0.2, lt=0.5), band("Low", "info", "low", lt=0.2)]),
                    contributions("diabetes_5y", list(NAMES.values()), "log-odds", "the mean of the training data")],
        "use": {"intended": "Demonstrates a trained, calibrated model with missing values; informs nobody's care without local validation.", "population": "Pima women of 21 or more near Phoenix, Arizona.", "users": "Researchers.",
                "contraindicated": ["Men, children and populations other than the one studied", CONTRAINDICATED]},
        "limitations": ["One population with the highest known rate of diabetes of its time; probabilities are too high nearly everywhere else.",
                        f"Much was missing in the data (insulin {missing['insulin']:.0%}, skin fold {missing['triceps']:.0%}); the median is taken, as in training.", "No external validation.",
                        "Skin fold, insulin after two hours and pedigree have no code that could be checked; Galen's own are used."],
        "evaluation": figures(best, f"out of fold, {FOLDS} folds of 768 women (268 with diabetes)"),
        "made_of": {"output": "Probability of diabetes within five years in percent, with the contribution of each input.", "data": "768 Pima women of 21 or more, all of the public data set; physiologically impossible zeros are missing.", "demographics": "Age is an input; sex bounds the use. Race and ethnicity are not inputs, but all women studied are Pima.",
                    "internal": f"AUC {best['AUC'][0]} ({best['AUC'][1]}–{best['AUC'][2]}), Brier score {best['Brier score'][0]}, calibration slope {best['slope'][0]}, out of fold.",
                    "fairness_internal": "; ".join(f"AUC {g}: {v[0]} ({v[1]}–{v[2]})" for g, v in groups.items()) + ", out of fold."},
        "how": f"Logistic regression with an L2 penalty (C = {C}) on standardised inputs, imputation by the median inside the graph. Classes were not reweighted, so that probabilities stay calibrated. Candidates on the same {FOLDS} folds: {rows}. By age: " + "; ".join(f"{g} AUC {v[0]} ({v[1]}–{v[2]})" for g, v in groups.items()) + ".",
        "citations": [("Smith et al. 1988, Proc Annu Symp Comput Appl Med Care 261", "https://www.ncbi.nlm.nih.gov/pmc/articles/PMC2245318/")]}
    make(SPEC, formula_of(terms, constant, "diabetes_5y"), [], probes(x) + [{"glucose": 120, "bmi": 30, "age": 40}])
