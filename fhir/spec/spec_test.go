package spec

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"galen/fhir"
)

func load(t testing.TB) *Definitions {
	t.Helper()
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSource: the tables are the ones whose digest the generator wrote down.
func TestSource(t *testing.T) {
	text, err := os.ReadFile("SOURCE.md")
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(packed)); !strings.Contains(string(text), sum) {
		t.Errorf("SOURCE.md does not name r4.tsv.gz with SHA-256 %s; run go generate", sum)
	}
	if len(packed) > 250<<10 {
		t.Errorf("r4.tsv.gz has %d bytes, want at most 250 KB", len(packed))
	}
}

// TestCounts pins how much of R4 there is. The definitions files of 4.0.1 hold
// 146 concrete resource types and 1,375 search parameters.
func TestCounts(t *testing.T) {
	d := load(t)
	kinds, rows := map[string]int{}, 0
	for _, typ := range d.types {
		kinds[typ.Kind.String()]++
		rows += len(typ.Elements)
	}
	invariants, pairs, closed := map[Invariant]bool{}, 0, 0
	for _, typ := range d.types {
		for _, v := range typ.Invariants {
			invariants[v] = true
		}
		for _, e := range typ.Elements {
			for _, v := range e.Invariants {
				invariants[v] = true
			}
		}
	}
	for _, p := range d.byURL {
		pairs += len(p.Base)
	}
	for _, set := range d.valueSets {
		if !set.open {
			closed++
		}
	}
	got := map[string]int{
		"resource types": len(d.ResourceTypes()), "search parameters": len(d.byURL), "parameters by base": pairs,
		"compartments": len(d.CompartmentCodes()), "element rows": rows, "invariants": len(invariants),
		"listed value sets": closed, "open value sets": len(d.valueSets) - closed,
		"primitive": kinds["primitive"], "complex": kinds["complex"], "backbone": kinds["backbone"],
		"resource": kinds["resource"], "profile": kinds["profile"],
	}
	want := map[string]int{
		"resource types": 146, "search parameters": 1375, "parameters by base": 1706,
		"compartments": 5, "element rows": 7460, "invariants": 236,
		"listed value sets": 220, "open value sets": 3,
		"primitive": 20, "complex": 41, "backbone": 473, "resource": 148, "profile": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	for _, name := range []string{"Resource", "DomainResource", "HumanName", "code", "Patient.contact", "SubscriptionStatus", "MetadataResource", "Project", ""} {
		if d.IsResource(name) {
			t.Errorf("IsResource(%q)", name)
		}
	}
	if !slices.IsSorted(d.ResourceTypes()) || !slices.IsSorted(d.CompartmentCodes()) {
		t.Error("names are not sorted")
	}
}

// TestElements names what the R4 pages say of single elements.
func TestElements(t *testing.T) {
	d := load(t)
	anyResource := []string{"Resource"}
	for _, c := range []struct {
		name, typ, json string
		want            Element
		code            string
	}{
		{"observation.html value[x]", "Observation", "valueQuantity", Element{
			Name: "value", Path: "Observation.value[x]", Choice: true, Max: 1, Summary: true,
			Types: codes("Quantity CodeableConcept string boolean integer Range Ratio SampledData time dateTime Period"),
		}, "Quantity"},
		{"observation.html value[x] of a primitive", "Observation", "valueDateTime", Element{
			Name: "value", Path: "Observation.value[x]", Choice: true, Max: 1, Summary: true,
			Types: codes("Quantity CodeableConcept string boolean integer Range Ratio SampledData time dateTime Period"),
		}, "dateTime"},
		{"observation.html status", "Observation", "status", Element{
			Name: "status", Path: "Observation.status", Min: 1, Max: 1, Summary: true, Modifier: true, Types: codes("code"),
			Binding: &Binding{Required, "http://hl7.org/fhir/ValueSet/observation-status"},
		}, "code"},
		{"bundle.html entry.resource is any resource", "Bundle.entry", "resource", Element{
			Name: "resource", Path: "Bundle.entry.resource", Max: 1, Summary: true, Types: codes("Resource"),
		}, "Resource"},
		{"bundle.html entry.link repeats Bundle.link", "Bundle.entry", "link", Element{
			Name: "link", Path: "Bundle.entry.link", Max: -1, Summary: true, ContentRef: "Bundle.link",
		}, "Bundle.link"},
		{"questionnaire.html item.item repeats item", "Questionnaire.item", "item", Element{
			Name: "item", Path: "Questionnaire.item.item", Max: -1, ContentRef: "Questionnaire.item",
		}, "Questionnaire.item"},
		{"patient.html contact is a backbone", "Patient", "contact", Element{
			Name: "contact", Path: "Patient.contact", Max: -1, Types: codes("BackboneElement"),
		}, "Patient.contact"},
		{"patient.html gender", "Patient", "gender", Element{
			Name: "gender", Path: "Patient.gender", Max: 1, Summary: true, Types: codes("code"),
			Binding: &Binding{Required, "http://hl7.org/fhir/ValueSet/administrative-gender"},
		}, "code"},
		{"patient.html maritalStatus is extensible", "Patient", "maritalStatus", Element{
			Name: "maritalStatus", Path: "Patient.maritalStatus", Max: 1, Types: codes("CodeableConcept"),
			Binding: &Binding{Extensible, "http://hl7.org/fhir/ValueSet/marital-status"},
		}, "CodeableConcept"},
		{"patient.html generalPractitioner", "Patient", "generalPractitioner", Element{
			Name: "generalPractitioner", Path: "Patient.generalPractitioner", Max: -1,
			Types: []TypeRef{{Code: "Reference", Targets: []string{"Organization", "Practitioner", "PractitionerRole"}}},
		}, "Reference"},
		{"resource.html id is an id", "Patient", "id", Element{
			Name: "id", Path: "Patient.id", Max: 1, Summary: true, Types: codes("id"),
		}, "id"},
		{"element.html id is a string and an XML attribute", "HumanName", "id", Element{
			Name: "id", Path: "HumanName.id", Max: 1, Attribute: true, Types: codes("string"),
		}, "string"},
		{"extensibility.html url is a uri and an XML attribute", "Extension", "url", Element{
			Name: "url", Path: "Extension.url", Min: 1, Max: 1, Attribute: true, Types: codes("uri"),
		}, "uri"},
		{"domainresource.html contained", "Patient", "contained", Element{
			Name: "contained", Path: "Patient.contained", Max: -1, Types: codes("Resource"),
		}, "Resource"},
		{"backboneelement.html modifierExtension", "Patient.contact", "modifierExtension", Element{
			Name: "modifierExtension", Path: "Patient.contact.modifierExtension", Max: -1, Summary: true, Modifier: true, Types: codes("Extension"),
		}, "Extension"},
		{"riskassessment.html basis is any resource", "RiskAssessment", "basis", Element{
			Name: "basis", Path: "RiskAssessment.basis", Max: -1, Types: []TypeRef{{Code: "Reference", Targets: anyResource}},
		}, "Reference"},
		{"observation.html referenceRange.low is a SimpleQuantity", "Observation.referenceRange", "low", Element{
			Name: "low", Path: "Observation.referenceRange.low", Max: 1, Types: []TypeRef{{Code: "Quantity", Profile: "SimpleQuantity"}},
		}, "Quantity"},
		{"datatypes.html SimpleQuantity has no comparator", "SimpleQuantity", "comparator", Element{
			Name: "comparator", Path: "SimpleQuantity.comparator", Max: 0, Summary: true, Modifier: true, Types: codes("code"),
			Binding: &Binding{Required, "http://hl7.org/fhir/ValueSet/quantity-comparator"},
		}, "code"},
		{"datatypes.html Age inherits from Quantity", "Age", "value", Element{
			Name: "value", Path: "Age.value", Max: 1, Summary: true, Types: codes("decimal"),
		}, "decimal"},
		{"metadatatypes.html canonical targets", "PlanDefinition", "library", Element{
			Name: "library", Path: "PlanDefinition.library", Max: -1, Types: []TypeRef{{Code: "canonical", Targets: []string{"Library"}}},
		}, "canonical"},
	} {
		t.Run(c.name, func(t *testing.T) {
			typ, ok := d.Type(c.typ)
			if !ok {
				t.Fatalf("no type %s", c.typ)
			}
			el, code, ok := typ.Element(c.json)
			if !ok {
				t.Fatalf("%s has no %s", c.typ, c.json)
			}
			ignoreInv := cmpopts.IgnoreFields(Element{}, "Invariants")
			if diff := cmp.Diff(&c.want, el, ignoreInv); diff != "" || code != c.code {
				t.Errorf("type %s, want %s; element (-want +got):\n%s", code, c.code, diff)
			}
		})
	}
}

func codes(list string) []TypeRef {
	var refs []TypeRef
	for _, code := range strings.Fields(list) {
		refs = append(refs, TypeRef{Code: code})
	}
	return refs
}

// TestNoElement: names that R4 JSON does not have (json.html).
func TestNoElement(t *testing.T) {
	d := load(t)
	for _, c := range []struct{ typ, json string }{
		{"Observation", "value"},
		{"Observation", "value[x]"},
		{"Observation", "valuequantity"},
		{"Observation", "valueMoney"},
		{"Patient", "resourceType"},
		{"Patient", "_birthDate"},
		{"Patient", "Gender"},
		{"Patient", ""},
		{"code", "value"},
		{"Bundle", "text"},
	} {
		typ, _ := d.Type(c.typ)
		if _, _, ok := typ.Element(c.json); ok {
			t.Errorf("%s has an element %q", c.typ, c.json)
		}
	}
}

// TestOrder: elements stand in the order of the R4 pages, which is the order XML
// needs (xml.html): Resource, DomainResource, then the type's own.
func TestOrder(t *testing.T) {
	d := load(t)
	for name, want := range map[string]string{
		"Patient":         "id meta implicitRules language text contained extension modifierExtension identifier active name telecom gender birthDate deceased address maritalStatus multipleBirth photo contact communication generalPractitioner managingOrganization link",
		"Patient.link":    "id extension modifierExtension other type",
		"Binary":          "id meta implicitRules language contentType securityContext data",
		"Timing":          "id extension modifierExtension event repeat code",
		"Extension":       "id extension url value",
		"MoneyQuantity":   "id extension value comparator unit system code",
		"canonical":       "id extension",
		"Bundle.entry":    "id extension modifierExtension link fullUrl resource search request response",
		"DomainResource":  "id meta implicitRules language text contained extension modifierExtension",
		"CodeableConcept": "id extension coding text",
	} {
		typ, _ := d.Type(name)
		var got []string
		for _, e := range typ.Elements {
			got = append(got, e.Name)
		}
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestTypesResolve: whatever Element answers names a type, so a walk over a
// resource never ends in nothing; and JSONName and Element are inverse.
func TestTypesResolve(t *testing.T) {
	d := load(t)
	for name, typ := range d.types {
		if len(typ.Elements) == 0 {
			t.Errorf("%s has no elements", name)
		}
		for _, e := range typ.Elements {
			for _, ref := range e.Types {
				el, code, ok := typ.Element(e.JSONName(ref.Code))
				if !ok || el.Path != e.Path {
					t.Errorf("%s: %s is not found", name, e.JSONName(ref.Code))
				}
				if _, ok := d.Type(code); !ok {
					t.Errorf("%s: type %q is unknown", e.Path, code)
				}
				for _, target := range ref.Targets {
					if target != "Resource" && !d.IsResource(target) {
						t.Errorf("%s: target %q is no resource type", e.Path, target)
					}
				}
				if ref.Profile != "" && !d.IsA(ref.Profile, ref.Code) {
					t.Errorf("%s: profile %q is none of %s", e.Path, ref.Profile, ref.Code)
				}
			}
			if child, ok := typ.Child(e.Name); !ok || child.Path != e.Path {
				t.Errorf("%s: Child(%q) is another", name, e.Name)
			}
			if (len(e.Types) == 0) == (e.ContentRef == "") {
				t.Errorf("%s: wants types or a content reference", e.Path)
			}
			if e.Choice != strings.HasSuffix(e.Path, "[x]") || e.Max >= 0 && e.Min > max(e.Max, 1) {
				t.Errorf("%s: inconsistent", e.Path)
			}
		}
	}
}

// TestIsA: the hierarchy of types.html.
func TestIsA(t *testing.T) {
	d := load(t)
	for _, c := range []struct {
		name, base string
		want       bool
	}{
		{"Patient", "Patient", true},
		{"Patient", "DomainResource", true},
		{"Patient", "Resource", true},
		{"Patient", "Element", false},
		{"Bundle", "DomainResource", false},
		{"Bundle", "Resource", true},
		{"Age", "Quantity", true},
		{"code", "string", true},
		{"id", "string", true},
		{"canonical", "uri", true},
		{"positiveInt", "integer", true},
		{"Timing", "BackboneElement", true},
		{"Patient.contact", "BackboneElement", true},
		{"Timing.repeat", "Element", true},
		{"Quantity", "Age", false},
		{"Nothing", "Element", false},
		{"", "", false},
	} {
		if got := d.IsA(c.name, c.base); got != c.want {
			t.Errorf("IsA(%q, %q) = %t", c.name, c.base, got)
		}
	}
}

// TestInvariants: an invariant stands on the type whose values it binds, once.
func TestInvariants(t *testing.T) {
	d := load(t)
	keys := func(list []Invariant) string {
		var out []string
		for _, v := range list {
			out = append(out, v.Key)
		}
		return strings.Join(out, " ")
	}
	for name, want := range map[string]string{
		"Patient": "dom-2 dom-3 dom-4 dom-5 dom-6", "Patient.contact": "ele-1 pat-1", "Bundle": "bdl-1 bdl-2 bdl-3 bdl-4 bdl-7 bdl-9 bdl-10 bdl-11 bdl-12",
		"Bundle.entry": "ele-1 bdl-5 bdl-8", "Period": "ele-1 per-1", "Extension": "ele-1 ext-1", "Quantity": "ele-1 qty-3",
		"SimpleQuantity": "ele-1 qty-3 sqty-1", "Observation": "dom-2 dom-3 dom-4 dom-5 dom-6 obs-6 obs-7",
		"Observation.referenceRange": "ele-1 obs-3", "RiskAssessment.prediction": "ele-1 ras-2", "code": "ele-1", "Resource": "",
	} {
		typ, _ := d.Type(name)
		if got := keys(typ.Invariants); got != want {
			t.Errorf("%s has %s, want %s", name, got, want)
		}
	}
	for path, want := range map[string]string{
		"RiskAssessment.prediction/probabilityDecimal": "ras-1", "Patient.contact/name": "", "Patient/contact": "", "Patient/extension": "",
		"Timing/repeat": "", "Narrative/div": "txt-1 txt-2",
	} {
		name, member, _ := strings.Cut(path, "/")
		typ, _ := d.Type(name)
		el, _, ok := typ.Element(member)
		if !ok || keys(el.Invariants) != want {
			t.Errorf("%s: found %t, want invariants %q: %+v", path, ok, want, el)
		}
	}
	typ, _ := d.Type("Patient.contact")
	want := Invariant{
		"pat-1", "error", "SHALL at least contain a contact's details or a reference to an organization",
		"name.exists() or telecom.exists() or address.exists() or organization.exists()",
	}
	if diff := cmp.Diff(want, typ.Invariants[1]); diff != "" {
		t.Errorf("pat-1 (-want +got):\n%s", diff)
	}
	patient, _ := d.Type("Patient")
	if got := patient.Invariants[4]; got.Key != "dom-6" || got.Severity != "warning" {
		t.Errorf("dom-6 is %+v, want a warning", got)
	}
}

// TestCodes: valueset-*.html pages of required bindings.
func TestCodes(t *testing.T) {
	d := load(t)
	const base = "http://hl7.org/fhir/"
	for _, c := range []struct {
		set, system, code string
		has, bare         bool
	}{
		{"administrative-gender", base + "administrative-gender", "male", true, true},
		{"administrative-gender", base + "administrative-gender", "Male", false, false},
		{"administrative-gender", "http://example.org", "male", false, true},
		{"administrative-gender", base + "administrative-gender", "", false, false},
		{"observation-status", base + "observation-status", "entered-in-error", true, true},
		{"task-intent", base + "request-intent", "order", true, true},
		{"task-intent", base + "task-intent", "unknown", true, true},
		{"task-intent", base + "task-intent", "order", false, true},
		{"event-timing", "http://terminology.hl7.org/CodeSystem/v3-TimingEvent", "PCM", true, true},
		{"event-timing", base + "event-timing", "MORN.early", true, true},
		{"issue-type", base + "issue-type", "code-invalid", true, true}, // nested in the code system
		{"resource-types", base + "resource-types", "Patient", true, true},
		{"resource-types", base + "resource-types", "SubscriptionStatus", false, false},
		{"all-types", base + "abstract-types", "Any", true, true},
		{"condition-clinical", "http://terminology.hl7.org/CodeSystem/condition-clinical", "relapse", true, true},
	} {
		set, ok := d.Codes(base + "ValueSet/" + c.set)
		if !ok {
			t.Errorf("%s is not listed", c.set)
			continue
		}
		if set.Has(c.system, c.code) != c.has || set.HasCode(c.code) != c.bare {
			t.Errorf("%s: Has(%s, %q) = %t, HasCode = %t", c.set, c.system, c.code, set.Has(c.system, c.code), set.HasCode(c.code))
		}
	}
	gender, _ := d.Codes(base + "ValueSet/administrative-gender")
	if diff := cmp.Diff([]string{"female", "male", "other", "unknown"}, gender.Codes(base+"administrative-gender")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{base + "administrative-gender"}, gender.Systems()); diff != "" {
		t.Error(diff)
	}
	if gender.Codes("http://example.org") != nil {
		t.Error("codes of a system that is not in the set")
	}
	for _, name := range []string{"mimetypes", "currencies", "ucum-units", "no-such-set"} {
		if _, ok := d.Codes(base + "ValueSet/" + name); ok {
			t.Errorf("%s is listed, though it leans on another standard", name)
		}
	}
}

// TestImpliedSystem: search.html#token, the system of a code element is implied.
func TestImpliedSystem(t *testing.T) {
	d := load(t)
	const base = "http://hl7.org/fhir/ValueSet/"
	for _, c := range []struct{ set, code, want string }{
		{"administrative-gender", "male", "http://hl7.org/fhir/administrative-gender"},
		{"administrative-gender", "m", ""},
		{"task-intent", "order", "http://hl7.org/fhir/request-intent"},
		{"mimetypes", "text/plain", "urn:ietf:bcp:13"},
		{"mimetypes", "", ""},
		{"ucum-units", "mg/dL", "http://unitsofmeasure.org"},
		{"currencies", "EUR", "urn:iso:std:iso:4217"},
		{"no-such-set", "x", ""},
	} {
		if got, ok := d.ImpliedSystem(base+c.set, c.code); got != c.want || ok != (c.want != "") {
			t.Errorf("ImpliedSystem(%s, %q) = %q, %t; want %q", c.set, c.code, got, ok, c.want)
		}
	}
}

// TestRequiredBindings: every required binding has its codes, or is known to
// lean on another standard.
func TestRequiredBindings(t *testing.T) {
	d, open := load(t), map[string]bool{}
	for _, typ := range d.types {
		for _, e := range typ.Elements {
			if e.Binding == nil || e.Binding.Strength != Required {
				continue
			}
			if set, ok := d.Codes(e.Binding.ValueSet); !ok {
				open[e.Binding.ValueSet] = true
			} else if len(set.Systems()) == 0 {
				t.Errorf("%s: %s is empty", e.Path, e.Binding.ValueSet)
			}
		}
	}
	want := map[string]bool{
		"http://hl7.org/fhir/ValueSet/currencies": true, "http://hl7.org/fhir/ValueSet/mimetypes": true,
		"http://hl7.org/fhir/ValueSet/ucum-units": true, "http://loinc.org/vs/LL379-9": true,
	}
	if diff := cmp.Diff(want, open); diff != "" {
		t.Errorf("value sets without codes (-want +got):\n%s", diff)
	}
}

// TestParseRefuses: tables that do not fit are an error of kind Internal, not a
// panic.
func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "other version": "R4\t5.0.0\t1\n", "unknown record": "Z\t1\n", "element first": "E\tid\t0\t1\n",
		"member first": "M\tPatient\tlink\n", "no kind": "T\tPatient\n", "no base": "T\tPatient\tr\tResource\n",
		"bad pattern": "T\tcode\tp\t\t(\n", "bad number": "T\tElement\tc\nE\tid\tx\t1\n", "bad maximum": "T\tElement\tc\nE\tid\t0\tx\n",
		"bad reference": "T\tElement\tc\nE\tid\t0\t1\t\t7\n", "bad binding": "T\tElement\tc\nE\tid\t0\t1\t\t\t-1\n",
		"bad invariant": "T\tElement\tc\t\t\t1\n", "type unknown": "Y\tstring\nT\tElement\tc\nE\tid\t0\t1\t\t1\n",
		"content unknown": "T\tElement\tc\nE\tid\t0\t1\t\t\t\tNowhere\n", "parameter type": "T\tElement\tc\nP\tu\tc\tn\tnone\n",
		"component unknown": "T\tElement\tc\nP\tu\tc\tn\tcomposite\tX\nD\tnowhere\tx\n",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := unpack([]byte("not gzip")); err == nil {
		t.Error("unpack: no error")
	}
	if _, err := unpack(packed[:len(packed)-9]); err == nil {
		t.Error("unpack of a cut file: no error")
	}
	if _, err := Load(); fhir.KindOf(err) != fhir.Internal {
		t.Errorf("Load: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("R4\t4.0.1\t1\nY\tstring\nT\tElement\tca\nT\tstring\tp\tElement\t.\nE\tid\t0\t1\ta\t1\n")
	f.Add("T\tResource\tra\nP\tu\t_id\t_id\ttoken\tResource\t\t\tResource.id\nC\tPatient\tu\nM\tPatient\t{def} link\nV\tv\nS\ts\ta b\n")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parse(text); err == nil && d == nil {
			t.Error("neither tables nor an error")
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkElement(b *testing.B) {
	typ, _ := load(b).Type("Observation")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := typ.Element("valueQuantity"); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkHasCode(b *testing.B) {
	set, _ := load(b).Codes("http://hl7.org/fhir/ValueSet/resource-types")
	b.ReportAllocs()
	for b.Loop() {
		if !set.HasCode("Patient") {
			b.Fatal("not found")
		}
	}
}
