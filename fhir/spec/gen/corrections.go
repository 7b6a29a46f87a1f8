package main

import "fmt"

// correction is one change to the official text: at names an element's path or
// a search parameter's URL, from is what R4 says there and to what it means.
type correction struct{ at, from, to, why string }

// corrections are the errata of R4 that change what a server does.
var corrections = []correction{
	{
		at: "Resource.id", from: "string", to: "id",
		why: "resource.html#Resource types it id; the definition's fhir-type extension says string, which would allow any text",
	},
	{
		at: "xhtml.id", from: "http://hl7.org/fhirpath/System.String", to: "string",
		why: "the one id of an element without the fhir-type extension that names its FHIR type",
	},
	{
		at: "http://hl7.org/fhir/SearchParameter/InsurancePlan-name", from: "name | alias", to: "InsurancePlan.name | InsurancePlan.alias",
		why: "the only expression that does not name its resource type; as it stands it selects nothing when read like the others",
	},
}

// corrector applies the corrections and remembers which fitted.
type corrector map[string]bool

// fix returns the corrected form of text, which stands at the given place.
func (c corrector) fix(at, text string) string {
	for _, k := range corrections {
		if k.at == at && k.from == text {
			c[at] = true
			return k.to
		}
	}
	return text
}

// check fails if a correction met nothing to correct.
func (c corrector) check() error {
	for _, k := range corrections {
		if !c[k.at] {
			return fmt.Errorf("correction of %s fits nothing: the definitions changed", k.at)
		}
	}
	return nil
}
