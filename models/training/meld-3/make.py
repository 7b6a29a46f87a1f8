"""MELD 3.0: Kim et al. 2021, Gastroenterology 161:1887; adults. Second source: OPTN policy as several open
implementations have it (some bound creatinine at 4 or albumin otherwise: 3.0 and 1.5–3.5 are right)."""
import features as F
from liver import DIALYSIS, LABS, bounded, rounded, spec
from scorecard import grid, make

SPEC = spec("meld-3", "MELD 3.0", [F.AGE, F.SEX, *LABS, F.SODIUM, F.ALBUMIN, DIALYSIS],
            "1.33 (women) + 4.56 ln bilirubin + 0.82 (137 − Na) − 0.24 (137 − Na) ln bilirubin + 9.09 ln INR + 11.14 ln creatinine + 1.85 (3.5 − albumin) − 1.83 (3.5 − albumin) ln creatinine + 6; bilirubin, INR, creatinine at least 1, creatinine at most 3 (3 on dialysis), Na 125–137, albumin 1.5–3.5; rounded, 6 to 40.",
            [("Kim et al. 2021, Gastroenterology 161:1887", "https://doi.org/10.1053/j.gastro.2021.08.050")], "Kim et al.",
            "29,410 US candidates for liver transplantation, January 2016 to December 2018.",
            [{"feature": "age", "ge": 18, "reason": "this is the formula for adults; OPTN has another for adolescents"}])
SPEC["columns"].remove("age")


def formula(f, x):
    creatinine = f.log(bounded(f, f.where(f.ge(x["dialysis"], 2.0), 3.0, x["creatinine"]), 1.0, 3.0))
    bilirubin, inr = f.log(bounded(f, x["bilirubin"], 1.0)), f.log(bounded(f, x["inr"], 1.0))
    sodium, albumin = 137.0 - bounded(f, x["sodium"], 125.0, 137.0), 3.5 - bounded(f, x["albumin"], 1.5, 3.5)
    return {"points": rounded(f, (1.0 - x["sex"]) * 1.33 + bilirubin * 4.56 + sodium * 0.82 - sodium * bilirubin * 0.24 + inr * 9.09
                              + creatinine * 11.14 + albumin * 1.85 - albumin * creatinine * 1.83 + 6.0)}


BASE = {"sex": 0, "creatinine": 1.9, "bilirubin": 4.2, "inr": 1.7, "sodium": 130, "albumin": 2.7, "dialysis": 0}
if __name__ == "__main__":
    make(SPEC, formula, [("man, everything normal", "the constant", {"sex": 1, "creatinine": 0.8, "bilirubin": 0.5, "inr": 1.0, "sodium": 140, "albumin": 4.0, "dialysis": 0}, 0, {"points": 6}),
                         ("woman, everything normal: 6 + 1.33", "by hand", {"sex": 0, "creatinine": 0.8, "bilirubin": 0.5, "inr": 1.0, "sodium": 140, "albumin": 4.0, "dialysis": 0}, 0, {"points": 7})],
         grid(BASE, sex=[1], creatinine=[0.6, 3, 4], bilirubin=[0.9, 36], inr=[0.9, 3], sodium=[118, 137, 145], albumin=[1.2, 1.5, 3.5, 4.4], dialysis=[2]))
