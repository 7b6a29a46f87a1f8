package evaluate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/models"
	"galen/models/catalog"
	"galen/models/evaluate"
	"galen/models/manifest"
	"galen/models/onnx"
)

func kidney(t *testing.T) *models.Model {
	t.Helper()
	path, err := onnx.DefaultPath(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	rt, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := models.Load(t.Context(), models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: rt}},
		models.Source{Name: "built in", FS: catalog.FS()})
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Acquire(models.Ref{Name: "kfre-4v"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Release()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// cohort is patients whose outcomes follow the model's own risk, so that it is
// well calibrated on them, and some whom it must not score.
func cohort(t *testing.T, m *models.Model) string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("id,age,sex,egfr,acr,site,outcome\n")
	for i := range 3000 {
		age, sex := 40+random.Float64()*40, float64(random.IntN(2))
		egfr, acr := 6+random.Float64()*50, math.Exp(3+5*random.Float64())
		in, err := models.Row([]float64{age, sex, egfr, math.NaN(), acr})
		if err != nil {
			t.Fatal(err)
		}
		out, err := m.Predict(t.Context(), []models.Tensor{in})
		if err != nil {
			t.Fatal(err)
		}
		risk, _ := out[0].Floats(0)
		outcome := 0
		if random.Float64() < risk[0] {
			outcome = 1
		}
		fmt.Fprintf(&b, "%d,%v,%v,%v,%v,%c,%d\n", i, age, sex, egfr, acr, 'A'+rune(i%3), outcome)
	}
	b.WriteString("x,55,1,,120,A,1\n")      // no eGFR
	b.WriteString("y,12,1,30,120,A,0\n")    // a child
	b.WriteString("z,55,1,75,120,B,0\n")    // no chronic kidney disease
	b.WriteString("w,55,1,30,120,B,NA\n")   // no outcome
	b.WriteString("v,55,1,30,9e9,B,0\n")    // implausible
	b.WriteString("u,55,NA,30,120,B,1\n\n") // no sex
	return b.String()
}

func TestRun(t *testing.T) {
	m := kidney(t)
	text := cohort(t, m)
	c, err := evaluate.ReadCSV(strings.NewReader(text), m.Info().Manifest, evaluate.Table{Name: "cohort.csv", Groups: []string{"sex", "site"}})
	if err != nil {
		t.Fatal(err)
	}
	opts := evaluate.Options{Resamples: 60, Seed: 1, Now: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
	r, err := evaluate.Run(t.Context(), m, c, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Patients != 3005 || r.Overall.N != 3000 || len(r.Excluded) != 5 {
		t.Errorf("%d patients, %d assessed, excluded %+v", r.Patients, r.Overall.N, r.Excluded)
	}
	for name, c := range map[string]struct {
		i    evaluate.Interval
		want float64
		by   float64
	}{"slope": {r.Overall.Slope, 1, 0.12}, "O:E": {r.Overall.OE, 1, 0.08}, "intercept": {r.Overall.Intercept, 0, 0.2}, "AUC": {r.Overall.AUC, 0.9, 0.08}} {
		if c.i.Value == nil || math.Abs(*c.i.Value-c.want) > c.by || c.i.Low == nil || *c.i.Low > *c.i.Value || *c.i.High < *c.i.Value {
			t.Errorf("%s = %+v, want about %v", name, c.i, c.want)
		}
	}
	var names []string
	for _, g := range r.Subgroups {
		names = append(names, g.Name)
	}
	if diff := cmp.Diff([]string{"sex = 0", "sex = 1", "site = A", "site = B", "site = C"}, names); diff != "" {
		t.Errorf("subgroups (-want +got):\n%s", diff)
	}
	if len(r.Calibration) != 10 || len(r.Benefit) != 99 || len(r.Operating) == 0 {
		t.Errorf("%d bins, %d thresholds, %d operating points", len(r.Calibration), len(r.Benefit), len(r.Operating))
	}
	var a, b bytes.Buffer
	if err := r.HTML(&a); err != nil {
		t.Fatal(err)
	}
	again, err := evaluate.Run(t.Context(), m, c, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.HTML(&b); err != nil || a.String() != b.String() {
		t.Errorf("the same input gives another report: %v", err)
	}
	for _, want := range []string{"<svg", "Decision curve", "not assessed: ", "site = B", c.SHA256} {
		if !strings.Contains(a.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, foreign := range []string{"http://", "https://", "<script", "NaN", "src="} {
		if strings.Contains(a.String(), foreign) {
			t.Errorf("the page holds %q", foreign)
		}
	}
	if body, err := json.Marshal(r); err != nil || !strings.Contains(string(body), `"auc":{"value":0.`) {
		t.Errorf("%s, %v", body, err)
	}
}

func TestOutputs(t *testing.T) {
	m := kidney(t)
	c, err := evaluate.ReadCSV(strings.NewReader("age,sex,egfr,acr,died\n55,1,30,120,1\n60,0,40,30,0\n70,1,20,900,1\n"), m.Info().Manifest, evaluate.Table{Outcome: "died"})
	if err != nil {
		t.Fatal(err)
	}
	for output, good := range map[string]bool{"": true, "risk_5y": true, "egfr": false, "none": false, "contributions": false} {
		r, err := evaluate.Run(t.Context(), m, c, evaluate.Options{Output: output, Resamples: 5})
		if (err == nil) != good {
			t.Errorf("output %q: %+v, %v", output, r, err)
		}
	}
}

func TestReadCSVRefuses(t *testing.T) {
	m := kidney(t).Info().Manifest
	many := "age,site,outcome\n"
	for i := range 30 {
		many += fmt.Sprintf("50,s%d,1\n", i)
	}
	for name, c := range map[string]struct {
		text, reason string
		groups       []string
	}{
		"nothing":            {"", "header", nil},
		"no outcome":         {"age\n50\n", `"outcome"`, nil},
		"no feature":         {"size,outcome\n1,1\n", "feature", nil},
		"no such group":      {"age,outcome\n1,1\n", `"site"`, []string{"site"}},
		"other outcome":      {"age,outcome\n50,yes\n", "line 2", nil},
		"no number":          {"age,outcome\n50,1\nsecret,1\n", "line 3", nil},
		"ragged":             {"age,outcome\n50\n", "line 2", nil},
		"nobody":             {"age,outcome\n50,NA\n", "empty", nil},
		"no grouping at all": {many, "no grouping", []string{"site"}},
	} {
		_, err := evaluate.ReadCSV(strings.NewReader(c.text), m, evaluate.Table{Groups: c.groups})
		if err == nil || !strings.Contains(err.Error(), c.reason) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("age,sex,outcome\n50,1,1\n")
	f.Add("\ufeffage;outcome\n")
	m := &manifest.Manifest{Features: []manifest.Feature{{Name: "age"}}}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := evaluate.ReadCSV(strings.NewReader(text), m, evaluate.Table{})
		if err == nil && len(c.Features["age"]) != len(c.Outcome) {
			t.Errorf("%d features of %d patients", len(c.Features["age"]), len(c.Outcome))
		}
	})
}
