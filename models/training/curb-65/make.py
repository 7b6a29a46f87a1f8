"""CURB-65: Lim et al. 2003, Thorax 58:377."""
import features as F
from formula import steps, yes
from points import spec, total
from publish import band
from scorecard import grid, make

UREA = F.observation("urea", "Urea", [
    F.coding(F.LOINC, "22664-7", "Urea [Moles/volume] in Serum or Plasma"), F.coding(F.LOINC, "14937-7", "Urea nitrogen [Moles/volume] in Serum or Plasma"),
    F.loinc("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", conversions=[{"unit": "mg/dL", "multiply": 0.357}]),
    F.loinc("6299-2", "Urea nitrogen [Mass/volume] in Blood", conversions=[{"unit": "mg/dL", "multiply": 0.357}])], "mmol/L", window="48h", plausible={"gt": 0, "le": 120})
FEATURES = [F.CONSCIOUSNESS, UREA, F.changed(F.RESPIRATION), F.changed(F.SBP, window="24h"), F.changed(F.DBP, window="24h"), F.AGE]
SPEC = spec("curb-65", "CURB-65", "Severity of community-acquired pneumonia in adults: points from 0 to 5 for the risk of death within 30 days.", "prognosis", FEATURES,
            ["consciousness", "urea", "respiratory_rate", "systolic", "diastolic", "age"],
            [band("Severe", "critical", "high", "Hospital care; consider intensive care at 4 or 5 (BTS 2009).", ge=3),
             band("Intermediate", "warning", "moderate", "Consider short hospital care or close outpatient care (BTS 2009).", ge=2, lt=3), band("Low", "info", "low", "Outpatient care may be right (BTS 2009).", lt=2)],
            "Informs where an adult with community-acquired pneumonia is treated.", "Adults with community-acquired pneumonia at presentation.",
            ["That the patient has pneumonia is not checked.", "Urea nitrogen in mg/dL is converted to urea by 0.357.", "Altered consciousness stands for new confusion."],
            "One point each: confusion, urea > 7 mmol/L, respiratory rate ≥ 30, systolic < 90 or diastolic ≤ 60 mmHg, age ≥ 65.",
            [("Lim et al. 2003, Thorax 58:377", "https://doi.org/10.1136/thorax.58.5.377")], "Lim et al.", "1,068 adults of three prospective studies (UK, New Zealand, Netherlands).", 5,
            ["Hospital-acquired pneumonia"], [{"feature": "age", "ge": 18, "reason": "CURB-65 was made for adults"}], urgent=True, hooks=("patient-view", "encounter-start"), horizon="P30D",
            demographics="Age is an input. Race and ethnicity are not.", parts=["consciousness", "urea", "respiratory_rate", "systolic", "age"])


def formula(f, x):
    over = lambda v, limit: f.where(f.isnan(v), v, f.where(f.gt(v, limit), 1.0, 0.0))
    low = f.where(f.ge(x["systolic"], 90.0), f.where(f.gt(x["diastolic"], 60.0), 0.0, 1.0), 1.0)
    low = f.where(f.isnan(x["systolic"] + x["diastolic"]), float("nan"), low)
    return total([over(x["consciousness"], 0.5), over(x["urea"], 7.0), steps(f, x["respiratory_rate"], 0.0, (30, 1.0)), low, steps(f, x["age"], 0.0, (65, 1.0))])


WELL = {"consciousness": 0, "urea": 5, "respiratory_rate": 16, "systolic": 120, "diastolic": 80, "age": 40}
if __name__ == "__main__":
    make(SPEC, formula, [("all five", "Lim 2003", {"consciousness": 1, "urea": 7.1, "respiratory_rate": 30, "systolic": 89, "diastolic": 80, "age": 65}, 0, {"points": 5}), ("none", "Lim 2003", WELL, 0, {"points": 0})],
         grid(WELL, consciousness=[1], urea=[7, 7.01], respiratory_rate=[29, 30], systolic=[89, 90], diastolic=[60, 61], age=[64, 65]))
