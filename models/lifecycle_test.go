package models_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/models"
	"galen/models/manifest"
	"galen/models/modeltest"
)

func ref(t *testing.T, text string) models.Ref {
	t.Helper()
	r, err := models.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Champion and challenger are named, answer under their alias, and roll back in
// one call; what was decided is saved and comes back.
func TestAliases(t *testing.T) {
	var saved models.Settings
	opts := options()
	opts.Save = func(s models.Settings) error { saved = s; return nil }
	files := folders("a@1.0.0", "a@1.1.0", "a@2.0.0", "a@3.0.0-rc.1")
	c := loadCatalog(t, opts, models.Source{Name: "s", FS: files})
	serves := func(want map[string]string) {
		t.Helper()
		for text, version := range want {
			m, err := c.Acquire(ref(t, text))
			if version == "" {
				if models.KindOf(err) != models.NotFound || err == nil {
					t.Errorf("Acquire(%s) = %v, want NotFound", text, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("Acquire(%s) = %v", text, err)
				continue
			}
			if got := string(m.Info().Ref.Version); got != version {
				t.Errorf("Acquire(%s) = %s, want %s", text, got, version)
			}
			m.Release()
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	serves(map[string]string{"a": "2.0.0", "a@champion": "2.0.0", "a@challenger": "", "a@1.0.0": "1.0.0"})
	do(c.Promote(ref(t, "a@1.0.0"), models.Champion))
	do(c.Promote(ref(t, "a@3.0.0-rc.1"), models.Challenger))
	serves(map[string]string{"a": "1.0.0", "a@champion": "1.0.0", "a@challenger": "3.0.0-rc.1", "a@2.0.0": "2.0.0"})
	do(c.Promote(ref(t, "a@1.1.0"), models.Champion))
	do(c.Promote(ref(t, "a@3.0.0-rc.1"), models.Champion)) // the challenger won
	serves(map[string]string{"a": "3.0.0-rc.1", "a@challenger": ""})

	again := loadCatalog(t, models.Options{Openers: opts.Openers, Settings: saved}, models.Source{Name: "s", FS: files})
	if got := acquire(t, again, "a").Info().Ref.Version; got != "3.0.0-rc.1" {
		t.Errorf("after a restart: %s", got)
	}
	do(c.Remove(t.Context(), ref(t, "a@1.1.0")))
	back, err := c.Rollback("a") // over 1.1.0, which is gone
	if err != nil || back.Version != "1.0.0" {
		t.Fatalf("Rollback = %v, %v", back, err)
	}
	serves(map[string]string{"a": "1.0.0"})
	if _, err := c.Rollback("a"); models.KindOf(err) != models.NotFound || err == nil {
		t.Errorf("Rollback of the first = %v, want NotFound", err)
	}
	if err := c.Promote(ref(t, "a@1.0.0"), "king"); models.KindOf(err) != models.BadInput {
		t.Errorf("Promote to king = %v, want BadInput", err)
	}
	if err := c.Promote(ref(t, "a@9.0.0"), models.Champion); models.KindOf(err) != models.NotFound {
		t.Errorf("Promote of nothing = %v, want NotFound", err)
	}
	if err := c.Demote("a"); models.KindOf(err) != models.NotFound {
		t.Errorf("Demote without a challenger = %v, want NotFound", err)
	}
	do(c.Promote(ref(t, "a@2.0.0"), models.Challenger))
	do(c.Demote("a"))
	serves(map[string]string{"a@challenger": ""})
	// A champion that is taken out leaves its name to the newest release.
	do(c.Remove(t.Context(), ref(t, "a@1.0.0")))
	serves(map[string]string{"a": "2.0.0"})
}

// The kill switch holds for a version or the whole model, at once and saved.
func TestStop(t *testing.T) {
	var saved models.Settings
	broken := false
	opts := options()
	opts.Save = func(s models.Settings) error {
		if broken {
			return errors.New("disk full")
		}
		saved = s
		return nil
	}
	files := folders("a@1.0.0", "a@2.0.0", "b@1.0.0")
	c := loadCatalog(t, opts, models.Source{Name: "s", FS: files})
	kind := func(text string) models.Kind {
		m, err := c.Acquire(ref(t, text))
		if err == nil {
			m.Release()
			return -1
		}
		return models.KindOf(err)
	}
	for _, step := range []struct {
		name string
		do   func() error
		want map[string]models.Kind
	}{
		{"one version", func() error { return c.Stop(ref(t, "a@2.0.0"), "wrong unit") }, map[string]models.Kind{"a@2.0.0": models.Stopped, "a": models.Stopped, "a@1.0.0": -1, "b": -1}},
		{"all of it", func() error { return c.Stop(ref(t, "a"), "recall") }, map[string]models.Kind{"a@1.0.0": models.Stopped, "b": -1}},
		{"back", func() error { return c.Resume(ref(t, "a")) }, map[string]models.Kind{"a@1.0.0": -1, "a@2.0.0": models.Stopped}},
		{"and the version", func() error { return c.Resume(ref(t, "a@2.0.0")) }, map[string]models.Kind{"a": -1}},
		{"before it is served", func() error { return c.Stop(ref(t, "c"), "not yet") }, map[string]models.Kind{"c": models.NotFound}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for text, want := range step.want {
			if got := kind(text); got != want {
				t.Errorf("%s: %s is %v, want %v", step.name, text, got, want)
			}
		}
	}
	if diff := cmp.Diff(map[string]string{"c": "not yet"}, saved.Stops); diff != "" {
		t.Errorf("saved (-want +got):\n%s", diff)
	}
	if err := c.Stop(ref(t, "a"), " "); models.KindOf(err) != models.BadInput {
		t.Errorf("Stop without a reason = %v, want BadInput", err)
	}
	if err := c.Resume(ref(t, "a")); models.KindOf(err) != models.NotFound {
		t.Errorf("Resume of what runs = %v, want NotFound", err)
	}
	broken = true
	if err := c.Stop(ref(t, "b"), "recall"); models.KindOf(err) != models.Internal || err == nil || kind("b") != -1 {
		t.Errorf("Stop that cannot be saved = %v; b is %v", err, kind("b"))
	}
}

// A version is loaded again in place of itself; one that no longer holds leaves
// the one that is served.
func TestReload(t *testing.T) {
	files := folders("a@1.0.0", "a@1.1.0", "b@1.0.0")
	c := loadCatalog(t, options(), models.Source{Name: "s", FS: files})
	held := acquire(t, c, "a@1.0.0")
	if err := c.Reload(t.Context(), ref(t, "a@1.0.0")); err != nil {
		t.Fatal(err)
	}
	if _, err := held.Predict(t.Context(), inputs(t, 0, 1, 2)); err != nil {
		t.Errorf("Predict by a holder of the version before = %v", err)
	}
	if acquire(t, c, "a@1.0.0").Info() == held.Info() {
		t.Error("Reload changed nothing")
	}
	files["a/1.0.0/model.onnx"].Data = []byte("tampered")
	if err := c.Reload(t.Context(), ref(t, "a@1.0.0")); models.KindOf(err) != models.Refused || err == nil {
		t.Errorf("Reload of a changed file = %v, want Refused", err)
	}
	if _, err := acquire(t, c, "a@1.0.0").Predict(t.Context(), inputs(t, 0, 1, 2)); err != nil {
		t.Errorf("the version that was served = %v", err)
	}
	if err := c.Remove(t.Context(), ref(t, "a@1.1.0")); err != nil {
		t.Fatal(err)
	}
	known, err := c.Known()
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, k := range known {
		state := k.Ref.String() + " ready"
		if !k.Ready {
			state = k.Ref.String() + " " + k.Reason
		}
		states = append(states, state)
	}
	if diff := cmp.Diff([]string{"a@1.1.0 not loaded", "a@1.0.0 ready", "b@1.0.0 ready"}, states); diff != "" {
		t.Errorf("Known (-want +got):\n%s", diff)
	}
	files["a/1.0.0/model.onnx"].Data = []byte("model a1.0.0")
	if err := c.Reload(t.Context(), ref(t, "a")); err != nil { // all versions of the model
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a@1.1.0", "a@1.0.0", "b@1.0.0"}, refs(c)); diff != "" || len(c.Refused()) != 0 {
		t.Errorf("List (-want +got):\n%s, Refused %v", diff, c.Refused())
	}
	for _, text := range []string{"none", "a@7.0.0"} {
		if err := c.Reload(t.Context(), ref(t, text)); models.KindOf(err) != models.NotFound || err == nil {
			t.Errorf("Reload(%s) = %v, want NotFound", text, err)
		}
	}
}

// While one version loads, another is served, stopped and resumed.
func TestLoadingHoldsUpNothing(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	first := true
	var mu sync.Mutex
	opts := models.Options{Openers: map[manifest.Runtime]models.Opener{
		manifest.ONNX: models.OpenerFunc(func(context.Context, *manifest.Manifest, []byte) (models.Runner, error) {
			mu.Lock()
			quick := first
			first = false
			mu.Unlock()
			if !quick {
				close(entered)
				<-leave
			}
			return &modeltest.Fake{}, nil
		}),
	}}
	c := loadCatalog(t, opts, models.Source{Name: "s", FS: folders("a@1.0.0")})
	done := make(chan error)
	go func() { done <- c.Add(context.Background(), models.Source{Name: "next", FS: folders("b@1.0.0")}) }()
	<-entered
	if _, err := acquire(t, c, "a").Predict(t.Context(), inputs(t, 0, 1, 2)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(c.Stop(ref(t, "a"), "now"), c.Resume(ref(t, "a"))); err != nil {
		t.Error(err)
	}
	close(leave)
	if err := <-done; err != nil || len(c.List()) != 2 {
		t.Errorf("Add = %v, List = %v", err, refs(c))
	}
}

func TestCheck(t *testing.T) {
	files := folders("a@1.0.0")
	info, err := models.Check(t.Context(), options(), models.Source{Name: "s", FS: files}, ref(t, "a@1.0.0"))
	if err != nil || info.Ref.String() != "a@1.0.0" {
		t.Errorf("Check = %+v, %v", info, err)
	}
	files["a/1.0.0/golden.json"].Data = []byte(strings.Replace(goldenText, "[5]", "[6]", 1))
	if _, err := models.Check(t.Context(), options(), models.Source{Name: "s", FS: files}, ref(t, "a@1.0.0")); models.KindOf(err) != models.Refused {
		t.Errorf("Check of a bad folder = %v, want Refused", err)
	}
}
