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
	"galen/fhir/spec"
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
			{Type: "Patient", Interactions: []string{"read", "patch"}, Read: "full-support", Delete: "single", Writes: true, Includes: []string{"*"}, Params: []*spec.SearchParam{name}},
			{Type: "AuditEvent", Interactions: []string{"read"}},
		},
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
	want := `{"type":"Patient","interaction":[{"code":"read"},{"code":"patch"}],"versioning":"versioned","readHistory":true,"updateCreate":true,"conditionalCreate":true,"conditionalUpdate":true,"conditionalRead":"full-support","conditionalDelete":"single","searchInclude":["*"],"searchParam":[{"name":"name","definition":"http://hl7.org/fhir/SearchParameter/Patient-name","type":"string"}]}`
	if diff := cmp.Diff(want, string(rest.Get("resource").Item(0).Raw())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`{"type":"AuditEvent","interaction":[{"code":"read"}],"versioning":"versioned","readHistory":true}`, string(rest.Get("resource").Item(1).Raw())); diff != "" {
		t.Error(diff)
	}
}

func TestResources(t *testing.T) {
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	find := func(o capability.Options, name string) capability.Resource {
		for _, r := range capability.Resources(defs, o) {
			if r.Type == name {
				return r
			}
		}
		t.Fatalf("no %s", name)
		return capability.Resource{}
	}
	o := capability.Options{Patch: true, Multiple: true, AppendOnly: []string{"AuditEvent"}}
	if r := find(o, "Patient"); !slices.Contains(r.Interactions, "patch") || r.Delete != "multiple" || !r.Writes || len(r.Params) < 20 {
		t.Errorf("%+v", r)
	}
	if r := find(capability.Options{}, "Patient"); slices.Contains(r.Interactions, "patch") || r.Delete != "single" {
		t.Errorf("%+v", r)
	}
	if r := find(o, "AuditEvent"); slices.Contains(r.Interactions, "update") || slices.Contains(r.Interactions, "delete") || r.Delete != "" || r.Writes {
		t.Errorf("%+v", r)
	}
}
