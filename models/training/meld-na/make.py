"""MELD-Na as the OPTN has it since January 2016 (policy 9.1; Kim 2008 is another formula under the same name)."""
import features as F
from liver import DIALYSIS, LABS, bounded, meld, rounded, spec
from scorecard import grid, make

SPEC = spec("meld-na", "MELD-Na (OPTN 2016)", [*LABS, F.SODIUM, DIALYSIS],
            "MELD(i) as MELD; above 11: MELD(i) + 1.32 × (137 − Na) − 0.033 × MELD(i) × (137 − Na), Na from 125 to 137, rounded, 6 to 40. Check: creatinine 7.78, bilirubin 36.1, INR 2.2, Na 133 → 40.",
            [("OPTN policy 9, Allocation of Livers and Liver-Intestines", "https://optn.transplant.hrsa.gov/policies-bylaws/policies/"),
             ("Kim et al. 2008, N Engl J Med 359:1018", "https://doi.org/10.1056/NEJMoa0801209")], "OPTN", "US candidates for liver transplantation.")


def formula(f, x):
    base, gap = meld(f, x), 137.0 - bounded(f, x["sodium"], 125.0, 137.0)
    adjusted = base + gap * 1.32 - base * gap * 0.033
    score = f.where(f.gt(base, 11.0), adjusted, base)
    return {"points": f.where(f.isnan(gap), gap, rounded(f, score))}


BASE = {"creatinine": 1.9, "bilirubin": 4.2, "inr": 1.7, "sodium": 130, "dialysis": 0}
if __name__ == "__main__":
    make(SPEC, formula, [("creatinine 7.78, bilirubin 36.1, INR 2.2, Na 133", "OPTN", {"creatinine": 7.78, "bilirubin": 36.1, "inr": 2.2, "sodium": 133, "dialysis": 0}, 0, {"points": 40})],
         grid(BASE, creatinine=[0.6, 4], bilirubin=[0.9, 36], inr=[0.9, 3], sodium=[118, 125, 137, 145], dialysis=[1, 2]) + [{"creatinine": 1, "bilirubin": 2, "inr": 1.2, "sodium": 126, "dialysis": 0}])
