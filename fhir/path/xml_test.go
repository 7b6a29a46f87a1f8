package path_test

import (
	"testing"

	"galen/fhir/spec"
	"galen/fhir/xml"
)

// jsonOf turns the FHIR XML of a test input into FHIR JSON.
func jsonOf(t *testing.T, defs *spec.Definitions, text []byte) []byte {
	t.Helper()
	out, err := xml.New(defs).ToJSON(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
