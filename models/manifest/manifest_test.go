package manifest_test

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/models/catalog"
	"galen/models/manifest"
)

func text(t testing.TB, name string) string {
	t.Helper()
	data, err := fs.ReadFile(catalog.FS(), name+"/manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func decoded(t testing.TB, name string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Decode([]byte(text(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDecodeReadsEverything(t *testing.T) {
	m := decoded(t, "kfre-4v/1.0.0")
	creatinine, ok := m.Feature("creatinine")
	if !ok || len(creatinine.Codes) != 3 || creatinine.Unit != "mg/dL" || creatinine.Window.String() != "P2Y" || creatinine.Aggregate != manifest.Latest {
		t.Fatalf("creatinine = %+v", creatinine)
	}
	conv, ok := creatinine.Conversion(&creatinine.Codes[2], "umol/L")
	if got := conv.Apply(88.4); !ok || got != 1 {
		t.Errorf("88.4 umol/L = %v mg/dL, want 1", got)
	}
	acr, _ := m.Feature("acr")
	conv, ok = acr.Conversion(&acr.Codes[0], "mg/mmol")
	if got := conv.Apply(3); !ok || math.Abs(got-26.52) > 1e-12 || acr.Comparator != manifest.ComparatorUse {
		t.Errorf("3 mg/mmol = %v mg/g, want 26.52", got)
	}
	if creatinine.Comparator != manifest.ComparatorReject {
		t.Errorf("comparator left out = %q, want reject", creatinine.Comparator)
	}
	headline, i := m.Headline()
	if headline.Name != "risk_2y" || i != 0 || headline.Horizon.Words() != "2 years" {
		t.Errorf("Headline = %s at %d", headline.Name, i)
	}
	contributions, i, _ := m.Output("contributions")
	if i != 5 || contributions.Report != manifest.ReportHide || contributions.Prediction() {
		t.Errorf("contributions = %+v at %d", contributions, i)
	}
	if len(m.Transparency) != 31 || m.Transparency["funding"].Unavailable == "" || m.Transparency["output_type"].Text != "Prediction" {
		t.Errorf("transparency = %v", m.Transparency)
	}

	n := decoded(t, "news2/1.0.0")
	oxygen, _ := n.Feature("oxygen")
	if oxygen.Default == nil || *oxygen.Default != 0 || oxygen.DefaultNote == "" {
		t.Errorf("oxygen = %+v", oxygen)
	}
	for value, want := range map[float64]float64{20.9: 0, 21: 0, 21.1: 1, 100: 1} {
		if got, ok := oxygen.Codes[0].Bin(value); !ok || got != want {
			t.Errorf("FiO2 %v%% = %v, want %v", value, got, want)
		}
	}
	consciousness, _ := n.Feature("consciousness")
	if v, ok := consciousness.Category("http://snomed.info/sct", "300202002"); !ok || v != 1 {
		t.Errorf("responds to voice = %v, %v; want 1", v, ok)
	}
	if consciousness.Target(&consciousness.Codes[2]) != "{score}" || oxygen.Target(&oxygen.Codes[1]) != "L/min" {
		t.Error("a code's own unit is lost")
	}
	if v, ok := consciousness.Category("http://loinc.org", "300202002"); ok {
		t.Errorf("a code of another system matched: %v", v)
	}
}

// Missing inputs are a result, never a guess.
func TestLacking(t *testing.T) {
	m := decoded(t, "kfre-4v/1.0.0")
	cases := []struct {
		present string
		want    []string
	}{
		{"age sex egfr acr", nil},
		{"age sex creatinine acr", nil},
		{"age sex egfr", []string{"Urine albumin/creatinine ratio"}},
		{"age sex acr", []string{"eGFR or Creatinine"}},
		{"", []string{"Age", "Sex", "eGFR or Creatinine", "Urine albumin/creatinine ratio"}},
	}
	for _, c := range cases {
		got := m.Lacking(func(f string) bool { return strings.Contains(" "+c.present+" ", " "+f+" ") })
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("with %q (-want +got):\n%s", c.present, diff)
		}
	}
}

// Each edit of a good manifest is one mistake; the problem names its key and line.
func TestDecodeRefuses(t *testing.T) {
	const news = "news2/1.0.0"
	good := text(t, news)
	cases := []struct {
		name, from, to string
		key, message   string
	}{
		{"unknown key", "kind: prognosis\n", "kind: prognosis\nkindness: much\n", "", `unknown field "kindness"`},
		{"unknown nested key", "    label: Pulse\n", "    label: Pulse\n    colour: red\n", "", `unknown field "colour"`},
		{"duplicate key", "title: National", "title: Twice\ntitle: National", "", "title"},
		{"wrong type", "opset: 17", "opset: many", "", "cannot unmarshal"},
		{"wrong type of a number", "value: 0.894", "value: high", "", "cannot unmarshal"},
		{"name", "name: news2", "name: News 2", "name", "not a model name"},
		{"version", "version: 1.0.0", "version: 1.0", "version", "not a semantic version"},
		{"kind", "kind: prognosis\n", "kind: oracle\n", "kind", `"oracle" is not one of`},
		{"digest", "sha256: ", "sha256: X", "sha256", "64 lower-case"},
		{"file path", "file: model.onnx", "file: ../model.onnx", "file", "plain file name"},
		{"runtime", "runtime: onnx", "runtime: magic", "runtime", "not one of"},
		{"width", "shape: [-1, 8]", "shape: [-1, 9]", "inputs[0].shape", "want [-1, 8]"},
		{"batch", "shape: [-1, 8]", "shape: [1, 8]", "inputs[0].shape", "the first -1"},
		{"remote without oip", "runtime: onnx", "runtime: onnx\nremote: {url: \"https://triton.example\"}", "remote", "goes with"},
		{"oip without remote", "runtime: onnx", "runtime: oip", "runtime", "wants remote"},
		{"remote with a user", "runtime: onnx", "runtime: oip\nremote: {url: \"https://me@triton.example\"}", "remote.url", "without user"},
		{"remote by file", "runtime: onnx", "runtime: oip\nremote: {url: \"file:///etc/passwd\"}", "remote.url", "want the server"},
		{"remote model", "runtime: onnx", "runtime: oip\nremote: {url: \"https://triton.example\", model: \"../x\"}", "remote.model", "not a model"},
		{"remote retries", "runtime: onnx", "runtime: oip\nremote: {url: \"https://triton.example\", retries: 99}", "remote.retries", "0 to 10"},
		{"dtype", "dtype: float64\n    shape: [-1, 8]", "dtype: complex64\n    shape: [-1, 8]", "inputs[0].dtype", "not one of"},
		{"integer that may be missing", "dtype: float64\n    shape: [-1, 8]", "dtype: string\n    shape: [-1, 8]", "inputs[0].dtype", "cannot hold features"},
		{"column without feature", "[respiratory_rate, spo2, hyper", "[respiration, spo2, hyper", "inputs[0].columns[0]", "not among the features"},
		{"feature without use", "applicable:\n  - {feature: age, ge: 16, reason: NEWS2 is not for people under 16}", "applicable:", "features[8]", "fills no input"},
		{"feature twice", "- name: pulse\n", "- name: systolic\n", "features[5].name", "used twice"},
		{"no label", "label: Pulse\n", "label: ' '\n", "features[5].label", "missing or empty"},
		{"no unit", "    unit: Cel\n", "", "features[7].unit", "missing"},
		{"no aggregate", "aggregate: latest\n    plausible: {ge: 10, le: 350}", "plausible: {ge: 10, le: 350}", "features[5].aggregate", "is missing"},
		{"window", "window: 24h\n    aggregate: latest\n    plausible: {ge: 10,", "window: soon\n    aggregate: latest\n    plausible: {ge: 10,", "features[5].window", "not a duration"},
		{"empty range", "plausible: {ge: 10, le: 350}", "plausible: {ge: 350, le: 10}", "features[5].plausible", "holds no number"},
		{"both ends", "plausible: {ge: 10, le: 350}", "plausible: {ge: 10, gt: 10, le: 350}", "features[5].plausible", "not both"},
		{"default without rule", "missing: required\n\n  - name: temperature", "missing: required\n    default: 0\n\n  - name: temperature", "features[6].default", "missing: default"},
		{"default without note", "    default: 0\n", "", "features[3].default", "missing: default"},
		{"bins with a gap", "- {lt: 15, value: 1, label: not alert}", "- {lt: 14, value: 1, label: not alert}", "features[6].codes[2].bins", "none holds"},
		{"code twice", "code: 8331-1", "code: 8310-5", "features[7].codes[1]", "listed twice"},
		{"code without system", `{system: "http://loinc.org", code: 8331-1`, `{code: 8331-1`, "features[7].codes[1].system", "URI"},
		{"category with two values", `code: LA9343-0, display: Unresponsive, value: 1`, `code: LA9340-6, display: Unresponsive, value: 1`, "features[6].categories[9]", "another value"},
		{"age with codes", "    kind: age\n", "    kind: age\n    aggregate: latest\n", "features[8]", "no meaning for kind age"},
		{"limit without output", "{output: single_three, ge: 1}", "{output: three, ge: 1}", "outputs[0].bands[2].also.output", "not an output"},
		{"applicable to nothing", "{feature: age, ge: 16, reason", "{feature: age, reason", "applicable[0]", "at least one of"},
		{"applicable to both", "{feature: age, ge: 16, reason", "{feature: age, output: points, ge: 16, reason", "applicable[0]", "one of feature and output"},
		{"bands with a gap", "- ge: 7\n", "- ge: 8\n", "outputs[0].bands", "none holds 7"},
		{"no headline", "    report: headline\n", "", "outputs", "exactly one"},
		{"headline that explains", "    meaning: contribution\n", "    meaning: contribution\n    report: list\n", "outputs[2].report", "no prediction"},
		{"contribution of nothing", "of: points", "of: score", "outputs[2].of", "not a prediction"},
		{"indicator", "indicator: critical", "indicator: panic", "outputs[0].bands[0].indicator", "not one of"},
		{"risk", "risk: high", "risk: awful", "outputs[0].bands[0].risk", "not one of"},
		{"hook", "hooks: [patient-view,", "hooks: [Patient View,", "hooks[0]", "not a hook name"},
		{"no use against", "use:", "use:\n  contraindicated: []\nuses:", "", "uses"},
		{"citation", `url: "https://doi`, `url: "doi`, "citations[1].url", "https URL"},
		{"interval", "low: 0.887", "low: 0.9", "evaluation[0]", "outside"},
		{"attribute missing", "  output_type: Evaluation (a track-and-trigger score)\n", "", "transparency.output_type", "attribute 4 is missing"},
		{"attribute empty", "  output_type: Evaluation (a track-and-trigger score)\n", "  output_type: ''\n", "transparency.output_type", "attribute 4 wants"},
		{"attribute with empty reason", "  output_type: Evaluation (a track-and-trigger score)\n", "  output_type: {unavailable: ''}\n", "transparency.output_type", "attribute 4 wants"},
		{"attribute with other key", "  output_type: Evaluation (a track-and-trigger score)\n", "  output_type: {because: x}\n", "", `unknown field "because"`},
		{"unknown attribute", "  output_type:", "  colour: red\n  output_type:", "transparency", `"colour" is not one of the 31`},
		{"criteria", "number: 2, met", "number: 5, met", "regulatory.criteria[1].number", "want 2"},
		{"anchor", "kind: prognosis\n", "kind: &k prognosis\n", "", "anchors"},
		{"tag", "kind: prognosis\n", "kind: !!str prognosis\n", "", "anchors, aliases, tags"},
		{"two documents", "kind: prognosis\n", "kind: prognosis\n---\na: b\n", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.from, c.to, 1)
			if bad == good {
				t.Fatal("nothing was changed")
			}
			m, err := manifest.Decode([]byte(bad))
			var problems manifest.Problems
			if m != nil || !errors.As(err, &problems) {
				t.Fatalf("Decode = %v, %v; want Problems", m, err)
			}
			for _, p := range problems {
				if p.Key == c.key && strings.Contains(p.Message, c.message) {
					if p.Line == 0 && c.message != "" {
						t.Errorf("no line: %v", p)
					}
					return
				}
			}
			t.Errorf("problems:\n%v\nwant key %q, message %q", err, c.key, c.message)
		})
	}
}

func TestDecodeBounds(t *testing.T) {
	cases := map[string]string{
		"empty":              "",
		"scalar":             "hello",
		"too large":          "title: " + strings.Repeat("x", 600<<10),
		"too deep":           "title: " + strings.Repeat("[", 5000),
		"too deep in lists":  strings.Repeat("- ", 200_000),
		"too deep in keys":   strings.Repeat("? ", 200_000),
		"too deep in blocks": deepBlocks(),
		"closing brackets":   "title: " + strings.Repeat("]", 5000) + strings.Repeat("- ", 200_000),
		"aliases":            "a: &a [x,x]\nb: [*a,*a]",
		"control":            "\x00\x01\x02",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			if m, err := manifest.Decode([]byte(text)); err == nil {
				t.Errorf("Decode = %+v", m)
			}
		})
	}
}

func deepBlocks() string {
	var b strings.Builder
	for i := range 900 {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// A line tells where: of the key itself, or of its parent when it is absent.
func TestProblemLine(t *testing.T) {
	good := text(t, "news2/1.0.0")
	bad := strings.Replace(good, "label: Pulse\n", "label: ''\n", 1)
	want := 1 + strings.Count(bad[:strings.Index(bad, "label: ''")], "\n")
	_, err := manifest.Decode([]byte(bad))
	var problems manifest.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Line != want {
		t.Errorf("problems = %v, want line %d", err, want)
	}
}

func TestDuration(t *testing.T) {
	day := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		text, iso, words string
		before           string
	}{
		{"24h", "PT24H", "24 hours", "2024-02-28T12:00:00Z"},
		{"PT24H", "PT24H", "24 hours", "2024-02-28T12:00:00Z"},
		{"365d", "P365D", "365 days", "2023-03-01T12:00:00Z"},
		{"P2Y", "P2Y", "2 years", "2022-03-01T12:00:00Z"},
		{"2y", "P2Y", "2 years", "2022-03-01T12:00:00Z"},
		{"6w", "P42D", "42 days", "2024-01-18T12:00:00Z"},
		{"P1Y2M3DT4H5M6S", "P1Y2M3DT4H5M6S", "1 year 2 months 3 days 4 hours 5 minutes 6 seconds", "2022-12-26T07:54:54Z"},
		{"P1M", "P1M", "1 month", "2024-01-29T12:00:00Z"},
	}
	for _, c := range cases {
		d, err := manifest.ParseDuration(c.text)
		if err != nil || d.String() != c.iso || d.Words() != c.words || d.Before(day).Format(time.RFC3339) != c.before {
			t.Errorf("%s = %s, %q, before %s (%v)", c.text, d, d.Words(), d.Before(day).Format(time.RFC3339), err)
		}
		if again, err := manifest.ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%s read again = %v, %v", d, again, err)
		}
	}
	if d, _ := manifest.ParseDuration("P1Y"); !d.After(day).Equal(time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("a year after = %v", d.After(day))
	}
	for _, bad := range []string{"", "P", "PT", "P1", "1", "h", "-1d", "+1d", "1m", "1D", "24H", "P1D2Y", "P1Y1Y", "P1H", "PT1D", "P9999999D", "1d2h", "P-1D", "P1.5Y", "p1y"} {
		if d, err := manifest.ParseDuration(bad); err == nil {
			t.Errorf("ParseDuration(%q) = %v", bad, d)
		}
	}
}

// https://semver.org, clauses 2, 9 and 11.
func TestVersion(t *testing.T) {
	ordered := []manifest.Version{
		"0.0.1", "0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0",
	}
	for i, v := range ordered {
		if !v.Valid() {
			t.Errorf("%s is not valid", v)
		}
		for j, w := range ordered {
			got, want := v.Compare(w), i-j
			if got < 0 != (want < 0) || got > 0 != (want > 0) {
				t.Errorf("%s.Compare(%s) = %d", v, w, got)
			}
		}
	}
	for _, bad := range []manifest.Version{"", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-a..b", "1.0.0-01", "1.0.0+b", "v1.0.0", "1.0.x", "1.0.-1", "9999999999.0.0", "1.0.0-ü"} {
		if bad.Valid() {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestLimits(t *testing.T) {
	f := func(x float64) *float64 { return &x }
	cases := []struct {
		limits  manifest.Limits
		in, out []float64
	}{
		{manifest.Limits{}, []float64{-1, 0, 1, math.Inf(1)}, []float64{math.NaN()}},
		{manifest.Limits{GE: f(1), LT: f(2)}, []float64{1, 1.5}, []float64{0.9, 2, math.NaN()}},
		{manifest.Limits{GT: f(1), LE: f(2)}, []float64{1.1, 2}, []float64{1, 2.1}},
	}
	for _, c := range cases {
		for _, x := range c.in {
			if !c.limits.Contains(x) {
				t.Errorf("%v not in %+v", x, c.limits)
			}
		}
		for _, x := range c.out {
			if c.limits.Contains(x) {
				t.Errorf("%v in %+v", x, c.limits)
			}
		}
	}
}

// The attributes are the 31 of 45 CFR 170.315(b)(11)(iv)(B), numbered in order.
func TestAttributes(t *testing.T) {
	keys := map[string]bool{}
	for i, a := range manifest.Attributes() {
		if a.Number != i+1 || a.Key == "" || a.Group == "" || a.Text == "" || keys[a.Key] {
			t.Errorf("attribute %d = %+v", i+1, a)
		}
		keys[a.Key] = true
	}
	if len(keys) != 31 {
		t.Errorf("%d attributes, want 31", len(keys))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(text(f, "news2/1.0.0")))
	f.Add([]byte("name: x\nfeatures: [{codes: [{panels: [{}]}]}]\noutputs: [{bands: [{ge: 1, also: {}}]}]"))
	f.Add([]byte("a: {b: [c, {d: e}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Decode(data)
		if (m == nil) == (err == nil) {
			t.Fatalf("Decode = %v, %v", m, err)
		}
		if m != nil && len(manifest.Lint(m)) != 0 {
			t.Fatal("a decoded manifest does not pass Lint")
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	f.Add("P1Y2M3DT4H5M6S")
	f.Add("24h")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := manifest.ParseDuration(s)
		if err != nil || d.IsZero() {
			return
		}
		if again, err := manifest.ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%q = %q, read again %v, %v", s, d, again, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := []byte(text(b, "kfre-4v/1.0.0"))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := manifest.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
