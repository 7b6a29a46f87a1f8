"""National Early Warning Score 2 as an ONNX graph.

Chart 1 of: Royal College of Physicians. National Early Warning Score (NEWS) 2:
Standardising the assessment of acute-illness severity in the NHS. London: RCP, 2017.

Devices report averages, the chart has whole numbers: rates, pressure and saturation
are rounded to the whole, temperature to the tenth, halves up.
"""
import math

import numpy as np

from score import HAIR, Graph, case, write

NAME, VERSION = "news2", "1.0.0"
FEATURES = ["respiratory_rate", "spo2", "hypercapnic", "oxygen", "systolic", "pulse", "consciousness", "temperature"]

# points below the first limit, then (from this value on, points)
RATE = (3, (9, 1), (12, 0), (21, 2), (25, 3))
SCALE1 = (3, (92, 2), (94, 1), (96, 0))
SCALE2_AIR = (3, (84, 2), (86, 1), (88, 0))
SCALE2_OXYGEN = (3, (84, 2), (86, 1), (88, 0), (93, 1), (95, 2), (97, 3))
SYSTOLIC = (3, (91, 2), (101, 1), (111, 0), (220, 3))
PULSE = (3, (41, 1), (51, 0), (91, 1), (111, 2), (131, 3))
OXYGEN = (0, (1, 2))
NOT_ALERT = (0, (1, 3))
TENTHS = (3, (351, 1), (361, 0), (381, 1), (391, 2))  # of a degree


def build():
    g = Graph(NAME, FEATURES)
    _, _, hypercapnic, oxygen, _, _, _, _ = g.split("features", len(FEATURES))
    # One table of all vital signs, saturation three times: for each scale and gas.
    used = ["respiratory_rate", "spo2", "spo2", "spo2", "oxygen", "systolic", "pulse", "consciousness", "temperature"]
    table = g.op("Gather", "features", np.array([FEATURES.index(f) for f in used], np.int64), axis=1)
    scale = np.array([[10.0 if f == "temperature" else 1.0 for f in used]])
    points = g.steps(g.half_up(g.mul(table, scale)),
                     RATE, SCALE1, SCALE2_AIR, SCALE2_OXYGEN, OXYGEN, SYSTOLIC, PULSE, NOT_ALERT, TENTHS)
    rate, scale1, scale2_air, scale2_oxygen, *rest = g.split(points, len(used))
    scale2 = g.where(g.yes(oxygen), scale2_oxygen, scale2_air)
    parts = [rate, g.where(g.yes(hypercapnic), scale2, scale1), *rest]  # scale 1 unless said otherwise
    table = g.join(parts)
    largest = g.op("ReduceMax", table, axes=[1], keepdims=1)
    g.output("points", g.op("ReduceSum", table, np.array([1], np.int64), keepdims=1))
    g.output("single_three", g.where(g.ge(largest, 3.0), 1.0, 0.0))
    g.output("contributions", table, len(parts))
    return g.model("National Early Warning Score 2 (Royal College of Physicians, 2017).")


def points_of(x, table):
    return next((float(p) for limit, p in reversed(table[1:]) if x >= limit), float(table[0]))


def plain(row):
    """The same in plain Python, for the golden cases."""
    whole = lambda x: math.floor(x + 0.5 + HAIR)
    oxygen, spo2 = row["oxygen"] > 0.5, whole(row["spo2"])
    table = SCALE1 if not row.get("hypercapnic", 0) > 0.5 else SCALE2_OXYGEN if oxygen else SCALE2_AIR
    parts = [points_of(whole(row["respiratory_rate"]), RATE), points_of(spo2, table), 2.0 if oxygen else 0.0,
             points_of(whole(row["systolic"]), SYSTOLIC), points_of(whole(row["pulse"]), PULSE),
             3.0 if row["consciousness"] > 0.5 else 0.0, points_of(whole(row["temperature"] * 10), TENTHS)]
    return {"points": sum(parts), "single_three": float(max(parts) >= 3), "contributions": parts}


WELL = {"respiratory_rate": 16, "spo2": 97, "hypercapnic": 0, "oxygen": 0, "systolic": 125, "pulse": 75,
        "consciousness": 0, "temperature": 37.0}


def cases():
    rcp = "RCP 2017, chart 1"
    row = WELL | {"respiratory_rate": 22, "spo2": 93, "systolic": 105, "pulse": 105, "temperature": 38.5}
    yield case("worked example: 2+2+0+1+1+0+1", rcp, FEATURES, row, points=7, single_three=0,
               contributions=[2, 2, 0, 1, 1, 0, 1])
    yield case("well", rcp, FEATURES, WELL, points=0, single_three=0, contributions=[0] * 7)
    yield case("worst", rcp, FEATURES,
               {"respiratory_rate": 40, "spo2": 70, "hypercapnic": 0, "oxygen": 1, "systolic": 60, "pulse": 180,
                "consciousness": 1, "temperature": 34}, points=20, single_three=1, contributions=[3, 3, 2, 3, 3, 3, 3])
    # Both sides of every limit of the chart, one vital at a time; points written out by hand.
    chart = {
        "respiratory_rate": (0, {8: 3, 9: 1, 11: 1, 12: 0, 20: 0, 21: 2, 24: 2, 25: 3}),
        "spo2": (1, {91: 3, 92: 2, 93: 2, 94: 1, 95: 1, 96: 0, 100: 0}),
        "oxygen": (2, {0: 0, 1: 2}),
        "systolic": (3, {90: 3, 91: 2, 100: 2, 101: 1, 110: 1, 111: 0, 219: 0, 220: 3}),
        "pulse": (4, {40: 3, 41: 1, 50: 1, 51: 0, 90: 0, 91: 1, 110: 1, 111: 2, 130: 2, 131: 3}),
        "consciousness": (5, {0: 0, 1: 3}),
        "temperature": (6, {35.0: 3, 35.1: 1, 36.0: 1, 36.1: 0, 38.0: 0, 38.1: 1, 39.0: 1, 39.1: 2}),
    }
    for vital, (column, table) in chart.items():
        for value, points in table.items():
            expected = [0] * 7
            expected[column] = points
            yield case(f"{vital} {value}", rcp, FEATURES, WELL | {vital: value}, points=points,
                       single_three=points == 3, contributions=expected)
    for oxygen, table in ((0, {83: 3, 84: 2, 85: 2, 86: 1, 87: 1, 88: 0, 92: 0, 93: 0, 100: 0}),
                          (1, {83: 3, 84: 2, 85: 2, 86: 1, 87: 1, 88: 0, 92: 0, 93: 1, 94: 1, 95: 2, 96: 2, 97: 3, 100: 3})):
        for value, points in table.items():
            yield case(f"scale 2, spo2 {value} on {'oxygen' if oxygen else 'air'}", rcp, FEATURES,
                       WELL | {"hypercapnic": 1, "oxygen": oxygen, "spo2": value}, points=points + 2 * oxygen,
                       single_three=points == 3, contributions=[0, points, 2 * oxygen, 0, 0, 0, 0])
    halves = "half up to the chart's precision"
    for vital, value in (("respiratory_rate", 20.5), ("respiratory_rate", 20.4999), ("spo2", 95.5), ("spo2", 91.49),
                         ("systolic", 219.5), ("pulse", 90.5), ("temperature", 38.05), ("temperature", 36.0499),
                         ("temperature", 39.05), ("temperature", 35.05)):
        row = WELL | {vital: value}
        yield case(f"rounding: {vital} {value}", halves, FEATURES, row, **plain(row))
    row = {k: v for k, v in WELL.items() if k != "hypercapnic"} | {"spo2": 90}
    yield case("no word of hypercapnic failure means scale 1", rcp, FEATURES, row, points=3, single_three=1,
               contributions=[0, 3, 0, 0, 0, 0, 0])


if __name__ == "__main__":
    write(NAME, VERSION, build(), list(cases()))
