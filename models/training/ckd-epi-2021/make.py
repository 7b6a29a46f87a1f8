"""CKD-EPI 2021 eGFR from creatinine, without race: Inker et al., NEJM 385:1737.

Second source: the National Kidney Foundation's calculator page, same constants.
"""
import features as F
from formula import ckd_epi_2021, yes
from kidney import GFR_APPLICABLE, INKER
from publish import CONTRAINDICATED, band, output
from scorecard import grid, make

SPEC = {
    "name": "ckd-epi-2021", "version": "1.0.0", "title": "Estimated glomerular filtration rate (CKD-EPI 2021, creatinine)",
    "description": "Estimated glomerular filtration rate of an adult from creatinine, age and sex, without race.",
    "authors": "Inker et al.", "kind": "diagnosis",
    "features": [F.AGE, F.SEX, F.changed(F.CREATININE, missing="required")],
    "applicable": [GFR_APPLICABLE],
    "outputs": [output("egfr", "eGFR (CKD-EPI 2021)", "quantity", "headline", unit="mL/min/{1.73_m2}",
                       code=F.loinc("98979-8", "GFR predicted by creatinine-based formula (CKD-EPI 2021)"),
                       bands=[band("G1, normal or high", ge=90), band("G2, mildly decreased", ge=60, lt=90),
                              band("G3a, mildly to moderately decreased", "warning", ge=45, lt=60),
                              band("G3b, moderately to severely decreased", "warning", ge=30, lt=45),
                              band("G4, severely decreased", "warning", ge=15, lt=30), band("G5, kidney failure", "critical", lt=15)])],
    "use": {"intended": "Informs the assessment of kidney function and the dose of drugs cleared by the kidney.",
            "population": "Adults with stable kidney function.", "users": "Clinicians.",
            "contraindicated": ["Acute kidney injury or unstable kidney function", "Pregnancy", "Age under 18", CONTRAINDICATED]},
    "limitations": ["One eGFR is no diagnosis: chronic kidney disease needs 3 months or more.",
                    "Creatinine misleads at extremes of muscle mass, diet and in severe liver disease; cystatin C helps there.",
                    "The band is the KDIGO GFR category alone; albuminuria is not seen."],
    "made_of": {"output": "Estimated glomerular filtration rate in mL/min/1.73 m².", "type": "Evaluation (an equation)",
                "data": "Adults of 10 studies with measured GFR (8,254) for development and 12 (4,050) for validation.",
                "demographics": "Age and sex are inputs. Race and ethnicity are not.",
                "fairness": "Race was removed from the equation by its authors."},
    "how": """142 × min(Scr/κ, 1)^α × max(Scr/κ, 1)^−1.200 × 0.9938^age × 1.012 (women), κ 0.7 and α −0.241 for
women, κ 0.9 and α −0.302 for men, Scr in mg/dL. Check: woman of 50, 1.0 mg/dL → 68.6335.""",
    "citations": [INKER],
}


def formula(f, x):
    return {"egfr": ckd_epi_2021(f, x["age"], yes(f, x["sex"]), x["creatinine"])}


if __name__ == "__main__":
    make(SPEC, formula, [("woman of 50, creatinine 1.0", "Inker 2021", {"age": 50, "sex": 0, "creatinine": 1.0}, 5e-5, {"egfr": 68.6335})],
         [r | {"sex": s} for s in (0, 1) for r in grid({"age": 63, "creatinine": 1.4}, age=[18, 40, 95], creatinine=[0.3, 0.69, 0.7, 0.9, 0.91, 12])])
