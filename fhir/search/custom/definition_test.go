package custom_test

import (
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search/custom"
	"galen/fhir/search/index"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

// FuzzRead: whatever a SearchParameter says, it is refused with a place, changes
// nothing, or can be compiled and searched by.
func FuzzRead(f *testing.F) {
	defs, err := spec.Load()
	if err != nil {
		f.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		f.Fatal(err)
	}
	engine := path.New(defs, units)
	patient, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"p","active":true,"birthDate":"2000-01-01","name":[{"family":"F","given":["G"]}],"extension":[{"url":"http://x","valueQuantity":{"value":1,"unit":"mg"}}]}`), jsontree.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`"code":"a","type":"token","base":["Patient"],"expression":"Patient.active"`,
		`"code":"a","type":"date","base":["Patient","Person"],"expression":"Patient.birthDate | Person.birthDate"`,
		`"code":"a","type":"quantity","base":["Resource"],"expression":"extension('http://x').value"`,
		`"code":"a","type":"composite","base":["Patient"],"expression":"Patient.name","component":[{"definition":"http://hl7.org/fhir/SearchParameter/individual-family","expression":"family"},{"definition":"http://hl7.org/fhir/SearchParameter/individual-given","expression":"given.first()"}]`,
		`"code":"a","type":"reference","base":["DomainResource"],"target":["Patient"],"expression":"DomainResource.extension.value.as(Reference)"`,
		`"code":"_a","type":"special","base":["Nothing"],"expression":"((("`,
		`"code":"a","type":"number","base":["Patient"],"expression":"Patient.name.count() + 1"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, members string) {
		r, err := fhir.Parse([]byte(`{"resourceType":"SearchParameter","url":"http://u","status":"active",`+members+`}`), jsontree.Limits{})
		if err != nil {
			return
		}
		d, ok, issues := custom.Read(defs, engine, r)
		if ok && len(issues) > 0 {
			t.Fatalf("both in force and refused: %v", issues)
		}
		for _, issue := range issues {
			if issue.At == "" || issue.Severity != fhir.SeverityError {
				t.Errorf("an issue without its place: %+v", issue)
			}
		}
		p := d.Params["Patient"]
		if !ok || p == nil {
			return
		}
		more := defs.With(map[string][]*spec.SearchParam{"Patient": {p}})
		indexer, err := index.New(more, engine, units, index.Options{})
		if err != nil {
			t.Fatalf("does not compile: %v", err)
		}
		entries, err := indexer.Index(patient)
		if err == nil && !indexer.Marked("Patient", entries) {
			t.Error("the entries do not bear the mark")
		}
		for _, o := range parse.New(more, units, parse.Options{}).Offers("Patient") {
			if o == p {
				return
			}
		}
		t.Error("no search takes it")
	})
}
