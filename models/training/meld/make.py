"""MELD: Kamath et al. 2001, Hepatology 33:464, in UNOS form (bounds 1, creatinine up to 4, dialysis counts as 4, 6 to 40)."""
from liver import DIALYSIS, LABS, meld, rounded, spec
from scorecard import grid, make

SPEC = spec("meld", "MELD", [*LABS, DIALYSIS], "10 × (0.957 ln creatinine + 0.378 ln bilirubin + 1.120 ln INR + 0.643), values below 1 taken as 1, creatinine at most 4 (4 on dialysis), rounded, 6 to 40.",
            [("Kamath et al. 2001, Hepatology 33:464", "https://doi.org/10.1053/jhep.2001.22172")], "Kamath et al.",
            "231 people after transjugular shunt placement (4 centres); validated in 4 further groups.")


def formula(f, x): return {"points": rounded(f, meld(f, x))}


BASE = {"creatinine": 1.9, "bilirubin": 4.2, "inr": 1.7, "dialysis": 0}
if __name__ == "__main__":
    make(SPEC, formula, [("everything normal is the least", "UNOS bounds: 10 × 0.643 = 6.43", {"creatinine": 0.8, "bilirubin": 0.5, "inr": 1.0, "dialysis": 0}, 0, {"points": 6}),
                         ("creatinine 7.78, bilirubin 36.1, INR 2.2", "42.1 by hand, at most 40", {"creatinine": 7.78, "bilirubin": 36.1, "inr": 2.2, "dialysis": 0}, 0, {"points": 40})],
         grid(BASE, creatinine=[0.6, 3.99, 4, 9], bilirubin=[0.9, 36], inr=[0.9, 3], dialysis=[1, 2]))
