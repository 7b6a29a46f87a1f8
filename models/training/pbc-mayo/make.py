"""Mayo natural history model of primary biliary cholangitis: Dickson et al. 1989, Hepatology 10:1; coefficients
with four digits and the shape of the sum from Fleming and Harrington 1991; baseline survival from Dickson's table 5.
Nothing is trained here; the discrimination is measured on R survival's pbc."""
import features as F
from formula import compute
from learn import r_data
from lifelines.utils import concordance_index
from publish import CONTRAINDICATED, band, output, probability
from scorecard import grid, make

COEFFICIENTS = {"age": 0.0394, "bilirubin": 0.8707, "oedema": 0.8592, "albumin": -2.533, "prothrombin": 2.380}
MEAN = 5.07
SURVIVAL = {1: 0.970, 2: 0.941, 3: 0.883, 5: 0.774, 7: 0.651}
PT = F.observation("prothrombin", "Prothrombin time", [F.loinc("5902-2", "Prothrombin time (PT)")], "s", window="90d", plausible={"ge": 5, "le": 100})
OEDEMA = F.item("pbc-oedema", "Oedema", "90d", "required")
OEDEMA = F.changed(OEDEMA, name="oedema", label="Oedema (0 none, 0.5 without diuretics or resolved by them, 1 despite diuretics)")
FEATURES = [F.AGE, F.changed(F.BILIRUBIN, window="90d"), F.changed(F.ALBUMIN, window="90d"), PT, OEDEMA]
PBC = F.condition("pbc", "Primary biliary cholangitis on record", [F.sct("31712002", "Primary biliary cholangitis"), *F.icd("K74.3", "Primary biliary cirrhosis", True)])


def formula(f, x):
    score = (x["age"] * COEFFICIENTS["age"] + f.log(x["bilirubin"]) * COEFFICIENTS["bilirubin"] + f.log(x["albumin"]) * COEFFICIENTS["albumin"]
             + f.log(x["prothrombin"]) * COEFFICIENTS["prothrombin"] + x["oedema"] * COEFFICIENTS["oedema"])
    hazard = f.exp(score - MEAN)
    return {"score": score} | {f"death_{t}y": 1.0 - s ** hazard for t, s in SURVIVAL.items()}


def measured():
    """C on the 418 patients, and on the 312 of the trial alone, with bootstrap intervals."""
    import numpy as np
    d = r_data("r-cran-survival", "3.5-3-1", "pbc").rename(columns={"bili": "bilirubin", "protime": "prothrombin", "edema": "oedema"})
    out = {}
    for name, part in (("all with complete inputs", d), ("trial patients (trt recorded)", d[d["trt"].notna()])):
        part = part.dropna(subset=["age", "bilirubin", "albumin", "prothrombin", "oedema"])
        time, dead = part["time"].to_numpy(float), (part["status"].astype(int) == 2).to_numpy()
        score = np.array([compute(formula, [f["name"] for f in FEATURES], r)["score"] for r in part[["age", "bilirubin", "albumin", "prothrombin", "oedema"]].astype(float).to_dict("records")])
        rng, values = np.random.default_rng(1), []
        for _ in range(300):
            i = rng.integers(0, len(part), len(part))
            values.append(concordance_index(time[i], -score[i], dead[i]))
        low, high = np.percentile(values, [2.5, 97.5])
        out[name] = {"metric": f"C statistic, {name}", "value": round(concordance_index(time, -score, dead), 3), "low": round(float(low), 3), "high": round(float(high), 3),
                     "data": f"{len(part)} patients of R survival pbc, {int(dead.sum())} deaths; the coefficients come from the trial patients", "source": "measured when the model was made"}
        print(out[name])
    return list(out.values())


BASE = {"age": 50, "bilirubin": 1.0, "albumin": 3.5, "prothrombin": 10.6, "oedema": 0}
if __name__ == "__main__":
    evaluation = measured()
    assert evaluation[0]["value"] >= 0.83
    DEATH = F.sct("419620001", "Death")
    SPEC = {
        "name": "pbc-mayo", "version": "1.0.0", "title": "Mayo natural history model of primary biliary cholangitis", "authors": "Dickson, Fleming et al.", "kind": "prognosis",
        "description": "Risk of death in primary biliary cholangitis within 1, 2, 3, 5 and 7 years without a liver transplant.",
        "features": [*FEATURES, PBC], "columns": [f["name"] for f in FEATURES],
        "applicable": [{"feature": "age", "ge": 18, "reason": "the model was made for adults"}, {"feature": "pbc", "ge": 1, "reason": "the model is for primary biliary cholangitis, which is not on record"}],
        "outputs": [probability(f"death_{t}y", f"Death within {t} years" if t > 1 else "Death within 1 year", DEATH, f"P{t}Y", f"Baseline survival {s:.3f} (Dickson 1989)", "headline" if t == 5 else None,
                                **({"bands": [band("High", "warning", "high", ge=0.3), band("Moderate", "warning", "moderate", ge=0.1, lt=0.3), band("Low", "info", "low", lt=0.1)]} if t == 5 else {})) for t, s in SURVIVAL.items()]
                   + [output("score", "Mayo risk score", "quantity", unit="1")],
        "use": {"intended": "Informs prognosis and the timing of transplant evaluation.", "population": "Adults with primary biliary cholangitis.", "users": "Hepatologists.",
                "contraindicated": ["Other liver diseases", "After liver transplantation", CONTRAINDICATED]},
        "limitations": ["The baseline survival and the mean of the score were transcribed without a second source; the ranking does not rest on them, the absolute risks do. No hook shows this model until they are checked.", "Made before ursodeoxycholic acid; treated patients live longer (GLOBE and UK-PBC scores take that in).", "Prothrombin time in seconds depends on the reagent.", "Oedema is an answer under a code of Galen's own."],
        "evaluation": evaluation,
        "made_of": {"output": "Probability of death in percent and the Mayo risk score.", "data": "312 patients of a randomised trial of D-penicillamine at the Mayo Clinic, 1974–1984 (Dickson 1989).", "demographics": "Age is an input. Sex, race and ethnicity are not.",
                    "internal": f"C {evaluation[1]['value']} ({evaluation[1]['low']}–{evaluation[1]['high']}) on the trial patients of R survival pbc."},
        "how": "Score 0.0394 age + 0.8707 ln bilirubin + 0.8592 oedema − 2.533 ln albumin + 2.380 ln prothrombin time; death by t: 1 − S0(t)^exp(score − 5.07), S0 " + ", ".join(f"{t} y {s}" for t, s in SURVIVAL.items()) + ".",
        "citations": [("Dickson et al. 1989, Hepatology 10:1", "https://doi.org/10.1002/hep.1840100102")]}
    make(SPEC, formula, [], grid(BASE, age=[30, 75], bilirubin=[0.4, 20], albumin=[2.2, 4.4], prothrombin=[9.5, 15], oedema=[0.5, 1]))
