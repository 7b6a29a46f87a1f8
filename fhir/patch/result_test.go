package patch

import (
	"errors"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// fhir.md 21: id, resourceType and meta.versionId cannot change.
func TestSameIdentity(t *testing.T) {
	const before = `{"resourceType":"Patient","id":"1","meta":{"versionId":"2","lastUpdated":"2026-01-01T00:00:00.000Z","tag":[{"code":"x"}]}}`
	cases := []struct {
		name, after string
		same        bool
	}{
		{"nothing changed", before, true},
		{"content", `{"resourceType":"Patient","id":"1","active":true}`, true},
		{"a tag", `{"resourceType":"Patient","id":"1","meta":{"versionId":"2","tag":[{"code":"y"}]}}`, true},
		{"meta removed", `{"resourceType":"Patient","id":"1"}`, true},
		{"id", `{"resourceType":"Patient","id":"2"}`, false},
		{"id removed", `{"resourceType":"Patient"}`, false},
		{"type", `{"resourceType":"Group","id":"1"}`, false},
		{"versionId", `{"resourceType":"Patient","id":"1","meta":{"versionId":"3"}}`, false},
		{"lastUpdated", `{"resourceType":"Patient","id":"1","meta":{"lastUpdated":"2027-01-01T00:00:00.000Z"}}`, false},
	}
	parse := func(text string) fhir.Resource {
		r, err := fhir.Parse([]byte(text), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := SameIdentity(parse(before), parse(c.after))
			if (err == nil) != c.same || err != nil && fhir.KindOf(err) != fhir.Unprocessable {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestMisfit(t *testing.T) {
	issues := fhir.Issues{{Severity: fhir.SeverityError, Kind: fhir.Value, At: "Patient.birthDate", Diagnostics: "x"}}
	got := Misfit(&fhir.Error{Kind: fhir.Value, Err: issues})
	if fhir.KindOf(got) != fhir.Unprocessable || len(fhir.IssuesOf(got)) != 1 || fhir.IssuesOf(got)[0].Kind != fhir.Value {
		t.Errorf("%v", got)
	}
	for _, err := range []error{nil, errors.New("x"), fhir.E("", fhir.NotFound, "", "x"), fhir.E("", fhir.Timeout, "", "x")} {
		if got := Misfit(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
