"""Scores that are sums of points: the specification's common part and the sum."""
from publish import CONTRAINDICATED, contributions, output


def spec(name, title, description, kind, features, columns, bands, intended, population, limitations, how, citations, authors, data, most,
         against=(), applicable=(), require=(), extra=(), urgent=False, hooks=("patient-view",), horizon=None, demographics="Race and ethnicity are not inputs.", parts=None):
    return {
        "name": name, "version": "1.0.0", "title": title, "description": description, "authors": authors, "kind": kind, "origin": "score",
        "features": features, "columns": columns, **({"applicable": list(applicable)} if applicable else {}), **({"require": list(require)} if require else {}),
        "outputs": [output("points", title, "points", "headline", unit="{score}", bands=bands, **({"horizon": horizon} if horizon else {})),
                    contributions("points", parts or columns, "points", "nothing present has 0 points"), *extra],
        "hooks": list(hooks), "urgent": urgent,
        "use": {"intended": intended, "population": population, "users": "Clinicians.", "contraindicated": [*against, CONTRAINDICATED]},
        "limitations": ["The points are not a probability.", *limitations],
        "made_of": {"output": f"Points, at most {most}, with the points of each item.", "type": "Evaluation (a score)", "data": data, "demographics": demographics},
        "how": how, "citations": citations}


def total(parts, **more):
    s = parts[0]
    for p in parts[1:]:
        s = s + p
    return {"points": s, "contributions": parts} | more
