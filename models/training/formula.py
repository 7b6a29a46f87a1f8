"""One formula, two readings: written once with +, −, × and the functions below, it
becomes the nodes of an ONNX graph (Columns) or is computed in plain Python
(Numbers), which gives the golden cases. What is wrong in the formula is wrong in
both: that is what the worked examples are for.
"""
import math


from score import HAIR, Graph


class Column:
    """A column [N, 1] of a graph, with arithmetic."""

    def __init__(self, f, name):
        self.f, self.name = f, name

    def _two(self, kind, other, swap=False):
        a, b = self.f.text(self), self.f.text(other)
        return Column(self.f, self.f.g.op(kind, *((b, a) if swap else (a, b))))

    def __add__(self, o): return self._two("Add", o)
    def __radd__(self, o): return self._two("Add", o, True)
    def __sub__(self, o): return self._two("Sub", o)
    def __rsub__(self, o): return self._two("Sub", o, True)
    def __mul__(self, o): return self._two("Mul", o)
    def __rmul__(self, o): return self._two("Mul", o, True)
    def __truediv__(self, o): return self._two("Div", o)
    def __rtruediv__(self, o): return self._two("Div", o, True)
    def __neg__(self): return self._two("Sub", 0.0, True)
    def __pow__(self, o): return self._two("Pow", o)
    def __rpow__(self, o): return self._two("Pow", o, True)


class Columns:
    """Builds a graph."""

    def __init__(self, g): self.g = g
    def text(self, x): return x.name if isinstance(x, Column) else self.g.value(float(x))
    def op(self, kind, *xs): return Column(self, self.g.op(kind, *[self.text(x) for x in xs]))
    def exp(self, x): return self.op("Exp", x)
    def log(self, x): return self.op("Log", x)
    def sqrt(self, x): return self.op("Sqrt", x)
    def least(self, a, b): return self.op("Min", a, b)
    def most(self, a, b): return self.op("Max", a, b)
    def floor(self, x): return self.op("Floor", x)
    def isnan(self, x): return self.op("IsNaN", x)
    def ge(self, a, b): return self.op("GreaterOrEqual", a, b)
    def gt(self, a, b): return self.op("Greater", a, b)
    def where(self, c, a, b): return self.op("Where", c, a, b)


class Numbers:
    """Computes with floats; NaN and infinity as IEEE 754 and ONNX have them."""

    def exp(self, x): return math.exp(x) if not math.isnan(x) else x

    def log(self, x):
        if math.isnan(x) or x < 0:
            return math.nan
        return math.log(x) if x > 0 else -math.inf

    def sqrt(self, x): return math.sqrt(x) if x >= 0 else math.nan
    def least(self, a, b): return math.nan if math.isnan(a) or math.isnan(b) else min(a, b)
    def most(self, a, b): return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)
    def floor(self, x): return x if math.isnan(x) else float(math.floor(x))
    def isnan(self, x): return math.isnan(x)
    def ge(self, a, b): return a >= b
    def gt(self, a, b): return a > b
    def where(self, c, a, b): return a if c else b


def yes(f, x): return f.gt(x, 0.5)


def first(f, a, b):
    """a where it is there, else b: a reported value comes before a computed one."""
    return f.where(f.isnan(a), b, a)


def half_up(f, x): return f.floor(x + (0.5 + HAIR))


def steps(f, x, below, *table):
    """Points below the first limit, then (from this limit on, points); NaN stays NaN."""
    points = below
    for limit, value in table:
        points = f.where(f.ge(x, limit), value, points)
    return f.where(f.isnan(x), math.nan, points)


def ckd_epi_2021(f, age, male, creatinine):
    """eGFR in mL/min/1.73 m² (Inker 2021, NEJM 385:1737); creatinine in mg/dL, male a condition."""
    ratio = creatinine / f.where(male, 0.9, 0.7)
    return (142.0 * f.least(ratio, 1.0) ** f.where(male, -0.302, -0.241) * f.most(ratio, 1.0) ** -1.200
            * 0.9938 ** age * f.where(male, 1.0, 1.012))


def bmi_of(f, bmi, weight, height):
    """kg/m²; a reported one first, else from kg and cm."""
    return first(f, bmi, weight / ((height / 100.0) * (height / 100.0)))


def build(name, doc, features, formula, outputs):
    """The graph of formula(f, x) → {output: column, or list of columns}, in the order of outputs."""
    g = Graph(name, features)
    f = Columns(g)
    table = g.split("features", len(features)) if len(features) > 1 else ["features"]
    results = formula(f, dict(zip(features, [Column(f, c) for c in table])))
    shape = table[0]
    for key in outputs:
        value = results[key]
        if isinstance(value, list):
            g.output(key, g.join([spread(g, f, v, shape) for v in value]), len(value))
        else:
            g.output(key, spread(g, f, value, shape))
    return g.model(doc)


def spread(g, f, value, like):
    """A constant as a column as long as another."""
    if isinstance(value, Column):
        return value.name
    return g.op("Where", g.isnan(like), g.value(float(value)), g.value(float(value)))


def compute(formula, features, row):
    """formula on one row by name (absent is missing), in plain Python."""
    values = {k: float(row.get(k, math.nan)) for k in features}
    return {k: [float(i) for i in v] if isinstance(v, list) else float(v)
            for k, v in formula(Numbers(), values).items()}


