"""Writes a model's whole catalog folder: manifest.yaml, model.onnx, golden.json, CARD.md.

A maker says what is its own (features, outputs, evidence, limits); what is the same
for every model of the catalog stands here once.
"""
import json
import re

from score import CATALOG, OPSET, write

UNMONITORED = {"unavailable": "is the deploying organisation's task; Galen keeps every assessment so that it can be compared with outcomes"}
UNPUBLISHED = {"unavailable": "not published by demographic group"}
CONTRAINDICATED = "As the sole ground to start, withhold or stop a treatment"


# What runs unasked: a few models for many patients, since each costs every EHR its
# queries and every clinician attention. All others answer on request ($assess, /v2).
HOOKS = {name: ["patient-view"] for name in ("ckd-epi-2021", "cha2ds2-vasc", "fib-4", "prevent-2023")} | {"qsofa": ["encounter-start"]}


def unavailable(reason): return {"unavailable": reason}


def output(name, label, meaning, report=None, **more):
    out = {"name": name, "dtype": more.pop("dtype", "float64"), "shape": more.pop("shape", [-1]), "label": label, "meaning": meaning}
    return out | ({"report": report} if report else {}) | more


def probability(name, label, outcome, horizon, calibration, report=None, **more):
    return output(name, label, "probability", report, outcome=outcome, calibration=calibration,
                  **({"horizon": horizon} if horizon else {}), **more)


def contributions(of, columns, scale, baseline):
    return output("contributions", "Contribution of each input", "contribution", shape=[-1, len(columns)], of=of,
                  columns=columns, scale=scale, baseline=baseline)


def band(label, indicator="info", risk=None, advice=None, **limits):
    return limits | {"label": label} | ({"risk": risk} if risk else {}) | {"indicator": indicator} | ({"advice": advice} if advice else {})


def manifest(spec, digest):
    use, what = spec["use"], spec["made_of"]
    origin = spec.get("origin", "equation")
    transparency = {
        "developer": f"{spec['authors']}; transcribed to ONNX by the Galen project (issue tracker)." if not spec.get("trained")
        else "Galen project (issue tracker).",
        "funding": unavailable("the Galen project has no funding to declare; for the published work see the papers"),
        "output_value": what["output"],
        "output_type": what.get("type", "Prediction"),
        "intended_use": use["intended"], "intended_population": use["population"], "intended_users": use["users"],
        "decision_role": "Informs clinical management; never replaces it and never acts by itself.",
        "cautioned_uses": "; ".join(use["contraindicated"]) + ".",
        "known_risks": "Wrong, old or missing inputs give wrong results; see limitations.",
        "training_criteria": what["data"],
        "demographic_inputs": what["demographics"] + " Language, sexual orientation, gender identity and social determinants are not used.",
        "training_representativeness": what.get("represents", unavailable("not told in this card; see the papers")),
        "training_relevance": unavailable("depends on the deploying organisation's patients"),
        "fairness_approach": what.get("fairness", unavailable("not reported by the makers")),
        "bias_management": what.get("bias", "Results are refused outside the range the model was made for instead of extrapolated."),
        "external_data": what.get("external", unavailable("none is claimed here; see the papers")),
        "external_party": what.get("external_party", unavailable("none is claimed here; see the papers")),
        "external_representativeness": UNPUBLISHED,
        "external_process": what.get("external_process", unavailable("none is claimed here; see the papers")),
        "validity_internal": what.get("internal", unavailable("none is claimed here; see the papers")),
        "fairness_internal": what.get("fairness_internal", UNPUBLISHED),
        "validity_external": what.get("validity", unavailable("none is claimed here; see the papers")),
        "fairness_external": UNPUBLISHED,
        "outcome_evaluations": unavailable("no evaluation of outcomes of this implementation exists"),
        "validity_monitoring": UNMONITORED, "validity_local": unavailable("not measured before local use"),
        "fairness_monitoring": UNMONITORED, "fairness_local": unavailable("not measured before local use"),
        "update_process": "A change is a new version with a new digest and golden cases; a published version never changes. No fixed schedule.",
        "correction_frequency": unavailable("no schedule; an error found leads to a new version, and the faulty one can be withdrawn at once"),
    }
    reads = spec.get("reads", "Reads no image, signal or pattern; single values and diagnoses of the record.")
    urgent = spec.get("urgent")
    pixels = any("image" in i for i in spec.get("inputs", []))
    regulatory = {
        "class": "Device function: analyses a medical image (self-assessed, not reviewed by a regulator)" if pixels else "Undetermined; time-critical use may make it a device function (self-assessed, not reviewed by a regulator)" if urgent
        else "Non-device clinical decision support (self-assessed, not reviewed by a regulator)",
        "device": pixels, "patient_facing": False,
        "criteria": [
            {"number": 1, "met": not pixels, "answer": reads},
            {"number": 2, "met": True, "answer": "Displays and analyses medical information of the kind clinicians discuss."},
            {"number": 3, "met": not urgent, "answer": "May be used where minutes count: an organisation must judge this for its own use." if urgent
             else "Gives a result and published options to a clinician; not directive and not time-critical."},
            {"number": 4, "met": True, "answer": f"Every input with value and date, the {origin} and its evidence are shown for independent review."}]}
    names = [f["name"] for f in spec["features"]]
    columns = spec.get("columns", names)
    m = {
        "name": spec["name"], "version": spec["version"], "title": spec["title"], "description": spec["description"],
        "developer": {"name": "Galen project" if spec.get("trained") else f"Galen project (transcription); {spec['authors']} ({origin})",
                      "contact": "the issue tracker of the Galen project"},
        "kind": spec["kind"], "file": "model.onnx", "sha256": digest, "runtime": "onnx", "opset": OPSET,
        "inputs": spec.get("inputs") or [{"name": "features", "dtype": "float64", "shape": [-1, len(columns)], "columns": columns}],
        "features": spec["features"]}
    for key in ("require", "applicable"):
        if spec.get(key):
            m[key] = spec[key]
    return m | {"outputs": spec["outputs"], "hooks": spec.get("hooks", HOOKS.get(spec["name"], [])), "use": use,
                "limitations": spec["limitations"], **({"evaluation": spec["evaluation"]} if spec.get("evaluation") else {}),
                "citations": [{"label": a, "url": b} for a, b in spec["citations"]],
                "transparency": transparency | spec.get("transparency", {}), "regulatory": regulatory}


PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./()-]+)*$")
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def scalar(x):
    if isinstance(x, str) and PLAIN.match(x) and x.lower() not in WORDS and len(x) < 90:
        return x
    return json.dumps(x, ensure_ascii=False)


def flow(x):
    if isinstance(x, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in x.items()) + "}"
    if isinstance(x, list):
        return "[" + ", ".join(flow(v) for v in x) + "]"
    return scalar(x)


def block(x, indent=""):
    """YAML: what fits a line stays on it."""
    lines = []
    if isinstance(x, dict):
        for k, v in x.items():
            if isinstance(v, (dict, list)) and len(flow(v)) > 100 or isinstance(v, list) and v and isinstance(v[0], dict):
                lines += [f"{indent}{k}:"] + block(v, indent + "  ")
            else:
                lines.append(f"{indent}{k}: {flow(v)}")
        return lines
    for v in x:
        if isinstance(v, dict) and (len(flow(v)) > 150 or any(isinstance(i, list) and i and isinstance(i[0], dict) for i in v.values())):
            inner = block(v, indent + "  ")
            lines.append(indent + "- " + inner[0][len(indent) + 2:])
            lines += inner[1:]
        else:
            lines.append(f"{indent}- {flow(v)}")
    return lines


def yaml(m):
    return "\n".join(line for key in m for line in [*block({key: m[key]}), ""] if line or key not in
                     ("name", "version", "title", "kind", "file", "sha256", "runtime")) + "\n"


def card(spec, m):
    def limits(f):
        return f" ({f['unit']})" if f.get("unit") and f["unit"] != "1" else ""
    lines = [f"# {spec['title']} ({spec['name']} {spec['version']})", "", f"**What it tells.** {spec['description']}", "",
             "**From what.**", ""]
    rule = {"required": "required", "optional": "used when recorded", "default": "assumed when not recorded"}
    for f in spec["features"]:
        note = rule[f["missing"]] if f["kind"] not in ("condition", "medication", "procedure") else "nothing on record counts as no"
        window = f", at most {f['window']} old" if f.get("window") else ""
        lines.append(f"- {f['label']}{limits(f)}: {note}{window}")
    lines += ["", "**How.** " + spec["how"].strip(), ""]
    if spec.get("applicable"):
        lines += ["**Refused rather than guessed.** Missing required inputs, and:", ""] + [f"- {a['reason']}" for a in spec["applicable"]] + [""]
    if spec.get("evaluation"):
        lines += ["**Figures.**", "", "| metric | value | data | source |", "|---|---|---|---|"]
        for e in spec["evaluation"]:
            interval = f" ({e['low']}–{e['high']})" if "low" in e else ""
            lines.append(f"| {e['metric']} | {e['value']}{interval} | {e['data']} | {e['source']} |")
        lines.append("")
        if not spec.get("trained"):
            lines += ["None of these figures was measured with this implementation or at your site.", ""]
    lines += ["**Limits.**", ""] + [f"- {x}" for x in spec["limitations"]] + [""]
    lines += ["**Must not be used** for:", ""] + [f"- {x}" for x in spec["use"]["contraindicated"]] + [""]
    lines += ["**Sources.** " + "; ".join(f"{a} ({b})" for a, b in spec["citations"]) + f". Made by `make train MODEL={spec['name']}`.", ""]
    return "\n".join(lines)


def publish(spec, model, cases, tolerance=1e-12):
    """Writes the folder. Golden cases must reproduce within tolerance, absolute and relative."""
    folder = CATALOG / spec["name"] / spec["version"]
    folder.mkdir(parents=True, exist_ok=True)
    m = manifest(spec, "0" * 64)
    (folder / "manifest.yaml").write_text(yaml(m))
    (folder / "CARD.md").write_text(card(spec, m))
    write(spec["name"], spec["version"], model, cases)
    if tolerance != 1e-12:
        golden = folder / "golden.json"
        golden.write_text(golden.read_text().replace('{"absolute": 1e-12, "relative": 1e-12}',
                                                     json.dumps({"absolute": tolerance, "relative": tolerance}), 1))
