package main

import (
	"errors"
	"testing"

	"galen/fhir"
	"galen/fhir/fhirtest"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
)

// brokenExamples are official examples that R4's own definitions refuse; they
// are stored when validation is off.
var brokenExamples = map[string]string{
	"ImplementationGuide-fhir.json": "published without url, name and status",
}

// Every official example is stored and read back byte by byte, but for id and
// the meta members that the server owns.
func TestOfficialExamplesReadBack(t *testing.T) {
	base, lenient, n := openApp(t, "base"), openApp(t, "none"), 0
	for name, body := range fhirtest.Examples(t) {
		n++
		err := readBack(t, base.rest, body)
		reason, broken := brokenExamples[name]
		switch {
		case broken && err != nil:
			if err := readBack(t, lenient.rest, body); err != nil {
				t.Errorf("%s without validation: %v", name, err)
			}
		case broken && err == nil:
			t.Errorf("%s is excluded (%s) and passes", name, reason)
		case !broken && err != nil:
			t.Errorf("%s: %v", name, err)
		}
	}
	if n != 375 {
		t.Errorf("%d examples", n)
	}
}

func openApp(t *testing.T, validation string) *app {
	t.Helper()
	a, err := open(t.Context(), options{data: t.TempDir(), store: "sqlite", level: validation})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

var errDiffers = errors.New("what was read is not what was stored")

func readBack(t *testing.T, s *rest.Service, body []byte) error {
	r, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return err
	}
	caller := importCaller
	var out rest.Outcome
	switch {
	case r.ID == "":
		out, err = s.Create(t.Context(), caller, r.Type, body, "")
	default:
		out, err = s.Update(t.Context(), caller, r.Key, body, "")
	}
	if err != nil {
		return err
	}
	got, err := s.Read(t.Context(), caller, out.Key)
	if err != nil {
		return err
	}
	if string(got.Body) != string(r.Stamp(got.Header)) {
		return errDiffers
	}
	return nil
}
