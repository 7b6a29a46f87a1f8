"""qSOFA: Seymour et al. 2016, JAMA 315:762; Singer et al. 2016 (Sepsis-3)."""
import features as F
from formula import steps, yes
from points import spec, total
from publish import band
from scorecard import grid, make

FEATURES = [F.RESPIRATION, F.changed(F.SBP, window="24h"), F.CONSCIOUSNESS, F.AGE]
SPEC = spec("qsofa", "qSOFA", "Quick bedside sign of a poor course in adults with suspected infection.", "prognosis", FEATURES,
            ["respiratory_rate", "systolic", "consciousness"],
            [band("Positive", "critical", "high", "Look for organ dysfunction; consider sepsis treatment and closer monitoring (Sepsis-3).", ge=2), band("Negative", "info", "low", lt=2)],
            "Informs the search for organ dysfunction in suspected infection.", "Adults with suspected infection outside intensive care.",
            ["That infection is suspected is not checked.", "Vital signs of the last 24 hours count, the latest of each.", "A low score does not rule out sepsis; Surviving Sepsis 2021 advises against it as the only screening."],
            "One point each: respiratory rate ≥ 22, systolic pressure ≤ 100, altered mentation (Glasgow coma score below 15).",
            [("Seymour et al. 2016, JAMA 315:762", "https://doi.org/10.1001/jama.2016.0288"), ("Singer et al. 2016, JAMA 315:801", "https://doi.org/10.1001/jama.2016.0287")],
            "Seymour et al.", "148,907 encounters with suspected infection of 12 hospitals in Pennsylvania.", 3, ["As the only screening for sepsis"],
            [{"feature": "age", "ge": 18, "reason": "qSOFA was made for adults"}], urgent=True, hooks=("patient-view", "encounter-start"))


def formula(f, x):
    low = f.where(f.isnan(x["systolic"]), x["systolic"], f.where(f.gt(x["systolic"], 100.0), 0.0, 1.0))
    return total([steps(f, x["respiratory_rate"], 0.0, (22, 1.0)), low, f.where(yes(f, x["consciousness"]), 1.0, f.where(f.isnan(x["consciousness"]), float("nan"), 0.0))])


WELL = {"respiratory_rate": 16, "systolic": 120, "consciousness": 0}
if __name__ == "__main__":
    make(SPEC, formula, [("all three", "Seymour 2016", {"respiratory_rate": 22, "systolic": 100, "consciousness": 1}, 0, {"points": 3}), ("none", "Seymour 2016", WELL, 0, {"points": 0})],
         grid(WELL, respiratory_rate=[21, 21.9, 22], systolic=[100, 100.5, 101], consciousness=[1]))
