"""SCORE2's shape: Cox sums by sex, then recalibration by region of Europe.
SCORE2 working group 2021, Eur Heart J 42:2439; regions' scales: supplementary table 4."""
import features as F
from formula import yes
from publish import band, probability

REGIONS = {"low": ((-0.5699, 0.7476), (-0.7380, 0.7019)), "moderate": ((-0.1565, 0.8009), (-0.3143, 0.7701)),
           "high": ((0.3207, 0.9360), (0.5710, 0.9369)), "very_high": ((0.5836, 0.8294), (0.9412, 0.8329))}
S0 = (0.9605, 0.9776)  # men, women
FATAL = F.sct("49601007", "Disorder of cardiovascular system")


def outputs():
    out = []
    for region in REGIONS:
        words = region.replace("_", " ")
        out.append(probability(f"risk_10y_{region}", f"Cardiovascular disease within 10 years, {words}-risk region", FATAL, "P10Y",
                               f"Recalibrated to the {words}-risk region of Europe (ESC 2021)", "headline" if region == "low" else None,
                               bands=[band("High", "warning", "high", ge=0.1), band("Moderate", "warning", "moderate", ge=0.05, lt=0.1),
                                      band("Low to moderate", "info", "low", lt=0.05)] if region == "low" else None) )
    return [{k: v for k, v in o.items() if v is not None} for o in out]


def recalibrated(f, male, men, women):
    """men and women: their linear predictors."""
    out = {}
    from math import log
    for region, scales in REGIONS.items():
        risks = []
        for total, s0, (a, b) in zip((men, women), S0, scales):
            x = total + log(-log(s0))  # ln(−ln(1 − risk)) without the loss of digits
            risks.append(1.0 - f.exp(-f.exp(x * b + a)))
        out[f"risk_10y_{region}"] = f.where(male, *risks)
    return out
