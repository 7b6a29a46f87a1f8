package capability_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/capability"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/validate"
)

func TestStatement(t *testing.T) {
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	name, _ := defs.Param("Patient", "name")
	s := capability.Statement{
		Version: `1.0 "beta"`, URL: "https://h/fhir", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Formats: []string{"json"}, Patches: []string{"application/json-patch+json"}, Interactions: []string{"batch"},
		Resources: []capability.Resource{
			{
				Type: "Patient", Interactions: []string{"read", "patch"}, Read: "full-support", Delete: "single", Writes: true,
				Includes: []string{"*"}, RevIncludes: []string{"Observation:subject"}, Params: []*spec.SearchParam{name},
				Operations: []capability.Operation{{Name: "everything", URL: "http://hl7.org/fhir/OperationDefinition/Patient-everything"}},
			},
			{Type: "AuditEvent", Interactions: []string{"read"}},
		},
		Params: []*spec.SearchParam{name}, Operations: []capability.Operation{{Name: "graphql", URL: "http://x"}},
		Notes: "a note", SMART: capability.SMART{Authorize: "https://a/auth", Token: "https://a/token"},
	}
	r, err := fhir.Parse(s.JSON(), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	validator, err := validate.New(defs, path.New(defs, nil), validate.Base)
	if err != nil {
		t.Fatal(err)
	}
	if issues := validator.Validate(r); len(issues) > 0 {
		t.Errorf("not valid R4: %v", issues)
	}
	rest := r.Root().Get("rest").Item(0)
	want := `{"type":"Patient","interaction":[{"code":"read"},{"code":"patch"}],"versioning":"versioned","readHistory":true,"updateCreate":true,"conditionalCreate":true,"conditionalUpdate":true,"conditionalRead":"full-support","conditionalDelete":"single","searchInclude":["*"],"searchRevInclude":["Observation:subject"],"searchParam":[{"name":"name","definition":"http://hl7.org/fhir/SearchParameter/Patient-name","type":"string"}],"operation":[{"name":"everything","definition":"http://hl7.org/fhir/OperationDefinition/Patient-everything"}]}`
	if diff := cmp.Diff(want, string(rest.Get("resource").Item(0).Raw())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`{"type":"AuditEvent","interaction":[{"code":"read"}],"versioning":"versioned","readHistory":true}`, string(rest.Get("resource").Item(1).Raw())); diff != "" {
		t.Error(diff)
	}
}

// SMART apps that do not know .well-known/smart-configuration look here.
func TestSecurity(t *testing.T) {
	of := func(s capability.SMART) string {
		r, err := fhir.Parse(capability.Statement{SMART: s}.JSON(), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Root().Get("rest").Item(0).Get("security").Raw())
	}
	want := `{"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[{"url":"authorize","valueUri":"https://a/auth"},{"url":"token","valueUri":"https://a/token"}]}],"cors":false,"service":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/restful-security-service","code":"SMART-on-FHIR"}]}],"description":"Bearer tokens; roles, SMART scopes and the patient compartment decide."}`
	if diff := cmp.Diff(want, of(capability.SMART{Authorize: "https://a/auth", Token: "https://a/token"})); diff != "" {
		t.Error(diff)
	}
	want = `{"cors":false,"description":"Bearer tokens; roles, SMART scopes and the patient compartment decide."}`
	if diff := cmp.Diff(want, of(capability.SMART{})); diff != "" {
		t.Error(diff)
	}
}

func TestTerminology(t *testing.T) {
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	validator, err := validate.New(defs, path.New(defs, nil), validate.Base)
	if err != nil {
		t.Fatal(err)
	}
	st := capability.Statement{Version: "1", URL: "https://h/fhir", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, term := range []capability.Terminology{{Statement: st}, {Statement: st, Expand: []string{"count"}, Translate: true, ValidateOne: true}} {
		r, err := fhir.Parse(term.JSON(), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if issues := validator.Validate(r); len(issues) > 0 {
			t.Errorf("not valid R4: %v", issues)
		}
		if r.Root().Get("expansion").Exists() != (len(term.Expand) > 0) {
			t.Errorf("%s", r.Bytes())
		}
	}
}

func TestResources(t *testing.T) {
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	parser := parse.New(defs, units, parse.Options{})
	find := func(o capability.Options, name string) capability.Resource {
		o.Search = parser
		for _, r := range capability.Resources(defs, o) {
			if r.Type == name {
				return r
			}
		}
		t.Fatalf("no %s", name)
		return capability.Resource{}
	}
	o := capability.Options{Patch: true, Multiple: true, AppendOnly: []string{"AuditEvent"}}
	if r := find(o, "Patient"); !slices.Contains(r.Interactions, "patch") || r.Delete != "multiple" || !r.Writes || len(r.Params) < 20 || !slices.Contains(r.Includes, "Patient:link") || !slices.Contains(r.RevIncludes, "Observation:patient") {
		t.Errorf("%+v", r)
	}
	if r := find(capability.Options{}, "Patient"); slices.Contains(r.Interactions, "patch") || r.Delete != "single" {
		t.Errorf("%+v", r)
	}
	if r := find(o, "AuditEvent"); slices.Contains(r.Interactions, "update") || slices.Contains(r.Interactions, "delete") || r.Delete != "" || r.Writes {
		t.Errorf("%+v", r)
	}
}
