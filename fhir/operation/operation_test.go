package operation_test

import (
	"compress/bzip2"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir/jsontree"
	"galen/server/auth"
	"galen/server/servertest"
)

// keys lists the resources of a Bundle with their search mode, "Patient/1 match".
func keys(bundle jsontree.Node) []string {
	var out []string
	for entry := range bundle.Get("entry").Items() {
		r := entry.Get("resource")
		out = append(out, strings.TrimSpace(r.Get("resourceType").Text()+"/"+r.Get("id").Text()+" "+entry.Get("search").Get("mode").Text()))
	}
	return out
}

// walk follows the next links and returns everything that the pages hold.
func walk(t *testing.T, c servertest.Client, target string) []string {
	t.Helper()
	var out []string
	for range 10_000 {
		bundle := c.Do("GET", target, "").Want(200).JSON()
		out = append(out, keys(bundle)...)
		target = ""
		for link := range bundle.Get("link").Items() {
			if link.Get("relation").Text() == "next" {
				target = link.Get("url").Text()
			}
		}
		if target == "" {
			return out
		}
	}
	t.Fatal("the pages do not end")
	return nil
}

// clinic is a small record: two patients, who share a practitioner.
func clinic(t *testing.T) (*servertest.Server, servertest.Client) {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	for _, r := range []string{
		`{"resourceType":"Organization","id":"o1","name":"Clinic"}`,
		`{"resourceType":"Practitioner","id":"d1","name":[{"family":"Who"}]}`,
		`{"resourceType":"Practitioner","id":"d2","name":[{"family":"No"}]}`,
		`{"resourceType":"Patient","id":"p1","generalPractitioner":[{"reference":"Practitioner/d1"}],"managingOrganization":{"reference":"Organization/o1"}}`,
		`{"resourceType":"Patient","id":"p2","generalPractitioner":[{"reference":"Practitioner/d2"}]}`,
		`{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"},"period":{"start":"2020-01-01","end":"2020-01-02"},"participant":[{"individual":{"reference":"Practitioner/d1"}}]}`,
		`{"resourceType":"Observation","id":"b1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"effectiveDateTime":"2020-01-01","valueQuantity":{"value":120}}`,
		`{"resourceType":"Observation","id":"b2","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8480-6"},{"system":"http://x","code":"sys"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2021-06-01","valueQuantity":{"value":130}}`,
		`{"resourceType":"Observation","id":"b3","status":"final","code":{"coding":[{"system":"http://x","code":"sys"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2022-06-01","valueQuantity":{"value":140}}`,
		`{"resourceType":"Observation","id":"b4","status":"final","code":{"text":"mood"},"subject":{"reference":"Patient/p1"}}`,
		`{"resourceType":"Observation","id":"b5","status":"final","code":{"text":"mood"},"subject":{"reference":"Patient/p2"}}`,
		`{"resourceType":"AllergyIntolerance","id":"a1","verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-verification","code":"entered-in-error"}]},"patient":{"reference":"Patient/p1"}}`,
		`{"resourceType":"Composition","id":"c1","status":"final","type":{"text":"note"},"subject":{"reference":"Patient/p1"},"date":"2022-01-01","author":[{"reference":"Practitioner/d1"}],"title":"Note","section":[{"entry":[{"reference":"Observation/b1"}]}]}`,
	} {
		doc, err := jsontree.Parse([]byte(r), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		admin.Do("PUT", doc.Root().Get("resourceType").Text()+"/"+doc.Root().Get("id").Text(), r).Want(201)
	}
	return s, admin
}

func TestEverything(t *testing.T) {
	s, admin := clinic(t)
	whole := []string{
		"AllergyIntolerance/a1 match", "Composition/c1 match", "Encounter/e1 match",
		"Observation/b1 match", "Observation/b2 match", "Observation/b3 match", "Observation/b4 match",
		"Organization/o1 include", "Patient/p1 match", "Practitioner/d1 include",
	}
	tests := []struct {
		name, target string
		want         []string
	}{
		{"all at once", "Patient/p1/$everything", whole},
		{"one a page", "Patient/p1/$everything?_count=1", whole},
		{"three a page", "Patient/p1/$everything?_count=3", whole},
		{"a page that ends with the compartment", "Patient/p1/$everything?_count=8", whole},
		{"_type", "Patient/p1/$everything?_type=Observation,Patient&_count=2", []string{"Observation/b1 match", "Observation/b2 match", "Observation/b3 match", "Observation/b4 match", "Patient/p1 match"}},
		{"_type outside the compartment", "Patient/p1/$everything?_type=Practitioner", []string{"Practitioner/d1 include"}},
		{"_type of nothing", "Patient/p1/$everything?_type=Immunization", nil},
		{"_since long ago", "Patient/p1/$everything?_since=2000-01-01T00:00:00%2B01:00", whole},
		{"_since with its + become a space", "Patient/p1/$everything?_since=2000-01-01T00:00:00+01:00", whole},
		{"_since in future", "Patient/p1/$everything?_since=2100-01-01T00:00:00Z", nil},
		{"start", "Patient/p1/$everything?_type=Observation&start=2021-06-01", []string{"Observation/b2 match", "Observation/b3 match", "Observation/b4 match"}},
		{"start and end", "Patient/p1/$everything?_type=Observation&start=2021&end=2021-12-31", []string{"Observation/b2 match", "Observation/b4 match"}},
		{"an Encounter", "Encounter/e1/$everything", []string{"Encounter/e1 match", "Observation/b1 match", "Patient/p1 include", "Practitioner/d1 include"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := walk(t, admin, tt.target)
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	first := admin.Do("GET", "Patient/p1/$everything?_count=1", "").Want(200).JSON()
	if got := first.Get("total").Text(); got != "8" {
		t.Errorf("total %q, want the 8 of the compartment", got)
	}
	if got := admin.Do("GET", "Patient/p1/$everything?_count=0", "").Want(200).JSON(); got.Get("total").Text() != "8" || got.Get("entry").Exists() {
		t.Errorf("_count=0: %s", got.Raw())
	}
	// POST with Parameters means the same.
	posted := admin.Do("POST", "Patient/p1/$everything", `{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Encounter"},{"name":"_type","valueCode":"Patient"},{"name":"_count","valueInteger":5}]}`).Want(200).JSON()
	if diff := cmp.Diff([]string{"Patient/p1 match", "Encounter/e1 match"}, keys(posted)); diff != "" {
		t.Error(diff)
	}
	// A patient gets the own record and nobody else's.
	own := s.As("patient", func(c *auth.Claims) { c.Patient = "p1" })
	got := walk(t, own, "Patient/p1/$everything?_count=3")
	if slices.Sort(got); cmp.Diff(whole, got) != "" {
		t.Errorf("own record: %s", cmp.Diff(whole, got))
	}
	own.Do("GET", "Patient/p2/$everything", "").Want(404)
	s.Anonymous().Do("GET", "Patient/p1/$everything", "").Want(401)
}

func TestRefusals(t *testing.T) {
	_, admin := clinic(t)
	tests := []struct {
		name, method, target, body string
		status                     int
	}{
		{"no such patient", "GET", "Patient/none/$everything", "", 404},
		{"no such type", "GET", "Patent/p1/$everything", "", 404},
		{"no such operation", "GET", "Patient/p1/$nothing", "", 404},
		{"no such operation by POST", "POST", "Patient/p1/$nothing", "", 404},
		{"an operation of another type", "GET", "Observation/b1/$everything", "", 404},
		{"an operation of another level", "GET", "Patient/$everything", "", 404},
		{"unknown parameter", "GET", "Patient/p1/$everything?colour=red", "", 400},
		{"parameter twice", "GET", "Patient/p1/$everything?_count=1&_count=2", "", 400},
		{"bad count", "GET", "Patient/p1/$everything?_count=-1", "", 400},
		{"bad since", "GET", "Patient/p1/$everything?_since=soon", "", 400},
		{"bad date that does not exist", "GET", "Patient/p1/$everything?start=2020-02-30", "", 400},
		{"bad type", "GET", "Patient/p1/$everything?_type=Patent", "", 400},
		{"foreign cursor", "GET", "Patient/p1/$everything?_page=xyz", "", 400},
		{"foreign cursor of the right phase", "GET", "Patient/p1/$everything?_page=cxyz", "", 410},
		{"a resource that is no Parameters", "POST", "Patient/p1/$everything", `{"resourceType":"Patient"}`, 400},
		{"a parameter without a name", "POST", "Patient/p1/$everything", `{"resourceType":"Parameters","parameter":[{"valueCode":"x"}]}`, 400},
		{"GET of what changes", "GET", "Patient/p1/$meta-add", "", 405},
		{"meta-add without meta", "POST", "Patient/p1/$meta-add", `{"resourceType":"Parameters"}`, 400},
		{"lastn with an unknown search parameter", "GET", "Observation/$lastn?colour=red", "", 400},
		{"lastn of less than one", "GET", "Observation/$lastn?max=0", "", 400},
		{"validate without a resource", "POST", "Patient/$validate", "", 400},
		{"validate with an unknown mode", "POST", "Patient/$validate?mode=x", `{"resourceType":"Patient"}`, 400},
		{"validate what is not JSON", "POST", "Patient/$validate", `{`, 400},
		{"persist by GET", "GET", "Composition/c1/$document?persist=true", "", 405},
		{"persist that is no boolean", "GET", "Composition/c1/$document?persist=yes", "", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if issue := admin.Do(tt.method, tt.target, tt.body).Want(tt.status).Issue(); issue.Get("diagnostics").Text() == "" {
				t.Error("no diagnostics")
			}
		})
	}
}

// A whole synthetic patient: each resource of the record once, whatever the
// page's size.
func TestEverythingOfSyntheticPatient(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/synthea/*.bz2")
	if err != nil || len(files) == 0 {
		t.Skip("skipped: ../shared not found")
	}
	slices.SortFunc(files, func(a, b string) int { return size(t, a) - size(t, b) })
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	var patient string
	want := map[string]bool{}
	for _, file := range files {
		base := filepath.Base(file)
		directory := strings.Contains(base, "ospital") || strings.Contains(base, "ractitioner")
		if !directory {
			continue
		}
		admin.Do("POST", "", unzip(t, file)).Want(200)
	}
	for _, file := range files {
		base := filepath.Base(file)
		if strings.Contains(base, "ospital") || strings.Contains(base, "ractitioner") || patient != "" {
			continue
		}
		answer := admin.Do("POST", "", unzip(t, file)).Want(200).JSON()
		for entry := range answer.Get("entry").Items() {
			parts := strings.Split(entry.Get("response").Get("location").Text(), "/")
			key := strings.Join(parts[len(parts)-4:len(parts)-2], "/")
			want[key] = true
			if parts[len(parts)-4] == "Patient" {
				patient = key
			}
		}
	}
	for _, count := range []string{"7", "50", "1000"} {
		seen := map[string]bool{}
		for _, line := range walk(t, admin, patient+"/$everything?_count="+count) {
			key, _, _ := strings.Cut(line, " ")
			if seen[key] {
				t.Errorf("_count=%s: %s twice", count, key)
			}
			seen[key] = true
		}
		for key := range want {
			if !seen[key] {
				t.Errorf("_count=%s: %s is missing", count, key)
			}
		}
		if len(seen) < len(want)/2 {
			t.Errorf("_count=%s: %d of %d", count, len(seen), len(want))
		}
	}
}

func size(t *testing.T, file string) int {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size())
}

func unzip(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	body, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestLastN(t *testing.T) {
	_, admin := clinic(t)
	tests := []struct {
		name, query string
		want        []string
	}{
		{"the last of each code", "patient=p1", []string{"Observation/b3 match", "Observation/b4 match"}},
		{"the last two", "patient=p1&max=2", []string{"Observation/b3 match", "Observation/b2 match", "Observation/b4 match"}},
		{"the last ten", "patient=Patient/p1&max=10", []string{"Observation/b3 match", "Observation/b2 match", "Observation/b1 match", "Observation/b4 match"}},
		{"by code", "subject=Patient/p1&code=http://loinc.org|8480-6", []string{"Observation/b2 match"}},
		{"nothing", "patient=none", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := keys(admin.Do("GET", "Observation/$lastn?"+strings.ReplaceAll(tt.query, "|", "%7C"), "").Want(200).JSON())
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	posted := admin.Do("POST", "Observation/$lastn", `{"resourceType":"Parameters","parameter":[{"name":"patient","valueString":"p1"},{"name":"max","valuePositiveInt":1}]}`).Want(200).JSON()
	if diff := cmp.Diff([]string{"Observation/b3 match", "Observation/b4 match"}, keys(posted)); diff != "" {
		t.Error(diff)
	}
}

// $meta of a type and of the system: what is in use, each once, and nothing that
// the caller may not see.
func TestMetaInUse(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	for id, meta := range map[string]string{
		"a": `{"profile":["http://x/p"],"tag":[{"system":"http://x","code":"t"}]}`, "b": `{"tag":[{"system":"http://x","code":"t"}],"security":[{"code":"V"}]}`, "c": `{}`,
	} {
		admin.Do("PUT", "Patient/"+id, strings.Replace(`{"resourceType":"Patient","id":"`+id+`","meta":`+meta+`}`, `"meta":{},`, "", 1))
	}
	admin.Do("PUT", "Group/g", `{"resourceType":"Group","id":"g","type":"person","actual":true,"meta":{"tag":[{"code":"u"}]}}`).Want(201)
	codes := func(c servertest.Client, target string) string {
		meta := c.Do("GET", target, "").Want(200).JSON().Get("parameter").Item(0).Get("valueMeta")
		var out []string
		for _, list := range []string{"profile", "security", "tag"} {
			for item := range meta.Get(list).Items() {
				out = append(out, item.Text()+item.Get("code").Text())
			}
		}
		return strings.Join(out, " ")
	}
	for target, want := range map[string]string{"Patient/$meta": "http://x/p V t", "Observation/$meta": "", "Group/$meta": "u"} {
		if got := codes(admin, target); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	if got := codes(admin, "$meta"); !strings.Contains(got, "V") || !strings.Contains(got, "u") {
		t.Errorf("of the system: %q", got)
	}
	if got := codes(s.As("clinician"), "Patient/$meta"); got != "http://x/p t" {
		t.Errorf("a clinician sees %q, also of what is very restricted", got)
	}
}

func TestMeta(t *testing.T) {
	_, admin := clinic(t)
	const (
		tag   = `{"system":"http://x","code":"a","display":"A"}`
		other = `{"system":"http://x","code":"b"}`
	)
	params := func(meta string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":` + meta + `}]}`
	}
	meta := func(a servertest.Answer) jsontree.Node {
		return a.Want(200).JSON().Get("parameter").Item(0).Get("valueMeta")
	}
	got := meta(admin.Do("POST", "Patient/p1/$meta-add", params(`{"profile":["http://x/p"],"tag":[`+tag+`,`+other+`]}`)))
	if got.Get("versionId").Text() != "2" || got.Get("tag").Len() != 2 || got.Get("profile").Item(0).Text() != "http://x/p" {
		t.Errorf("after adding: %s", got.Raw())
	}
	got = meta(admin.Do("POST", "Patient/p1/$meta-add", params(`{"tag":[{"system":"http://x","code":"a"}]}`)))
	if got.Get("versionId").Text() != "2" || got.Get("tag").Len() != 2 {
		t.Errorf("adding what is there: %s", got.Raw())
	}
	got = meta(admin.Do("POST", "Patient/p1/$meta-delete", params(`{"tag":[{"system":"http://x","code":"b"},{"system":"http://y","code":"a"}]}`)))
	if string(got.Get("tag").Raw()) != "["+tag+"]" || got.Get("versionId").Text() != "3" {
		t.Errorf("after deleting: %s", got.Raw())
	}
	got = meta(admin.Do("POST", "Patient/p1/$meta-delete", params(`{"tag":[`+tag+`],"profile":["http://x/p"]}`)))
	if got.Get("tag").Exists() || got.Get("profile").Exists() {
		t.Errorf("after deleting all: %s", got.Raw())
	}
	if got := meta(admin.Do("GET", "Patient/p1/$meta", "")); got.Get("versionId").Text() != "4" {
		t.Errorf("meta: %s", got.Raw())
	}
}

func TestDocument(t *testing.T) {
	_, admin := clinic(t)
	want := []string{"Composition/c1", "Observation/b1", "Patient/p1", "Practitioner/d1", "Encounter/e1", "Organization/o1"}
	doc := admin.Do("GET", "Composition/c1/$document", "").Want(200).JSON()
	if diff := cmp.Diff(want, keys(doc)); diff != "" {
		t.Error(diff)
	}
	if doc.Get("type").Text() != "document" || doc.Get("timestamp").Text() == "" || !strings.HasPrefix(doc.Get("identifier").Get("value").Text(), "urn:uuid:") {
		t.Errorf("%s", doc.Raw())
	}
	if url := doc.Get("entry").Item(0).Get("fullUrl").Text(); !strings.HasSuffix(url, "/fhir/Composition/c1") {
		t.Errorf("fullUrl %q", url)
	}
	stored := admin.Do("POST", "Composition/c1/$document?persist=true", "").Want(201)
	again := admin.Do("GET", stored.Header.Get("Location"), "").Want(200).JSON()
	if diff := cmp.Diff(want, keys(again)); diff != "" {
		t.Error(diff)
	}
	admin.Do("DELETE", "Observation/b1", "")
	if issue := admin.Do("GET", "Composition/c1/$document", "").Want(422).Issue(); issue.Get("expression").Item(0).Text() != "Composition" {
		t.Errorf("%s", issue.Raw())
	}
}

// The patch that $diff answers makes the second version of the first.
func TestDiff(t *testing.T) {
	_, admin := clinic(t)
	admin.Do("PUT", "Organization/o1", `{"resourceType":"Organization","id":"o1","name":"Clinic","telecom":[{"system":"phone","value":"1"}]}`).Want(200)
	admin.Do("PUT", "Organization/o1", `{"resourceType":"Organization","id":"o1","name":"Hospital","telecom":[{"system":"phone","value":"1"},{"system":"phone","value":"2"}]}`).Want(200)
	paths := func(a servertest.Answer) []string {
		var out []string
		for p := range a.Want(200).JSON().Get("parameter").Items() {
			out = append(out, p.Get("part").Item(0).Get("valueCode").Text()+" "+p.Get("part").Item(1).Get("valueString").Text())
		}
		return out
	}
	for _, tt := range []struct {
		name, target string
		want         []string
	}{
		{"the last change", "Organization/o1/$diff", []string{"replace Organization.name", "insert Organization.telecom"}},
		{"from the first", "Organization/o1/$diff?fromVersion=1", []string{"replace Organization.name", "add Organization", "add Organization"}},
		{"the first change", "Organization/o1/$diff?fromVersion=1&toVersion=2", []string{"add Organization"}},
		{"backwards", "Organization/o1/$diff?fromVersion=3&toVersion=2", []string{"replace Organization.name", "delete Organization.telecom[1]"}},
		{"with meta", "Organization/o1/$diff?fromVersion=3&toVersion=3&includeMeta=true", nil},
		{"of a first version", "Practitioner/d1/$diff", nil},
		{"two resources", "$diff?from=Practitioner/d1&to=Practitioner/d2", []string{"replace Practitioner.id", "replace Practitioner.name[0].family"}},
		{"two versions by reference", "$diff?from=Organization/o1/_history/1&to=Organization/o1/_history/2", []string{"add Organization"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, paths(admin.Do("GET", tt.target, ""))); diff != "" {
				t.Error(diff)
			}
		})
	}
	for target, status := range map[string]int{
		"Organization/none/$diff": 404, "Organization/o1/$diff?fromVersion=9": 404, "Organization/o1/$diff?includeMeta=x": 400,
		"$diff?from=Patient/p1": 400, "$diff?from=Patient/p1&to=Organization/o1": 400, "$diff?from=http://else.where/Patient/1&to=Patient/p1": 400,
	} {
		admin.Do("GET", target, "").Want(status).Issue()
	}
	patch := admin.Do("GET", "Organization/o1/$diff?fromVersion=3&toVersion=1", "").Want(200)
	admin.Do("PATCH", "Organization/o1", string(patch.Body)).Want(200)
	if got := admin.Do("GET", "Organization/o1", "").JSON(); got.Get("telecom").Exists() || got.Get("name").Text() != "Clinic" {
		t.Errorf("after the patch: %s", got.Raw())
	}
}

func TestValidate(t *testing.T) {
	_, admin := clinic(t)
	tests := []struct {
		name, method, target, body string
		severity, code             string
	}{
		{"valid but for best practice (dom-6)", "POST", "Patient/$validate", `{"resourceType":"Patient","active":true}`, "warning", "invariant"},
		{"valid", "POST", "Patient/$validate", `{"resourceType":"Patient","active":true,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}`, "information", "informational"},
		{"invalid", "POST", "Patient/$validate", `{"resourceType":"Patient","active":"yes"}`, "error", "invalid"},
		{"another type", "POST", "Patient/$validate", `{"resourceType":"Basic","code":{"text":"x"}}`, "error", "invalid"},
		{"in Parameters", "POST", "Patient/$validate", `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","nme":1}},{"name":"mode","valueCode":"create"}]}`, "error", "invalid"},
		{"what is stored", "GET", "Patient/p1/$validate", "", "warning", "invariant"},
		{"an update of another id", "POST", "Patient/p1/$validate?mode=update", `{"resourceType":"Patient","id":"p2"}`, "error", "invalid"},
		{"a delete", "POST", "Patient/p1/$validate?mode=delete", "", "information", "informational"},
		{"a profile", "POST", "Patient/$validate?profile=" + url.QueryEscape("http://x/p"), `{"resourceType":"Patient","active":true}`, "error", "not-found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issue := admin.Do(tt.method, tt.target, tt.body).Want(200).Issue()
			if issue.Get("severity").Text() != tt.severity || issue.Get("code").Text() != tt.code {
				t.Errorf("%s", issue.Raw())
			}
		})
	}
	got := admin.Do("POST", "Patient/$validate", `<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>`, "Content-Type", "application/fhir+xml").Want(200)
	if got.Issue().Get("severity").Text() != "warning" {
		t.Errorf("%s", got.Body)
	}
}

// What an operation reads is on record with the operation's name.
func TestOperationsAreOnRecord(t *testing.T) {
	s, admin := clinic(t)
	admin.Do("GET", "Patient/p1/$everything", "").Want(200)
	found, patient := 0, false
	for entry, err := range s.AuditLog.Read(1) {
		if err != nil {
			t.Fatal(err)
		}
		if entry.Service == "$everything" {
			found++
			patient = patient || entry.Kind == "operation" && slices.Contains(entry.Patients, "Patient/p1")
		}
	}
	if found < 2 || !patient {
		t.Errorf("%d entries name the operation, with the patient: %v", found, patient)
	}
}
