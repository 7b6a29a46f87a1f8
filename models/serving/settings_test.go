package serving_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/models"
	"galen/models/manifest"
	"galen/models/serving"
)

func TestSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "models", "settings.json")
	if s, err := serving.ReadSettings(file); err != nil || !cmp.Equal(s, models.Settings{}) {
		t.Errorf("without a file: %+v, %v", s, err)
	}
	want := models.Settings{
		Champions:   map[string][]manifest.Version{"a": {"1.0.0", "2.0.0"}},
		Challengers: map[string]manifest.Version{"a": "3.0.0-rc.1"},
		Stops:       map[string]string{"b": "recall"},
	}
	for range 2 { // over an older file too
		if err := serving.SaveSettings(file, want); err != nil {
			t.Fatal(err)
		}
		got, err := serving.ReadSettings(file)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("in the directory: %v, %v", left, err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serving.ReadSettings(file); err == nil {
		t.Error("a broken file counts as no settings: a model that was stopped would run")
	}
}

// What a crash left of an upload is swept away, and nothing else.
func TestSweep(t *testing.T) {
	u := &serving.Uploads{Dir: filepath.Join(t.TempDir(), "uploaded")}
	if err := u.Sweep(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"_incoming-123/a/1.0.0", "a/1.0.0"} {
		if err := os.MkdirAll(filepath.Join(u.Dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Sweep(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(u.Dir)
	if err != nil || len(left) != 1 || left[0].Name() != "a" {
		t.Errorf("left: %v, %v", left, err)
	}
}
