package atrest_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"galen/fhir"
	"galen/store/atrest"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func key(t *testing.T, digit string) *atrest.Key {
	t.Helper()
	k, err := atrest.Read(write(t, strings.Repeat(digit, 64)+"\n", 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A key file is read only if it is one and nobody else may read it; no error and
// no print shows the secret.
func TestRead(t *testing.T) {
	const secret = "deadbeef"
	for name, path := range map[string]string{
		"short":         write(t, secret, 0o600),
		"not hex":       write(t, strings.Repeat("deadbeefx", 8), 0o600),
		"long":          write(t, strings.Repeat(secret, 9), 0o600),
		"others' too":   write(t, strings.Repeat(secret, 8), 0o644),
		"no such file":  filepath.Join(t.TempDir(), "none"),
		"a directory":   t.TempDir(),
		"an empty file": write(t, "", 0o600),
	} {
		if k, err := atrest.Read(path); fhir.KindOf(err) != fhir.Invalid || k != nil || strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s: %v %v", name, k, err)
		}
	}
	k := key(t, "a")
	if text := fmt.Sprintf("%v %+v %#v", k, k, k); strings.Contains(text, "170") || strings.Contains(text, "aa") {
		t.Errorf("the key prints as %s", text)
	}
	if k, err := atrest.Read(""); k != nil || err != nil || k.Derive("x", 64) != nil {
		t.Error("no file is no key")
	}
}

func TestDerive(t *testing.T) {
	a, b := key(t, "a"), key(t, "b")
	if len(a.Derive("x", 64)) != 64 || !bytes.Equal(a.Derive("x", 64), a.Derive("x", 64)) {
		t.Error("the same use has not the same key")
	}
	if bytes.Equal(a.Derive("x", 64), a.Derive("y", 64)) || bytes.Equal(a.Derive("x", 64), b.Derive("x", 64)) {
		t.Error("another use or secret has the same key")
	}
}

// What is sealed is opened by the same key and use only, unless it was changed.
func TestSealer(t *testing.T) {
	sealer := func(k *atrest.Key, use string) *atrest.Sealer {
		s, err := k.Sealer(use, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := sealer(key(t, "a"), "x")
	text := []byte("family=Nierenstein")
	sealed, err := a.Seal(text)
	if err != nil || bytes.Contains(sealed, []byte("Nieren")) {
		t.Fatal(err, sealed)
	}
	if got, ok := a.Open(sealed); !ok || !bytes.Equal(got, text) {
		t.Errorf("opened as %q, %t", got, ok)
	}
	if again, _ := a.Seal(text); bytes.Equal(again, sealed) {
		t.Error("the same text is sealed to the same bytes")
	}
	for name, s := range map[string]*atrest.Sealer{"another key": sealer(key(t, "b"), "x"), "another use": sealer(key(t, "a"), "y")} {
		if _, ok := s.Open(sealed); ok {
			t.Errorf("%s opens it", name)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, ok := a.Open(changed); ok {
			t.Errorf("changed at %d and opened", i)
		}
	}
	if _, ok := a.Open(sealed[:5]); ok {
		t.Error("a part of it is opened")
	}
	none := sealer(nil, "x")
	if got, err := none.Seal(text); err != nil || !bytes.Equal(got, text) {
		t.Error("without a key nothing is changed")
	}
}
