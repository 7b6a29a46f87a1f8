"""A published formula from specification to catalog folder."""
from formula import build, compute
from publish import publish
from score import case


def make(spec, formula, worked, rows):
    """worked: (name, source, row, tolerance, {output: value}) from the literature;
    rows: further rows, whose outputs are computed in plain Python."""
    names = spec.get("columns", [f["name"] for f in spec["features"]])
    model = build(spec["name"], spec["title"] + ".", names, formula, [o["name"] for o in spec["outputs"]])
    cases = []
    for name, source, row, tolerance, expected in worked:
        cases.append(case(name, source, names, row, tolerance=tolerance, **expected))
        result = compute(formula, names, row)
        for key, want in expected.items():  # the transcription, before the graph
            got = result[key]
            pairs = zip(got, want) if isinstance(want, list) else [(got, want)]
            assert all(abs(a - b) <= tolerance for a, b in pairs), (spec["name"], name, key, got, want)
    own = "computed in plain Python from the published numbers"
    for row in rows:
        label = ", ".join(f"{k} {v:g}" for k, v in row.items())
        cases.append(case(label, own, names, row, **compute(formula, names, row)))
    publish(spec, model, cases)


def grid(base, **values):
    """base with one value changed at a time: both sides of every limit."""
    return [base] + [base | {k: v} for k, vs in values.items() for v in vs]
