"""FIB-4: Sterling et al. 2006, Hepatology 43:1317; cut-offs 1.30 and 2.67 of Shah 2009, 2.0 from 65 years on (McPherson 2017)."""
import features as F
from publish import CONTRAINDICATED, band, output
from scorecard import grid, make

SPEC = {
    "name": "fib-4", "version": "1.0.0", "title": "FIB-4 index", "description": "Index of liver fibrosis from age, AST, ALT and platelets.",
    "authors": "Sterling et al.", "kind": "diagnosis", "features": [F.AGE, F.AST, F.ALT, F.PLATELETS],
    "applicable": [{"feature": "age", "ge": 35, "reason": "FIB-4 is unreliable under 35 years"}],
    "outputs": [output("index", "FIB-4", "quantity", "headline", unit="1", bands=[
                    band("Advanced fibrosis likely", "warning", "high", "Refer to hepatology or measure stiffness (EASL 2021).", gt=2.67),
                    band("Indeterminate", "warning", "moderate", "Second test such as elastography (EASL 2021).", ge=1.3, le=2.67, also={"output": "over_65", "lt": 1}),
                    band("Indeterminate", "warning", "moderate", "Second test such as elastography (EASL 2021).", ge=2.0, le=2.67),
                    band("Advanced fibrosis unlikely", "info", "low", le=2.67)]),
                output("over_65", "65 years or more", "auxiliary")],
    "use": {"intended": "Informs who needs a second test for liver fibrosis.", "population": "Adults of 35 or more at risk of chronic liver disease.", "users": "Clinicians.",
            "contraindicated": ["Acute hepatitis", "Age under 35", CONTRAINDICATED]},
    "limitations": ["AST, ALT and platelets may be of different days within 180 days.", "Made in people with HIV and hepatitis C; cut-offs for fatty liver are of later studies.",
                    "Anything else that lowers platelets or raises AST raises the index."],
    "made_of": {"output": "A number without unit, with the published cut-offs.", "type": "Evaluation (an index)", "data": "832 people with HIV and hepatitis C and a liver biopsy (APRICOT trial).",
                "demographics": "Age is an input. Race, ethnicity and sex are not."},
    "how": "age × AST ÷ (platelets × √ALT). Check: 35 years, AST 107, ALT 104, platelets 181 → 2.02888.",
    "citations": [("Sterling et al. 2006, Hepatology 43:1317", "https://doi.org/10.1002/hep.21178"), ("EASL 2021, J Hepatol 75:659", "https://doi.org/10.1016/j.jhep.2021.05.025")],
}


def formula(f, x):
    return {"index": x["age"] * x["ast"] / (x["platelets"] * f.sqrt(x["alt"])), "over_65": f.where(f.ge(x["age"], 65.0), 1.0, 0.0)}


BASE = {"age": 35, "ast": 107, "alt": 104, "platelets": 181}
if __name__ == "__main__":
    make(SPEC, formula, [("35 years, AST 107, ALT 104, platelets 181", "two calculators", BASE, 5.001e-6, {"index": 2.02888})], grid(BASE, age=[64, 65, 90], ast=[12, 900], alt=[9, 900], platelets=[20, 700]))
