"""Wells score for pulmonary embolism: Wells et al. 2000, Thromb Haemost 83:416."""
import features as F
from points import spec, total
from publish import band
from scorecard import grid, make
from wells import CANCER, DVT, NOTE, PE

ITEMS = [F.item(f"wells-pe-{c}", l, "48h") for c, l in (("dvt-signs", "Signs of deep vein thrombosis"), ("immobile", "Immobile 3 days or surgery within 4 weeks"), ("haemoptysis", "Haemoptysis"))]
LIKELIEST = F.item("wells-pe-likeliest", "Pulmonary embolism at least as likely as an alternative", "48h", "required")
PREVIOUS = F.condition("previous_vte", "Previous deep vein thrombosis or pulmonary embolism on record", DVT + PE, past=True)
COLUMNS = ["wells_pe_dvt_signs", "wells_pe_likeliest", "pulse", "wells_pe_immobile", "previous_vte", "wells_pe_haemoptysis", "cancer"]
WEIGHTS = (3.0, 3.0, None, 1.5, 1.5, 1.0, 1.0)
SPEC = spec("wells-pe", "Wells score for pulmonary embolism", "Pre-test likelihood of pulmonary embolism: points from 0 to 12.5.", "diagnosis", [*ITEMS, LIKELIEST, F.PULSE, PREVIOUS, CANCER], COLUMNS,
            [band("Likely", "warning", "high", "CT pulmonary angiography (two-level score).", gt=4), band("Unlikely", "info", "low", "D-dimer first (two-level score).", le=4)],
            "Informs the choice between D-dimer and imaging.", "Adults with suspected pulmonary embolism.", [NOTE], "Signs of DVT 3, embolism likeliest 3, pulse over 100 1.5, immobile or surgery 1.5, previous DVT or PE 1.5, haemoptysis 1, cancer 1.",
            [("Wells et al. 2000, Thromb Haemost 83:416", "https://doi.org/10.1055/s-0037-1613830")], "Wells et al.", "1,239 people with suspected pulmonary embolism (Canada).", 12.5, ["Pregnancy", "People on anticoagulants"], urgent=True)


def formula(f, x):
    fast = f.where(f.isnan(x["pulse"]), x["pulse"], f.where(f.gt(x["pulse"], 100.0), 1.5, 0.0))
    return total([fast if w is None else x[c] * w for c, w in zip(COLUMNS, WEIGHTS)])


NONE = dict.fromkeys(COLUMNS, 0) | {"pulse": 80}
if __name__ == "__main__":
    make(SPEC, formula, [("everything", "Wells 2000", dict.fromkeys(COLUMNS, 1) | {"pulse": 110}, 0, {"points": 12.5}), ("nothing", "Wells 2000", NONE, 0, {"points": 0})],
         grid(NONE, pulse=[100, 100.5, 101], **{c: [1] for c in COLUMNS if c != "pulse"}))
