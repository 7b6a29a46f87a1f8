package metric_test

import (
	"math"
	"testing"

	"galen/models/evaluate/metric"
)

// sample and its figures are from scikit-learn 1.x (roc_auc_score,
// average_precision_score, brier_score_loss, LogisticRegression without penalty).
func sample() []metric.Case {
	x := []float64{0.08, 0.78, 0.44, 0.72, 0.98, 0.54, 0.5, 0.07, 0.27, 0.5, 0.68, 0.8, 0.38, 0.07, 0.29, 0.91, 0.21, 0.45, 0.93, 0.02, 0.6, 0.95, 0.23, 0.55, 0.91, 0.13, 0.52, 0.75, 0.67, 0.47, 0.2, 0.49, 0.37, 0.48, 0.37, 0.84, 0.77, 0.31, 0.57, 0.28}
	y := []int{0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 0}
	out := make([]metric.Case, len(x))
	for i := range x {
		out[i] = metric.Case{Score: x[i], Outcome: y[i] == 1}
	}
	return out
}

func near(t *testing.T, name string, got, want, by float64) {
	t.Helper()
	if math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > by {
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

func TestFigures(t *testing.T) {
	cases := sample()
	near(t, "AUC", metric.AUC(cases), 0.805, 1e-12)
	near(t, "average precision", metric.AveragePrecision(cases), 0.8456725872167048, 1e-12)
	near(t, "Brier", metric.Brier(cases), 0.177505, 1e-12)
	near(t, "O:E", metric.ObservedExpected(cases), 0.9960159362549802, 1e-12)
	intercept, slope := metric.Recalibration(cases)
	near(t, "intercept", intercept, -0.01059737, 1e-5)
	near(t, "slope", slope, 1.05886847, 1e-5)
}

func TestNoFigure(t *testing.T) {
	for name, cases := range map[string][]metric.Case{"nobody has it": {{0.1, false}, {0.2, false}}, "everybody has it": {{0.1, true}, {0.2, true}}} {
		near(t, name, metric.AUC(cases), math.NaN(), 0)
		_, slope := metric.Recalibration(cases)
		near(t, name, slope, math.NaN(), 0)
	}
	_, slope := metric.Recalibration([]metric.Case{{0.1, false}, {0.2, false}, {0.8, true}, {0.9, true}})
	near(t, "slope of classes that can be told apart", slope, math.NaN(), 0)
}

func TestTies(t *testing.T) {
	near(t, "AUC of one score", metric.AUC([]metric.Case{{0.5, true}, {0.5, false}, {0.5, true}}), 0.5, 0)
	near(t, "AUC of a perfect score", metric.AUC([]metric.Case{{0.9, true}, {0.1, false}}), 1, 0)
	near(t, "AUC of a reversed one", metric.AUC([]metric.Case{{0.1, true}, {0.9, false}}), 0, 0)
}

func TestCalibration(t *testing.T) {
	cases := []metric.Case{{0.1, false}, {0.1, false}, {0.9, true}, {0.7, false}}
	bins := metric.Calibration(cases, 2)
	if len(bins) != 2 || bins[0] != (metric.Bin{N: 2, Expected: 0.1, Observed: 0}) || bins[1].Observed != 0.5 {
		t.Errorf("bins %+v", bins)
	}
	near(t, "ECE", metric.ECE(cases, 2), (0.1+0.3)/2, 1e-12)
}

// Acting on the model: tp/n − fp/n × t/(1−t).
func TestNetBenefit(t *testing.T) {
	cases := []metric.Case{{0.9, true}, {0.6, false}, {0.3, true}, {0.1, false}}
	model, all := metric.NetBenefit(cases, []float64{0.2, 0.5})
	near(t, "model at 0.2", model[0].Y, 2.0/4-1.0/4*0.25, 1e-12)
	near(t, "model at 0.5", model[1].Y, 0, 1e-12)
	near(t, "all at 0.2", all[0].Y, 0.5-0.5*0.25, 1e-12)
	op := metric.At(cases, 0.5)
	if op.Sensitivity != 0.5 || op.Specificity != 0.5 || op.PPV != 0.5 || op.NPV != 0.5 || op.Positives != 2 {
		t.Errorf("At = %+v", op)
	}
}

func TestBootstrap(t *testing.T) {
	cases := sample()
	a := metric.Bootstrap(cases, 500, 1, metric.AUC, metric.Brier)
	if b := metric.Bootstrap(cases, 500, 1, metric.AUC, metric.Brier); a[0] != b[0] || a[1] != b[1] {
		t.Error("the same seed gives another interval")
	}
	// scikit-learn on the same data, 500 resamples: about 0.66 to 0.93.
	if f := a[0]; f.Value != metric.AUC(cases) || f.Low < 0.6 || f.Low > 0.72 || f.High < 0.89 || f.High > 0.97 {
		t.Errorf("AUC %+v", f)
	}
	if f := metric.Bootstrap(cases[:1], 50, 1, metric.AUC)[0]; !math.IsNaN(f.Value) || !math.IsNaN(f.Low) {
		t.Errorf("of one case %+v", f)
	}
}
