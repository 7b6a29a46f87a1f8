package models_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/models"
	"galen/models/manifest"
)

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestTensor(t *testing.T) {
	good, err := models.NewTensor([]int64{2, 3}, []float32{1, 2, 3, 4, 5, 6})
	if err != nil {
		t.Fatal(err)
	}
	if row, ok := good.Floats(1); !ok || cmp.Diff([]float64{4, 5, 6}, row) != "" || good.Rows() != 2 || good.DType() != manifest.Float32 {
		t.Errorf("row 1 = %v, %v", row, ok)
	}
	for _, i := range []int{-1, 2} {
		if row, ok := good.Floats(i); ok {
			t.Errorf("row %d = %v", i, row)
		}
	}
	flags, _ := models.Row([]bool{true, false})
	if row, _ := flags.Floats(0); cmp.Diff([]float64{1, 0}, row) != "" {
		t.Errorf("flags = %v", row)
	}
	texts, _ := models.Row([]string{"a"})
	if row, ok := texts.Floats(0); ok {
		t.Errorf("texts as numbers = %v", row)
	}
	if _, ok := models.Data[float64](good); ok {
		t.Error("float32 came as float64")
	}
	bytes, _ := models.Row([]uint8{255})
	ints, _ := models.Row([]int64{-3})
	for tensor, want := range map[*models.Tensor]float64{&bytes: 255, &ints: -3} {
		if row, ok := tensor.Floats(0); !ok || row[0] != want {
			t.Errorf("Floats = %v, %v; want %v", row, ok, want)
		}
	}
	empty, err := models.NewTensor([]int64{0, 3}, []float64{})
	if err != nil || empty.Rows() != 0 {
		t.Errorf("empty = %v, %v", empty, err)
	}
	if _, ok := empty.Floats(0); ok {
		t.Error("a row of nothing")
	}
}

func TestTensorRefuses(t *testing.T) {
	for _, shape := range [][]int64{nil, {}, {3}, {1, 3}, {-1, -2}, {-2}, {1 << 40, 1 << 40}, {1 << 62, 4}, {1 << 28, 2}, {2, 0}} {
		if tensor, err := models.NewTensor(shape, []float64{1, 2}); models.KindOf(err) != models.BadInput || err == nil {
			t.Errorf("NewTensor(%v) = %v, %v; want BadInput", shape, tensor, err)
		}
	}
}

func TestParseRef(t *testing.T) {
	for text, want := range map[string]models.Ref{
		"kfre-4v":            {Name: "kfre-4v"},
		"kfre-4v@1.0.0":      {Name: "kfre-4v", Version: "1.0.0"},
		"a@2.0.0-rc.1":       {Name: "a", Version: "2.0.0-rc.1"},
		"cha2ds2-vasc@0.0.1": {Name: "cha2ds2-vasc", Version: "0.0.1"},
	} {
		got, err := models.ParseRef(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseRef(%q) = %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "@", "@1.0.0", "a@", "a@1", "a@1.0.0@1.0.0", "A", "1a", "a_b", "a--b", "a-", "-a", "a/b", "../a", "a@../b", "a b", "a@1.0.0+x", "a@king", "é"} {
		if got, err := models.ParseRef(bad); models.KindOf(err) != models.BadInput || err == nil {
			t.Errorf("ParseRef(%q) = %v, %v; want BadInput", bad, got, err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("kfre-4v@1.0.0")
	f.Add("a@2.0.0-rc.1")
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := models.ParseRef(s)
		if err == nil && ref.String() != s {
			t.Errorf("%q prints as %q", s, ref)
		}
	})
}

func TestKindOf(t *testing.T) {
	inner := &models.Error{Op: "run", Kind: models.Busy, Err: errors.New("full")}
	if got := models.KindOf(fmt.Errorf("outer: %w", inner)); got != models.Busy {
		t.Errorf("KindOf = %v, want busy", got)
	}
	if got := models.KindOf(errors.New("plain")); got != models.Internal {
		t.Errorf("KindOf = %v, want internal", got)
	}
	if got := (&models.Error{Op: "predict", Kind: models.Timeout, Model: "a@1.0.0", Err: errors.New("late")}).Error(); got != "predict a@1.0.0: timeout: late" {
		t.Errorf("Error = %q", got)
	}
	for k := models.Internal; k <= models.Stopped; k++ {
		if k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
}
