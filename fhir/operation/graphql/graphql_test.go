package graphql_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/operation/graphql"
	"galen/fhir/rest"
	"galen/policies"
	"galen/server/auth"
	"galen/server/servertest"
)

func clinic(t testing.TB) (*servertest.Server, servertest.Client) {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	for _, r := range []string{
		`{"resourceType":"Organization","id":"o1","name":"Clinic"}`,
		`{"resourceType":"Practitioner","id":"d1","name":[{"family":"Who"}]}`,
		`{"resourceType":"Patient","id":"p1","active":true,"birthDate":"1970-01-01","_birthDate":{"id":"b"},"name":[{"use":"official","family":"Smith","given":["Anna","Maria"]},{"use":"usual","given":["Ann"]}],"contact":[{"name":{"family":"Doe"}}],"generalPractitioner":[{"reference":"Practitioner/d1"},{"reference":"Organization/o1"}],"managingOrganization":{"reference":"#c"},"contained":[{"resourceType":"Organization","id":"c","name":"Inner"}]}`,
		`{"resourceType":"Patient","id":"p2","name":[{"family":"Other"}],"generalPractitioner":[{"reference":"Practitioner/gone"}]}`,
		`{"resourceType":"Observation","id":"b1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2020-01-01","valueQuantity":{"value":120.0,"unit":"mmHg"}}`,
		`{"resourceType":"Observation","id":"b2","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2021-01-01","valueQuantity":{"value":130.50,"unit":"mmHg"}}`,
	} {
		doc, err := jsontree.Parse([]byte(r), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		admin.Do("PUT", doc.Root().Get("resourceType").Text()+"/"+doc.Root().Get("id").Text(), r).Want(201)
	}
	return s, admin
}

// The rules of https://hl7.org/fhir/R4/graphql.html, one by one.
func TestQueries(t *testing.T) {
	_, admin := clinic(t)
	tests := []struct{ name, target, query, want string }{
		{"one resource", "$graphql", `{Patient(id:"p1"){id active birthDate}}`, `{"data":{"Patient":{"id":"p1","active":true,"birthDate":"1970-01-01"}}}`},
		{"on an instance", "Patient/p1/$graphql", `{id resourceType __typename}`, `{"data":{"id":"p1","resourceType":"Patient","__typename":"Patient"}}`},
		{"the order is the query's", "Patient/p1/$graphql", `{birthDate id}`, `{"data":{"birthDate":"1970-01-01","id":"p1"}}`},
		{"aliases", "Patient/p1/$graphql", `{a:id b:id}`, `{"data":{"a":"p1","b":"p1"}}`},
		{"absent is null", "Patient/p1/$graphql", `{gender telecom{value}}`, `{"data":{"gender":null,"telecom":null}}`},
		{"lists", "Patient/p1/$graphql", `{name{given}}`, `{"data":{"name":[{"given":["Anna","Maria"]},{"given":["Ann"]}]}}`},
		{"a filter on a list", "Patient/p1/$graphql", `{name(use:official){family} name2:name(use:"usual"){given}}`, `{"data":{"name":[{"family":"Smith"}],"name2":[{"given":["Ann"]}]}}`},
		{"_offset and _count", "Patient/p1/$graphql", `{name(_offset:1,_count:1){given(_count:1)}}`, `{"data":{"name":[{"given":["Ann"]}]}}`},
		{"ids of primitives", "Patient/p1/$graphql", `{birthDate _birthDate{id}}`, `{"data":{"birthDate":"1970-01-01","_birthDate":{"id":"b"}}}`},
		{"backbones", "Patient/p1/$graphql", `{contact{name{family}}}`, `{"data":{"contact":[{"name":{"family":"Doe"}}]}}`},
		{"decimals keep their digits", "Observation/b2/$graphql", `{valueQuantity{value unit}}`, `{"data":{"valueQuantity":{"value":130.50,"unit":"mmHg"}}}`},
		{"a reference", "Observation/b1/$graphql", `{subject{reference resource{... on Patient{birthDate}}}}`, `{"data":{"subject":{"reference":"Patient/p1","resource":{"birthDate":"1970-01-01"}}}}`},
		{"references by type", "Patient/p1/$graphql", `{generalPractitioner{resource{__typename ... on Practitioner{name{family}} ... on Organization{orgName:name}}}}`, `{"data":{"generalPractitioner":[{"resource":{"__typename":"Practitioner","name":[{"family":"Who"}]}},{"resource":{"__typename":"Organization","orgName":"Clinic"}}]}}`},
		{"references of one type", "Patient/p1/$graphql", `{generalPractitioner{resource(type:Organization){id}}}`, `{"data":{"generalPractitioner":[{"resource":null},{"resource":{"id":"o1"}}]}}`},
		{"a contained resource", "Patient/p1/$graphql", `{managingOrganization{resource{... on Organization{name}}} contained{id}}`, `{"data":{"managingOrganization":{"resource":{"name":"Inner"}},"contained":[{"id":"c"}]}}`},
		{"a reference that leads nowhere", "Patient/p2/$graphql", `{generalPractitioner{resource{id}}}`, `{"data":{"generalPractitioner":[{"resource":null}]},"errors":[{"message":"there is no such resource","path":["generalPractitioner","resource"]}]}`},
		{"an optional reference", "Patient/p2/$graphql", `{generalPractitioner{resource(optional:true){id}}}`, `{"data":{"generalPractitioner":[{"resource":null}]}}`},
		{"no such resource", "$graphql", `{Patient(id:"none"){id}}`, `{"data":{"Patient":null},"errors":[{"message":"there is no such resource","path":["Patient"]}]}`},
		{"a search", "$graphql", `{PatientList(family:"smith"){id}}`, `{"data":{"PatientList":[{"id":"p1"}]}}`},
		{"a search by a parameter with dashes", "$graphql", `{PatientList(general_practitioner:"Practitioner/d1"){id}}`, `{"data":{"PatientList":[{"id":"p1"}]}}`},
		{"a search with alternatives", "$graphql", `{PatientList(_id:["p1","p2"]){id}}`, `{"data":{"PatientList":[{"id":"p1"},{"id":"p2"}]}}`},
		{"a search that finds nothing", "$graphql", `{PatientList(family:"x"){id}}`, `{"data":{"PatientList":[]}}`},
		{"a search inside a resource", "Patient/p1/$graphql", `{id ObservationList(_reference:patient,_sort:"-date",_count:1){id}}`, `{"data":{"id":"p1","ObservationList":[{"id":"b2"}]}}`},
		{"@flatten", "Patient/p1/$graphql", `{id name @flatten{family given}}`, `{"data":{"id":"p1","family":["Smith"],"given":["Anna","Maria","Ann"]}}`},
		{"@singleton", "Patient/p1/$graphql", `{name @flatten{family @singleton}}`, `{"data":{"family":"Smith"}}`},
		{"@first", "Patient/p1/$graphql", `{name @first{given @first}}`, `{"data":{"name":{"given":"Anna"}}}`},
		{"@slice", "Patient/p1/$graphql", `{name @flatten @slice(path:"use"){given}}`, `{"data":{"given.official":["Anna","Maria"],"given.usual":["Ann"]}}`},
		{"@slice by index", "Patient/p1/$graphql", `{name @flatten @slice(path:"$index"){given @first}}`, `{"data":{"given.0":["Anna"],"given.1":["Ann"]}}`},
		{"@skip and @include", "Patient/p1/$graphql", `{id @skip(if:true) active @include(if:true) birthDate @include(if:false)}`, `{"data":{"active":true}}`},
		{"fragments", "Patient/p1/$graphql", `query{...F} fragment F on Patient{id name{...N}} fragment N on HumanName{family}`, `{"data":{"id":"p1","name":[{"family":"Smith"},{"family":null}]}}`},
		{"a fragment on a base type", "Patient/p1/$graphql", `{... on DomainResource{id} ... on Observation{status}}`, `{"data":{"id":"p1"}}`},
		{"a fragment that holds itself ends", "Patient/p1/$graphql", `query{...F} fragment F on Patient{id ...F}`, `{"data":{"id":"p1"}}`},
		{"fields of one name are merged", "Patient/p1/$graphql", `{name{family} name{given}}`, `{"data":{"name":[{"family":"Smith","given":["Anna","Maria"]},{"family":null,"given":["Ann"]}]}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := admin.Do("GET", tt.target+"?query="+url.QueryEscape(tt.query), "").Want(200)
			if diff := cmp.Diff(tt.want, string(got.Body)); diff != "" {
				t.Error(diff)
			}
			if kind := got.Header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", kind)
			}
			posted := admin.Do("POST", tt.target, tt.query, "Content-Type", "application/graphql").Want(200)
			if string(posted.Body) != string(got.Body) {
				t.Errorf("POST differs: %s", posted.Body)
			}
		})
	}
}

func TestConnection(t *testing.T) {
	_, admin := clinic(t)
	cursor := ""
	var ids []string
	for range 3 {
		query := `query($c:String!){ObservationConnection(patient:"p1",_count:1,_sort:"date",_cursor:$c){count pagesize next offset edges{mode resource{id}}}}`
		if cursor == "" {
			query = strings.NewReplacer("($c:String!)", "", ",_cursor:$c", "").Replace(query)
		}
		body, err := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"c": cursor}})
		if err != nil {
			t.Fatal(err)
		}
		page := admin.Do("POST", "$graphql", string(body), "Content-Type", "application/json").Want(200).JSON().Get("data").Get("ObservationConnection")
		if page.Get("count").Text() != "2" || page.Get("pagesize").Text() != "1" || page.Get("edges").Item(0).Get("mode").Text() != "match" {
			t.Fatalf("%s", page.Raw())
		}
		ids = append(ids, page.Get("edges").Item(0).Get("resource").Get("id").Text())
		if cursor = page.Get("next").Text(); cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"b1", "b2"}, ids); diff != "" {
		t.Error(diff)
	}
}

func TestVariables(t *testing.T) {
	_, admin := clinic(t)
	const query = `query A($id:ID!,$with:Boolean=true){Patient(id:$id){id active @include(if:$with)}} query B{Patient(id:"p2"){id}}`
	ask := func(operation, variables string) servertest.Answer {
		body, err := json.Marshal(map[string]any{"query": query, "operationName": operation, "variables": json.RawMessage(variables)})
		if err != nil {
			t.Fatal(err)
		}
		return admin.Do("POST", "$graphql", string(body), "Content-Type", "application/json")
	}
	for _, tt := range []struct{ operation, variables, want string }{
		{"A", `{"id":"p1"}`, `{"data":{"Patient":{"id":"p1","active":true}}}`},
		{"A", `{"id":"p1","with":false}`, `{"data":{"Patient":{"id":"p1"}}}`},
		{"B", `{}`, `{"data":{"Patient":{"id":"p2"}}}`},
	} {
		if got := ask(tt.operation, tt.variables).Want(200); string(got.Body) != tt.want {
			t.Errorf("%s %s: %s", tt.operation, tt.variables, got.Body)
		}
	}
	ask("", `{"id":"p1"}`).Want(400).Issue()
	ask("C", `{}`).Want(400).Issue()
	ask("A", `{}`).Want(400).Issue()
}

func TestRefusals(t *testing.T) {
	_, admin := clinic(t)
	tests := []struct {
		name, target, query string
		status              int
	}{
		{"no query", "$graphql", "", 400},
		{"not GraphQL", "$graphql", "{Patient(", 400},
		{"unknown field", "Patient/p1/$graphql", "{nme}", 400},
		{"unknown field of the system", "$graphql", "{nme}", 400},
		{"a primitive with fields", "Patient/p1/$graphql", "{id{x}}", 400},
		{"a complex value without", "Patient/p1/$graphql", "{name}", 400},
		{"an argument on what is no list", "Patient/p1/$graphql", "{maritalStatus(text:x){text}}", 400},
		{"an unknown search parameter", "$graphql", "{PatientList(colour:red){id}}", 400},
		{"a bad count", "Patient/p1/$graphql", "{name(_count:-1){family}}", 400},
		{"fhirpath", "Patient/p1/$graphql", `{name(fhirpath:"true"){family}}`, 400},
		{"one resource without id", "$graphql", "{Patient{id}}", 400},
		{"an inner search without _reference", "Patient/p1/$graphql", "{ObservationList{id}}", 400},
		{"a mutation", "$graphql", "mutation{PatientCreate{id}}", 400},
		{"a subscription", "$graphql", "subscription{Patient(id:1){id}}", 400},
		{"an unknown fragment", "Patient/p1/$graphql", "{...F}", 400},
		{"two fields of one name", "Patient/p1/$graphql", "{a:id a:active}", 400},
		{"a singleton of many", "Patient/p1/$graphql", "{name @flatten{use @singleton}}", 400},
		{"flatten of a primitive", "Patient/p1/$graphql", "{id @flatten}", 400},
		{"slice without path", "Patient/p1/$graphql", "{name @flatten @slice{given}}", 400},
		{"skip without if", "Patient/p1/$graphql", "{id @skip}", 400},
		{"introspection", "$graphql", "{__schema{types{name}}}", 400},
		{"no such instance", "Patient/none/$graphql", "{id}", 404},
		{"too long", "Patient/p1/$graphql", "{" + strings.Repeat("id ", 20_000) + "}", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			admin.Do("POST", tt.target, tt.query, "Content-Type", "application/graphql").Want(tt.status).Issue()
		})
	}
	admin.Do("POST", "$graphql", "{}", "Content-Type", "text/plain").Want(415)
}

// Cycles of references end at the depth limit, not in the stack.
func TestCycle(t *testing.T) {
	_, admin := clinic(t)
	admin.Do("PUT", "Patient/l1", `{"resourceType":"Patient","id":"l1","link":[{"type":"seealso","other":{"reference":"Patient/l1"}}]}`).Want(201)
	const query = `query{...A} fragment A on Patient{id link{other{resource{...A}}}}`
	got := admin.Do("POST", "Patient/l1/$graphql", query, "Content-Type", "application/graphql").Want(422)
	if code := got.Issue().Get("code").Text(); code != "too-costly" {
		t.Errorf("code %q", code)
	}
}

// Access control is that of every read and search.
func TestAccess(t *testing.T) {
	s, _ := clinic(t)
	own := s.As("patient", func(c *auth.Claims) { c.Patient = "p1" })
	ask := func(c servertest.Client, target, query string) servertest.Answer {
		return c.Do("POST", target, query, "Content-Type", "application/graphql")
	}
	if got := ask(own, "$graphql", `{PatientList{id} Patient(id:"p2"){id}}`).Want(200); string(got.Body) != `{"data":{"PatientList":[{"id":"p1"}],"Patient":null},"errors":[{"message":"there is no such resource","path":["Patient"]}]}` {
		t.Errorf("%s", got.Body)
	}
	ask(own, "Patient/p2/$graphql", `{id}`).Want(404)
	ask(s.Anonymous(), "$graphql", `{PatientList{id}}`).Want(401)
	found := false
	for entry, err := range s.AuditLog.Read(1) {
		if err != nil {
			t.Fatal(err)
		}
		found = found || entry.Service == "$graphql" && len(entry.Patients) > 0
	}
	if !found {
		t.Error("nothing on record names $graphql")
	}
}

func BenchmarkQuery(b *testing.B) {
	_, admin := clinic(b)
	for b.Loop() {
		admin.Do("POST", "Patient/p1/$graphql", `{id name{family given} generalPractitioner{resource{id}}}`, "Content-Type", "application/graphql").Want(200)
	}
}

// FuzzExecute: no text makes an answer that is no JSON, or an error of the
// server's own.
func FuzzExecute(f *testing.F) {
	for _, query := range []string{
		`{id name(use:official,_count:1)@flatten@slice(path:"use"){given @first}}`,
		`query A($id:ID="p1"){...F ObservationList(_reference:patient,_count:$id){id}} fragment F on Patient{link{other{resource(optional:true){...F}}}}`,
		`{ObservationConnection(_reference:patient){count edges{resource{valueQuantity{value}}}}}`,
		`{a:_birthDate{id extension{url}} contained{__typename ... on Organization{name}}}`,
	} {
		f.Add(query)
	}
	s, _ := clinic(f)
	engine := graphql.New(s.REST)
	caller := rest.Caller{Principal: policies.Principal{Subject: "a", Roles: []string{"admin"}}, Base: "http://h/fhir"}
	f.Fuzz(func(t *testing.T, query string) {
		out, err := engine.Execute(t.Context(), caller, graphql.Query{Text: query}, fhir.Key{Type: "Patient", ID: "p1"})
		if err != nil {
			if fhir.KindOf(err) == fhir.Internal {
				t.Fatal(err)
			}
			return
		}
		if _, err := jsontree.Parse(out, jsontree.Limits{Depth: 200}); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
}
