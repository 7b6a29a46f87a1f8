package catalog_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"galen/models"
	"galen/models/catalog"
	"galen/models/manifest"
	"galen/models/onnx"
)

// load serves the embedded models on the real runtime.
func load(t testing.TB, sources ...models.Source) *models.Catalog {
	t.Helper()
	path, err := onnx.DefaultPath(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	rt, err := onnx.Open(path)
	if err != nil {
		t.Fatalf("%v\nrun `make onnxruntime` first", err)
	}
	if sources == nil {
		sources = []models.Source{{Name: "built-in", FS: catalog.FS()}}
	}
	c, err := models.Load(context.Background(), models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: rt}}, sources...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func acquire(t testing.TB, c *models.Catalog, name string) *models.Model {
	t.Helper()
	m, err := c.Acquire(models.Ref{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	return m
}

// predict runs rows of features and gives each output by name, row by row.
func predict(t testing.TB, m *models.Model, rows ...[]float64) (map[string][][]float64, error) {
	t.Helper()
	var flat []float64
	for _, row := range rows {
		flat = append(flat, row...)
	}
	in, err := models.NewTensor([]int64{int64(len(rows)), int64(len(rows[0]))}, flat)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Predict(context.Background(), []models.Tensor{in})
	if err != nil {
		return nil, err
	}
	byName := map[string][][]float64{}
	for i, o := range m.Info().Manifest.Outputs {
		for r := range rows {
			values, _ := out[i].Floats(r)
			byName[o.Name] = append(byName[o.Name], values)
		}
	}
	return byName, nil
}

// Everything that ships is served: golden cases reproduce, nothing is refused.
func TestEveryModelIsServed(t *testing.T) {
	c := load(t)
	for _, r := range c.Refused() {
		t.Errorf("%s is refused: %v", r.Path, r.Err)
	}
	folders, err := fs.Glob(catalog.FS(), "*/*/manifest.yaml")
	if err != nil || len(c.List()) != len(folders) {
		t.Errorf("%d models served of %d folders (%v)", len(c.List()), len(folders), err)
	}
	for _, info := range c.List() {
		t.Logf("%s sha256 %s", info.Ref, info.Digest)
	}
}

var nan = math.NaN()

// preventExample is a woman of 50: 200, 45, 160 treated, no statin, diabetes, no
// smoker, eGFR 90, BMI 35.
var preventExample = []float64{50, 0, 200, 45, 160, 1, 0, 1, 0, 90, nan, 35, nan, nan}

// The worked examples, to the digits published.
func TestWorkedExamples(t *testing.T) {
	c := load(t)
	cases := []struct {
		name, model, output string
		row                 []float64
		want, within        float64
	}{
		{"KFRE 2 years NA: man of 55, eGFR 45, ACR 120: 1.24707 %", "kfre-4v", "risk_2y", []float64{55, 1, 45, nan, 120}, 0.0124707, 5e-8},
		{"CKD-EPI 2021: woman of 50, creatinine 1.0: 68.6335", "kfre-4v", "egfr", []float64{50, 0, nan, 1.0, 30}, 68.6335, 5e-5},
		{"CKD-EPI 2021 alone: 68.6335", "ckd-epi-2021", "egfr", []float64{50, 0, 1.0}, 68.6335, 5e-5},
		{"KFRE 8: 1.12696 %", "kfre-8v", "risk_2y", []float64{55, 1, 45, nan, 120, 4.2, 3.3, 24, 9.1}, 0.0112696, 5e-8},
		{"PCE white woman: 2.0557 %", "pce-2013", "risk_10y", []float64{55, 0, 0, 213, 50, 120, 0, 0, 0}, 0.020557, 5.1e-7},
		{"PCE African American woman: 3.0320 %", "pce-2013", "risk_10y", []float64{55, 0, 1, 213, 50, 120, 0, 0, 0}, 0.030320, 5.1e-7},
		{"PCE white man: 5.3760 %", "pce-2013", "risk_10y", []float64{55, 1, 0, 213, 50, 120, 0, 0, 0}, 0.053760, 5.1e-7},
		{"PCE African American man: 6.0587 %", "pce-2013", "risk_10y", []float64{55, 1, 1, 213, 50, 120, 0, 0, 0}, 0.060587, 5.1e-7},
		{"PREVENT 10 years: 14.684 %", "prevent-2023", "cvd_10y", preventExample, 0.14684, 5.1e-6},
		{"PREVENT ASCVD: 9.195 %", "prevent-2023", "ascvd_10y", preventExample, 0.09195, 5.1e-6},
		{"PREVENT heart failure: 8.056 %", "prevent-2023", "hf_10y", preventExample, 0.08056, 5.1e-6},
		{"PREVENT 30 years: 52.985 %", "prevent-2023", "cvd_30y", preventExample, 0.52985, 5.1e-6},
		{"PREVENT ASCVD 30 years: 35.426 %", "prevent-2023", "ascvd_30y", preventExample, 0.35426, 5.1e-6},
		{"PREVENT heart failure 30 years: 38.960 %", "prevent-2023", "hf_30y", preventExample, 0.38960, 5.1e-6},
		{"SCORE2 man: 5.913 %", "score2", "risk_10y_low", []float64{50, 1, 1, 140, 5.5, 1.3}, 0.05913, 5.1e-6},
		{"SCORE2 woman: 4.215 %", "score2", "risk_10y_low", []float64{50, 0, 1, 140, 5.5, 1.3}, 0.04215, 5.1e-6},
		{"SCORE2-Diabetes man: 8.393 %", "score2-diabetes", "risk_10y_low", []float64{60, 1, 0, 140, 5.5, 1.3, 60, 50, 90, nan}, 0.08393, 5.1e-6},
		{"SCORE2-Diabetes woman: 6.097 %", "score2-diabetes", "risk_10y_low", []float64{60, 0, 0, 140, 5.5, 1.3, 60, 50, 90, nan}, 0.06097, 5.1e-6},
		{"Framingham 2008: 10.4842 %", "framingham-2008", "risk_10y", []float64{61, 0, 180, 47, 124, 0, 1, 0}, 0.104842, 5.1e-7},
		{"MELD-Na: 40", "meld-na", "points", []float64{7.78, 36.1, 2.2, 133, 0}, 40, 0},
		{"FIB-4: 2.02888", "fib-4", "index", []float64{35, 107, 104, 181}, 2.02888, 5.1e-6},
		{"CHA2DS2-VASc: 9", "cha2ds2-vasc", "points", []float64{76, 0, 1, 1, 1, 1, 1}, 9, 0},
		{"FINDRISC: 19", "findrisc", "points", []float64{58, 1, 31, nan, nan, 104, 0, 1, 1, 0, 2}, 19, 0},
		{"NEWS2: RR 22, SpO2 93 air, SBP 105, HR 105, alert, 38.5 °C: 7", "news2", "points", []float64{22, 93, 0, 0, 105, 105, 0, 38.5}, 7, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			out, err := predict(t, acquire(t, c, tc.model), tc.row)
			if err != nil {
				t.Fatal(err)
			}
			if got := out[tc.output][0][0]; math.Abs(got-tc.want) > tc.within {
				t.Errorf("%s = %v, want %v ± %v", tc.output, got, tc.want, tc.within)
			}
		})
	}
}

// Outside the ages a score was made for it is refused with a reason, at the last
// year inside it is not.
func TestAgesAreBounded(t *testing.T) {
	c := load(t)
	for model, ages := range map[string][2]float64{
		"pce-2013": {40, 79}, "prevent-2023": {30, 79}, "score2": {40, 69}, "score2-diabetes": {40, 69},
		"framingham-2008": {30, 74}, "framingham-bmi": {30, 74}, "diabetes-pima": {21, 81}, "breast-rfs-rotterdam": {21, 90},
	} {
		bounded := false
		for _, limit := range acquire(t, c, model).Info().Manifest.Applicable {
			if limit.Feature != "age" {
				continue
			}
			bounded = limit.Contains(ages[0]) && limit.Contains(ages[1]) && !limit.Contains(ages[0]-1) && !limit.Contains(ages[1]+1) && limit.Reason != ""
		}
		if !bounded {
			t.Errorf("%s is not bounded to the ages %v", model, ages)
		}
	}
}

// kfre is written from the papers, apart from the maker in Python.
func kfre(row []float64) (risk2, risk5, world2, world5, egfr float64) {
	age, male, egfr, scr, acr := row[0], row[1] == 1, row[2], row[3], row[4]
	if math.IsNaN(egfr) {
		kappa, alpha, female := 0.7, -0.241, 1.012
		if male {
			kappa, alpha, female = 0.9, -0.302, 1
		}
		egfr = 142 * math.Pow(min(scr/kappa, 1), alpha) * math.Pow(max(scr/kappa, 1), -1.2) * math.Pow(0.9938, age) * female
	}
	sex := 0.0
	if male {
		sex = 1
	}
	lp := -0.2201*(age/10-7.036) + 0.2467*(sex-0.5642) - 0.5567*(egfr/5-7.222) + 0.4510*(math.Log(acr)-5.137)
	risk := func(survival float64) float64 { return 1 - math.Pow(survival, math.Exp(lp)) }
	return risk(0.9750), risk(0.9240), risk(0.9832), risk(0.9365), egfr
}

func TestKFREAgainstSecondImplementation(t *testing.T) {
	m := acquire(t, load(t), "kfre-4v")
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		var rows [][]float64
		for range 50 {
			row := []float64{18 + 80*rnd.Float64(), float64(rnd.IntN(2)), nan, 0.2 + 12*rnd.Float64(), math.Exp(-2 + 11*rnd.Float64())}
			if rnd.IntN(2) == 0 {
				row[2] = 5 + 115*rnd.Float64()
			}
			rows = append(rows, row)
		}
		out, err := predict(t, m, rows...)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			r2, r5, w2, w5, egfr := kfre(row)
			for name, want := range map[string]float64{"risk_2y": r2, "risk_5y": r5, "risk_2y_world": w2, "risk_5y_world": w5, "egfr": egfr} {
				if got := out[name][i][0]; math.Abs(got-want) > 1e-9 {
					t.Errorf("%s%v = %v, want %v", name, row, got, want)
				}
			}
			// The contributions are the log-hazard, exactly.
			sum := 0.0
			for _, part := range out["contributions"][i] {
				sum += part
			}
			if got := 1 - math.Pow(0.9750, math.Exp(sum)); math.Abs(got-r2) > 1e-9 {
				t.Errorf("contributions%v give %v, want %v", row, got, r2)
			}
		}
	}
}

// news2 is written from RCP 2017, chart 1, as ranges rather than steps.
func news2(row []float64) (points []float64) {
	type band struct {
		low, high, points int
	}
	score := func(x int, bands ...band) float64 {
		for _, b := range bands {
			if x >= b.low && x <= b.high {
				return float64(b.points)
			}
		}
		return 0
	}
	const most = math.MaxInt32
	whole := func(x float64) int { return int(math.Floor(x + 0.5 + 1e-9)) }
	rr, spo2, sbp, hr, tenths := whole(row[0]), whole(row[1]), whole(row[4]), whole(row[5]), whole(row[7]*10)
	scale2, oxygen, notAlert := row[2] == 1, row[3] == 1, row[6] == 1
	sat := score(spo2, band{0, 91, 3}, band{92, 93, 2}, band{94, 95, 1})
	if scale2 {
		sat = score(spo2, band{0, 83, 3}, band{84, 85, 2}, band{86, 87, 1})
		if oxygen {
			sat += score(spo2, band{93, 94, 1}, band{95, 96, 2}, band{97, most, 3})
		}
	}
	flag := func(yes bool, points float64) float64 {
		if yes {
			return points
		}
		return 0
	}
	return []float64{
		score(rr, band{0, 8, 3}, band{9, 11, 1}, band{21, 24, 2}, band{25, most, 3}),
		sat,
		flag(oxygen, 2),
		score(sbp, band{0, 90, 3}, band{91, 100, 2}, band{101, 110, 1}, band{220, most, 3}),
		score(hr, band{0, 40, 3}, band{41, 50, 1}, band{91, 110, 1}, band{111, 130, 2}, band{131, most, 3}),
		flag(notAlert, 3),
		score(tenths, band{0, 350, 3}, band{351, 360, 1}, band{381, 390, 1}, band{391, most, 2}),
	}
}

func TestNEWS2AgainstSecondImplementation(t *testing.T) {
	m := acquire(t, load(t), "news2")
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		var rows [][]float64
		for range 50 {
			rows = append(rows, []float64{
				4 + 30*rnd.Float64(), 78 + 22*rnd.Float64(), float64(rnd.IntN(2)), float64(rnd.IntN(2)), 70 + 170*rnd.Float64(),
				30 + 120*rnd.Float64(), float64(rnd.IntN(2)), 33 + 8*rnd.Float64(),
			})
		}
		out, err := predict(t, m, rows...)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			want := news2(row)
			total, three := 0.0, 0.0
			for j, p := range want {
				total += p
				if p == 3 {
					three = 1
				}
				if got := out["contributions"][i][j]; got != p {
					t.Errorf("column %d of %v = %v, want %v", j, row, got, p)
				}
			}
			if got := out["points"][i][0]; got != total {
				t.Errorf("points%v = %v, want %v", row, got, total)
			}
			if got := out["single_three"][i][0]; got != three {
				t.Errorf("single_three%v = %v, want %v", row, got, three)
			}
		}
	}
}

// Both scores are monotone where medicine says so.
func TestMonotone(t *testing.T) {
	c := load(t)
	k, n := acquire(t, c, "kfre-4v"), acquire(t, c, "news2")
	risk := func(row ...float64) float64 {
		out, err := predict(t, k, row)
		if err != nil {
			t.Fatal(err)
		}
		return out["risk_2y"][0][0]
	}
	if risk(60, 1, 20, nan, 300) <= risk(60, 1, 30, nan, 300) {
		t.Error("a lower eGFR does not raise the risk")
	}
	if risk(60, 1, 30, nan, 600) <= risk(60, 1, 30, nan, 300) {
		t.Error("more albumin does not raise the risk")
	}
	out, err := predict(t, n, []float64{16, 97, 0, 1, 125, 75, 0, 37}, []float64{16, 97, 0, 0, 125, 75, 0, 37})
	if err != nil || out["points"][0][0] != out["points"][1][0]+2 {
		t.Errorf("oxygen does not add 2 points: %v, %v", out, err)
	}
}

// A missing value that the model cannot do without is refused, never scored.
func TestMissingIsNotFinite(t *testing.T) {
	c := load(t)
	well := []float64{16, 97, 0, 0, 125, 75, 0, 37}
	cases := map[string][]float64{
		"kfre-4v without eGFR and creatinine": {55, 1, nan, nan, 120},
		"kfre-4v without ACR":                 {55, 1, 45, nan, nan},
		"kfre-4v with ACR 0":                  {55, 1, 45, nan, 0},
		"kfre-4v without age":                 {nan, 1, 45, nan, 120},
	}
	for i, name := range []string{"rate", "SpO2", "", "oxygen", "systolic", "pulse", "consciousness", "temperature"} {
		if name != "" {
			row := append([]float64{}, well...)
			row[i] = nan
			cases["news2 without "+name] = row
		}
	}
	for name, row := range cases {
		t.Run(name, func(t *testing.T) {
			model, _, _ := strings.Cut(name, " ")
			out, err := predict(t, acquire(t, c, model), row)
			if models.KindOf(err) != models.NotFinite || err == nil {
				t.Errorf("Predict = %v, %v; want NotFinite", out, err)
			}
		})
	}
}

// The bands of NEWS2 as the RCP has them, the single red score included.
func TestNEWS2Bands(t *testing.T) {
	m := acquire(t, load(t), "news2").Info().Manifest
	headline, _ := m.Headline()
	cases := []struct {
		points, three float64
		label         string
		indicator     manifest.Indicator
	}{
		{0, 0, "Low", manifest.Info},
		{4, 0, "Low", manifest.Info},
		{3, 1, "Low–medium (3 points in one vital sign)", manifest.Warning},
		{4, 1, "Low–medium (3 points in one vital sign)", manifest.Warning},
		{5, 1, "Medium", manifest.Warning},
		{6, 0, "Medium", manifest.Warning},
		{7, 0, "High", manifest.Critical},
		{20, 1, "High", manifest.Critical},
	}
	for _, tc := range cases {
		b, ok := headline.Band(tc.points, func(string) (float64, bool) { return tc.three, true })
		if !ok || b.Label != tc.label || b.Indicator != tc.indicator {
			t.Errorf("band of %v points, three %v = %+v, want %s", tc.points, tc.three, b, tc.label)
		}
	}
}

// Golden cases of the built-in models hold boundaries, both sexes and gaps.
func TestGoldenCasesCover(t *testing.T) {
	for model, least := range map[string]int{"kfre-4v/1.0.0": 60, "news2/1.0.0": 75} {
		data, err := fs.ReadFile(catalog.FS(), path.Join(model, "golden.json"))
		if err != nil {
			t.Fatal(err)
		}
		var g struct {
			Cases []struct{ Name, Source string }
		}
		if err := json.Unmarshal(data, &g); err != nil {
			t.Fatal(err)
		}
		if len(g.Cases) < least {
			t.Errorf("%s has %d golden cases, want %d", model, len(g.Cases), least)
		}
	}
}

// copied is the built-in catalog as a map that a test may spoil.
func copied(t *testing.T) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(catalog.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(catalog.FS(), name)
		out[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A spoiled version is refused with its reason; the other model keeps serving.
func TestSpoiledModelIsRefused(t *testing.T) {
	const dir = "kfre-4v/1.0.0/"
	edit := func(name, from, to string) func(fstest.MapFS) {
		return func(m fstest.MapFS) {
			text := strings.Replace(string(m[dir+name].Data), from, to, 1)
			if text == string(m[dir+name].Data) {
				panic("nothing to spoil in " + name)
			}
			m[dir+name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	cases := []struct {
		name, reason string
		spoil        func(fstest.MapFS)
	}{
		{"golden output", "golden case", edit("golden.json", "0.0124707", "0.0125707")},
		{"golden input", "golden case", edit("golden.json", "[55.0,", "[56.0,")},
		{"model byte", "SHA-256", edit("model.onnx", "Squeeze", "squeeze")},
		{"digest", "SHA-256", swapDigest},
		{"opset", "opset", edit("manifest.yaml", "opset: 17", "opset: 16")},
		{"output name", "not an output", edit("manifest.yaml", "name: risk_5y_world", "name: risk_5y_word")},
		{"input type", "float32", edit("manifest.yaml", "dtype: float64", "dtype: float32")},
		{"width", "shape", edit("manifest.yaml", "shape: [-1, 4]", "shape: [-1, 3]")},
		{"no card", "CARD.md", func(m fstest.MapFS) { delete(m, dir+"CARD.md") }},
		{"no golden cases", "golden.json", func(m fstest.MapFS) { delete(m, dir+"golden.json") }},
		{"no model", "model.onnx", func(m fstest.MapFS) { delete(m, dir+"model.onnx") }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			files := copied(t)
			tc.spoil(files)
			c := load(t, models.Source{Name: "spoiled", FS: files})
			refused := c.Refused()
			if len(refused) != 1 || refused[0].Path != "kfre-4v/1.0.0" || !strings.Contains(refused[0].Err.Error(), tc.reason) {
				t.Fatalf("Refused = %v, want kfre-4v for %q", refused, tc.reason)
			}
			if _, err := c.Acquire(models.Ref{Name: "kfre-4v", Version: "1.0.0"}); models.KindOf(err) != models.Refused {
				t.Errorf("Acquire = %v, want Refused", err)
			}
			if out, err := predict(t, acquire(t, c, "news2"), []float64{16, 97, 0, 0, 125, 75, 0, 37}); err != nil || out["points"][0][0] != 0 {
				t.Errorf("news2 = %v, %v", out, err)
			}
		})
	}
}

func BenchmarkPredict(b *testing.B) {
	c := load(b)
	for name, row := range map[string][]float64{"kfre-4v": {55, 1, 45, nan, 120}, "news2": {22, 93, 0, 0, 105, 105, 0, 38.5}} {
		b.Run(name, func(b *testing.B) {
			m := acquire(b, c, name)
			in, err := models.Row(row)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background()) // as a request has
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Predict(ctx, []models.Tensor{in}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		c := load(b)
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// swapDigest gives kfre-4v the digest of another file.
func swapDigest(m fstest.MapFS) {
	const name = "kfre-4v/1.0.0/manifest.yaml"
	before, after, _ := strings.Cut(string(m[name].Data), "sha256: ")
	m[name] = &fstest.MapFile{Data: []byte(before + "sha256: " + strings.Repeat("a", 64) + after[64:])}
}
