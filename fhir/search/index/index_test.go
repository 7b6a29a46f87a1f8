package index

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
)

func dec(tb testing.TB, text string) decimal.Decimal {
	tb.Helper()
	d, err := decimal.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// between is the interval from the start of one date to the start of another;
// "" is open.
func between(tb testing.TB, low, high string) search.Date {
	tb.Helper()
	p := fhir.Period{Low: fhir.Beginning, High: fhir.End}
	for text, to := range map[string]*fhir.Instant{low: &p.Low, high: &p.High} {
		if text == "" {
			continue
		}
		at, _, err := fhir.ParseDateTime(text, time.UTC)
		if err != nil {
			tb.Fatal(err)
		}
		*to = at.Low
	}
	return search.Date{Period: p}
}

// TestValues has a line for each FHIR type and what it means to a parameter
// (https://hl7.org/fhir/R4/search.html#ptypes, the tables of each type).
func TestValues(t *testing.T) {
	x, _, _ := indexer(t)
	exactly := func(text string) search.Range {
		return search.Range{Low: dec(t, text), High: dec(t, text)}
	}
	str := func(exact, norm string) search.Value { return search.String{Exact: exact, Norm: norm} }
	patient := fhir.Key{Type: "Patient", ID: "1"}
	tests := []struct {
		name, resource, param string
		want                  []search.Value
	}{
		// Tokens.
		{
			"Coding", `"resourceType":"Encounter","class":{"system":"urn:c","code":"AMB","display":"Ambulatory (visit)"}`, "class",
			[]search.Value{search.Token{System: "urn:c", Code: "AMB"}, search.Text{Norm: "ambulatory visit"}},
		},
		{
			"CodeableConcept: every coding and the text", `"resourceType":"Condition","code":{"coding":[{"code":"a"},{"system":"s","code":"b","display":"X"},{"system":"s"}],"text":"Y"}`, "code",
			[]search.Value{
				search.Token{Code: "a"}, search.Token{System: "s", Code: "b"}, search.Text{Norm: "x"}, search.Token{System: "s"}, search.Text{Norm: "y"},
			},
		},
		{
			"a code system that does not heed case", `"resourceType":"Condition","code":{"coding":[{"system":"http://loinc.org","code":"LA6576-8"}]}`, "code",
			[]search.Value{search.Token{System: "http://loinc.org", Code: "la6576-8", Folded: true}},
		},
		{
			"Identifier with its type", `"resourceType":"Patient","identifier":[{"type":{"coding":[{"system":"t","code":"MR"}],"text":"Record"},"system":"urn:x","value":"7A"}]`, "identifier",
			[]search.Value{
				search.Token{System: "urn:x", Code: "7A"}, search.TypedIdentifier{System: "t", Code: "MR", Value: "7A"}, search.Text{Norm: "record"},
			},
		},
		{
			"ContactPoint", `"resourceType":"Patient","telecom":[{"system":"email","value":"A@B.org"},{"system":"phone"}]`, "telecom",
			[]search.Value{search.Token{System: "email", Code: "a@b.org", Folded: true}},
		},
		{
			"ContactPoint of one system", `"resourceType":"Patient","telecom":[{"system":"email","value":"A@B.org"},{"system":"phone","value":"1"}]`, "phone",
			[]search.Value{search.Token{System: "phone", Code: "1", Folded: true}},
		},
		{
			"code with the system of its binding", `"resourceType":"Patient","gender":"male"`, "gender",
			[]search.Value{search.Token{System: "http://hl7.org/fhir/administrative-gender", Code: "male"}},
		},
		{"boolean", `"resourceType":"Patient","active":true`, "active", []search.Value{search.Token{System: specialValues, Code: "true"}}},
		{"boolean computed: no element", `"resourceType":"Patient"`, "deceased", []search.Value{search.Token{System: specialValues, Code: "false"}}},
		{"boolean computed: a date of death", `"resourceType":"Patient","deceasedDateTime":"2020"`, "deceased", []search.Value{search.Token{System: specialValues, Code: "true"}}},
		{"boolean computed: alive", `"resourceType":"Patient","deceasedBoolean":false`, "deceased", []search.Value{search.Token{System: specialValues, Code: "false"}}},
		{"string as a token", `"resourceType":"Patient","generalPractitioner":[],"language":"DE"`, "_id", nil},
		{"item 29: only an extension", `"resourceType":"Patient","_gender":{"extension":[{"url":"x","valueCode":"unknown"}]}`, "gender", nil},
		{"empty Coding", `"resourceType":"Encounter","class":{"extension":[{"url":"x"}]}`, "class", nil},

		// Strings.
		{
			"item 31: HumanName, all its parts", `"resourceType":"Patient","name":[{"family":"Müller","given":["Zoë","Ann  Mary"],"prefix":["Dr."],"suffix":["MSc"],"text":"Zoë Müller","use":"old"}]`, "name",
			[]search.Value{
				str("Müller", "muller"), str("Zoë", "zoe"), str("Ann  Mary", "ann mary"), str("Dr.", "dr."), str("MSc", "msc"), str("Zoë Müller", "zoe muller"),
			},
		},
		{"one part of a name", `"resourceType":"Patient","name":[{"family":"Groß"},{"family":"Groß"}]`, "family", []search.Value{str("Groß", "gross")}},
		{
			"item 31: Address", `"resourceType":"Patient","address":[{"line":["1 A St"],"city":"B","district":"C","state":"D","postalCode":"E","country":"F","text":"G"}]`, "address",
			[]search.Value{str("1 A St", "1 a st"), str("B", "b"), str("C", "c"), str("D", "d"), str("E", "e"), str("F", "f"), str("G", "g")},
		},

		// Dates, items 22 and 23.
		{"date", `"resourceType":"Patient","birthDate":"1980-05"`, "birthdate", []search.Value{between(t, "1980-05", "1980-06")}},
		{"bad date", `"resourceType":"Patient","birthDate":"1980-13"`, "birthdate", nil},
		{"dateTime", `"resourceType":"Observation","effectiveDateTime":"2020-01-01T10:00:00+02:00"`, "date", []search.Value{between(t, "2020-01-01T08:00:00Z", "2020-01-01T08:00:01Z")}},
		{"instant", `"resourceType":"Observation","effectiveInstant":"2020-01-01T10:00:00.5Z"`, "date", []search.Value{between(t, "2020-01-01T10:00:00.5Z", "2020-01-01T10:00:00.6Z")}},
		{"Period", `"resourceType":"Encounter","period":{"start":"2020-01-01","end":"2020-01-02"}`, "date", []search.Value{between(t, "2020-01-01", "2020-01-03")}},
		{"Period without end", `"resourceType":"Encounter","period":{"start":"2020-01-01"}`, "date", []search.Value{between(t, "2020-01-01", "")}},
		{"Period without start", `"resourceType":"Encounter","period":{"end":"2020-01-01"}`, "date", []search.Value{between(t, "", "2020-01-02")}},
		{"Period of nothing", `"resourceType":"Encounter","period":{}`, "date", nil},
		{"Period that ends before it starts", `"resourceType":"Encounter","period":{"start":"2020","end":"2018"}`, "date", []search.Value{between(t, "2018", "2021")}},
		{"Timing: outer limits", `"resourceType":"Observation","effectiveTiming":{"event":["2020-03-01","2020-01-01"],"repeat":{"boundsPeriod":{"start":"2020-02-01","end":"2020-04-30"}}}`, "date", []search.Value{between(t, "2020-01-01", "2020-05-01")}},
		{"Timing of events", `"resourceType":"Observation","effectiveTiming":{"event":["2020-03-01","2020-01-01"]}`, "date", []search.Value{between(t, "2020-01-01", "2020-03-02")}},

		// Numbers and quantities, items 25 and 26.
		{"decimal", `"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":0.80}]`, "probability", []search.Value{search.Number{Range: exactly("0.80")}}},
		{
			"Range of numbers, open above", `"resourceType":"RiskAssessment","prediction":[{"probabilityRange":{"low":{"value":0.1}}}]`, "probability",
			[]search.Value{search.Number{Range: search.Range{Low: dec(t, "0.1"), OpenHigh: true}}},
		},
		{"integer", `"resourceType":"MolecularSequence","variant":[{"start":5,"end":7}],"coordinateSystem":0`, "variant-start", []search.Value{search.Number{Range: exactly("5")}}},
		{
			"Quantity in UCUM", `"resourceType":"Observation","valueQuantity":{"value":5,"unit":"milligram","system":"http://unitsofmeasure.org","code":"mg"}`, "value-quantity",
			[]search.Value{search.Quantity{Range: exactly("5"), System: "http://unitsofmeasure.org", Code: "mg", Unit: "milligram", Canonical: exactly("0.005"), CanonicalUnit: "g"}},
		},
		{
			"Quantity below 5", `"resourceType":"Observation","valueQuantity":{"value":5,"comparator":"<","unit":"x"}`, "value-quantity",
			[]search.Value{search.Quantity{Range: search.Range{High: dec(t, "5"), OpenLow: true}, Unit: "x"}},
		},
		{
			"Quantity of at least 5 g", `"resourceType":"Observation","valueQuantity":{"value":5,"comparator":">=","system":"http://unitsofmeasure.org","code":"kg"}`, "value-quantity",
			[]search.Value{search.Quantity{
				Range: search.Range{Low: dec(t, "5"), OpenHigh: true}, System: "http://unitsofmeasure.org", Code: "kg",
				Canonical: search.Range{Low: dec(t, "5000"), OpenHigh: true}, CanonicalUnit: "g",
			}},
		},
		{"pH has no canonical order", `"resourceType":"Observation","valueQuantity":{"value":7.4,"system":"http://unitsofmeasure.org","code":"[pH]"}`, "value-quantity", []search.Value{search.Quantity{Range: exactly("7.4"), System: "http://unitsofmeasure.org", Code: "[pH]"}}},
		{"Quantity without value", `"resourceType":"Observation","valueQuantity":{"unit":"mg"}`, "value-quantity", nil},
		{"Money", `"resourceType":"Invoice","totalNet":{"value":12.50,"currency":"EUR"}`, "totalnet", []search.Value{search.Quantity{Range: exactly("12.50"), System: "urn:iso:std:iso:4217", Code: "EUR"}}},
		{
			"Range of quantities", `"resourceType":"Condition","onsetRange":{"low":{"value":40,"unit":"a"},"high":{"value":50,"unit":"a"}}`, "onset-age",
			[]search.Value{search.Quantity{Range: search.Range{Low: dec(t, "40"), High: dec(t, "50")}, Unit: "a"}},
		},
		{
			"Age", `"resourceType":"Condition","onsetAge":{"value":52,"system":"http://unitsofmeasure.org","code":"a"}`, "onset-age",
			[]search.Value{search.Quantity{Range: exactly("52"), System: "http://unitsofmeasure.org", Code: "a", Canonical: exactly("1640995200"), CanonicalUnit: "s"}},
		},
		{
			"SampledData: least to greatest", `"resourceType":"Observation","valueSampledData":{"origin":{"value":10,"unit":"u"},"factor":2,"period":1,"dimensions":1,"upperLimit":9,"data":"3 E -1.5 U"}`, "value-quantity",
			[]search.Value{search.Quantity{Range: search.Range{Low: dec(t, "7"), High: dec(t, "28")}, Unit: "u"}},
		},

		// References, item 33.
		{
			"reference with identifier and display", `"resourceType":"Observation","subject":{"reference":"Patient/1","identifier":{"system":"s","value":"v"},"display":"Eve"}`, "subject",
			[]search.Value{search.Reference{Key: patient}, search.Token{System: "s", Code: "v"}, search.Text{Norm: "eve"}},
		},
		{"own base", `"resourceType":"Observation","subject":{"reference":"https://galen.test/fhir/Patient/1"}`, "subject", []search.Value{search.Reference{Key: patient}}},
		{"other base", `"resourceType":"Observation","subject":{"reference":"https://x.test/Patient/1"}`, "subject", []search.Value{search.Reference{URL: "https://x.test/Patient/1"}}},
		{"other base is still a Patient", `"resourceType":"Observation","subject":{"reference":"https://x.test/Patient/1"}`, "patient", []search.Value{search.Reference{URL: "https://x.test/Patient/1"}}},
		{"versioned", `"resourceType":"Observation","subject":{"reference":"Patient/1/_history/3"}`, "subject", []search.Value{search.Reference{Key: patient, Version: "3"}}},
		{"resolve() is Patient", `"resourceType":"Observation","subject":{"reference":"Group/1"}`, "patient", nil},
		{"resolve() by Reference.type", `"resourceType":"Observation","subject":{"type":"Patient","identifier":{"value":"v"}}`, "patient", []search.Value{search.Token{Code: "v"}}},
		{"resolve() of a contained resource", `"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"}`, "patient", []search.Value{search.Reference{URL: "#p"}}},
		{"item 35: contained resources are not looked into", `"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p","name":[{"family":"x"}]}],"code":{"text":"c"}`, "code", []search.Value{search.Text{Norm: "c"}}},
		{"canonical", `"resourceType":"QuestionnaireResponse","questionnaire":"http://x.org/q|2"`, "questionnaire", []search.Value{search.Reference{URL: "http://x.org/q", Version: "2"}}},
		{"guarded path", `"resourceType":"Library","relatedArtifact":[{"type":"depends-on","resource":"http://x/a"},{"type":"predecessor","resource":"http://x/b"}]`, "predecessor", []search.Value{search.Reference{URL: "http://x/b"}}},

		// URIs, item 32.
		{"uri", `"resourceType":"ValueSet","url":"http://X.org/a"`, "url", []search.Value{search.URI{URI: "http://X.org/a"}}},
		{"_profile with version", `"resourceType":"Patient","meta":{"profile":["http://p|1"]}`, "_profile", []search.Value{search.URI{URI: "http://p|1"}, search.URI{URI: "http://p"}}},
		{"_source", `"resourceType":"Patient","meta":{"source":"urn:s"}`, "_source", []search.Value{search.URI{URI: "urn:s"}}},
		{"_tag", `"resourceType":"Patient","meta":{"tag":[{"system":"s","code":"t"}]}`, "_tag", []search.Value{search.Token{System: "s", Code: "t"}}},
		{"position", `"resourceType":"Location","position":{"latitude":52.5,"longitude":13.4}`, "near", []search.Value{search.Position{Latitude: 52.5, Longitude: 13.4}}},

		// Composites, item 34.
		{
			"composite within a component", `"resourceType":"Observation","component":[{"code":{"coding":[{"code":"a"}]},"valueCodeableConcept":{"coding":[{"code":"x"}],"text":"t"}},{"code":{"coding":[{"code":"b"},{"code":"b"}]},"valueCodeableConcept":{"coding":[{"code":"y"}]}},{"code":{"coding":[{"code":"c"}]}}]`, "component-code-value-concept",
			[]search.Value{
				search.Composite{Parts: []search.Value{search.Token{Code: "a"}, search.Token{Code: "x"}}},
				search.Composite{Parts: []search.Value{search.Token{Code: "b"}, search.Token{Code: "y"}}},
			},
		},
		{
			"composite over the whole resource", `"resourceType":"Observation","code":{"coding":[{"code":"a"},{"code":"b"}]},"valueString":"V"`, "code-value-string",
			[]search.Value{
				search.Composite{Parts: []search.Value{search.Token{Code: "a"}, search.String{Exact: "V", Norm: "v"}}},
				search.Composite{Parts: []search.Value{search.Token{Code: "b"}, search.String{Exact: "V", Norm: "v"}}},
			},
		},
		{
			"composite with %resource", `"resourceType":"MolecularSequence","referenceSeq":{"chromosome":{"coding":[{"code":"7"}]}},"variant":[{"start":5,"end":7}]`, "chromosome-variant-coordinate",
			[]search.Value{search.Composite{Parts: []search.Value{search.Token{Code: "7"}, search.Number{Range: exactly("5")}, search.Number{Range: exactly("7")}}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entries, err := x.Index(parse(t, []byte("{"+tt.resource+"}")))
			if err != nil {
				t.Fatal(err)
			}
			var got []search.Value
			for _, e := range entries {
				if e.Param == tt.param {
					got = append(got, e.Value)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("%s: want -, got +\n%s", tt.param, d)
			}
		})
	}
}

// TestGolden: how many entries well-known shapes have: a change here changes
// what every store keeps.
func TestGolden(t *testing.T) {
	x, _, _ := indexer(t)
	got := map[string]int{}
	for _, r := range examples(t) {
		if _, ok := golden[r.Key.String()]; ok {
			entries, err := x.Index(r)
			if err != nil {
				t.Fatal(err)
			}
			got[r.Key.String()] = len(entries)
		}
	}
	if d := cmp.Diff(golden, got); d != "" {
		t.Errorf("want -, got +\n%s", d)
	}
}

var golden = map[string]int{
	"Condition/f001": 22, "Encounter/home": 13, "MedicationRequest/medrx0303": 14, "Observation/glasgow": 74, "Observation/satO2": 30,
}

// TestUnknownType: no type of R4 has no entries without a word.
func TestUnknownType(t *testing.T) {
	x, _, _ := indexer(t)
	if _, err := x.Index(parse(t, []byte(`{"resourceType":"Foo"}`))); fhir.KindOf(err) != fhir.NotSupported {
		t.Errorf("got %v", err)
	}
}

// TestMisfits: JSON of the wrong shape has no entries and does no harm; telling
// the client is validation's affair.
func TestMisfits(t *testing.T) {
	x, _, _ := indexer(t)
	for _, body := range []string{
		`"name":"x","birthDate":7,"identifier":{"value":{"a":1}},"active":"yes","gender":null`,
		`"name":[null,[["x"]],{"family":[1,{}]}],"identifier":[null,"x"],"telecom":[7]`,
		`"generalPractitioner":[{"reference":["a"]},{"reference":7}],"meta":{"tag":[1,{"code":{}}]},"contained":{"id":{}}`,
	} {
		if _, err := x.Index(parse(t, []byte(`{"resourceType":"Patient",`+body+`}`))); err != nil {
			t.Errorf("%v", err)
		}
	}
}
