package entry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest/entry"
	"galen/fhir/spec"
)

func options(t testing.TB) entry.Options {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	return entry.Options{Defs: defs, Base: "http://galen.test/fhir", Entries: 3}
}

func parse(t testing.TB, o entry.Options, text string) (entry.Bundle, error) {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return entry.Parse(r, o)
}

// What refuses a Bundle as a whole.
func TestBundleRefused(t *testing.T) {
	o := options(t)
	for name, tt := range map[string]struct {
		body string
		kind fhir.Kind
		at   string
	}{
		"no Bundle":        {`{"resourceType":"Patient"}`, fhir.Invalid, "resourceType"},
		"no type":          {`{"resourceType":"Bundle"}`, fhir.Required, "Bundle.type"},
		"history":          {`{"resourceType":"Bundle","type":"history"}`, fhir.Invalid, "Bundle.type"},
		"searchset":        {`{"resourceType":"Bundle","type":"searchset"}`, fhir.Invalid, "Bundle.type"},
		"document":         {`{"resourceType":"Bundle","type":"document"}`, fhir.Invalid, "Bundle.type"},
		"response":         {`{"resourceType":"Bundle","type":"batch-response"}`, fhir.Invalid, "Bundle.type"},
		"type is a number": {`{"resourceType":"Bundle","type":1}`, fhir.Invalid, "Bundle.type"},
		"unknown element":  {`{"resourceType":"Bundle","type":"batch","foo":1}`, fhir.Invalid, "Bundle"},
		"entry no array":   {`{"resourceType":"Bundle","type":"batch","entry":{}}`, fhir.Invalid, "Bundle.entry"},
		"empty array":      {`{"resourceType":"Bundle","type":"batch","entry":[]}`, fhir.Invalid, "Bundle.entry"},
		"entry no object":  {`{"resourceType":"Bundle","type":"batch","entry":[{},1]}`, fhir.Invalid, "Bundle.entry[1]"},
		"null entry":       {`{"resourceType":"Bundle","type":"batch","entry":[null]}`, fhir.Invalid, "Bundle.entry[0]"},
		"null resource":    {`{"resourceType":"Bundle","type":"batch","entry":[{"resource":null,"request":{"method":"POST","url":"Patient"}}]}`, fhir.Invalid, "Bundle.entry[0].resource"},
		"too many":         {`{"resourceType":"Bundle","type":"batch","entry":[{},{},{},{}]}`, fhir.TooLong, "Bundle.entry"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, o, tt.body)
			issues := fhir.IssuesOf(err)
			if err == nil || fhir.KindOf(err) != tt.kind || issues[0].At != tt.at {
				t.Errorf("%v, want %v at %s", err, tt.kind, tt.at)
			}
		})
	}
}

// What refuses one entry.
func TestEntryRefused(t *testing.T) {
	o := options(t)
	const patient = `"resource":{"resourceType":"Patient"},`
	for name, tt := range map[string]struct{ entry, at string }{
		"no request":               {`{"resource":{"resourceType":"Patient"}}`, ".request"},
		"request no obj":           {`{"request":1}`, ".request"},
		"unknown element":          {`{"foo":1,"request":{"method":"GET","url":"Patient"}}`, ""},
		"unknown in request":       {`{"request":{"method":"GET","url":"Patient","foo":1}}`, ".request"},
		"no method":                {`{"request":{"url":"Patient"}}`, ".request.method"},
		"method a number":          {`{"request":{"method":1,"url":"Patient"}}`, ".request.method"},
		"strange method":           {`{"request":{"method":"TRACE","url":"Patient"}}`, ".request.method"},
		"lower case":               {`{"request":{"method":"get","url":"Patient"}}`, ".request.method"},
		"no url":                   {`{"request":{"method":"GET"}}`, ".request.url"},
		"other server":             {`{"request":{"method":"GET","url":"http://other.test/fhir/Patient/1"}}`, ".request.url"},
		"longer base":              {`{"request":{"method":"GET","url":"http://galen.test/fhirx/Patient/1"}}`, ".request.url"},
		"fullUrl":                  {`{"fullUrl":1,"request":{"method":"GET","url":"Patient"}}`, ".fullUrl"},
		"ifMatch":                  {`{"request":{"method":"GET","url":"Patient","ifMatch":3}}`, ".request.ifMatch"},
		"POST nothing":             {`{"request":{"method":"POST","url":"Patient"}}`, ".resource"},
		"POST to an id":            {`{` + patient + `"request":{"method":"POST","url":"Patient/1"}}`, ".request.url"},
		"POST criteria":            {`{` + patient + `"request":{"method":"POST","url":"Patient?a=b"}}`, ".request.url"},
		"PUT to a type":            {`{` + patient + `"request":{"method":"PUT","url":"Patient"}}`, ".request.url"},
		"PUT deeper":               {`{` + patient + `"request":{"method":"PUT","url":"Patient/1/_history/2"}}`, ".request.url"},
		"PUT nothing":              {`{"request":{"method":"PUT","url":"Patient/1"}}`, ".resource"},
		"PATCH nothing":            {`{"request":{"method":"PATCH","url":"Patient/1"}}`, ".resource"},
		"PUT ifNoneExist":          {`{` + patient + `"request":{"method":"PUT","url":"Patient/1","ifNoneExist":"a=b"}}`, ".request.ifNoneExist"},
		"DELETE ifNoneMatch":       {`{"request":{"method":"DELETE","url":"Patient/1","ifNoneMatch":"*"}}`, ".request.ifNoneMatch"},
		"PUT criteria ifNoneMatch": {`{` + patient + `"request":{"method":"PUT","url":"Patient?a=b","ifNoneMatch":"*"}}`, ".request.ifNoneMatch"},
		"POST ifMatch":             {`{` + patient + `"request":{"method":"POST","url":"Patient","ifMatch":"*"}}`, ".request.ifMatch"},
		"DELETE a type":            {`{"request":{"method":"DELETE","url":"Patient"}}`, ".request.url"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := parse(t, o, `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient"}},`+tt.entry+`]}`)
			if err != nil || b.Entries[0].Err != nil {
				t.Fatal(err, b.Entries)
			}
			bad := b.Entries[1].Err
			if bad == nil || fhir.KindOf(bad).Status() != 400 || fhir.IssuesOf(bad)[0].At != "Bundle.entry[1]"+tt.at {
				t.Errorf("%v, want it at %q", bad, tt.at)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	o := options(t)
	for url, want := range map[string][2]string{
		"Patient/1":                          {"Patient/1", ""},
		"/Patient/1":                         {"Patient/1", ""},
		"http://galen.test/fhir/Patient/1":   {"Patient/1", ""},
		"http://galen.test/fhir":             {"", ""},
		"http://galen.test/fhir?_type=Basic": {"", "_type=Basic"},
		"Patient?identifier=http://x|1?":     {"Patient", "identifier=http://x|1?"},
		"Patient/1/_history/2":               {"Patient/1/_history/2", ""},
	} {
		b, err := parse(t, o, `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","request":{"method":"HEAD","url":"`+url+`","ifNoneMatch":"W/\"1\""}}]}`)
		if err != nil || !b.Transaction {
			t.Fatal(err)
		}
		e := b.Entries[0]
		if diff := cmp.Diff(want, [2]string{e.Path, e.Query}); diff != "" || e.Err != nil || e.Writes() || e.FullURL != "urn:uuid:1" || e.IfNoneMatch != `W/"1"` {
			t.Errorf("%s: %v %+v %s", url, e.Err, e, diff)
		}
	}
}

// DELETE, POST, PUT and PATCH, GET and HEAD
// (https://hl7.org/fhir/R4/http.html#trules).
func TestPhases(t *testing.T) {
	for i, methods := range []string{"DELETE", "POST", "PUT PATCH", "GET HEAD"} {
		for m := range strings.FieldsSeq(methods) {
			if e := (entry.Entry{Method: m}); e.Phase() != i {
				t.Errorf("%s in phase %d, want %d", m, e.Phase(), i)
			}
		}
	}
}

func TestPlace(t *testing.T) {
	b, err := parse(t, options(t), `{"resourceType":"Bundle","type":"batch","entry":[
		{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},
		{"resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Patient/1"}},
		{"resource":{"resourceType":"Parameters"},"request":{"method":"PATCH","url":"Patient/1"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	create, update, change := b.Entries[0], b.Entries[1], b.Entries[2]
	for _, tt := range []struct {
		e        entry.Entry
		at, want string
	}{
		{update, "", "Bundle.entry[1]"},
		{update, "Patient", "Bundle.entry[1].resource"},
		{update, "Patient.name[0].given", "Bundle.entry[1].resource.name[0].given"},
		{update, "resourceType", "Bundle.entry[1].resource"},
		{update, "offset 12", "Bundle.entry[1]"},
		{update, "If-Match", "Bundle.entry[1].request.ifMatch"},
		{update, "Bundle.entry[1].request.url", "Bundle.entry[1].request.url"},
		{update, "birthdate", "Bundle.entry[1].request.url"},
		{create, "birthdate", "Bundle.entry[0].request.ifNoneExist"},
		{change, "Patient.birthDate", "Bundle.entry[2].resource"},
		{change, "Patient", "Bundle.entry[2].request.url"},
	} {
		for name, err := range map[string]error{
			"error":  fhir.E("x", fhir.Value, tt.at, "m"),
			"issues": &fhir.Error{Kind: fhir.Value, At: tt.at, Err: fhir.Issues{{Kind: fhir.Value, At: tt.at, Diagnostics: "m"}}},
		} {
			placed := tt.e.Place(err)
			if got := fhir.IssuesOf(placed)[0].At; got != tt.want || fhir.KindOf(placed) != fhir.Value {
				t.Errorf("%s %q: %q, want %q", name, tt.at, got, tt.want)
			}
		}
	}
	if update.Place(nil) != nil {
		t.Error("an error out of nothing")
	}
}

func FuzzParse(f *testing.F) {
	o := options(f)
	f.Add([]byte(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Patient/1"}}]}`))
	f.Add([]byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","request":{"method":"GET","url":"http://galen.test/fhir?x"}},{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := fhir.Parse(text, jsontree.Limits{Depth: 100})
		if err != nil {
			return
		}
		b, err := entry.Parse(r, o)
		if err != nil && fhir.KindOf(err) == fhir.Internal {
			t.Fatal(err)
		}
		for _, e := range b.Entries {
			if err == nil && e.Err != nil && (fhir.KindOf(e.Err) == fhir.Internal || !strings.HasPrefix(fhir.IssuesOf(e.Err)[0].At, e.At(""))) {
				t.Fatal(e.Err)
			}
		}
	})
}

func TestKeyAndOperation(t *testing.T) {
	for path, want := range map[string]struct {
		key       fhir.Key
		operation string
	}{
		"Patient":                 {fhir.Key{Type: "Patient"}, ""},
		"Patient/1":               {fhir.Key{Type: "Patient", ID: "1"}, ""},
		"Patient/1/_history/2":    {fhir.Key{Type: "Patient", ID: "1"}, ""},
		"Patient/_history":        {fhir.Key{Type: "Patient"}, ""},
		"_history":                {fhir.Key{}, ""},
		"":                        {fhir.Key{}, ""},
		"$meta":                   {fhir.Key{}, "meta"},
		"Patient/$validate":       {fhir.Key{Type: "Patient"}, "validate"},
		"Patient/1/$everything":   {fhir.Key{Type: "Patient", ID: "1"}, "everything"},
		"Patient/1/$everything/2": {fhir.Key{Type: "Patient", ID: "1"}, ""},
		"Patient/1/a/$everything": {fhir.Key{Type: "Patient", ID: "1"}, ""},
	} {
		e := entry.Entry{Path: path}
		if e.Key() != want.key || e.Operation() != want.operation {
			t.Errorf("%s: %v %q", path, e.Key(), e.Operation())
		}
	}
}
