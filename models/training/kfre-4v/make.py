"""Kidney Failure Risk Equation, 4 variables, as an ONNX graph.

Coefficients and centring: Tangri et al. 2011, JAMA 305:1553 (doi 10.1001/jama.2011.451).
Baseline survival for North America and elsewhere: Tangri et al. 2016, JAMA 315:164
(doi 10.1001/jama.2015.18202). eGFR from creatinine: CKD-EPI 2021, Inker et al., NEJM
385:1737 (doi 10.1056/NEJMoa2102953). Second source of each number: lshpaner/kfre.
"""
import itertools
import math

import numpy as np

from score import Graph, case, write

NAME, VERSION = "kfre-4v", "1.0.0"
FEATURES = ["age", "sex", "egfr", "creatinine", "acr"]

# feature: coefficient, scale, centre of (value / scale)
TERMS = {"age": (-0.2201, 10.0, 7.036), "sex": (0.2467, 1.0, 0.5642),
         "egfr": (-0.5567, 5.0, 7.222), "acr": (0.4510, 1.0, 5.137)}
BASELINES = {"risk_2y": 0.9750, "risk_5y": 0.9240, "risk_2y_world": 0.9832, "risk_5y_world": 0.9365}


def build():
    g = Graph(NAME, FEATURES)
    age, sex, reported, creatinine, acr = g.split("features", len(FEATURES))
    male = g.yes(sex)
    ratio = g.div(creatinine, g.where(male, 0.9, 0.7))
    low = g.pow(g.min(ratio, 1.0), g.where(male, -0.302, -0.241))
    computed = g.mul(g.mul(g.mul(142.0, low), g.pow(g.max(ratio, 1.0), -1.200)),
                     g.mul(g.pow(0.9938, age), g.where(male, 1.0, 1.012)))
    egfr = g.where(g.isnan(reported), computed, reported)  # a reported value comes first
    table = g.join([age, sex, egfr, g.log(acr)])
    row = lambda i: np.array([[term[i] for term in TERMS.values()]])
    parts = g.mul(row(0), g.sub(g.div(table, row(1)), row(2)))
    hazard = g.exp(g.op("ReduceSum", parts, np.array([1], np.int64), keepdims=1))
    risks = g.sub(1.0, g.pow(np.array([list(BASELINES.values())]), hazard))
    for name, risk in zip(BASELINES, g.split(risks, len(BASELINES))):
        g.output(name, risk)
    g.output("egfr", egfr)
    g.output("contributions", parts, len(TERMS))
    return g.model("Kidney Failure Risk Equation, 4 variables (Tangri 2011, 2016), with CKD-EPI 2021 eGFR.")


def plain(row):
    """The same in plain Python, for the golden cases."""
    male = row["sex"] > 0.5
    egfr = row.get("egfr", math.nan)
    if math.isnan(egfr):
        r = row["creatinine"] / (0.9 if male else 0.7)
        egfr = (142 * min(r, 1) ** (-0.302 if male else -0.241) * max(r, 1) ** -1.200
                * 0.9938 ** row["age"] * (1 if male else 1.012))
    values = {"age": row["age"], "sex": row["sex"], "egfr": egfr, "acr": math.log(row["acr"])}
    parts = [b * (values[f] / s - c) for f, (b, s, c) in TERMS.items()]
    hazard = math.exp(sum(parts))
    out = {name: 1 - survival ** hazard for name, survival in BASELINES.items()}
    return out | {"egfr": egfr, "contributions": parts}


def cases():
    yield case("worked example: man of 55, eGFR 45, ACR 120", "Tangri 2011/2016, two calculators: 1.24707 %", FEATURES,
               {"age": 55, "sex": 1, "egfr": 45, "acr": 120}, tolerance=5e-8, risk_2y=0.0124707)
    yield case("worked example: CKD-EPI 2021, woman of 50, creatinine 1.0", "Inker 2021: 68.6335", FEATURES,
               {"age": 50, "sex": 0, "creatinine": 1.0, "acr": 30}, tolerance=5e-5, egfr=68.6335)
    own = "computed in plain Python from the published coefficients"
    grid = itertools.product((18, 47.5, 90), (0, 1), (10, 35, 59.9), (0.5, 30, 5000))
    for age, sex, egfr, acr in grid:
        row = {"age": age, "sex": sex, "egfr": egfr, "acr": acr}
        yield case(f"{'man' if sex else 'woman'} of {age}, eGFR {egfr}, ACR {acr}", own, FEATURES, row, **plain(row))
    for sex, creatinine in itertools.product((0, 1), (0.4, 0.7, 0.9, 1.8, 6.5)):
        row = {"age": 63, "sex": sex, "creatinine": creatinine, "acr": 300}
        yield case(f"no eGFR reported, {'man' if sex else 'woman'}, creatinine {creatinine}", own, FEATURES, row, **plain(row))
    row = {"age": 63, "sex": 1, "egfr": 30, "creatinine": 9.9, "acr": 300}
    yield case("a reported eGFR comes before a computed one", own, FEATURES, row, **plain(row))


if __name__ == "__main__":
    write(NAME, VERSION, build(), list(cases()))
