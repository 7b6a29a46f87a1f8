package golden_test

import (
	"math"
	"strings"
	"testing"

	"galen/models/golden"
)

func TestParse(t *testing.T) {
	const good = `{"tolerance":{"absolute":0.001,"relative":0},"cases":[{"name":"a","source":"b","inputs":{},"outputs":{}},{"name":"c","source":"d","tolerance":{"absolute":0,"relative":0},"inputs":{},"outputs":{}}]}`
	f, err := golden.Parse([]byte(good))
	if err != nil || f.Cases[0].Tolerance.Absolute != 0.001 || f.Cases[1].Tolerance.Absolute != 0 {
		t.Fatalf("Parse = %+v, %v", f, err)
	}
	for name, c := range map[string]struct{ text, reason string }{
		"nothing":             {``, "EOF"},
		"no cases":            {`{"cases":[]}`, "no cases"},
		"text after":          {good + `{}`, "after the end"},
		"unknown member":      {strings.Replace(good, `"source"`, `"sauce"`, 1), "unknown field"},
		"checks nothing":      {strings.Replace(good, `0.001`, `1`, 1), "tolerance"},
		"negative":            {strings.Replace(good, `0.001`, `-1`, 1), "tolerance"},
		"case checks nothing": {strings.Replace(good, `"absolute":0,`, `"absolute":5,`, 1), `case "c"`},
	} {
		if _, err := golden.Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
}

func TestNear(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	tol := golden.Tolerance{Absolute: 0.01, Relative: 0.01}
	for _, c := range []struct {
		got, want float64
		near      bool
	}{
		{1, 1, true}, {1.019, 1, true}, {1.021, 1, false}, {100.9, 100, true}, {nan, nan, true}, {nan, 1, false}, {1, nan, false}, {inf, inf, true}, {-inf, inf, false}, {1, inf, false},
	} {
		if got := tol.Near(c.got, c.want); got != c.near {
			t.Errorf("Near(%v, %v) = %v", c.got, c.want, got)
		}
	}
}
