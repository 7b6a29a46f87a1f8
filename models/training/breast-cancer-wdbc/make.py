"""Malignant or benign from the nuclei of a fine-needle aspirate: Wisconsin diagnostic data (569), as in scikit-learn."""
import pandas as pd
from sklearn.datasets import load_breast_cancer

import features as F
from learn import compare, figures, formula_of, logistic, probes
from publish import CONTRAINDICATED, band, contributions, probability
from scorecard import make

FOLDS, C = 5, 0.5


def data():
    raw = load_breast_cancer(as_frame=True)
    x = raw.data.rename(columns=lambda c: c.replace(" ", "_"))
    return x, 1 - raw.target  # scikit-learn has 1 for benign


def feature(name):
    words = name.replace("_", " ")
    return F.observation(name, words[0].upper() + words[1:], [F.coding(F.ITEM, "wdbc-" + name.replace("_", "-"), f"{words} of cell nuclei")], "1", "optional", window="90d", plausible={"ge": 0, "le": 10000})


if __name__ == "__main__":
    x, y = data()
    results = compare(x, y, FOLDS, C)
    best = results["logistic"]
    assert best["AUC"][0] >= 0.99, "below the threshold: not to be shipped"
    terms, constant = logistic(x, y, C)
    names = list(x.columns)
    rows = "; ".join(f"{k}: AUC {v['AUC'][0]} ({v['AUC'][1]}–{v['AUC'][2]}), Brier {v['Brier score'][0]}" for k, v in results.items())
    SPEC = {
        "name": "breast-cancer-wdbc", "version": "1.0.0", "title": "Breast mass, fine-needle aspirate (WDBC)", "trained": True, "authors": "Galen project", "origin": "model",
        "description": "Probability that a breast mass is malignant, from 30 measurements of the cell nuclei in a digitised fine-needle aspirate.", "kind": "diagnosis",
        "features": [feature(n) for n in names], "require": [[n] for n in ("mean_radius", "mean_concave_points", "worst_radius", "worst_concave_points")],
        "outputs": [probability("malignant", "Malignant breast mass", F.sct("254837009", "Malignant neoplasm of breast"), None, f"Logistic regression; out-of-fold slope {best['slope'][0]}, intercept {best['slope'][1]}; prevalence 37 % in the data", "headline",
                                bands=[band("Likely malignant", "warning", "high", ge=0.5), band("Uncertain", "warning", "moderate", ge=0.05, lt=0.5), band("Likely benign", "info", "low", lt=0.05)]),
                    contributions("malignant", names, "log-odds", "the mean of the training data")],
        "use": {"intended": "Demonstrates a trained diagnostic model; informs nobody's care without local validation.", "population": "Adults with a breast mass and a digitised fine-needle aspirate measured as in the Wisconsin study.", "users": "Cytopathologists and researchers.",
                "contraindicated": ["Any decision on biopsy or surgery", "Measurements by other software than that of the study", CONTRAINDICATED]},
        "limitations": ["Data of one hospital (Wisconsin, 1989–1995); no external validation.", "The measurements have no public codes; Galen's own are used.", "Prevalence in the data is 37 %; elsewhere the probability must be recalibrated.",
                        "Up to 26 measurements may be missing and are then taken as the median.", "No age, sex or ethnicity is in the data, so no subgroup could be checked."],
        "evaluation": figures(best, f"out of fold, {FOLDS} folds of 569 masses (212 malignant)"),
        "made_of": {"output": "Probability of malignancy in percent, with the contribution of each measurement.", "data": "569 masses of one hospital in Wisconsin with a digitised aspirate, none left out.", "demographics": "No demographic variable is an input.",
                    "internal": f"AUC {best['AUC'][0]} ({best['AUC'][1]}–{best['AUC'][2]}), Brier score {best['Brier score'][0]}, calibration slope {best['slope'][0]}, out of fold.", "fairness_internal": {"unavailable": "the data hold no demographic variable"}},
        "how": f"Logistic regression with an L2 penalty (C = {C}) on standardised measurements, imputation by the median inside the graph. Classes (357 benign, 212 malignant) were not reweighted, so that probabilities stay calibrated. Candidates on the same {FOLDS} folds: {rows}.",
        "citations": [("Street, Wolberg, Mangasarian 1993, Proc SPIE 1905:861", "https://doi.org/10.1117/12.148698"), ("Data: UCI 17, CC BY 4.0", "https://doi.org/10.24432/C5DW2B")]}
    make(SPEC, formula_of(terms, constant, "malignant"), [], probes(x) + [{n: float(x[n].median()) for n in ("mean_radius", "mean_concave_points", "worst_radius", "worst_concave_points")}])
