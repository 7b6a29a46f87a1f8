package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"galen/models"
	"galen/models/manifest"
	"galen/models/modeltest"
	"galen/models/onnx"
)

// openRuntime opens the library. Without it the tests fail rather than skip: they are
// what says that models run at all.
func openRuntime(t testing.TB) *onnx.Runtime {
	t.Helper()
	path, err := onnx.DefaultPath(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	rt, err := onnx.Open(path)
	if err != nil {
		t.Fatalf("%v\nrun `make onnxruntime` first", err)
	}
	return rt
}

func open(t testing.TB, file []byte) (models.Runner, error) {
	t.Helper()
	return openRuntime(t).Open(t.Context(), &manifest.Manifest{Opset: modeltest.ContractOpset}, file)
}

func TestContract(t *testing.T) {
	modeltest.Run(t, func(t *testing.T) models.Runner {
		r, err := open(t, modeltest.Contract())
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
}

func TestOpenLibrary(t *testing.T) {
	rt := openRuntime(t)
	if got := rt.Version(); got != onnx.LibraryVersion && os.Getenv(onnx.LibraryEnv) == "" {
		t.Errorf("Version = %s, want %s", got, onnx.LibraryVersion)
	}
	openRuntime(t) // again: the same environment
	if _, err := onnx.Open(filepath.Join(t.TempDir(), "none.so")); models.KindOf(err) != models.NotFound {
		t.Errorf("Open of a missing file = %v, want NotFound", err)
	}
	other := filepath.Join(t.TempDir(), "other.so")
	if err := os.WriteFile(other, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := onnx.Open(other); err == nil {
		t.Error("Open of a second library succeeded")
	}
}

func TestDefaultPath(t *testing.T) {
	env := map[string]string{"HOME": "/h"}
	get := func(k string) string { return env[k] }
	path, err := onnx.DefaultPath(get)
	if err != nil || filepath.Dir(filepath.Dir(path)) != "/h/.cache/galen/onnxruntime-"+onnx.LibraryVersion {
		t.Errorf("DefaultPath = %q, %v", path, err)
	}
	env[onnx.LibraryEnv] = "/mine.so"
	if path, err := onnx.DefaultPath(get); err != nil || path != "/mine.so" {
		t.Errorf("DefaultPath = %q, %v; want /mine.so", path, err)
	}
}

// A file that is cut, or with any byte changed, is refused or still opens; it
// never crashes. Every cut is tried, and every byte with one change.
func TestOpenDamaged(t *testing.T) {
	whole := modeltest.Contract()
	for n := range len(whole) {
		if r, err := open(t, whole[:n]); err == nil {
			// Only trailing fields may be missing without harm.
			r.Close()
			if n < len(whole)*9/10 {
				t.Errorf("a file cut to %d of %d bytes opened", n, len(whole))
			}
		} else if models.KindOf(err) != models.Refused {
			t.Errorf("cut to %d: %v, want Refused", n, err)
		}
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0xff
		if r, err := open(t, damaged); err == nil {
			r.Close()
		} else if models.KindOf(err) != models.Refused {
			t.Errorf("byte %d: %v, want Refused", i, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	rt := openRuntime(t)
	cases := map[string][]byte{
		"nothing": nil,
		"text":    []byte("not a model"),
		"zeros":   make([]byte, 4096),
	}
	for name, file := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := rt.Open(t.Context(), &manifest.Manifest{Opset: 17}, file)
			if models.KindOf(err) != models.Refused || err == nil {
				t.Errorf("Open = %v, %v; want Refused", r, err)
			}
		})
	}
	t.Run("other opset", func(t *testing.T) {
		if _, err := rt.Open(t.Context(), &manifest.Manifest{Opset: 18}, modeltest.Contract()); models.KindOf(err) != models.Refused {
			t.Errorf("Open = %v, want Refused", err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	rt := openRuntime(f)
	f.Add(modeltest.Contract())
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := rt.Open(t.Context(), &manifest.Manifest{Opset: 17}, file)
		if err != nil {
			if models.KindOf(err) != models.Refused {
				t.Errorf("%v, want Refused", err)
			}
			return
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}
