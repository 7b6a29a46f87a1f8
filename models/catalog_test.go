package models_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/models"
	"galen/models/manifest"
	"galen/models/modeltest"
)

func refs(c *models.Catalog) []string {
	var out []string
	for _, info := range c.List() {
		out = append(out, info.Ref.String())
	}
	return out
}

func TestCatalogServes(t *testing.T) {
	c := loadCatalog(t, options(),
		models.Source{Name: "one", FS: folders("beta@1.0.0", "alpha@1.9.0", "alpha@1.10.0", "alpha@2.0.0-rc.1")},
		models.Source{Name: "two", FS: folders("gamma@0.1.0-a", "alpha@1.9.0")})
	if diff := cmp.Diff([]string{"alpha@2.0.0-rc.1", "alpha@1.10.0", "alpha@1.9.0", "beta@1.0.0", "gamma@0.1.0-a"}, refs(c)); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	refused := c.Refused()
	if len(refused) != 1 || refused[0].Source != "two" || !strings.Contains(refused[0].Err.Error(), "served already, from one") {
		t.Errorf("Refused = %v, want the second alpha@1.9.0", refused)
	}
	for ref, want := range map[string]string{
		"alpha":            "alpha@1.10.0", // the newest release, not the pre-release
		"alpha@1.9.0":      "alpha@1.9.0",
		"alpha@2.0.0-rc.1": "alpha@2.0.0-rc.1",
		"gamma":            "gamma@0.1.0-a", // only pre-releases: the newest of them
	} {
		if got := acquire(t, c, ref).Info().Ref.String(); got != want {
			t.Errorf("Acquire(%s) = %s, want %s", ref, got, want)
		}
	}
	for _, ref := range []models.Ref{{Name: "delta"}, {Name: "alpha", Version: "3.0.0"}} {
		if _, err := c.Acquire(ref); models.KindOf(err) != models.NotFound || err == nil {
			t.Errorf("Acquire(%s) = %v, want NotFound", ref, err)
		}
	}
	info := acquire(t, c, "beta").Info()
	if info.Card != "# Contract\n" || info.Digest != info.Manifest.SHA256 || len(info.ManifestDigest) != 64 || info.Source != "one" {
		t.Errorf("Info = %+v", info)
	}
}

// A folder with one fault is refused with the reason; its neighbour serves.
func TestCatalogRefuses(t *testing.T) {
	const dir = "bad/1.0.0/"
	replace := func(name, from, to string) func(fstest.MapFS) {
		return func(m fstest.MapFS) {
			m[dir+name] = &fstest.MapFile{Data: []byte(strings.Replace(string(m[dir+name].Data), from, to, 1))}
		}
	}
	set := func(name, text string) func(fstest.MapFS) {
		return func(m fstest.MapFS) { m[dir+name] = &fstest.MapFile{Data: []byte(text)} }
	}
	cases := []struct {
		name, reason string
		spoil        func(fstest.MapFS)
	}{
		{"no manifest", "manifest.yaml", func(m fstest.MapFS) { delete(m, dir+"manifest.yaml") }},
		{"manifest with an unknown key", "unknown field", replace("manifest.yaml", "title:", "titel:")},
		{"folder of another version", "named after", replace("manifest.yaml", "version: 1.0.0", "version: 1.0.1")},
		{"folder of another name", "named after", replace("manifest.yaml", "name: bad", "name: worse")},
		{"model changed", "SHA-256", set("model.onnx", "other")},
		{"model too large", "larger than", set("model.onnx", strings.Repeat("x", 2000))},
		{"model missing", "model.onnx", func(m fstest.MapFS) { delete(m, dir+"model.onnx") }},
		{"card empty", "CARD.md", set("CARD.md", "")},
		{"runtime unknown here", "no runtime oip", func(m fstest.MapFS) {
			replace("manifest.yaml", "runtime: onnx", "runtime: oip\nremote: {url: \"https://triton.example\"}")(m)
			replace("manifest.yaml", "file: model.onnx\n", "")(m)
			replace("manifest.yaml", "opset: 17\n", "")(m)
		}},
		{"input more", "has 3 inputs, the model file 2", func(m fstest.MapFS) {
			replace("manifest.yaml", "features:\n", "  - {name: y, dtype: int64, shape: [-1], columns: [a]}\nfeatures:\n")(m)
			m[dir+"golden.json"].Data = []byte(strings.ReplaceAll(goldenText, `"inputs": {`, `"inputs": {"y": {"shape": [1], "data": [0]}, `))
		}},
		{"output of another name", "no output", func(m fstest.MapFS) {
			replace("manifest.yaml", "name: ratio", "name: rate")(m)
			replace("golden.json", `, "ratio": {"shape": [1], "data": [0.25]}`, "")(m)
		}},
		{"output of another type", "float32", replace("manifest.yaml", "{name: ratio, dtype: float64", "{name: ratio, dtype: float32")},
		{"golden is no JSON", "golden.json", set("golden.json", "{")},
		{"golden with text after", "text after", set("golden.json", goldenText+"{}")},
		{"golden with unknown key", "unknown field", replace("golden.json", `"source"`, `"sauce"`)},
		{"golden without cases", "no cases", set("golden.json", `{"cases": []}`)},
		{"golden without an input", "every input", replace("golden.json", `, "work": {"shape": [1], "data": [0]}`, "")},
		{"golden without outputs", "at least one output", replace("golden.json", `{"sum": {"shape": [1], "data": [5]}, "ratio": {"shape": [1], "data": [0.25]}}`, "{}")},
		{"golden with another output", "not an output", replace("golden.json", `"ratio"`, `"rate"`)},
		{"golden shape", "do not fit", replace("golden.json", `[2, 2], "data"`, `[3, 2], "data"`)},
		{"golden null for an integer", "NaN", replace("golden.json", `"shape": [1], "data": [0]`, `"shape": [1], "data": [null]`)},
		{"golden element", "golden.json", replace("golden.json", "[1, 4]", `[1, "4"]`)},
		{"golden number tampered", `case "one": output sum`, replace("golden.json", "[5]", "[5.1]")},
		{"golden input tampered", `case "two"`, replace("golden.json", "[1, 1, 2, 2]", "[1, 1, 2, 3]")},
		{"golden rows", "shape", replace("golden.json", `{"sum": {"shape": [2], "data": [2, 4]}}`, `{"sum": {"shape": [3], "data": [2, 4, 6]}}`)},
		{"golden tolerance that checks nothing", "tolerance", replace("golden.json", `"absolute": 1e-12`, `"absolute": 100`)},
		{"golden answer that is not finite", "not finite", replace("golden.json", "[1, 4]", "[0, 0]")},
		{"file that is no model", "not a model", func(m fstest.MapFS) {
			m[dir+"model.onnx"] = &fstest.MapFile{Data: []byte("corrupt")}
			text := string(m[dir+"manifest.yaml"].Data)
			before, after, _ := strings.Cut(text, "sha256: ")
			m[dir+"manifest.yaml"] = &fstest.MapFile{Data: []byte(before + "sha256: " + digestOf("corrupt") + after[64:])}
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			files := folders("bad@1.0.0", "good@1.0.0")
			tc.spoil(files)
			opts := options()
			opts.MaxBytes = 1000
			c := loadCatalog(t, opts, models.Source{Name: "s", FS: files})
			refused := c.Refused()
			if len(refused) != 1 || refused[0].Path != "bad/1.0.0" || models.KindOf(refused[0].Err) != models.Refused ||
				!strings.Contains(refused[0].Err.Error(), tc.reason) {
				t.Fatalf("Refused = %v, want %q", refused, tc.reason)
			}
			if _, err := c.Acquire(models.Ref{Name: "bad", Version: "1.0.0"}); models.KindOf(err) != models.Refused {
				t.Errorf("Acquire(bad@1.0.0) = %v, want Refused", err)
			}
			if diff := cmp.Diff([]string{"good@1.0.0"}, refs(c)); diff != "" {
				t.Errorf("List (-want +got):\n%s", diff)
			}
		})
	}
}

// Half-copied folders are named so that they are passed over.
func TestCatalogPassesOver(t *testing.T) {
	files := folders("good@1.0.0")
	files["_copying/1.0.0/manifest.yaml"] = &fstest.MapFile{}
	files["good/.2.0.0.tmp/manifest.yaml"] = &fstest.MapFile{}
	files["README.md"] = &fstest.MapFile{}
	c := loadCatalog(t, options(), models.Source{Name: "s", FS: files})
	if len(c.Refused()) != 0 || len(c.List()) != 1 {
		t.Errorf("Refused = %v, List = %v", c.Refused(), refs(c))
	}
}

// A directory is a source, and no link leads out of it.
func TestDir(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.CopyFS(dir, folders("good@1.0.0", "linked@1.0.0")); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(outside, "CARD.md")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	card := filepath.Join(dir, "linked", "1.0.0", "CARD.md")
	if err := errors.Join(os.Remove(card), os.Symlink(secret, card)); err != nil {
		t.Fatal(err)
	}
	src, err := models.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := loadCatalog(t, options(), src)
	if len(c.Refused()) != 1 || c.Refused()[0].Path != "linked/1.0.0" || len(c.List()) != 1 {
		t.Errorf("Refused = %v, List = %v", c.Refused(), refs(c))
	}
	if _, err := models.Dir(filepath.Join(dir, "none")); models.KindOf(err) != models.NotFound || err == nil {
		t.Errorf("Dir of nothing = %v, want NotFound", err)
	}
}

func TestLoadEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := models.Load(ctx, options(), models.Source{Name: "s", FS: folders("good@1.0.0")}); models.KindOf(err) != models.Timeout || err == nil {
		t.Errorf("Load = %v, want Timeout", err)
	}
}

// The manifest's order of ports is the caller's; the runner's may differ.
func TestPredict(t *testing.T) {
	m := acquire(t, loadCatalog(t, options(), models.Source{Name: "s", FS: folders("good@1.0.0")}), "good")
	out, err := m.Predict(t.Context(), inputs(t, 0, 3, 4))
	if err != nil {
		t.Fatal(err)
	}
	ratio, _ := out[0].Floats(0)
	sum, _ := out[1].Floats(0)
	if ratio[0] != 0.75 || sum[0] != 7 {
		t.Errorf("ratio, sum = %v, %v; want 0.75, 7", ratio, sum)
	}
	for name, in := range map[string][]models.Tensor{
		"none":     nil,
		"one":      inputs(t, 0, 1, 2)[:1],
		"swapped":  {inputs(t, 0, 1, 2)[1], inputs(t, 0, 1, 2)[0]},
		"zero":     {{}, {}},
		"two rows": {inputs(t, 0, 1, 2)[0], twoRows(t)},
	} {
		if _, err := m.Predict(t.Context(), in); models.KindOf(err) != models.BadInput || err == nil {
			t.Errorf("Predict of %s = %v, want BadInput", name, err)
		}
	}
	for name, x := range map[string][2]float64{"0/0": {0, 0}, "1/0": {1, 0}, "NaN": {math.NaN(), 1}} {
		if out, err := m.Predict(t.Context(), inputs(t, 0, x[0], x[1])); models.KindOf(err) != models.NotFinite || err == nil {
			t.Errorf("Predict of %s = %v, %v; want NotFinite", name, out, err)
		}
	}
}

func twoRows(t *testing.T) models.Tensor {
	x, err := models.NewTensor([]int64{2, 2}, []float64{1, 2, 3, 4})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// An output may be NaN where the manifest says that NaN is an answer.
func TestMayBeNaN(t *testing.T) {
	files := folders("good@1.0.0")
	const name = "good/1.0.0/manifest.yaml"
	files[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(files[name].Data), "meaning: auxiliary}", "meaning: auxiliary, may_be_nan: true}", 1))}
	m := acquire(t, loadCatalog(t, options(), models.Source{Name: "s", FS: files}), "good")
	if out, err := m.Predict(t.Context(), inputs(t, 0, 0, 0)); err != nil {
		t.Errorf("Predict = %v, %v", out, err)
	}
}

// gate is a Runner whose Predict waits to be let through.
type gate struct {
	modeltest.Fake
	entered chan struct{}
	leave   chan struct{}
}

func (g *gate) Predict(ctx context.Context, in []models.Tensor) ([]models.Tensor, error) {
	g.entered <- struct{}{}
	<-g.leave
	return g.Fake.Predict(ctx, in)
}

// gated loads a model behind a gate that is open for the golden cases.
func gated(t *testing.T, opts models.Options) (*models.Catalog, *gate) {
	const loading = 2 + 3 // golden cases, and runs to measure the cost
	g := &gate{entered: make(chan struct{}, 8), leave: make(chan struct{}, 8)}
	for range loading {
		g.leave <- struct{}{}
	}
	opts.Openers = map[manifest.Runtime]models.Opener{
		manifest.ONNX: models.OpenerFunc(func(context.Context, *manifest.Manifest, []byte) (models.Runner, error) { return g, nil }),
	}
	c := loadCatalog(t, opts, models.Source{Name: "s", FS: folders("good@1.0.0")})
	for range loading {
		<-g.entered
	}
	return c, g
}

// One runs, one waits, the next is turned away: Busy at once, not a long wait.
func TestBusyAndTimeout(t *testing.T) {
	c, g := gated(t, models.Options{Concurrency: 1, Queue: 1})
	m := acquire(t, c, "good")
	results := make(chan error, 2)
	go func() { _, err := m.Predict(t.Context(), inputs(t, 0, 1, 2)); results <- err }()
	<-g.entered // the first runs

	waiting, stop := context.WithCancel(t.Context())
	go func() {
		err := error(&models.Error{Kind: models.Busy, Err: context.Canceled})
		for models.KindOf(err) == models.Busy { // the third had its place
			_, err = m.Predict(waiting, inputs(t, 0, 1, 2))
		}
		results <- err
	}()
	// The second waits; until it does, a third may take its place in the queue, and
	// then ends by its own deadline.
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := m.Predict(ctx, inputs(t, 0, 1, 2))
		cancel()
		if models.KindOf(err) == models.Busy {
			break
		}
		if models.KindOf(err) != models.Timeout {
			t.Fatalf("Predict = %v, want Busy or Timeout", err)
		}
	}
	stop()
	if err := <-results; models.KindOf(err) != models.Timeout {
		t.Errorf("the waiting Predict = %v, want Timeout", err)
	}
	g.leave <- struct{}{}
	if err := <-results; err != nil {
		t.Errorf("the running Predict = %v", err)
	}
}

// A version is dropped at once for newcomers and closed after its last holder.
func TestRemoveDrains(t *testing.T) {
	c, g := gated(t, models.Options{})
	m := acquire(t, c, "good")
	result := make(chan error, 1)
	go func() { _, err := m.Predict(t.Context(), inputs(t, 0, 1, 2)); result <- err }()
	<-g.entered

	ref := models.Ref{Name: "good", Version: "1.0.0"}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := c.Remove(short, ref); models.KindOf(err) != models.Timeout || err == nil {
		t.Fatalf("Remove of a model in use = %v, want Timeout", err)
	}
	if _, err := c.Acquire(ref); models.KindOf(err) != models.NotFound {
		t.Errorf("Acquire = %v, want NotFound", err)
	}
	g.leave <- struct{}{}
	if err := <-result; err != nil {
		t.Errorf("the running Predict = %v", err)
	}
	g.leave <- struct{}{}
	if _, err := m.Predict(t.Context(), inputs(t, 0, 1, 2)); err != nil {
		t.Errorf("Predict by a holder of a dropped version = %v", err)
	}
	m.Release()
	m.Release()
	if _, err := m.Predict(t.Context(), inputs(t, 0, 1, 2)); models.KindOf(err) != models.NotFound || err == nil {
		t.Errorf("Predict after Release = %v, want NotFound", err)
	}
	if _, err := g.Fake.Predict(t.Context(), nil); models.KindOf(err) != models.Internal {
		t.Errorf("the runner was not closed: %v", err)
	}
	if err := c.Remove(t.Context(), ref); models.KindOf(err) != models.NotFound || err == nil {
		t.Errorf("Remove again = %v, want NotFound", err)
	}
}

// Versions come and go under load: no Predict fails, and every runner is closed.
func TestReloadUnderLoad(t *testing.T) {
	var mu sync.Mutex
	var opened []*modeltest.Fake
	opts := models.Options{Openers: map[manifest.Runtime]models.Opener{
		manifest.ONNX: models.OpenerFunc(func(context.Context, *manifest.Manifest, []byte) (models.Runner, error) {
			f := &modeltest.Fake{}
			mu.Lock()
			opened = append(opened, f)
			mu.Unlock()
			return f, nil
		}),
	}}
	c := loadCatalog(t, opts, models.Source{Name: "s", FS: folders("good@1.0.0")})
	next := models.Source{Name: "next", FS: folders("good@1.1.0")}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				m, err := c.Acquire(models.Ref{Name: "good"})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := m.Predict(t.Context(), inputs(t, 0, 1, 2)); err != nil && models.KindOf(err) != models.Busy {
					t.Error(err)
				}
				m.Release()
			}
		})
	}
	for range 30 {
		if err := c.Add(t.Context(), next); err != nil {
			t.Error(err)
		}
		if err := c.Remove(t.Context(), models.Ref{Name: "good", Version: "1.1.0"}); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for i, f := range opened {
		if _, err := f.Predict(t.Context(), nil); models.KindOf(err) != models.Internal {
			t.Errorf("runner %d of %d is not closed", i, len(opened))
		}
	}
}
