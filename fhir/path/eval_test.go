package path_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
)

const container = `{"resourceType":"MedicationRequest","id":"m1","contained":[
 {"resourceType":"Patient","id":"p","name":[{"family":"Inner"}],"generalPractitioner":[{"reference":"#doc"},{"reference":"#"}]},
 {"resourceType":"Practitioner","id":"doc","active":true}],
"subject":{"reference":"#p"},"requester":{"reference":"Practitioner/7"},"medicationReference":{"reference":"#none"},
"dispenseRequest":{"quantity":{"value":2,"unit":"years","system":"http://unitsofmeasure.org","code":"a"}},
"dosageInstruction":[{"text":"x","doseAndRate":[{"doseQuantity":{"value":5.0,"system":"http://unitsofmeasure.org","code":"mg"}},{"doseQuantity":{"value":9,"comparator":"<","code":"x"}}]}]}`

const bundle = `{"resourceType":"Bundle","type":"searchset","entry":[
 {"fullUrl":"http://h/fhir/Observation/1","resource":{"resourceType":"Observation","id":"1","status":"final","subject":{"reference":"Patient/1"},"focus":[{"reference":"http://h/fhir/Patient/1/_history/4"}]}},
 {"fullUrl":"http://h/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1","birthDate":"1980-05"}},
 {"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":{"resourceType":"Device","id":"d"}}]}`

// sparse has primitives with only extensions, null padding and unknown members.
const sparse = `{"resourceType":"Patient","_gender":{"extension":[{"url":"http://u","valueCode":"x"}]},"unknown":1,
"name":[{"given":["a",null,"c"],"_given":[null,{"id":"g"}]},{"given":[null],"_given":[{"id":"h"},{"id":"i"}]}],
"birthDate":"1980-13-45","multipleBirthInteger":3,"_deceasedDateTime":{"id":"dd"},"telecom":{"value":"not a list"},"active":"no"}`

func typed(items []path.Item) []string {
	out := []string{}
	for _, it := range items {
		out = append(out, it.Type()+" "+it.Text())
	}
	return out
}

func TestEval(t *testing.T) {
	engine, _ := newEngine(t)
	m, b, s, p := parseResource(t, container), parseResource(t, bundle), parseResource(t, sparse), parseResource(t, patient)
	twin := parseResource(t, `{"resourceType":"Patient","name":[{"family":"A","given":["x","y"]},{"given":["x","y"],"family":"A"},{"family":"a","given":["Y","x"]}],
		"extension":[{"url":"u","valueDecimal":1.0},{"url":"u","valueDecimal":1.00}]}`)
	tests := []struct {
		name string
		on   fhir.Resource
		expr string
		want []string
	}{
		{"R4 fhirpath: choice by its plain name", s, "multipleBirth", []string{"integer 3"}},
		{"R4 fhirpath: choice with sibling only", s, "deceased.id", []string{"string dd"}},
		{"R4 fhirpath: no name with type", s, "multipleBirthInteger", []string{}},
		{"R4 json: null padding", s, "name.given.select(iif(hasValue(), $this, id))", []string{"string a", "string g", "string c", "string h", "string i"}},
		{"R4 json: sibling only", s, "gender.extension.value", []string{"code x"}},
		{"extension() of a primitive", s, "gender.extension('http://u').exists()", []string{"System.Boolean true"}},
		{"extension() of an element that has none", s, "name.extension('http://u').exists()", []string{"System.Boolean false"}},
		{"one where a list is due", s, "telecom.value", []string{"string not a list"}},
		{"a bad date compares with nothing", s, "birthDate < today()", []string{}},
		{"a primitive of the wrong JSON kind", s, "active and true", []string{"System.Boolean true"}},
		{"N1 3.1: a path of another type", s, "Observation.code | Patient.multipleBirth", []string{"integer 3"}},
		{"N1 3.1: a base type starts a path", s, "DomainResource.multipleBirth | Resource.multipleBirth", []string{"integer 3"}},
		{"children in document order", p, "children().select(type().name)", []string{
			"System.String id", "System.String boolean", "System.String HumanName", "System.String HumanName", "System.String ContactPoint",
			"System.String ContactPoint", "System.String ContactPoint", "System.String code", "System.String date", "System.String boolean",
		}},
		{"descendants reach siblings", p, "descendants().where($this is Extension).url", []string{"uri http://x"}},

		{"resolve: contained", m, "subject.resolve().name.family", []string{"string Inner"}},
		{"resolve: from inside a contained resource", m, "contained[0].generalPractitioner.resolve().id", []string{"id doc", "id m1"}},
		{"resolve: by the caller", m, "requester.resolve() is Practitioner", []string{"System.Boolean true"}},
		{"resolve: what is not there is left out", m, "medication.resolve()", []string{}},
		{"resolve: in a Bundle, relative", b, "entry[0].resource.subject.resolve().birthDate", []string{"date 1980-05"}},
		{"resolve: in a Bundle, absolute with a version", b, "entry[0].resource.focus.resolve().birthDate", []string{"date 1980-05"}},
		{"resolve: a string", b, "'urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0'.resolve()", []string{}},
		{"types inside a Bundle", b, "entry.resource.ofType(Patient).id", []string{"id 1"}},
		{"ofType of a base type", b, "entry.resource.ofType(DomainResource).count()", []string{"System.Integer 3"}},

		{"N1 6.3: is takes subtypes", p, "gender is string", []string{"System.Boolean true"}},
		{"N1 6.3: ofType does not for primitives", p, "gender.ofType(string)", []string{}},
		{"type() of a backbone", m, "dispenseRequest.type().name", []string{"System.String MedicationRequest.dispenseRequest"}},
		{"System and FHIR Quantity", m, "dispenseRequest.quantity is Quantity and dispenseRequest.quantity is FHIR.Quantity", []string{"System.Boolean true"}},

		{"R4 fhirpath: years in a Quantity are calendar years", m, "@2020-02-29 + dispenseRequest.quantity", []string{"System.Date 2022-02-28"}},
		{"and compare with both kinds of year", m, "dispenseRequest.quantity = 2 years and dispenseRequest.quantity = 2 'a'", []string{"System.Boolean true"}},
		{"a comparator has no value", m, "dosageInstruction.doseAndRate.dose.select($this > 1 'mg')", []string{"System.Boolean true"}},
		{"1 mg is 0.001 g", m, "dosageInstruction.doseAndRate[0].dose = 0.005 'g'", []string{"System.Boolean true"}},

		{"N1 4.5: a single item that is no Boolean", p, "name.first() and true", []string{"System.Boolean true"}},
		{"where", p, "name.where(given.count() > 1).family", []string{"string Chalmers"}},
		{"$index", p, "name.select($index)", []string{"System.Integer 0", "System.Integer 1"}},
		{"$this in nested functions", p, "name.where(given.where($this = 'Jim').exists()).use", []string{"code usual"}},
		{"aggregate keeps the outer $total", p, "(1|2).aggregate($total + (3|4).aggregate($total + $this, 0) + $this, 0)", []string{"System.Integer 17"}},
		{"repeat", b, "repeat(entry).count()", []string{"System.Integer 3"}},
		{"variables", p, "%answer + 1", []string{"System.Integer 43"}},
		{"variable in backquotes", p, "%`the-name`.family", []string{"string V"}},
		{"%context is the focus", p, "name.select(%context.id)", []string{"id p1", "id p1"}},
		{"now, today, timeOfDay", p, "now() | today() | timeOfDay()", []string{"System.DateTime 2026-01-02T03:04:05.006Z", "System.Date 2026-01-02", "System.Time 03:04:05.006"}},
		{"Integer overflow is empty", p, "2147483647 + 1", []string{}},
		{"the least Integer", p, "-2147483648", []string{"System.Integer -2147483648"}},
		{"decimals are exact", p, "0.1 + 0.2 = 0.3", []string{"System.Boolean true"}},
		{"a decimal keeps its places", p, "1.0 + 1.00", []string{"System.Decimal 2.00"}},
		{"div truncates toward zero", p, "(-7) div 2", []string{"System.Integer -3"}},
		{"mod takes the sign of the dividend", p, "(-7) mod 2", []string{"System.Integer -1"}},
		{"div of 34 nines", p, "9999999999999999999999999999999999.9 div 1.0 = 1", []string{}},
		{"characters, not bytes", p, "'äöü€'.length() + 'äöü€'.indexOf('€')", []string{"System.Integer 7"}},
		{"substring of characters", p, "'äöü€'.substring(1, 2)", []string{"System.String öü"}},
		{"replaceMatches with groups", p, "'11/30/1972'.replaceMatches('(?P<m>[0-9]+)/([0-9]+)/([0-9]+)', '$2-${m}-$3')", []string{"System.String 30-11-1972"}},
		{"distinct over many", p, "'a,b,a,c,d,e,f,g,h,i,j,k,l,m,n,o,a,p'.split(',').distinct().join('')", []string{"System.String abcdefghijklmnop"}},
		{"distinct counts 1 and 1.0 as one", p, "('1,2,3,4,5,6,7,8,9,10,11,12,13,14'.split(',').select(toInteger()) | 1.0 | 2.00).count()", []string{"System.Integer 14"}},
		{"N1 6.1.1: equality of elements ignores the order of members", twin, "name[0] = name[1] and name[0] != name[2]", []string{"System.Boolean true"}},
		{"N1 6.1.1: decimals in elements are equal by value", twin, "extension[0] = extension[1]", []string{"System.Boolean true"}},
		{"N1 6.1.2: equivalent elements", twin, "name[0] ~ name[2]", []string{"System.Boolean true"}},
		{"equivalence ignores the order of items", p, "name[0].given ~ ('JAMES' | 'peter')", []string{"System.Boolean true"}},
		{"conformsTo of a base type", p, "conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')", []string{"System.Boolean true"}},
		{"checkModifiers lets through", p, "name.checkModifiers('http://x').count()", []string{"System.Integer 2"}},
		{"getValue", p, "birthDate.getValue()", []string{"System.Date 1974-12-25"}},
		{"toQuantity with a unit", p, "'1 day'.toQuantity('h')", []string{"System.Quantity 24 'h'"}},
		{"log of a power", p, "1000.log(10) = 3", []string{"System.Boolean true"}},
		{"sqrt to 34 digits", p, "2.sqrt().toString().length()", []string{"System.Integer 35"}},
	}
	v := parseResource(t, `{"resourceType":"Patient","name":[{"family":"V"}]}`)
	practitioner := parseResource(t, `{"resourceType":"Practitioner","id":"7"}`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := engine.Compile(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			got, err := x.Eval(t.Context(), path.Env{
				Resource: tt.on,
				Now:      time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC),
				Vars:     map[string][]path.Item{"answer": {path.IntegerItem(42)}, "the-name": {path.TypedItem("HumanName", v.Root().Get("name").Item(0))}},
				Resolve: func(_ context.Context, ref string) (path.Item, bool) {
					return path.ResourceItem(practitioner), ref == "Practitioner/7"
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, typed(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSurroundings: R4 fhirpath, %resource is the resource around the focus and
// %rootResource its container.
func TestSurroundings(t *testing.T) {
	engine, _ := newEngine(t)
	m, b := parseResource(t, container), parseResource(t, bundle)
	inner := m.Root().Get("contained").Item(0)
	name := inner.Get("name").Item(0)
	entry := b.Root().Get("entry").Item(1).Get("resource")
	tests := []struct {
		name  string
		on    fhir.Resource
		focus path.Item
		want  []string
	}{
		{"no focus", m, path.Item{}, []string{"MedicationRequest", "MedicationRequest"}},
		{"element of a contained resource", m, path.TypedItem("HumanName", name), []string{"Patient", "MedicationRequest"}},
		{"a contained resource", m, path.TypedItem("Patient", inner), []string{"Patient", "MedicationRequest"}},
		{"a Bundle's entry is its own root", b, path.TypedItem("date", entry.Get("birthDate")), []string{"Patient", "Patient"}},
		{"a focus of another document", m, path.TypedItem("date", entry.Get("birthDate")), []string{"MedicationRequest", "MedicationRequest"}},
	}
	x, err := engine.Compile("%resource.type().name.combine(%rootResource.type().name)")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			items, err := x.Eval(t.Context(), path.Env{Resource: tt.on, Focus: tt.focus})
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, it := range items {
				got = append(got, it.Text())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	engine, _ := newEngine(t)
	tests := []struct {
		name, expr string
		offset     int
	}{
		{"empty", "", 0},
		{"unknown function", "name.nope()", 5},
		{"too many arguments", "name.count(1)", 5},
		{"unknown type", "value is Nope", 6},
		{"argument is no type", "value.ofType(1)", 13},
		{"bad pattern", "name.matches('(')", 5},
		{"Integer out of range", "1 + 2147483648", 4},
		{"no such day", "@2023-02-30", 0},
		{"open string", "a = 'x", 4},
		{"open parenthesis", "(a", 2},
		{"too deep", strings.Repeat("(", 400), 250},
		{"too long", strings.Repeat(" ", 70_000), 65536},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := engine.Compile(tt.expr)
			var e *path.Error
			if !errors.As(err, &e) || e.Offset != tt.offset || fhir.KindOf(err) != fhir.Invalid {
				t.Errorf("got %v, want an Invalid error at %d", err, tt.offset)
			}
		})
	}
}

func TestEvalErrors(t *testing.T) {
	engine, _ := newEngine(t)
	r := parseResource(t, patient)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	tests := []struct {
		name string
		ctx  context.Context
		env  path.Env
		expr string
		kind fhir.Kind
	}{
		{"several where one is due", t.Context(), path.Env{}, "name.given.length()", fhir.Unprocessable},
		{"types without order", t.Context(), path.Env{}, "gender < 1", fhir.Unprocessable},
		{"unknown variable", t.Context(), path.Env{}, "%nope", fhir.Unprocessable},
		{"no terminology", t.Context(), path.Env{}, "gender.memberOf('http://v')", fhir.NotSupported},
		{"no clock", t.Context(), path.Env{}, "now()", fhir.NotSupported},
		{"no profile", t.Context(), path.Env{}, "conformsTo('http://p')", fhir.NotSupported},
		{"steps", t.Context(), path.Env{MaxSteps: 50}, "descendants().descendants().descendants().count()", fhir.TooCostly},
		{"doubling collections", t.Context(), path.Env{}, "name" + strings.Repeat(".select($this.combine($this))", 40), fhir.TooCostly},
		{"doubling text", t.Context(), path.Env{}, "'x'" + strings.Repeat(".select($this & $this)", 40), fhir.TooCostly},
		{"replacing into length", t.Context(), path.Env{}, "'aaaaaaaaaaaaaaaa'" + strings.Repeat(".replace('a', 'aaaaaaaaaaaaaaaa')", 20), fhir.TooCostly},
		{"pattern of great size on long text", t.Context(), path.Env{}, "('x'" + strings.Repeat(".select($this & $this)", 16) + ").matches('(x{1,500}){1,2}y')", fhir.TooCostly},
		{"repeat without end", t.Context(), path.Env{MaxSteps: 100_000}, "1.repeat($this + 1).count()", fhir.TooCostly},
		{"context", stopped, path.Env{}, "name.given.count()", fhir.Timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := engine.Compile(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			tt.env.Resource = r
			_, err = x.Eval(tt.ctx, tt.env)
			if err == nil || fhir.KindOf(err) != tt.kind {
				t.Errorf("got %v, want kind %v", err, tt.kind)
			}
			if tt.kind == fhir.Timeout && !errors.Is(err, context.Canceled) {
				t.Errorf("%v does not wrap context.Canceled", err)
			}
		})
	}
}

type terminology struct{}

func (terminology) MemberOf(_ context.Context, it path.Item, valueSet string) (bool, bool, error) {
	if valueSet == "http://bad" {
		return false, false, fhir.E("test", fhir.Unavailable, "", "down")
	}
	return it.Text() == "male", valueSet == "http://known", nil
}

func (terminology) Subsumes(_ context.Context, a, b path.Item) (bool, bool, error) {
	return strings.HasPrefix(b.Text(), a.Text()), true, nil
}

// TestTerminology: R4 fhirpath, memberOf, subsumes, subsumedBy.
func TestTerminology(t *testing.T) {
	engine, _ := newEngine(t)
	env := path.Env{Resource: parseResource(t, patient), Terminology: terminology{}}
	for expr, want := range map[string]string{
		"gender.memberOf('http://known')":             "System.Boolean true",
		"gender.memberOf('http://other')":             "",
		"'a'.subsumes('ab') and 'ab'.subsumedBy('a')": "System.Boolean true",
		"'ab'.subsumes('a')":                          "System.Boolean false",
	} {
		x, err := engine.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := x.Eval(t.Context(), env)
		if err != nil || strings.Join(typed(got), "") != want {
			t.Errorf("%s: %v, %v", expr, typed(got), err)
		}
	}
	x, err := engine.Compile("gender.memberOf('http://bad')")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Eval(t.Context(), env); fhir.KindOf(err) != fhir.Unavailable {
		t.Errorf("got %v, want the service's kind", err)
	}
}

// TestCheck: what Check finds without data.
func TestCheck(t *testing.T) {
	engine, _ := newEngine(t)
	tests := []struct {
		typ, expr string
		ok        bool
	}{
		{"Patient", "name.given.where($this.length() > 3)", true},
		{"Patient", "Patient.contact.name.family", true},
		{"Patient", "name.givn", false},
		{"Patient", "contact.where(nam.exists())", false},
		{"Patient", "Resource.id | DomainResource.text", true},
		{"Observation", "value.as(Quantity).unit", true},
		{"Observation", "value.as(Address)", false},
		{"Observation", "valueQuantity", false},
		{"Observation", "component.value.ofType(string).length()", true},
		{"Observation", "component.length()", false},
		{"Bundle", "entry.resource.anything", true},
		{"Bundle", "entry.resource.ofType(Patient).birthdate", false},
		{"Patient", "descendants().first()", false},
		{"Patient", "children().skip(1)", false},
		{"Patient", "iif(name, 1, 2)", false},
		{"", "whatever.comes", true},
	}
	for _, tt := range tests {
		x, err := engine.Compile(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Check(tt.typ); (err == nil) != tt.ok {
			t.Errorf("%s on %s: %v", tt.expr, tt.typ, err)
		}
	}
}

// TestNoUnits: without a table only equal units compare.
func TestNoUnits(t *testing.T) {
	_, defs := newEngine(t)
	engine := path.New(defs, nil)
	for expr, want := range map[string]string{"1 'g' = 1.0 'g'": "System.Boolean true", "1 'g' = 1000 'mg'": "", "1 'g'.toQuantity('mg')": ""} {
		x, err := engine.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := x.Eval(t.Context(), path.Env{Focus: path.BoolItem(true)})
		if err != nil || strings.Join(typed(got), "") != want {
			t.Errorf("%s: %v, %v", expr, typed(got), err)
		}
	}
}

// TestConcurrent: one Expr serves many goroutines (meaningful with -race).
func TestConcurrent(t *testing.T) {
	engine, _ := newEngine(t)
	x, err := engine.Compile("name.where(given.exists()).family | telecom.where(system = 'phone').value")
	if err != nil {
		t.Fatal(err)
	}
	r := parseResource(t, patient)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if got, err := x.Eval(t.Context(), path.Env{Resource: r}); err != nil || len(got) != 3 {
					t.Errorf("%v, %v", typed(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"Patient.name.where(use = 'official').given.first()", "1 + 2 * 3 div 4", "@2015-02-04T14:34:28.123+10:00 + 4 days", "iif($this is Patient, 1, {})",
		"%`ext-x` | %resource.descendants().as(uri)", "name.aggregate($total & $this, '').replaceMatches('(a)', '$1')", "-(1 'mg' / 0.001 'g').power(0.5)", "'\\u00e4'.toChars().sort(-$this)[1]",
	} {
		f.Add(s)
	}
	engine, _ := newEngine(f)
	doc, err := jsontree.Parse([]byte(container), jsontree.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	focus := path.TypedItem("MedicationRequest", doc.Root())
	f.Fuzz(func(t *testing.T, text string) {
		x, err := engine.Compile(text)
		if err != nil {
			return
		}
		_ = x.Check("MedicationRequest")
		start := time.Now()
		_, _ = x.Eval(t.Context(), path.Env{Focus: focus, MaxSteps: 20_000, Now: start})
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("20,000 steps took %v", d)
		}
	})
}
