package operation_test

import (
	"strings"
	"testing"

	"galen/server/servertest"
)

// The operations of a terminology service, by GET and by POST, on R4's own
// definitions and on stored ones.
func TestTerminologyOperations(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	admin.Do("PUT", "/fhir/CodeSystem/pets", `{"resourceType":"CodeSystem","id":"pets","url":"http://pets","version":"1","name":"Pets","status":"active","content":"complete","caseSensitive":true,
		"concept":[{"code":"dog","display":"Dog","concept":[{"code":"pug","display":"Pug"}]}]}`).Want(201)
	admin.Do("PUT", "/fhir/ValueSet/dogs", `{"resourceType":"ValueSet","id":"dogs","url":"http://dogs","status":"active","compose":{"include":[{"system":"http://pets","filter":[{"property":"concept","op":"is-a","value":"dog"}]}]}}`).Want(201)
	admin.Do("PUT", "/fhir/ConceptMap/m", `{"resourceType":"ConceptMap","id":"m","url":"http://m","status":"active","group":[{"source":"http://pets","target":"http://t","element":[{"code":"dog","target":[{"code":"D","equivalence":"equal"}]}]}]}`).Want(201)
	const parameters = `{"resourceType":"Parameters","parameter":[`
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"expand a stored value set", "GET", "/ValueSet/$expand?url=http://dogs", "", 200, `"total":2,"parameter":[{"name":"used-codesystem","valueUri":"http://pets|1"},{"name":"version","valueUri":"http://pets|1"}],"contains":[{"system":"http://pets","code":"dog"`},
		{"expand an instance", "GET", "/ValueSet/dogs/$expand?filter=pu", "", 200, `"total":1`},
		{"expand a built-in one", "GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&count=2", "", 200, `"total":4,"offset":0`},
		{"expand one that is sent", "POST", "/ValueSet/$expand", parameters + `{"name":"valueSet","resource":{"resourceType":"ValueSet","status":"active","compose":{"include":[{"system":"http://pets"}]}}}]}`, 200, `"contains":[{"system":"http://pets","code":"pug"`},
		{"expand none", "GET", "/ValueSet/$expand", "", 400, "url"},
		{"expand an unknown one", "GET", "/ValueSet/$expand?url=http://none", "", 404, "not known"},
		{"expand by a bad count", "GET", "/ValueSet/$expand?url=http://dogs&count=-1", "", 400, `"count"`},
		{"a code in a value set", "GET", "/ValueSet/$validate-code?url=http://dogs&system=http://pets&code=pug", "", 200, `{"name":"result","valueBoolean":true}`},
		{"a code not in it", "GET", "/ValueSet/$validate-code?url=http://dogs&system=http://pets&code=cat", "", 200, `{"name":"result","valueBoolean":false}`},
		{"a concept", "POST", "/ValueSet/$validate-code", parameters + `{"name":"url","valueUri":"http://dogs"},{"name":"codeableConcept","valueCodeableConcept":{"coding":[{"system":"x","code":"y"},{"system":"http://pets","code":"dog"}]}}]}`, 200, `{"name":"result","valueBoolean":true}`},
		{"a code of a code system", "GET", "/CodeSystem/$validate-code?url=http://pets&code=dog&display=Cat", "", 200, `{"name":"result","valueBoolean":false}`},
		{"look up", "GET", "/CodeSystem/$lookup?system=http://pets&code=pug", "", 200, `{"name":"display","valueString":"Pug"}`},
		{"look up a coding", "POST", "/CodeSystem/$lookup", parameters + `{"name":"coding","valueCoding":{"system":"http://hl7.org/fhir/administrative-gender","code":"male"}}]}`, 200, `{"name":"display","valueString":"Male"}`},
		{"expand what a question brings along", "POST", "/ValueSet/$expand", parameters + `{"name":"url","valueUri":"http://own"},{"name":"tx-resource","resource":{"resourceType":"ValueSet","url":"http://own","status":"active","compose":{"include":[{"system":"http://own/codes"}]}}},{"name":"tx-resource","resource":{"resourceType":"CodeSystem","url":"http://own/codes","status":"active","content":"complete","concept":[{"code":"x"}]}}]}`, 200, `"contains":[{"system":"http://own/codes","code":"x"}]`},
		{"which nobody else sees", "GET", "/ValueSet/$expand?url=http://own", "", 404, "not known"},
		{"a unit of UCUM", "GET", "/CodeSystem/$lookup?system=http://unitsofmeasure.org&code=mg/dL", "", 200, `{"name":"display","valueString":"mg/dL"}`},
		{"translate by any map", "GET", "/ConceptMap/$translate?system=http://pets&code=dog&targetsystem=http://t", "", 200, `{"name":"result","valueBoolean":true}`},
		{"look up an unknown code", "GET", "/CodeSystem/$lookup?system=http://pets&code=cat", "", 404, "not define"},
		{"look up without system", "GET", "/CodeSystem/$lookup?code=cat", "", 400, `"system"`},
		{"subsumes", "GET", "/CodeSystem/$subsumes?system=http://pets&codeA=dog&codeB=pug", "", 200, `{"name":"outcome","valueCode":"subsumes"}`},
		{"subsumes on an instance", "GET", "/CodeSystem/pets/$subsumes?codeA=pug&codeB=dog", "", 200, `{"name":"outcome","valueCode":"subsumed-by"}`},
		{"translate", "GET", "/ConceptMap/$translate?url=http://m&system=http://pets&code=dog", "", 200, `{"name":"concept","valueCoding":{"system":"http://t","code":"D"}}`},
		{"translate on an instance, backwards", "GET", "/ConceptMap/m/$translate?system=http://t&code=D&reverse=true", "", 200, `"code":"dog"`},
		{"translate what has none", "GET", "/ConceptMap/$translate?url=http://m&system=http://pets&code=pug", "", 200, `{"name":"result","valueBoolean":false}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := admin.Do(tt.method, "/fhir"+tt.path, tt.body).Want(tt.status)
			if !strings.Contains(string(got.Body), tt.want) {
				t.Errorf("%s is not in %s", tt.want, got.Body)
			}
		})
	}
	// A patient may not see value sets, so not their expansion either.
	s.As("patient").Do("GET", "/fhir/ValueSet/$expand?url=http://dogs", "").Want(403)
}

// $validate with a profile that is asked for, claimed, or unknown.
func TestValidateAgainstProfiles(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.As("clinician")
	const weight = `{"resourceType":"Observation",META"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
		"code":{"coding":[{"system":"http://loinc.org","code":"29463-7"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2026-11-24","valueQuantity":{"value":70,"unit":"kg","system":"http://unitsofmeasure.org","code":"UNIT"}}`
	with := func(meta, unit string) string {
		return strings.NewReplacer("META", meta, "UNIT", unit).Replace(weight)
	}
	const claim, profile = `"meta":{"profile":["http://hl7.org/fhir/StructureDefinition/bodyweight"]},`, "?profile=http://hl7.org/fhir/StructureDefinition/bodyweight"
	tests := []struct{ name, query, body, want string }{
		{"conforms", profile, with(claim, "kg"), ""},
		{"asked for", profile, with(claim, "mg"), `"expression":["Observation.valueQuantity.code"]`},
		{"claimed", "", with(claim, "mg"), `"expression":["Observation.valueQuantity.code"]`},
		{"not claimed", "", with(`"id":"x",`, "mg"), ""},
		{"asked for and not known", "?profile=http://none", with("", "kg"), `"severity":"error","code":"not-found"`},
		{"claim not known", "", with(`"meta":{"profile":["http://none"]},`, "kg"), `"severity":"warning","code":"not-found"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(c.Do("POST", "/fhir/Observation/$validate"+tt.query, tt.body).Want(200).Body)
			if tt.want == "" && strings.Contains(got, `"severity":"error"`) || tt.want != "" && !strings.Contains(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
