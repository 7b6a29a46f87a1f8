package bundle_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/policies"
	"galen/server/auth"
	"galen/server/servertest"
	"galen/store/sqlite"
)

// bundleOf is a Bundle with those entries.
func bundleOf(kind string, entries ...string) string {
	if len(entries) == 0 {
		return `{"resourceType":"Bundle","type":"` + kind + `"}`
	}
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
}

// entryOf is an entry; more are pairs of a name and a value of the request, or
// of "fullUrl" and a value.
func entryOf(method, url, resource string, more ...string) string {
	full, request := "", ""
	for i := 0; i+1 < len(more); i += 2 {
		pair := fmt.Sprintf("%q:%q,", more[i], more[i+1])
		if more[i] == "fullUrl" {
			full += pair
		} else {
			request += pair
		}
	}
	if resource != "" {
		resource = `"resource":` + resource + ","
	}
	return fmt.Sprintf(`{%s%s"request":{%s"method":%q,"url":%q}}`, full, resource, request, method, url)
}

// person is a Patient with one identifier; id may be "".
func person(id, identifier string) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return `{"resourceType":"Patient",` + id + `"identifier":[{"system":"s","value":"` + identifier + `"}]}`
}

// about is an Observation of a subject.
func about(subject string) string {
	return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"` + subject + `"}}`
}

// fhirPathPatch adds a birth date.
const fhirPathPatch = `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},
	{"name":"path","valueString":"Patient"},{"name":"name","valueString":"birthDate"},{"name":"value","valueDate":"1980-01-01"}]}]}`

// jsonPatch is a JSON Patch as a Bundle carries it.
func jsonPatch(operations string) string {
	return `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"` + base64.StdEncoding.EncodeToString([]byte(operations)) + `"}`
}

// statuses are the first words of the entries' statuses.
func statuses(root jsontree.Node) string {
	var out []string
	for e := range root.Get("entry").Items() {
		status, _, _ := strings.Cut(e.Get("response").Get("status").Text(), " ")
		out = append(out, status)
	}
	return strings.Join(out, " ")
}

func onSQLite(t testing.TB) servertest.Options {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Dir: t.TempDir(), Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Options{Driver: db, MaxBody: 64 << 20}
}

// own gives the ids and the identifier system in a text a mark of their own.
func own(mark int, text string) string {
	for _, r := range []struct{ from, to string }{
		{`Patient/([a-z]+)`, "Patient/$1-%d"}, {`"id":"([a-z]+)"`, `"id":"$1-%d"`}, {`"system":"s"`, `"system":"s%d"`}, {`\bs\|`, "s%d|"},
	} {
		text = regexp.MustCompile(r.from).ReplaceAllString(text, strings.ReplaceAll(r.to, "%d", strconv.Itoa(mark)))
	}
	return text
}

// https://hl7.org/fhir/R4/http.html#trules, each case on resources of its own:
// Patient/one (s|1), Patient/two and Patient/twin (both s|2), and Patient/gone
// (s|5), which was deleted.
func TestTransactionRules(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	mark := 0
	for name, tt := range map[string]struct {
		entries []string
		status  int
		want    string // statuses of the entries, or the place of the error
	}{
		"nothing at all": {nil, 200, ""},
		"the order does not depend on that of the entries": {[]string{
			entryOf("GET", "Patient/new", ""), entryOf("GET", "Patient?identifier=s|9", ""), entryOf("HEAD", "Patient/one", ""),
			entryOf("PUT", "Patient/new", person("new", "9")), entryOf("POST", "Patient", person("", "8")), entryOf("DELETE", "Patient/one", ""),
		}, 200, "200 200 410 201 201 204"},
		"ifNoneExist without a match":  {[]string{entryOf("POST", "Patient", person("", "7"), "ifNoneExist", "identifier=s|7")}, 200, "201"},
		"ifNoneExist with a match":     {[]string{entryOf("POST", "Patient", person("", "1"), "ifNoneExist", "identifier=s|1")}, 200, "200"},
		"ifNoneExist with a ?":         {[]string{entryOf("POST", "Patient", person("", "1"), "ifNoneExist", "?identifier=s|1")}, 200, "200"},
		"ifNoneExist with a type":      {[]string{entryOf("POST", "Patient", person("", "1"), "ifNoneExist", "Patient?identifier=s|1")}, 200, "200"},
		"ifNoneExist with many":        {[]string{entryOf("POST", "Patient", person("", "2"), "ifNoneExist", "identifier=s|2")}, 412, "Bundle.entry[0].request.ifNoneExist"},
		"ifNoneExist, unknown":         {[]string{entryOf("POST", "Patient", person("", "2"), "ifNoneExist", "foo=s|2")}, 400, "Bundle.entry[0].request.ifNoneExist"},
		"ifNoneExist that selects all": {[]string{entryOf("POST", "Patient", person("", "2"), "ifNoneExist", "identifier=")}, 400, "Bundle.entry[0].request.ifNoneExist"},
		"ifNoneExist after the delete of the match": {[]string{
			entryOf("POST", "Patient", person("", "1"), "ifNoneExist", "identifier=s|1"), entryOf("DELETE", "Patient/one", ""),
		}, 200, "201 204"},
		"conditional update without a match":                          {[]string{entryOf("PUT", "Patient?identifier=s|7", person("", "7"))}, 200, "201"},
		"conditional update without a match, with an id":              {[]string{entryOf("PUT", "Patient?identifier=s|7", person("seven", "7"))}, 200, "201"},
		"conditional update without a match, with an id that is used": {[]string{entryOf("PUT", "Patient?identifier=s|7", person("one", "7"))}, 409, "Bundle.entry[0].resource.id"},
		"conditional update with a match":                             {[]string{entryOf("PUT", "Patient?identifier=s|1", `{"resourceType":"Patient","active":true}`)}, 200, "200"},
		"conditional update with the id of the match":                 {[]string{entryOf("PUT", "Patient?identifier=s|1", person("one", "6"))}, 200, "200"},
		"conditional update with another id":                          {[]string{entryOf("PUT", "Patient?identifier=s|1", person("uno", "6"))}, 400, "Bundle.entry[0].resource.id"},
		"conditional update with many":                                {[]string{entryOf("PUT", "Patient?identifier=s|2", person("", "2"))}, 412, "Bundle.entry[0].request.url"},
		"conditional update, unknown parameter":                       {[]string{entryOf("PUT", "Patient?foo=s|2", person("", "2"))}, 400, "Bundle.entry[0].request.url"},
		"conditional delete without a match":                          {[]string{entryOf("DELETE", "Patient?identifier=s|7", "")}, 200, "204"},
		"conditional delete with a match":                             {[]string{entryOf("DELETE", "Patient?identifier=s|1", ""), entryOf("GET", "Patient/one", "")}, 200, "204 410"},
		"conditional delete with many":                                {[]string{entryOf("DELETE", "Patient?identifier=s|2", "")}, 412, "Bundle.entry[0].request.url"},
		"conditional delete, unknown parameter":                       {[]string{entryOf("DELETE", "Patient?foo=1", "")}, 400, "Bundle.entry[0].request.url"},
		"ifMatch":                                                     {[]string{entryOf("PUT", "Patient/one", person("one", "6"), "ifMatch", `W/"1"`)}, 200, "200"},
		"ifMatch of another version":                                  {[]string{entryOf("POST", "Patient", person("", "8")), entryOf("PUT", "Patient/one", person("one", "6"), "ifMatch", `W/"2"`)}, 412, "Bundle.entry[1].request.ifMatch"},
		"ifMatch never creates":                                       {[]string{entryOf("PUT", "Patient/new", person("new", "6"), "ifMatch", `W/"1"`)}, 412, "Bundle.entry[0].request.ifMatch"},
		"ifMatch of a delete":                                         {[]string{entryOf("DELETE", "Patient/one", "", "ifMatch", `W/"2"`)}, 412, "Bundle.entry[0].request.ifMatch"},
		"ifMatch of a conditional update":                             {[]string{entryOf("PUT", "Patient?identifier=s|1", person("", "6"), "ifMatch", `W/"3"`)}, 412, "Bundle.entry[0].request.ifMatch"},
		"ifMatch that is none":                                        {[]string{entryOf("PUT", "Patient/one", person("one", "6"), "ifMatch", "one")}, 400, "Bundle.entry[0].request.ifMatch"},
		"the same id twice":                                           {[]string{entryOf("PUT", "Patient/one", person("one", "6")), entryOf("PUT", "Patient/one", person("one", "7"))}, 400, "Bundle.entry[1].request.url"},
		"deleted and updated":                                         {[]string{entryOf("PUT", "Patient/one", person("one", "6")), entryOf("DELETE", "Patient/one", "")}, 400, "Bundle.entry[0].request.url"},
		"the same after resolving an update": {[]string{
			entryOf("PUT", "Patient/one", person("one", "6")), entryOf("PUT", "Patient?identifier=s|1", person("", "7")),
		}, 400, "Bundle.entry[1].request.url"},
		"the same after resolving a create": {[]string{
			entryOf("PUT", "Patient/one", person("one", "6")), entryOf("POST", "Patient", person("", "7"), "ifNoneExist", "identifier=s|1"),
		}, 400, "Bundle.entry[0].request.url"},
		"the same after resolving a delete": {[]string{
			entryOf("DELETE", "Patient?identifier=s|1", ""), entryOf("PUT", "Patient/one", person("one", "6")),
		}, 400, "Bundle.entry[1].request.url"},
		"two creates of what neither finds": {[]string{
			entryOf("POST", "Patient", person("", "7"), "ifNoneExist", "identifier=s|7"), entryOf("POST", "Patient", person("", "7"), "ifNoneExist", "identifier=s|7"),
		}, 400, "Bundle.entry[0].request.ifNoneExist"},
		"an update of what is created here": {[]string{
			entryOf("POST", "Patient", person("", "7")), entryOf("PUT", "Patient?identifier=s|7", person("", "7")),
		}, 400, "Bundle.entry[1].request.url"},
		"a create that an update will match": {[]string{
			entryOf("POST", "Patient", person("", "7"), "ifNoneExist", "identifier=s|7"), entryOf("PUT", "Patient/new", person("new", "7")),
		}, 200, "201 201"},
		"the same fullUrl twice": {[]string{
			entryOf("POST", "Patient", person("", "7"), "fullUrl", "urn:uuid:a"), entryOf("POST", "Patient", person("", "8"), "fullUrl", "urn:uuid:a"),
		}, 400, "Bundle.entry[1].fullUrl"},
		"a urn that no entry has":        {[]string{entryOf("POST", "Observation", about("urn:uuid:a"))}, 400, "Bundle.entry[0].resource.subject.reference"},
		"an oid that no entry has":       {[]string{entryOf("POST", "Observation", about("urn:oid:1.2"))}, 400, "Bundle.entry[0].resource.subject.reference"},
		"conditional reference to one":   {[]string{entryOf("POST", "Observation", about("Patient?identifier=s|1"))}, 200, "201"},
		"conditional reference to none":  {[]string{entryOf("POST", "Patient", person("", "8")), entryOf("POST", "Observation", about("Patient?identifier=s|7"))}, 412, "Bundle.entry[1].resource.subject.reference"},
		"conditional reference to many":  {[]string{entryOf("POST", "Observation", about("Patient?identifier=s|2"))}, 412, "Bundle.entry[0].resource.subject.reference"},
		"conditional reference, unknown": {[]string{entryOf("POST", "Observation", about("Patient?foo=1"))}, 400, "Bundle.entry[0].resource.subject.reference"},
		"conditional reference to what is created here": {[]string{
			entryOf("POST", "Observation", about("Patient?identifier=s|7")), entryOf("POST", "Patient", person("", "7")),
		}, 200, "201 201"},
		"conditional reference to one here and one stored": {[]string{
			entryOf("POST", "Observation", about("Patient?identifier=s|1")), entryOf("POST", "Patient", person("", "1")),
		}, 412, "Bundle.entry[0].resource.subject.reference"},
		"conditional reference to what is deleted here": {[]string{
			entryOf("POST", "Observation", about("Patient?identifier=s|1")), entryOf("DELETE", "Patient/one", ""),
		}, 412, "Bundle.entry[0].resource.subject.reference"},
		"conditional reference to what is changed here": {[]string{
			entryOf("POST", "Observation", about("Patient?identifier=s|2")), entryOf("PUT", "Patient/two", person("two", "7")),
		}, 200, "201 200"},
		"conditional reference to a hit": {[]string{
			entryOf("POST", "Observation", about("Patient?identifier=s|1")), entryOf("POST", "Patient", person("", "1"), "ifNoneExist", "identifier=s|1"),
		}, 200, "201 200"},
		"PATCH as a FHIRPath Patch":     {[]string{entryOf("PATCH", "Patient/one", fhirPathPatch), entryOf("GET", "Patient?birthdate=1980-01-01", "")}, 200, "200 200"},
		"PATCH as a JSON Patch":         {[]string{entryOf("PATCH", "Patient/one", jsonPatch(`[{"op":"add","path":"/active","value":true}]`))}, 200, "200"},
		"PATCH that fails its test":     {[]string{entryOf("POST", "Patient", person("", "8")), entryOf("PATCH", "Patient/one", jsonPatch(`[{"op":"test","path":"/active","value":true}]`))}, 422, "Bundle.entry[1].request.url"},
		"PATCH that makes it invalid":   {[]string{entryOf("PATCH", "Patient/one", jsonPatch(`[{"op":"add","path":"/birthDate","value":"x"}]`))}, 422, "Bundle.entry[0].resource"},
		"PATCH of what is not there":    {[]string{entryOf("PATCH", "Patient/none", fhirPathPatch)}, 404, "Bundle.entry[0]"},
		"PATCH that is none":            {[]string{entryOf("PATCH", "Patient/one", `{"resourceType":"Patient"}`)}, 400, "Bundle.entry[0].resource"},
		"PATCH of another media type":   {[]string{entryOf("PATCH", "Patient/one", `{"resourceType":"Binary","contentType":"text/plain","data":"YQ=="}`)}, 415, "Bundle.entry[0].request.url"},
		"PATCH with ifMatch":            {[]string{entryOf("PATCH", "Patient/one", fhirPathPatch, "ifMatch", `W/"2"`)}, 412, "Bundle.entry[0].request.ifMatch"},
		"PATCH and PUT":                 {[]string{entryOf("PUT", "Patient/one", person("one", "6")), entryOf("PATCH", "Patient/one", fhirPathPatch)}, 400, "Bundle.entry[1].request.url"},
		"conditional PATCH":             {[]string{entryOf("PATCH", "Patient?identifier=s|1", fhirPathPatch)}, 200, "200"},
		"conditional PATCH of nothing":  {[]string{entryOf("PATCH", "Patient?identifier=s|7", fhirPathPatch)}, 404, "Bundle.entry[0].request.url"},
		"conditional PATCH of many":     {[]string{entryOf("PATCH", "Patient?identifier=s|2", fhirPathPatch)}, 412, "Bundle.entry[0].request.url"},
		"PUT of what must not be there": {[]string{entryOf("PUT", "Patient/one", person("one", "6"), "ifNoneMatch", "*")}, 412, "Bundle.entry[0].request.ifMatch"},
		"PUT of what is not there":      {[]string{entryOf("PUT", "Patient/new", person("new", "6"), "ifNoneMatch", "*")}, 200, "201"},
		"an invalid resource":           {[]string{entryOf("POST", "Patient", person("", "8")), entryOf("POST", "Patient", `{"resourceType":"Patient","birthDate":"2020-02-30"}`)}, 400, "Bundle.entry[1].resource.birthDate"},
		"a resource of another type":    {[]string{entryOf("POST", "Patient", `{"resourceType":"Basic"}`)}, 400, "Bundle.entry[0].resource"},
		"an unknown type":               {[]string{entryOf("POST", "Patent", `{"resourceType":"Patent"}`)}, 404, "Bundle.entry[0]"},
		"a bad id":                      {[]string{entryOf("PUT", "Patient/a_b", person("", "1"))}, 400, "Bundle.entry[0].request.url"},
		"another id in the URL":         {[]string{entryOf("PUT", "Patient/a", person("b", "1"))}, 400, "Bundle.entry[0].resource.id"},
		"no id in the resource":         {[]string{entryOf("PUT", "Patient/a", person("", "1"))}, 400, "Bundle.entry[0].resource.id"},
		"AuditEvent":                    {[]string{entryOf("POST", "AuditEvent", `{"resourceType":"AuditEvent"}`)}, 405, "Bundle.entry[0]"},
		"a bad entry":                   {[]string{entryOf("POST", "Patient", person("", "8")), entryOf("PUT", "Patient", person("", "1"))}, 400, "Bundle.entry[1].request.url"},
		"a resurrected resource":        {[]string{entryOf("PUT", "Patient/gone", person("gone", "5"))}, 200, "201"},
		"an unchanged resource":         {[]string{entryOf("PUT", "Patient/one", person("one", "1")), entryOf("GET", "Patient/one/_history", "")}, 200, "200 200"},
	} {
		t.Run(name, func(t *testing.T) {
			mark++
			for id, identifier := range map[string]string{"one": "1", "two": "2", "twin": "2", "gone": "5"} {
				admin.Do("PUT", own(mark, "Patient/"+id), own(mark, person(id, identifier))).Want(201)
			}
			admin.Do("DELETE", own(mark, "Patient/gone"), "").Want(204)
			total := func() string { return admin.Do("GET", "_history?_count=0", "").Want(200).JSON().Get("total").Text() }
			before := total()
			answer := admin.Do("POST", "", own(mark, bundleOf("transaction", tt.entries...))).Want(tt.status)
			if tt.status == 200 {
				if got := statuses(answer.JSON()); got != tt.want || answer.JSON().Get("type").Text() != "transaction-response" {
					t.Errorf("statuses %s, want %s: %s", got, tt.want, answer.Body)
				}
				return
			}
			if at := answer.Issue().Get("expression").Item(0).Text(); at != tt.want {
				t.Errorf("at %q, want %q: %s", at, tt.want, answer.Body)
			}
			if after := total(); after != before {
				t.Errorf("a transaction that failed left versions: %s, before %s", after, before)
			}
		})
	}
}

// Links lead to the identities that the entries got, also to the hit of an
// ifNoneExist (https://hl7.org/fhir/R4/http.html#trules).
func TestTransactionLinks(t *testing.T) {
	s := servertest.Start(t, onSQLite(t))
	admin := s.As("admin")
	admin.Do("PUT", "Patient/one", person("one", "1")).Want(201)
	const base = "http://elsewhere.example/fhir/"
	answer := admin.Do("POST", "", bundleOf("transaction",
		entryOf("POST", "Patient", person("", "1"), "fullUrl", "urn:uuid:hit", "ifNoneExist", "identifier=s|1"),
		entryOf("POST", "Patient", person("77", "7"), "fullUrl", base+"Patient/77"),
		entryOf("PUT", "Patient?identifier=s|8", person("", "8"), "fullUrl", "urn:oid:1.2.8"),
		entryOf("POST", "Observation", about("urn:uuid:hit"), "fullUrl", "urn:uuid:obs"),
		entryOf("POST", "Observation", about("Patient/77"), "fullUrl", base+"Observation/5"),
		entryOf("POST", "Observation", about("Patient/77/_history/12"), "fullUrl", base+"Observation/6"),
		entryOf("POST", "Observation", about("Patient/77"), "fullUrl", "http://other.example/fhir/Observation/5"),
		entryOf("POST", "Observation", about("urn:oid:1.2.8"), "fullUrl", "urn:uuid:obs2"),
		entryOf("POST", "DocumentReference", `{"resourceType":"DocumentReference","status":"current","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"urn:uuid:obs\">1.0<\/a></div>"},"content":[{"attachment":{"url":"urn:uuid:obs"}}],"contained":[{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"subject":{"reference":"urn:uuid:hit"}}],"context":{"encounter":[{"reference":"#e"}]}}`),
	)).Want(200).JSON()
	var keys []string
	for e := range answer.Get("entry").Items() {
		location := e.Get("response").Get("location").Text()
		keys = append(keys, strings.TrimSuffix(location[strings.Index(location, "/fhir/")+6:], "/_history/1"))
	}
	if keys[0] != "Patient/one" || keys[1] == "Patient/77" {
		t.Errorf("identities %v", keys)
	}
	for i, want := range map[int]string{3: keys[0], 4: keys[1], 5: keys[1] + "/_history/1", 6: "Patient/77", 7: keys[2]} {
		if got := admin.Do("GET", keys[i], "").Want(200).JSON().Get("subject").Get("reference").Text(); got != want {
			t.Errorf("entry %d refers to %s, want %s", i, got, want)
		}
	}
	document := string(admin.Do("GET", keys[8], "").Want(200).Body)
	for _, want := range []string{`<a href=\"` + keys[3] + `\">1.0<\/a>`, `"url":"` + keys[3] + `"`, `"subject":{"reference":"` + keys[0] + `"}`, `{"reference":"#e"}`} {
		if !strings.Contains(document, want) {
			t.Errorf("no %s in %s", want, document)
		}
	}
}

// "Version-specific references should remain as version-specific references after
// the references have been updated": to what an update makes too.
func TestVersionedLinksToUpdates(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	const base = "http://elsewhere.example/fhir/"
	admin.Do("PUT", "Patient/changed", person("changed", "1")).Want(201)
	admin.Do("PUT", "Patient/same", person("same", "2")).Want(201)
	admin.Do("PUT", "Patient/back", person("back", "3")).Want(201)
	admin.Do("DELETE", "Patient/back", "").Want(204)
	for round, want := range []map[string]string{
		{"changed": "2", "same": "1", "back": "3", "new": "1", "where": "1"},
		{"changed": "2", "same": "1", "back": "3", "new": "1", "where": "1"},
	} {
		var entries []string
		for _, id := range []string{"changed", "same", "back", "new"} {
			identifier := "x"
			if id == "same" {
				identifier = "2"
			}
			entries = append(entries, entryOf("PUT", "Patient/"+id, person(id, identifier), "fullUrl", base+"Patient/their-"+id))
		}
		entries = append(entries, entryOf("PUT", "Patient?identifier=s|w", person("", "w"), "fullUrl", base+"Patient/their-where"))
		for id := range want {
			entries = append(entries, entryOf("PUT", "Observation/"+id, `{"id":"`+id+`",`+about("Patient/their-" + id + "/_history/9")[1:], "fullUrl", base+"Observation/"+id))
		}
		admin.Do("POST", "", bundleOf("transaction", entries...)).Want(200)
		for id, version := range want {
			got := admin.Do("GET", "Observation/"+id, "").Want(200).JSON().Get("subject").Get("reference").Text()
			if !strings.HasSuffix(got, "/_history/"+version) || id != "where" && !strings.HasPrefix(got, "Patient/"+id) {
				t.Errorf("round %d: %s refers to %s, want version %s", round, id, got, version)
			}
			admin.Do("GET", got, "").Want(200)
		}
	}
}

// What a patch puts in may refer to other entries; what was stored before stays.
func TestPatchLinks(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	admin.Do("PUT", "Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"encounter":{"reference":"Encounter/5"},"focus":[{"reference":"urn:uuid:old"}]}`).Want(201)
	answer := admin.Do("POST", "", bundleOf("transaction",
		entryOf("POST", "Patient", person("", "1"), "fullUrl", "urn:uuid:p"),
		entryOf("POST", "Encounter", `{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"}}`, "fullUrl", "http://elsewhere.example/Encounter/5"),
		entryOf("PATCH", "Observation/o", jsonPatch(`[{"op":"add","path":"/subject","value":{"reference":"urn:uuid:p"}}]`), "fullUrl", "http://elsewhere.example/Observation/o"),
	)).Want(200).JSON()
	patient := strings.TrimPrefix(answer.Get("entry").Item(0).Get("fullUrl").Text(), s.URL+"/fhir/")
	got := admin.Do("GET", "Observation/o", "").Want(200).JSON()
	if got.Get("subject").Get("reference").Text() != patient || got.Get("encounter").Get("reference").Text() != "Encounter/5" ||
		got.Get("focus").Item(0).Get("reference").Text() != "urn:uuid:old" || got.Get("meta").Get("versionId").Text() != "2" {
		t.Errorf("%s", got.Raw())
	}
}

// A conditional delete of several, where the configuration allows it, is one
// entry with one answer.
func TestConditionalDeleteOfMany(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Rest: func(c *rest.Config) { c.Limits.Deletes = 3 }})
	admin := s.As("admin")
	for _, kind := range []string{"batch", "transaction"} {
		for _, id := range []string{"a", "b", "c"} {
			admin.Do("PUT", "Patient/"+id, person(id, "many"))
		}
		got := statuses(admin.Do("POST", "", bundleOf(kind, entryOf("DELETE", "Patient?identifier=s|many", ""), entryOf("GET", "Patient/c", ""))).Want(200).JSON())
		if got != "204 410" {
			t.Errorf("%s: %s", kind, got)
		}
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		admin.Do("PUT", "Patient/"+id, person(id, "many"))
	}
	answer := admin.Do("POST", "", bundleOf("transaction", entryOf("DELETE", "Patient?identifier=s|many", ""))).Want(422)
	if at := answer.Issue().Get("expression").Item(0).Text(); at != "Bundle.entry[0].request.url" {
		t.Errorf("at %s", at)
	}
	for _, id := range []string{"a", "d"} {
		admin.Do("DELETE", "Patient/"+id, "").Want(204)
	}
	answer = admin.Do("POST", "", bundleOf("transaction", entryOf("DELETE", "Patient?identifier=s|many", ""), entryOf("PUT", "Patient/c", person("c", "1")))).Want(400)
	if at := answer.Issue().Get("expression").Item(0).Text(); at != "Bundle.entry[1].request.url" {
		t.Errorf("at %s", at)
	}
}

// "The entries in the response are in the order of the request, with status,
// location, etag and lastModified; a resource as Prefer asks"
// (https://hl7.org/fhir/R4/http.html#transaction-response).
func TestPreferInBundles(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	for _, kind := range []string{"batch", "transaction"} {
		for prefer, want := range map[string][2]bool{
			"": {false, false}, "return=minimal": {false, false}, "return=representation": {true, false}, "return=OperationOutcome": {false, true},
		} {
			answer := admin.Do("POST", "", bundleOf(kind, entryOf("POST", "Patient", person("", "1"))), "Prefer", prefer).Want(200).JSON()
			e := answer.Get("entry").Item(0)
			r := e.Get("response")
			if got := [2]bool{e.Get("resource").Exists(), r.Get("outcome").Exists()}; got != want {
				t.Errorf("%s %q: %s", kind, prefer, e.Raw())
			}
			if r.Get("status").Text() != "201 Created" || !strings.HasPrefix(r.Get("location").Text(), s.URL+"/fhir/Patient/") ||
				r.Get("etag").Text() != `W/"1"` || r.Get("lastModified").Text() == "" {
				t.Errorf("%s %q: %s", kind, prefer, r.Raw())
			}
		}
	}
}

// The entries of a batch stand alone, each with its outcome, and the answer is
// 200 (https://hl7.org/fhir/R4/http.html#batch).
func TestBatch(t *testing.T) {
	s := servertest.Start(t, onSQLite(t))
	admin := s.As("admin")
	admin.Do("PUT", "Patient/one", person("one", "1")).Want(201)
	admin.Do("PUT", "Patient/three", person("three", "33")).Want(201)
	for _, tt := range []struct{ entry, status, at string }{
		{entryOf("GET", "Patient/one", ""), "200", ""},
		{entryOf("GET", s.URL+"/fhir/Patient/one", ""), "200", ""},
		{entryOf("GET", "Patient/one", "", "ifNoneMatch", `W/"1"`), "304", ""},
		{entryOf("GET", "Patient/one", "", "ifModifiedSince", "2100-01-01T00:00:00Z"), "304", ""},
		{entryOf("HEAD", "Patient/one", ""), "200", ""},
		{entryOf("GET", "Patient/one/_history/1", ""), "200", ""},
		{entryOf("GET", "Patient/one/_history", ""), "200", ""},
		{entryOf("GET", "Patient/_history?_count=1", ""), "200", ""},
		{entryOf("GET", "_history", ""), "200", ""},
		{entryOf("GET", "Patient?identifier=s|1", ""), "200", ""},
		{entryOf("GET", "?_type=Patient&_count=1", ""), "200", ""},
		{entryOf("GET", "metadata", ""), "200", ""},
		{entryOf("GET", "Patient/one/Observation?status=final", ""), "200", ""},
		{entryOf("GET", "Patient/one/*", ""), "200", ""},
		{entryOf("GET", "Patient/one/Patent", ""), "404", "Bundle.entry[%d]"},
		{entryOf("GET", "Observation/one/Patient", ""), "404", "Bundle.entry[%d]"},
		{entryOf("GET", "Patient/one/Observation/5", ""), "400", "Bundle.entry[%d].request.url"},
		{entryOf("GET", "Patient/none", ""), "404", "Bundle.entry[%d]"},
		{entryOf("GET", "Patent/1", ""), "404", "Bundle.entry[%d]"},
		{entryOf("GET", "Patient?birthdate=x", ""), "400", "Bundle.entry[%d].request.url"},
		{entryOf("GET", "Patient/one/_history?_count=x", ""), "400", "Bundle.entry[%d].request.url"},
		{entryOf("GET", "Patient/one/$everything/x", ""), "400", "Bundle.entry[%d].request.url"},
		{entryOf("POST", "Patient", person("", "9")), "201", ""},
		{entryOf("POST", "Patient", person("", "1"), "ifNoneExist", "identifier=s|1"), "200", ""},
		{entryOf("POST", "Patient", `{"resourceType":"Patient","gender":"x"}`), "400", "Bundle.entry[%d].resource.gender"},
		{entryOf("POST", "Patient", ""), "400", "Bundle.entry[%d].resource"},
		{entryOf("POST", "Observation", about("urn:uuid:x")), "201", ""},
		{entryOf("PUT", "Patient/two", person("two", "2")), "201", ""},
		{entryOf("PUT", "Patient/two", person("two", "3"), "ifMatch", `W/"1"`), "200", ""},
		{entryOf("PUT", "Patient/two", person("two", "4"), "ifMatch", `W/"1"`), "412", "Bundle.entry[%d].request.ifMatch"},
		{entryOf("PUT", "Patient?identifier=s|3", person("", "4")), "200", ""},
		{entryOf("DELETE", "Patient/two", ""), "204", ""},
		{entryOf("DELETE", "Patient/two", ""), "204", ""},
		{entryOf("DELETE", "Patient?identifier=s|1", ""), "204", ""},
		{entryOf("GET", "Patient/one", ""), "410", "Bundle.entry[%d].request.url"},
		{entryOf("PATCH", "Patient/three", fhirPathPatch), "200", ""},
		{entryOf("PATCH", "Patient?identifier=s|33", jsonPatch(`[{"op":"remove","path":"/birthDate"}]`)), "200", ""},
		{entryOf("PATCH", "Patient/three", `{"resourceType":"Basic"}`), "400", "Bundle.entry[%d].resource"},
		{entryOf("PUT", "Patient/three", person("three", "33"), "ifNoneMatch", "*"), "412", "Bundle.entry[%d].request.ifMatch"},
		{entryOf("POST", "AuditEvent", `{"resourceType":"AuditEvent","type":{"code":"110114"},"recorded":"2026-11-24T08:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"display":"x"}}}`), "201", ""},
		{entryOf("TRACE", "Patient/one", ""), "400", "Bundle.entry[%d].request.method"},
		{`{"resource":{"resourceType":"Patient"}}`, "400", "Bundle.entry[%d].request"},
	} {
		t.Run(tt.entry, func(t *testing.T) {
			answer := admin.Do("POST", "", bundleOf("batch", entryOf("GET", "metadata", ""), tt.entry)).Want(200).JSON()
			got := answer.Get("entry").Item(1)
			response := got.Get("response")
			if status := response.Get("status").Text(); !strings.HasPrefix(status, tt.status) {
				t.Errorf("status %s, want %s", status, tt.status)
			}
			at := response.Get("outcome").Get("issue").Item(0).Get("expression").Item(0).Text()
			if tt.at != "" && at != fmt.Sprintf(tt.at, 1) {
				t.Errorf("at %q, want %s", at, tt.at)
			}
			reads := strings.Contains(tt.entry, `"GET"`) && tt.status == "200"
			if reads != got.Get("resource").Exists() {
				t.Errorf("%.300s", got.Raw())
			}
		})
	}
}

// Operations in a batch, and by GET in a transaction, where they see what was
// written.
func TestOperationsInBundles(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	const parameters = `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","gender":"x"}}]}`
	root := admin.Do("POST", "", bundleOf("batch",
		entryOf("PUT", "Patient/one", person("one", "1")),
		entryOf("GET", "Patient/one/$everything", ""), entryOf("POST", "Patient/$validate", parameters), entryOf("GET", "Patient/one/$nothing", ""),
		entryOf("GET", "Patient/one/$meta-add", ""),
	)).Want(200).JSON()
	if got := statuses(root); got != "201 200 200 404 405" {
		t.Errorf("%s: %s", got, root.Raw())
	}
	if e := root.Get("entry"); e.Item(1).Get("resource").Get("entry").Len() != 1 || e.Item(2).Get("resource").Get("issue").Item(0).Get("severity").Text() != "error" {
		t.Errorf("%s", e.Raw())
	}
	root = admin.Do("POST", "", bundleOf("transaction", entryOf("GET", "Patient/two/$everything", ""), entryOf("PUT", "Patient/two", person("two", "1")))).Want(200).JSON()
	if got := statuses(root); got != "200 201" {
		t.Errorf("%s: %s", got, root.Raw())
	}
	admin.Do("POST", "", bundleOf("transaction", entryOf("POST", "Patient/$validate", parameters))).Want(400)
}

// Entries that name one resource keep their order, and reads see what was asked
// for before them.
func TestBatchKeepsOrder(t *testing.T) {
	s := servertest.Start(t, onSQLite(t))
	var entries []string
	var want []string
	for i := range 40 {
		entries = append(entries, entryOf("PUT", "Patient/a", person("a", fmt.Sprint(i))))
		want = append(want, fmt.Sprintf(`W/"%d"`, i+1))
	}
	entries = append(entries, entryOf("GET", "Patient/a", ""), entryOf("DELETE", "Patient/a", ""), entryOf("GET", "Patient/a", ""))
	root := s.As("admin").Do("POST", "", bundleOf("batch", entries...)).Want(200).JSON()
	var got []string
	for e := range root.Get("entry").Items() {
		got = append(got, e.Get("response").Get("etag").Text())
	}
	if diff := cmp.Diff(append(want, `W/"40"`, `W/"41"`, ""), got); diff != "" {
		t.Error(diff)
	}
}

// A history, searchset or document is refused with the reason; so is a Bundle
// over the limit (413).
func TestBundlesThatAreNotPerformed(t *testing.T) {
	o := servertest.Options{Rest: limitEntries(2)}
	s := servertest.Start(t, o)
	admin := s.As("admin")
	get := entryOf("GET", "Patient", "")
	for body, want := range map[string]string{
		bundleOf("history"):              "400 Bundle.type",
		bundleOf("searchset"):            "400 Bundle.type",
		bundleOf("document"):             "400 Bundle.type",
		bundleOf("batch", get, get, get): "413 Bundle.entry",
		`{"resourceType":"Bundle"}`:      "400 Bundle.type",
		`{"resourceType":"Patient"}`:     "400 resourceType",
		`{"resourceType":"Bundle","type":"batch","entry":[{"resource":null,"request":{"method":"POST","url":"Patient"}}]}`: "400 Bundle.entry[0].resource",
	} {
		answer := admin.Do("POST", "", body)
		issue := answer.Issue()
		if got := fmt.Sprint(answer.Status, " ", issue.Get("expression").Item(0).Text()); got != want || issue.Get("diagnostics").Text() == "" {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

// What a policy hides is neither matched nor referred to nor overwritten, and a
// refusal of one entry refuses a transaction as a whole.
func TestBundlesUnderPolicies(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	admin.Do("PUT", "Patient/one", person("one", "1")).Want(201)
	nurse, patient := s.As("nurse"), s.As("patient", func(c *auth.Claims) { c.Patient = "one" })
	flag := `{"resourceType":"Communication","status":"completed","subject":{"reference":"Patient/one"}}`
	nurse.Do("POST", "", bundleOf("transaction", entryOf("POST", "Communication", flag), entryOf("POST", "Patient", person("", "2")))).Want(403)
	if total := admin.Do("GET", "Communication", "").JSON().Get("total").Text(); total != "0" {
		t.Errorf("%s resources of a refused transaction", total)
	}
	nurse.Do("POST", "", bundleOf("transaction", entryOf("POST", "Communication", flag), entryOf("GET", "AuditEvent/1", ""))).Want(403)
	got := statuses(nurse.Do("POST", "", bundleOf("batch", entryOf("POST", "Communication", flag), entryOf("POST", "Patient", person("", "2")))).Want(200).JSON())
	if got != "201 403" {
		t.Error(got)
	}
	got = statuses(patient.Do("POST", "", bundleOf("batch", entryOf("GET", "Patient/one", ""), entryOf("GET", "Patient/two", ""), entryOf("DELETE", "Patient/one", ""))).Want(200).JSON())
	if got != "200 404 403" {
		t.Error(got)
	}
}

// All that is wrong is told at once.
func TestAllFindings(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	answer := s.As("admin").Do("POST", "", bundleOf("transaction",
		entryOf("POST", "Patient", `{"resourceType":"Patient","gender":"x","birthDate":"y"}`), entryOf("POST", "Patient", person("", "1")),
		entryOf("POST", "Observation", about("Patient?identifier=s|9")), entryOf("POST", "Observation", about("urn:uuid:x")))).Want(400).JSON()
	var got []string
	for issue := range answer.Get("issue").Items() {
		got = append(got, issue.Get("expression").Item(0).Text())
	}
	want := []string{
		"Bundle.entry[0].resource.gender", "Bundle.entry[0].resource.birthDate",
		"Bundle.entry[2].resource.subject.reference", "Bundle.entry[3].resource.subject.reference",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// To delete what is hidden is to delete nothing: the answer does not tell whether
// it is there.
func TestDeleteOfWhatIsHidden(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Policy: func(r policies.Revision) policies.Revision {
		r.Policy += "\np, patient, *, Observation, delete, *, own-compartment, allow, test-delete\n"
		return r
	}})
	admin := s.As("admin")
	for _, id := range []string{"mine", "theirs"} {
		admin.Do("PUT", "Patient/"+id, person(id, id)).Want(201)
		admin.Do("PUT", "Observation/"+id, `{"id":"`+id+`",`+about("Patient/" + id)[1:]).Want(201)
	}
	mine := s.As("patient", func(c *auth.Claims) { c.Patient = "mine" })
	for _, kind := range []string{"batch", "transaction"} {
		root := mine.Do("POST", "", bundleOf(kind,
			entryOf("DELETE", "Observation/theirs", ""), entryOf("DELETE", "Observation/nobodys", ""), entryOf("DELETE", "Observation?patient=theirs", ""))).Want(200).JSON()
		if got := statuses(root); got != "204 204 204" {
			t.Errorf("%s: %s", kind, got)
		}
		for e := range root.Get("entry").Items() {
			if e.Get("response").Get("etag").Exists() {
				t.Errorf("%s: %s", kind, e.Raw())
			}
		}
	}
	mine.Do("POST", "", bundleOf("transaction", entryOf("DELETE", "Observation/theirs", "", "ifMatch", `W/"1"`))).Want(412)
	mine.Do("POST", "", bundleOf("transaction", entryOf("DELETE", "Observation/mine", ""))).Want(200)
	admin.Do("GET", "Observation/theirs", "").Want(200)
	admin.Do("GET", "Observation/mine", "").Want(410)
}

// 32 Bundles over the same resources at the same time: one conditional create
// makes one resource, updates and deletes overlap in any order, nothing
// deadlocks, and every answer is 200, 409 or 412.
func TestOverlappingBundles(t *testing.T) {
	s := servertest.Start(t, onSQLite(t))
	admin := s.As("admin")
	const clients = 32
	var running sync.WaitGroup
	answers := make([]servertest.Answer, 2*clients)
	for i := range clients {
		running.Go(func() {
			var entries []string
			for n := range 20 {
				n = (n*7 + i) % 20 // each in another order
				id := fmt.Sprintf("shared-%d", n)
				entries = append(entries, entryOf("PUT", "Organization/"+id, fmt.Sprintf(`{"resourceType":"Organization","id":"%s","name":"%d"}`, id, i)))
			}
			entries = append(entries,
				entryOf("POST", "Patient", person("", "shared"), "fullUrl", "urn:uuid:p", "ifNoneExist", "identifier=s|shared"),
				entryOf("PUT", "Practitioner?identifier=s|shared", `{"resourceType":"Practitioner","identifier":[{"system":"s","value":"shared"}],"name":[{"text":"`+fmt.Sprint(i)+`"}]}`),
				entryOf("POST", "Observation", about("urn:uuid:p")),
			)
			kind := "transaction"
			answers[i] = admin.Do("POST", "", bundleOf(kind, entries...))
			answers[clients+i] = admin.Do("POST", "", bundleOf("batch", entryOf("DELETE", "Organization?name="+fmt.Sprint(i), ""), entries[0]))
		})
	}
	running.Wait()
	made := 0
	for i, a := range answers {
		if a.Status != 200 && a.Status != 409 && a.Status != 412 {
			t.Errorf("%d: %s", a.Status, a.Body)
		}
		if i < clients && a.Status == 200 {
			made++
		}
		if strings.Contains(string(a.Body), `"status":"5`) {
			t.Errorf("a batch entry failed with 5xx: %.500s", a.Body)
		}
	}
	if made != clients {
		t.Errorf("only %d of %d transactions went through: the server should retry its own conflicts", made, clients)
	}
	for _, resourceType := range []string{"Patient", "Practitioner"} {
		if total := admin.Do("GET", resourceType+"?identifier=s|shared", "").JSON().Get("total").Text(); total != "1" {
			t.Errorf("%s of %s", total, resourceType)
		}
	}
	if total := admin.Do("GET", "Observation?patient.identifier=s|shared", "").JSON().Get("total").Text(); total != fmt.Sprint(made) {
		t.Errorf("%s observations of %d transactions", total, made)
	}
}

// Item 56: a Bundle of 10,000 entries is answered, or refused with the limit.
func TestTenThousandEntries(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	s := servertest.Start(t, onSQLite(t))
	admin := s.As("admin")
	var entries []string
	n := size()
	for i := range n / 2 {
		entries = append(entries,
			entryOf("POST", "Patient", person("", fmt.Sprint(i)), "fullUrl", fmt.Sprintf("urn:uuid:p%d", i), "ifNoneExist", fmt.Sprintf("identifier=s|%d", i)),
			entryOf("POST", "Observation", about(fmt.Sprintf("urn:uuid:p%d", i))))
	}
	for round, kind := range []string{"transaction", "transaction"} {
		start := time.Now()
		answer := admin.Do("POST", "", bundleOf(kind, entries...)).Want(200)
		t.Logf("%s %d of %d entries: %v", kind, round, n, time.Since(start).Round(time.Millisecond))
		if got := answer.JSON().Get("entry").Len(); got != n {
			t.Errorf("%d entries answered", got)
		}
	}
	if total := admin.Do("GET", "Patient?_summary=count", "").JSON().Get("total").Text(); total != strconv.Itoa(n/2) {
		t.Errorf("%s patients", total)
	}
	entries = nil
	for i := range n {
		entries = append(entries, entryOf("PUT", fmt.Sprintf("Patient/b%d", i), person(fmt.Sprintf("b%d", i), "b")))
	}
	start := time.Now()
	answer := admin.Do("POST", "", bundleOf("batch", entries...)).Want(200)
	t.Logf("batch of %d entries: %v", n, time.Since(start).Round(time.Millisecond))
	if got := statuses(answer.JSON()); strings.Count(got, "201") != n {
		t.Errorf("%.200s", got)
	}
}
