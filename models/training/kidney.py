"""What the kidney models share."""
import features as F

GFR_APPLICABLE = {"feature": "age", "ge": 18, "reason": "the equation was made for adults"}
REPLACED = F.condition("kidney_replacement", "Dialysis, kidney transplant or kidney failure on record", [
    F.sct("46177005", "End-stage renal disease"), F.sct("161665007", "History of renal transplant"),
    *F.icd("N18.6", "End stage renal disease"), *F.icd("Z99.2", "Dependence on renal dialysis", True),
    *F.icd("Z94.0", "Kidney transplant status", True)])
ESRD = F.sct("46177005", "End-stage renal disease")
INKER = ("Inker et al. 2021, N Engl J Med 385:1737 (CKD-EPI 2021)", "https://doi.org/10.1056/NEJMoa2102953")
