"""Which of four HIV treatments raises CD4 most at 20 weeks: ACTG 175, a randomised trial (2,139). One regression with
arm effects and arm × covariate interactions, shrunk by a ridge chosen by cross-validation; whether ranking by it beats
giving everybody the best arm is measured on held-out patients and said as it is."""
import pathlib

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

import features as F
from learn import SEED
from publish import CONTRAINDICATED, band, output
from scorecard import grid, make

ARMS = {1: ("zdv_ddi", "zidovudine + didanosine"), 2: ("zdv_zal", "zidovudine + zalcitabine"), 3: ("ddi", "didanosine")}
COVARIATES = {"cd4": "cd40", "cd8": "cd80", "age": "age", "weight": "wtkg", "karnofsky": "karnof", "prior_days": "preanti", "symptomatic": "symptom"}
DATA = pathlib.Path(__file__).parents[4] / "shared/data/training/ACTG175.txt"


def data():
    for folder in (DATA, pathlib.Path("/work/shared/data/training/ACTG175.txt")):
        if folder.exists():
            return pd.read_csv(folder, sep=r"\s+")
    raise SystemExit("ACTG175.txt is not in ../shared/data/training")


def design(x, arm):
    """Columns: covariates, arms, arm × covariate; x standardised."""
    dummies = np.column_stack([(arm == a).astype(float) for a in ARMS])
    return np.hstack([x, dummies] + [x * dummies[:, [i]] for i in range(len(ARMS))])


def fit(x, arm, y): return RidgeCV(alphas=np.logspace(1, 5, 17)).fit(design(x, arm), y)


def gains(model, x):
    """Predicted difference of each arm from zidovudine alone, [N, 3]."""
    base = model.predict(design(x, np.zeros(len(x))))
    return np.column_stack([model.predict(design(x, np.full(len(x), a))) - base for a in ARMS])


def welch(a, b): return float(a.mean() - b.mean()), float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))


if __name__ == "__main__":
    d = data()
    arm, y = d["arms"].to_numpy(int), d["cd420"].to_numpy(float)
    raw = d[list(COVARIATES.values())].astype(float).to_numpy()
    overall = welch(y[d["treat"] == 1], y[d["treat"] == 0])
    effects = {a: welch(y[arm == a], y[arm == 0]) for a in ARMS}
    print("treated against ZDV", overall, effects)
    centre, scale = raw.mean(0), raw.std(0)
    x = (raw - centre) / scale
    # Held-out value of a policy: the mean outcome of those who happened to get what it advises (each arm has one chance in four).
    chosen, fixed = np.zeros(len(y), int), np.zeros(len(y), int)
    for a, b in KFold(10, shuffle=True, random_state=SEED).split(x):
        model = fit(x[a], arm[a], y[a])
        chosen[b] = 1 + gains(model, x[b]).argmax(1)
        fixed[b] = 1 + np.argmax([y[a][arm[a] == k].mean() for k in ARMS])
    outcome = y - d["cd40"].to_numpy(float)  # change from baseline: less noise, same differences

    def difference(i):
        return outcome[i][arm[i] == chosen[i]].mean() - outcome[i][arm[i] == fixed[i]].mean()
    rng = np.random.default_rng(SEED)
    spread = [difference(rng.integers(0, len(y), len(y))) for _ in range(1000)]
    value, (low, high) = float(difference(np.arange(len(y)))), np.percentile(spread, [2.5, 97.5])
    share = {ARMS[a][1]: float((chosen == a).mean()) for a in ARMS}
    beats = low > 0
    verdict = (f"Ranking by the model against giving everybody the best arm: {value:+.1f} cells/µL ({low:.1f} to {high:.1f}) on held-out patients, "
               + ("a gain." if beats else "no proven gain: the honest advice from these data is the best arm for all."))
    print(verdict, share)
    model = fit(x, arm, y)
    k = len(COVARIATES)
    coef = model.coef_
    constant = {a: float(coef[k + i] - (coef[k + 3 + i * k:k + 3 + (i + 1) * k] * centre / scale).sum()) for i, a in enumerate(ARMS)}
    slope = {a: [float(v) for v in coef[k + 3 + i * k:k + 3 + (i + 1) * k] / scale] for i, a in enumerate(ARMS)}
    residual = float(np.std(y - model.predict(design(x, arm))))

    def formula(f, v):
        out = {}
        for a, (name, _) in ARMS.items():
            total = constant[a]
            for c, b in zip(COVARIATES, slope[a]):
                total = v[c] * b + total
            out[f"benefit_{name}"] = total
        best = f.most(f.most(out["benefit_zdv_ddi"], out["benefit_zdv_zal"]), out["benefit_ddi"])
        first = f.where(f.ge(out["benefit_zdv_ddi"], best), 0.0, f.where(f.ge(out["benefit_zdv_zal"], best), 1.0, 2.0))
        return out | {"advised": first}

    def effect(a): return f"{effects[a][0]:+.1f} (SE {effects[a][1]:.1f})"
    CD8 = F.observation("cd8", "CD8 cells", [F.loinc("14135-8", "CD3+CD8+ (T8 suppressor) cells [#/volume] in Blood")], "{cells}/uL", window="90d", plausible={"ge": 0, "le": 10000}, conversions=[{"unit": "/uL", "multiply": 1}, {"unit": "10*3/uL", "multiply": 1000}, {"unit": "10*9/L", "multiply": 1000}])
    CD4 = F.changed(CD8, name="cd4", label="CD4 cells", codes=[F.loinc("24467-3", "CD3+CD4+ (T4 helper) cells [#/volume] in Blood")])
    SPEC = {
        "name": "actg175-benefit", "version": "1.0.0", "title": "CD4 benefit of four HIV treatments of the 1990s (ACTG 175)", "trained": True, "authors": "Galen project", "origin": "model", "kind": "treatment",
        "description": "Predicted gain in CD4 count at 20 weeks of three treatments over zidovudine alone, and which is predicted best.",
        "columns": list(COVARIATES), "features": [CD4, CD8, F.AGE, F.changed(F.WEIGHT, missing="required"),
            F.observation("karnofsky", "Karnofsky score", [F.loinc("89243-0", "Karnofsky Performance Status score")], "{score}", window="90d", plausible={"ge": 0, "le": 100}),
            F.observation("prior_days", "Days of earlier antiretroviral treatment", [F.coding(F.ITEM, "art-prior-days", "Days of earlier antiretroviral treatment")], "d", window="90d", plausible={"ge": 0, "le": 20000}),
            F.item("art-symptomatic", "Symptoms of HIV infection", "90d", "required")],
        "applicable": [{"feature": "cd4", "ge": 200, "le": 500, "reason": "the trial took people with 200 to 500 CD4 cells"}, {"feature": "age", "ge": 12, "le": 70, "reason": "the trial held ages 12 to 70"}],
        "outputs": [output(f"benefit_{n}", f"Gain over zidovudine alone: {label}", "quantity", "headline" if a == 1 else None, unit="{cells}/uL", horizon="P140D",
                           **({"bands": [band("Gain", "info", ge=0), band("Loss", "info", lt=0)]} if a == 1 else {})) for a, (n, label) in ARMS.items()]
                   + [output("advised", "Best predicted treatment", "class", "list", horizon="P140D", classes=[F.coding(F.ITEM, "arm-" + n.replace("_", "-"), label) for n, label in ARMS.values()])],
        "use": {"intended": "Demonstrates treatment-effect prediction from a randomised trial; no present treatment decision.", "population": "The trial's: HIV-1, CD4 200–500, 1991–1992.", "users": "Researchers.",
                "contraindicated": ["Any present HIV treatment: all four are obsolete", CONTRAINDICATED]},
        "limitations": [verdict, f"Residual standard deviation of a person's CD4 at 20 weeks: {residual:.0f} cells/µL; single predictions are that uncertain.", "CD4 is a surrogate.", "No contraindication is looked at by the model itself."],
        "evaluation": [{"metric": "CD4 effect, any other treatment against zidovudine", "value": round(overall[0], 1), "low": round(overall[0] - 1.96 * overall[1], 1), "high": round(overall[0] + 1.96 * overall[1], 1), "data": "2,139 randomised patients", "source": "measured when the model was made"},
                       {"metric": "Held-out gain of the ranking over the best arm for all, cells/µL", "value": round(value, 1), "low": round(float(low), 1), "high": round(float(high), 1), "data": "10 folds", "source": "measured when the model was made"}],
        "made_of": {"output": "Predicted CD4 gain of each treatment in cells/µL, and the best.", "type": "Recommendation (demonstration)", "data": "ACTG 175: 2,139 people with HIV-1 and 200–500 CD4 cells randomised to four arms.", "demographics": "Age and weight are inputs. Sex, race and ethnicity are not.", "internal": verdict},
        "how": f"Ridge regression of CD4 at 20 weeks on covariates, arms and arm × covariate. Measured effects against zidovudine: {ARMS[1][1]} {effect(1)}, {ARMS[2][1]} {effect(2)}, {ARMS[3][1]} {effect(3)}; any {overall[0]:+.1f} (SE {overall[1]:.1f}). {verdict} Held-out advice: " + ", ".join(f"{n} {s:.0%}" for n, s in share.items()) + ".",
        "citations": [("Hammer et al. 1996, N Engl J Med 335:1081", "https://doi.org/10.1056/NEJM199610103351501"), ("Data: UCI 890, CC BY 4.0", "https://doi.org/10.24432/C5ZG8F")]}
    SPEC["features"][-1] = F.changed(SPEC["features"][-1], name="symptomatic")
    BASE = {"cd4": 340, "cd8": 900, "age": 35, "weight": 75, "karnofsky": 100, "prior_days": 140, "symptomatic": 0}
    make(SPEC, formula, [], grid(BASE, cd4=[200, 500], cd8=[300, 2500], age=[15, 65], weight=[45, 120], karnofsky=[70], prior_days=[0, 2500], symptomatic=[1]))
