"""Wells score for deep vein thrombosis: Wells et al. 2003, N Engl J Med 349:1227 (two levels, with previous DVT)."""
import features as F
from points import spec, total
from publish import band
from scorecard import grid, make
from wells import CANCER, DVT, NOTE

ITEMS = [F.item(f"wells-dvt-{c}", l, "48h") for c, l in (("paralysis", "Paralysis, paresis or recent plaster of a leg"), ("bedridden", "Bedridden 3 days or major surgery within 12 weeks"), ("tenderness", "Tenderness along the deep veins"),
         ("leg-swollen", "Entire leg swollen"), ("calf-swollen", "Calf 3 cm thicker than the other"), ("oedema", "Pitting oedema of the symptomatic leg"), ("collaterals", "Collateral superficial veins"))]
ALTERNATIVE = F.item("wells-dvt-alternative", "Alternative diagnosis at least as likely", "48h", "required")
PREVIOUS = F.condition("previous_dvt", "Previous deep vein thrombosis on record", DVT, past=True)
COLUMNS = ["cancer", *[i["name"] for i in ITEMS], "previous_dvt", ALTERNATIVE["name"]]
SPEC = spec("wells-dvt", "Wells score for deep vein thrombosis", "Pre-test likelihood of deep vein thrombosis of the leg: points from −2 to 9.", "diagnosis", [CANCER, *ITEMS, PREVIOUS, ALTERNATIVE], COLUMNS,
            [band("Likely", "warning", "high", "Ultrasound of the leg (Wells 2003).", ge=2), band("Unlikely", "info", "low", "D-dimer first (Wells 2003).", lt=2)],
            "Informs the choice between D-dimer and ultrasound.", "Outpatients with suspected deep vein thrombosis.", [NOTE], "One point each for nine findings, −2 if an alternative diagnosis is at least as likely.",
            [("Wells et al. 2003, N Engl J Med 349:1227", "https://doi.org/10.1056/NEJMoa023153")], "Wells et al.", "1,096 outpatients with suspected deep vein thrombosis (Canada).", 9, ["Pregnancy", "People on anticoagulants"])


def formula(f, x): return total([x[c] * (-2.0 if c == COLUMNS[-1] else 1.0) for c in COLUMNS])


NONE = dict.fromkeys(COLUMNS, 0)
if __name__ == "__main__":
    make(SPEC, formula, [("everything, no alternative", "Wells 2003", dict.fromkeys(COLUMNS, 1) | {COLUMNS[-1]: 0}, 0, {"points": 9}), ("alternative alone", "Wells 2003", NONE | {COLUMNS[-1]: 1}, 0, {"points": -2})], grid(NONE, **{c: [1] for c in COLUMNS}))
