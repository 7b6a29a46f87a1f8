package spec

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestParam names what the search sections of the R4 pages say.
func TestParam(t *testing.T) {
	d := load(t)
	const base = "http://hl7.org/fhir/SearchParameter/"
	for _, c := range []struct {
		name, resource string
		want           SearchParam
		expression     string // of the resource
	}{
		{"patient.html birthdate", "Patient", SearchParam{Code: "birthdate", URL: base + "individual-birthdate", Type: Date, Base: []string{"Patient", "Person", "RelatedPerson"}}, "Patient.birthDate"},
		{"patient.html gender", "Person", SearchParam{Code: "gender", URL: base + "individual-gender", Type: Token, Base: []string{"Patient", "Person", "Practitioner", "RelatedPerson"}}, "Person.gender"},
		{"patient.html deceased", "Patient", SearchParam{Code: "deceased", URL: base + "Patient-deceased", Type: Token, Base: []string{"Patient"}}, "Patient.deceased.exists() and Patient.deceased != false"},
		{"observation.html value-quantity", "Observation", SearchParam{Code: "value-quantity", URL: base + "Observation-value-quantity", Type: Quantity, Base: []string{"Observation"}}, "(Observation.value as Quantity) | (Observation.value as SampledData)"},
		{"riskassessment.html probability", "RiskAssessment", SearchParam{Code: "probability", URL: base + "RiskAssessment-probability", Type: Number, Base: []string{"RiskAssessment"}}, "RiskAssessment.prediction.probability"},
		{"valueset.html url", "ValueSet", SearchParam{Code: "url", URL: base + "conformance-url", Type: URI, Base: strings.Fields("CapabilityStatement CodeSystem CompartmentDefinition ConceptMap GraphDefinition ImplementationGuide MessageDefinition OperationDefinition SearchParameter StructureDefinition StructureMap TerminologyCapabilities ValueSet")}, "ValueSet.url"},
		{"location.html near", "Location", SearchParam{Code: "near", URL: base + "Location-near", Type: Special, Base: []string{"Location"}}, "Location.position"},
		{"search.html _id", "Patient", SearchParam{Code: "_id", URL: base + "Resource-id", Type: Token, Base: []string{"Resource"}}, "Resource.id"},
		{"search.html _lastUpdated", "Bundle", SearchParam{Code: "_lastUpdated", URL: base + "Resource-lastUpdated", Type: Date, Base: []string{"Resource"}}, "Resource.meta.lastUpdated"},
		{"search.html _tag", "Observation", SearchParam{Code: "_tag", URL: base + "Resource-tag", Type: Token, Base: []string{"Resource"}}, "Resource.meta.tag"},
		{"search.html _source", "Observation", SearchParam{Code: "_source", URL: base + "Resource-source", Type: URI, Base: []string{"Resource"}}, "Resource.meta.source"},
		{"search.html _profile", "Resource", SearchParam{Code: "_profile", URL: base + "Resource-profile", Type: URI, Base: []string{"Resource"}}, "Resource.meta.profile"},
		{"search.html _text", "Patient", SearchParam{Code: "_text", URL: base + "DomainResource-text", Type: String, Base: []string{"DomainResource"}}, ""},
		{"insuranceplan.html name (corrected)", "InsurancePlan", SearchParam{Code: "name", URL: base + "InsurancePlan-name", Type: String, Base: []string{"InsurancePlan"}}, "InsurancePlan.name | InsurancePlan.alias"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ok := d.Param(c.resource, c.want.Code)
			if !ok {
				t.Fatalf("%s has no %s", c.resource, c.want.Code)
			}
			ignore := cmpopts.IgnoreFields(SearchParam{}, "Expression", "MultipleOr", "MultipleAnd", "Targets", "Name")
			if diff := cmp.Diff(&c.want, p, ignore); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := p.ExpressionFor(c.resource); got != c.expression {
				t.Errorf("expression %q, want %q", got, c.expression)
			}
			if byURL, ok := d.ParamByURL(p.URL); !ok || byURL != p {
				t.Error("ParamByURL gives another")
			}
		})
	}
	for _, c := range [][2]string{{"Bundle", "_text"}, {"Patient", "value-quantity"}, {"Patient", "_has"}, {"Patient", "_sort"}, {"HumanName", "family"}, {"", "_id"}} {
		if _, ok := d.Param(c[0], c[1]); ok {
			t.Errorf("%s has a parameter %s", c[0], c[1])
		}
	}
	if _, ok := d.ParamByURL("http://example.org/none"); ok {
		t.Error("ParamByURL finds what is not there")
	}
}

// TestParamsSorted: own and inherited parameters together, sorted by code.
func TestParamsSorted(t *testing.T) {
	d := load(t)
	var got []string
	for _, p := range d.Params("Binary") {
		got = append(got, p.Code)
	}
	if diff := cmp.Diff(strings.Fields("_content _id _lastUpdated _profile _query _security _source _tag"), got); diff != "" {
		t.Errorf("Binary (-want +got):\n%s", diff)
	}
	for _, name := range d.ResourceTypes() {
		if !slices.IsSortedFunc(d.Params(name), func(a, b *SearchParam) int { return strings.Compare(a.Code, b.Code) }) {
			t.Errorf("%s: not sorted", name)
		}
	}
	if d.Params("Nothing") != nil {
		t.Error("an unknown type has parameters")
	}
}

// TestComposite: observation.html code-value-quantity and its kin.
func TestComposite(t *testing.T) {
	d := load(t)
	p, _ := d.Param("Observation", "code-value-quantity")
	if p.Type != Composite || p.MultipleOr || !p.MultipleAnd || len(p.Components) != 2 {
		t.Fatalf("code-value-quantity is %+v", p)
	}
	if p.Expression != "Observation" || p.ExpressionFor("Observation") != "Observation" {
		t.Errorf("selects %q", p.Expression)
	}
	got := []string{p.Components[0].Expression, p.Components[0].Param.Code, p.Components[1].Expression, p.Components[1].Param.Code}
	if diff := cmp.Diff([]string{"code", "code", "value.as(Quantity)", "value-quantity"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, p := range d.byURL {
		if (p.Type == Composite) != (len(p.Components) > 0) {
			t.Errorf("%s: %s with %d components", p.URL, p.Type, len(p.Components))
		}
		for _, c := range p.Components {
			if c.Param == nil || c.Expression == "" {
				t.Errorf("%s: component %s is incomplete", p.URL, c.Definition)
			}
		}
	}
}

// TestUnions: clinical-code and clinical-patient are shared by many types; each
// gets its own terms.
func TestUnions(t *testing.T) {
	d := load(t)
	for _, c := range []struct{ resource, code, want string }{
		{"AllergyIntolerance", "code", "AllergyIntolerance.code | AllergyIntolerance.reaction.substance"},
		{"Observation", "code", "Observation.code"},
		{"Condition", "code", "Condition.code"},
		{"Procedure", "patient", "Procedure.subject.where(resolve() is Patient)"},
		{"Observation", "patient", "Observation.subject.where(resolve() is Patient)"},
		{"Immunization", "patient", "Immunization.patient"},
		{"DeviceRequest", "code", "(DeviceRequest.code as CodeableConcept)"},
		{"MedicationRequest", "code", "(MedicationRequest.medication as CodeableConcept)"},
		{"ValueSet", "context-quantity", "(ValueSet.useContext.value as Quantity) | (ValueSet.useContext.value as Range)"},
	} {
		p, ok := d.Param(c.resource, c.code)
		if !ok {
			t.Errorf("%s has no %s", c.resource, c.code)
			continue
		}
		if got := p.ExpressionFor(c.resource); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.resource, c.code, got, c.want)
		}
	}
	code, _ := d.Param("Observation", "code")
	if got := code.ExpressionFor("Patient"); got != "" {
		t.Errorf("code of Patient is %q", got)
	}
	if got := slices.Collect(terms(`A.b | (C.d | E) | F.where(x='|') | G.h('\'|') |`)); !slices.Equal(got, []string{"A.b", "(C.d | E)", "F.where(x='|')", `G.h('\'|')`}) {
		t.Errorf("terms are %q", got)
	}
}

// TestExpressions: every parameter of every concrete type has an expression,
// but for the three that R4 leaves to the server, and every path that an
// expression starts with leads to an element of the type.
func TestExpressions(t *testing.T) {
	d := load(t)
	without := map[string]bool{"_text": true, "_content": true, "_query": true}
	for _, name := range d.ResourceTypes() {
		for _, p := range d.Params(name) {
			expression := p.ExpressionFor(name)
			if (expression == "") != without[p.Code] {
				t.Errorf("%s: expression %q", p.URL, expression)
			}
			for term := range terms(expression) {
				if missing := walk(d, term); missing != "" {
					t.Errorf("%s: %s has no %s", p.URL, term, missing)
				}
			}
			if p.Type == Reference && len(p.Targets) == 0 && p.Code != "instantiates-canonical" {
				t.Errorf("%s: a reference without targets", p.URL)
			}
		}
	}
}

// walk follows the plain path at the start of a term and returns the first name
// that leads nowhere.
func walk(d *Definitions, term string) string {
	term = strings.TrimLeft(term, "(")
	if i := strings.IndexAny(term, ") ["); i >= 0 {
		term = term[:i]
	}
	names := strings.Split(term, ".")
	typ, ok := d.Type(names[0])
	if !ok {
		return names[0]
	}
	for _, name := range names[1:] {
		if strings.Contains(name, "(") {
			return ""
		}
		el, ok := typ.Child(name)
		if !ok {
			return name
		}
		if el.Choice {
			return ""
		}
		_, code, _ := typ.Element(name)
		typ, _ = d.Type(code)
	}
	return ""
}

// TestCompartments: compartmentdefinition-*.html.
func TestCompartments(t *testing.T) {
	d := load(t)
	if diff := cmp.Diff(strings.Fields("Device Encounter Patient Practitioner RelatedPerson"), d.CompartmentCodes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range []struct{ compartment, resource, want string }{
		{"Patient", "Observation", "subject performer"},
		{"Patient", "Patient", "link"},
		{"Patient", "Condition", "patient asserter"},
		{"Patient", "RiskAssessment", "subject"},
		{"Patient", "Practitioner", ""},
		{"Patient", "Nothing", ""},
		{"Encounter", "Observation", "encounter"},
		{"Encounter", "Encounter", ""},
		{"Device", "Observation", "subject device"},
		{"Practitioner", "Observation", "performer"},
		{"RelatedPerson", "Observation", "performer"},
		{"Patient", "AuditEvent", "patient"},
	} {
		compartment, ok := d.Compartment(c.compartment)
		if !ok {
			t.Fatalf("no compartment %s", c.compartment)
		}
		if got := strings.Join(compartment.Params(c.resource), " "); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.compartment, c.resource, got, c.want)
		}
	}
	for _, code := range d.CompartmentCodes() {
		c, _ := d.Compartment(code)
		if !c.Self(code) || c.Self("Observation") || !slices.Contains(c.ResourceTypes(), code) || !slices.IsSorted(c.ResourceTypes()) {
			t.Errorf("%s: wrong centre", code)
		}
		for _, name := range c.ResourceTypes() {
			if !d.IsResource(name) {
				t.Errorf("%s: %q is no resource type", code, name)
			}
			for _, param := range c.Params(name) {
				if p, ok := d.Param(name, param); !ok || p.Type != Reference {
					t.Errorf("%s: %s has no reference parameter %s", code, name, param)
				}
			}
		}
	}
	if _, ok := d.Compartment("Group"); ok {
		t.Error("a compartment of Group")
	}
}

// TestParamTypes: the codes of http://hl7.org/fhir/search-param-type.
func TestParamTypes(t *testing.T) {
	set, _ := load(t).Codes("http://hl7.org/fhir/ValueSet/search-param-type")
	for p := Number; p <= Special; p++ {
		if !set.HasCode(p.String()) {
			t.Errorf("%d is %q", p, p)
		}
	}
	if Special+1 != 9 || (Special+1).String() != "unknown" || !Date.Ordered() || Token.Ordered() {
		t.Error("types do not fit")
	}
}
