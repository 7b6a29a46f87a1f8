package literal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest/literal"
	"galen/fhir/spec"
)

func walker(t testing.TB) *literal.Walker {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	return literal.New(defs)
}

func parse(t testing.TB, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return r
}

const uuid = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"

// "The server SHALL replace all matching links in the bundle, whether they are
// found in the resource references, elements of type uri, url, oid, uuid, and <a
// href="" & <img src="" in the narrative"
// (https://hl7.org/fhir/R4/http.html#trules).
func TestRewrite(t *testing.T) {
	w := walker(t)
	links := literal.Links{
		uuid:                               {To: "Patient/new"},
		"urn:oid:1.2.3":                    {To: "Patient/oid"},
		"http://a.example/fhir/Patient/1":  {To: "Patient/abs", Version: "1"},
		"http://a.example/fhir/Patient/2":  {To: "Patient/2"},
		"http://a.example/fhir/ValueSet/v": {To: "ValueSet/stored", Canonical: true},
	}
	for name, tt := range map[string]struct{ in, want string }{
		"Reference":             {`{"resourceType":"Observation","subject":{"reference":"` + uuid + `"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/new"}}`},
		"oid":                   {`{"resourceType":"Observation","subject":{"reference":"urn:oid:1.2.3"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/oid"}}`},
		"absolute":              {`{"resourceType":"Observation","subject":{"reference":"http://a.example/fhir/Patient/1"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/abs"}}`},
		"relative to the base":  {`{"resourceType":"Observation","subject":{"reference":"Patient/1"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/abs"}}`},
		"versioned":             {`{"resourceType":"Observation","subject":{"reference":"Patient/1/_history/4"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/abs/_history/1"}}`},
		"unknown version":       {`{"resourceType":"Observation","subject":{"reference":"http://a.example/fhir/Patient/2/_history/3"}}`, ""},
		"another resource":      {`{"resourceType":"Observation","subject":{"reference":"Patient/2"}}`, ""},
		"fragment":              {`{"resourceType":"Observation","subject":{"reference":"` + uuid + `#p"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/new#p"}}`},
		"contained reference":   {`{"resourceType":"Observation","subject":{"reference":"#p"}}`, ""},
		"array":                 {`{"resourceType":"Observation","performer":[{"display":"x"},{"reference":"` + uuid + `"}]}`, `{"resourceType":"Observation","performer":[{"display":"x"},{"reference":"Patient/new"}]}`},
		"contained":             {`{"resourceType":"Observation","contained":[{"resourceType":"Encounter","id":"e","subject":{"reference":"` + uuid + `"}}]}`, `{"resourceType":"Observation","contained":[{"resourceType":"Encounter","id":"e","subject":{"reference":"Patient/new"}}]}`},
		"extension Reference":   {`{"resourceType":"Patient","extension":[{"url":"x","valueReference":{"reference":"` + uuid + `"}}]}`, `{"resourceType":"Patient","extension":[{"url":"x","valueReference":{"reference":"Patient/new"}}]}`},
		"extension of a value":  {`{"resourceType":"Patient","_birthDate":{"extension":[{"url":"x","valueUri":"` + uuid + `"}]}}`, `{"resourceType":"Patient","_birthDate":{"extension":[{"url":"x","valueUri":"Patient/new"}]}}`},
		"extension in an array": {`{"resourceType":"Patient","name":[{"given":["a"],"_given":[{"extension":[{"url":"x","valueUri":"` + uuid + `"}]}]}]}`, `{"resourceType":"Patient","name":[{"given":["a"],"_given":[{"extension":[{"url":"x","valueUri":"Patient/new"}]}]}]}`},
		"url of an extension":   {`{"resourceType":"Patient","extension":[{"url":"` + uuid + `","valueString":"x"}]}`, ""},
		"Attachment.url":        {`{"resourceType":"DocumentReference","content":[{"attachment":{"url":"` + uuid + `"}}]}`, `{"resourceType":"DocumentReference","content":[{"attachment":{"url":"Patient/new"}}]}`},
		"canonical":             {`{"resourceType":"QuestionnaireResponse","questionnaire":"` + uuid + `|2"}`, `{"resourceType":"QuestionnaireResponse","questionnaire":"Patient/new|2"}`},
		"canonical array":       {`{"resourceType":"CarePlan","instantiatesCanonical":["http://x","` + uuid + `"]}`, `{"resourceType":"CarePlan","instantiatesCanonical":["http://x","Patient/new"]}`},
		"uuid becomes uri":      {`{"resourceType":"Patient","extension":[{"url":"x","_valueUuid":{"id":"a"},"valueUuid" : "` + uuid + `"}]}`, `{"resourceType":"Patient","extension":[{"url":"x","_valueUri":{"id":"a"},"valueUri" : "Patient/new"}]}`},
		"oid becomes uri":       {`{"resourceType":"Patient","extension":[{"url":"x","valueOid":"urn:oid:1.2.3"}]}`, `{"resourceType":"Patient","extension":[{"url":"x","valueUri":"Patient/oid"}]}`},
		"a string is no link":   {`{"resourceType":"Patient","identifier":[{"system":"urn:ietf:rfc:3986","value":"` + uuid + `"}]}`, ""},
		"display is no link":    {`{"resourceType":"Observation","subject":{"display":"` + uuid + `"}}`, ""},
		"its own url":           {`{"resourceType":"ValueSet","url":"http://a.example/fhir/ValueSet/v"}`, ""},
		"by canonical url":      {`{"resourceType":"Questionnaire","item":[{"answerValueSet":"http://a.example/fhir/ValueSet/v"}]}`, ""},
		"Reference to it":       {`{"resourceType":"Basic","subject":{"reference":"http://a.example/fhir/ValueSet/v"}}`, `{"resourceType":"Basic","subject":{"reference":"ValueSet/stored"}}`},
		"a Bundle inside":       {`{"resourceType":"Bundle","entry":[{"fullUrl":"` + uuid + `","resource":{"resourceType":"Observation","subject":{"reference":"` + uuid + `"}}}]}`, ""},
		"narrative": {
			`{"resourceType":"Patient","text":{"div":"<div>\u00e9 <a  href = \"` + uuid + `\" title=\"` + uuid + `\">x<\/a><img src='Patient/1'/> href=\"` + uuid + `\"<!-- <a href=\"` + uuid + `\"> --></div>"}}`,
			`{"resourceType":"Patient","text":{"div":"<div>\u00e9 <a  href = \"Patient/new\" title=\"` + uuid + `\">x<\/a><img src='Patient/abs'/> href=\"` + uuid + `\"<!-- <a href=\"` + uuid + `\"> --></div>"}}`,
		},
		"narrative with escapes": {
			`{"resourceType":"Patient","text":{"div":"<div>\ud83d\ude00\u20ac\u0041\n<a href=\u0022` + uuid + `\u0022/></div>"}}`,
			`{"resourceType":"Patient","text":{"div":"<div>\ud83d\ude00\u20ac\u0041\n<a href=\u0022Patient/new\u0022/></div>"}}`,
		},
		"white space and order": {
			"{ \"subject\" : {\n\"reference\":\t\"" + uuid + "\" } , \"valueQuantity\":{\"value\":1.00}, \"resourceType\" : \"Observation\" }",
			"{ \"subject\" : {\n\"reference\":\t\"Patient/new\" } , \"valueQuantity\":{\"value\":1.00}, \"resourceType\" : \"Observation\" }",
		},
		"escaped link":  {`{"resourceType":"Observation","subject":{"reference":"` + strings.ReplaceAll(uuid, "u", `\u0075`) + `"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/new"}}`},
		"wrong shape":   {`{"resourceType":"Observation","subject":[{"reference":1},"x",null],"performer":{"reference":"` + uuid + `"}}`, `{"resourceType":"Observation","subject":[{"reference":1},"x",null],"performer":{"reference":"Patient/new"}}`},
		"unknown type":  {`{"resourceType":"Foo","subject":{"reference":"` + uuid + `"}}`, ""},
		"unclosed html": {`{"resourceType":"Patient","text":{"div":"<div><a href=\"` + uuid + `"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.want == "" {
				tt.want = tt.in
			}
			r := parse(t, tt.in)
			got, err := w.Rewrite(r, func(l literal.Link) (string, error) {
				to, _ := links.Find(l.Kind, "http://a.example/fhir/", l.Text)
				return to, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A relative reference has no meaning in an entry whose fullUrl is not RESTful
// (https://hl7.org/fhir/R4/bundle.html#references).
func TestRelativeWithoutBase(t *testing.T) {
	links := literal.Links{"http://a.example/fhir/Patient/1": {To: "Patient/abs"}}
	for _, fullURL := range []string{"", uuid, "http://a.example/fhir/Patient"} {
		if to, ok := links.Find(literal.Reference, literal.Base(fullURL), "Patient/1"); ok {
			t.Errorf("%q: %s", fullURL, to)
		}
	}
	if base := literal.Base("http://b.example/x/Patient/1"); base != "http://b.example/x/" {
		t.Error(base)
	}
}

func TestPathAndError(t *testing.T) {
	w := walker(t)
	r := parse(t, `{"resourceType":"Patient","_gender":{"extension":[{"url":"x"},{"url":"y","valueReference":{"reference":"a"}}]},
		"contained":[{"resourceType":"Group","member":[{"entity":{"reference":"b"}}]}],"link":[{"other":{"reference":"c"}}]}`)
	var paths []string
	stop := errors.New("stop")
	err := w.References(r, func(l literal.Link) error {
		paths = append(paths, l.Text+" "+l.Path())
		if l.Text == "b" {
			return stop
		}
		return nil
	})
	want := []string{"a Patient.gender.extension[1].valueReference.reference", "b Patient.contained[0].member[0].entity.reference"}
	if diff := cmp.Diff(want, paths); diff != "" || !errors.Is(err, stop) {
		t.Errorf("%v -want +got:\n%s", err, diff)
	}
}

// Whatever the resource, the answer is JSON, and without an answer the bytes are
// the same.
func FuzzRewrite(f *testing.F) {
	w := walker(f)
	for _, seed := range []string{
		`{"resourceType":"Patient","text":{"div":"<div><a href=\"x\">\ud83d\ude00</a><img src='y'/></div>"}}`,
		`{"resourceType":"Patient","extension":[{"valueUuid":"x","_valueUuid":{}}],"link":[{"other":{"reference":"a"}}]}`,
		`{"resourceType":"Observation","subject":{"reference":"a","\u0074ype":"Patient"},"derivedFrom":[{"reference":"b"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := fhir.Parse(text, jsontree.Limits{Depth: 100})
		if err != nil {
			return
		}
		same, err := w.Rewrite(r, func(l literal.Link) (string, error) { return l.Text, nil })
		if err != nil || !bytes.Equal(same, text) {
			t.Fatalf("%v %s", err, same)
		}
		changed, err := w.Rewrite(r, func(literal.Link) (string, error) { return `a"<\`, nil })
		if err != nil {
			t.Fatal(err)
		}
		// With two choices of one element, which the validator refuses, a rename
		// may make one name of two.
		if _, err := jsontree.Parse(changed, jsontree.Limits{}); err != nil && !bytes.Contains(text, []byte("value")) {
			t.Fatalf("%v: %s", err, changed)
		}
	})
}

func BenchmarkRewrite(b *testing.B) {
	w := walker(b)
	r := parse(b, `{"resourceType":"Observation","id":"x","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"Body Height"}],"text":"Body Height"},"subject":{"reference":"`+uuid+`"},"encounter":{"reference":"`+uuid+`"},"effectiveDateTime":"2010-07-27T12:45:19-04:00","issued":"2010-07-27T12:45:19.112-04:00","valueQuantity":{"value":155.1,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}}`)
	links := literal.Links{uuid: {To: "Patient/new"}}
	b.SetBytes(int64(len(r.Bytes())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Rewrite(r, func(l literal.Link) (string, error) {
			to, _ := links.Find(l.Kind, "", l.Text)
			return to, nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}
