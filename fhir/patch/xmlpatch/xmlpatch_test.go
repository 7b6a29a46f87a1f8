package xmlpatch

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/patch"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/xml"
	"galen/fhir/xmltree"
)

// excluded are cases of the official suite that are not met, with the reason. A
// case that is excluded and passes fails.
var excluded = map[string]string{}

// The official suite of FHIR/fhir-test-cases (RFC 5261's appendix among it). As
// the suite does, white space between elements is not compared.
func TestOfficialSuite(t *testing.T) {
	text, err := os.ReadFile("../../../../shared/data/patch/xml-patch-tests.xml")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("skipped: ../shared not found")
	}
	if err != nil {
		t.Fatal(err)
	}
	doc, err := xmltree.Parse(text, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for c := range doc.Root().Children() {
		if c.Name() != "case" {
			continue
		}
		n++
		name, _ := c.Attr("name")
		t.Run(name.Value(), func(t *testing.T) {
			failure := playCase(t, c)
			reason, out := excluded[name.Value()]
			switch {
			case out && failure == "":
				t.Errorf("excluded (%s) and passes", reason)
			case !out && failure != "":
				t.Error(failure)
			}
		})
	}
	if n != 29 {
		t.Errorf("%d cases", n)
	}
}

// playCase plays one case and says what is wrong, "" for nothing.
func playCase(t *testing.T, c xmltree.Node) string {
	t.Helper()
	parts := map[string]xmltree.Node{}
	for part := range c.Children() {
		if part.Kind() == xmltree.Element {
			parts[part.Name()] = part
		}
	}
	operations, err := read(parts["patch"].Raw())
	var got []byte
	if err == nil {
		got, err = apply(t.Context(), inside(parts["target"]), operations)
	}
	if _, refused := parts["error"]; refused {
		if err == nil {
			return "accepted: " + string(got)
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	return cmp.Diff(shape(t, inside(parts["patched"])), shape(t, got))
}

// inside is the element in an element.
func inside(n xmltree.Node) []byte {
	for c := range n.Children() {
		if c.Kind() == xmltree.Element {
			return c.Raw()
		}
	}
	return nil
}

// shape writes a document in one form, blank text left out.
func shape(t *testing.T, text []byte) string {
	t.Helper()
	doc, err := xmltree.Parse(text, xmltree.Limits{})
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var b strings.Builder
	var show func(n xmltree.Node)
	show = func(n xmltree.Node) {
		if n.Kind() != xmltree.Element {
			if !n.Blank() {
				b.WriteString(strings.TrimSpace(string(n.Raw())))
			}
			return
		}
		b.WriteString("<{" + n.Space() + "}" + n.Name())
		attrs := map[string]string{}
		for a := range n.Attrs() {
			if !a.Declares() || a.Name() != "" {
				attrs[qualified(a)] = a.Value()
			}
		}
		for _, name := range sorted(attrs) {
			b.WriteString(" " + name + "=" + attrs[name])
		}
		b.WriteString(">\n")
		for c := range n.Children() {
			show(c)
		}
		b.WriteString("</>\n")
	}
	show(doc.Root())
	return b.String()
}

const patient = `{"resourceType":"Patient","id":"1","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" title='a'>x&#160;y</div>"},"identifier":[{"use":"usual","system":"http://a","value":"1"},{"use":"official","system":"http://b","value":"2"}],"active":true,"name":[{"family":"Old","given":["A","B"]}],"birthDate":"1970-01-01","extension":[{"url":"http://x/d","valueDecimal":1.00}]}`

const diff = `<diff xmlns="http://hl7.org/fhir" xmlns:f="http://hl7.org/fhir">`

// What clients do with resources.
func TestResources(t *testing.T) {
	tests := []struct{ name, patch, want string }{ // want: a part of the result
		{"replace a value", diff + `<replace sel="f:Patient/f:birthDate/@value">1980-02-03</replace></diff>`, `"birthDate":"1980-02-03"`},
		{"names without prefix", diff + `<replace sel="/Patient/birthDate/@value">1980-02-03</replace></diff>`, `"birthDate":"1980-02-03"`},
		{"another prefix and no default", `<diff xmlns:q="http://hl7.org/fhir"><replace sel="q:Patient/q:active/@value">false</replace></diff>`, `"active":false`},
		{"replace by position", diff + `<replace sel="f:Patient/f:name[1]/f:given[2]/@value">C</replace></diff>`, `"given":["A","C"]`},
		{"replace the last", diff + `<replace sel="f:Patient/f:name/f:given[last()]/@value">C</replace></diff>`, `"given":["A","C"]`},
		{"replace by a child's value", diff + `<replace sel="f:Patient/f:identifier[f:use/@value='official']/f:value/@value">3</replace></diff>`, `{"use":"official","system":"http://b","value":"3"}`},
		{"replace by two children", diff + `<replace sel="f:Patient/f:identifier[f:use/@value='usual' and f:system/@value=&quot;http://a&quot;]/f:value/@value">3</replace></diff>`, `{"use":"usual","system":"http://a","value":"3"}`},
		{"replace by a child that is there", diff + `<replace sel="f:Patient/f:name[f:given]/f:family/@value">New</replace></diff>`, `"family":"New"`},
		{"replace an element", diff + `<replace sel="f:Patient/f:name"><name><family value="New"/></name></replace></diff>`, `"name":[{"family":"New"}]`},
		{"add an element", diff + `<add sel="f:Patient"><gender value="female"/></add></diff>`, `"gender":"female","birthDate":"1970-01-01"`},
		{"add with another prefix", `<diff xmlns:q="http://hl7.org/fhir"><add sel="q:Patient"><q:gender value="female"/></add></diff>`, `"gender":"female"`},
		{"add before", diff + `<add sel="f:Patient/f:name" pos="before"><name><family value="First"/></name></add></diff>`, `"name":[{"family":"First"},{"family":"Old"`},
		{"add after", diff + `<add sel="f:Patient/f:name/f:given[1]" pos="after"><given value="Z"/></add></diff>`, `"given":["A","Z","B"]`},
		{"add as the first child", diff + `<add sel="f:Patient/f:name" pos="prepend"><given value="Z"/></add></diff>`, `"given":["Z","A","B"]`},
		{"add an attribute", diff + `<add sel="f:Patient/f:name" type="@id">n1</add></diff>`, `"name":[{"id":"n1","family":"Old"`},
		{"add to an empty element", diff + `<add sel="f:Patient/f:birthDate"><extension url="http://x"><valueCode value="a"/></extension></add></diff>`, `"_birthDate":{"extension":[{"url":"http://x","valueCode":"a"}]}`},
		{"add XHTML", diff + `<replace sel="f:Patient/f:text/h:div" xmlns:h="http://www.w3.org/1999/xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><b>z</b></div></replace></diff>`, `"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><b>z</b></div>"`},
		{"remove", diff + `<remove sel="f:Patient/f:identifier[1]"/></diff>`, `"identifier":[{"use":"official"`},
		{"several", diff + `<remove sel="f:Patient/f:identifier[1]"/><remove sel="f:Patient/f:identifier[1]"/><add sel="f:Patient"><gender value="male"/></add></diff>`, `"active":true,"name":[{"family":"Old","given":["A","B"]}],"gender":"male"`},
		{"the rest keeps its digits and its narrative", diff + `<remove sel="f:Patient/f:active"/></diff>`, `"valueDecimal":1.00`},
		{"the rest keeps its narrative", diff + `<remove sel="f:Patient/f:active"/></diff>`, `title='a'>x&#160;y</div>`},
		{"values are escaped", diff + `<replace sel="f:Patient/f:name/f:family/@value">a"&amp;&lt;b</replace></diff>`, `"family":"a\"&<b"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := play(t, tt.patch)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), tt.want) {
				t.Errorf("%s\nlacks %s", got, tt.want)
			}
		})
	}
}

var definitions = sync.OnceValues(spec.Load)

func play(t testing.TB, text string) ([]byte, error) {
	t.Helper()
	defs, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	p, err := reader(xml.New(defs))([]byte(text))
	if err != nil {
		return nil, err
	}
	r, err := fhir.Parse([]byte(patient), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Apply(t.Context(), r)
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, patch string
		kind        fhir.Kind
	}{
		{"not XML", `{}`, fhir.Malformed},
		{"a DTD", `<!DOCTYPE diff [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + diff + `<add sel="f:Patient">&x;</add></diff>`, fhir.Malformed},
		{"no operations", diff + `</diff>`, fhir.Required},
		{"an unknown operation", diff + `<move sel="f:Patient"/></diff>`, fhir.Invalid},
		{"no selector", diff + `<remove/></diff>`, fhir.Required},
		{"an unknown attribute", diff + `<remove sel="f:Patient/f:active" pos="before"/></diff>`, fhir.Invalid},
		{"an unknown place", diff + `<add sel="f:Patient" pos="inside"><active value="true"/></add></diff>`, fhir.Invalid},
		{"an undeclared prefix", diff + `<remove sel="x:Patient/x:active"/></diff>`, fhir.Invalid},
		{"a selector that is no path", diff + `<remove sel="f:Patient/f:active["/></diff>`, fhir.Invalid},
		{"a path of another kind", diff + `<remove sel="//f:active"/></diff>`, fhir.Invalid},
		{"a function", diff + `<remove sel="f:Patient/f:identifier[contains(f:use/@value,'u')]"/></diff>`, fhir.Invalid},
		{"below an attribute", diff + `<remove sel="f:Patient/@id/f:x"/></diff>`, fhir.Invalid},
		{"position zero", diff + `<remove sel="f:Patient/f:name[0]"/></diff>`, fhir.Invalid},
		{"nothing there", diff + `<remove sel="f:Patient/f:gender"/></diff>`, fhir.Unprocessable},
		{"several there", diff + `<remove sel="f:Patient/f:identifier"/></diff>`, fhir.Unprocessable},
		{"the resource itself", diff + `<remove sel="f:Patient"/></diff>`, fhir.Unprocessable},
		{"beside the resource", diff + `<add sel="f:Patient" pos="before"><active value="true"/></add></diff>`, fhir.Unprocessable},
		{"nothing to add", diff + `<add sel="f:Patient"/></diff>`, fhir.Unprocessable},
		{"an attribute that is there", diff + `<add sel="f:Patient/f:active" type="@value">false</add></diff>`, fhir.Unprocessable},
		{"an attribute R4 does not have", diff + `<add sel="f:Patient/f:active" type="@other">x</add></diff>`, fhir.Unprocessable},
		{"an element R4 does not have", diff + `<add sel="f:Patient"><nme value="x"/></add></diff>`, fhir.Unprocessable},
		{"an element without namespace", `<diff xmlns:f="http://hl7.org/fhir"><add sel="f:Patient"><gender value="male"/></add></diff>`, fhir.Unprocessable},
		{"twice what may be once", diff + `<add sel="f:Patient"><active value="true"/></add></diff>`, fhir.Unprocessable},
		{"an element for an attribute", diff + `<replace sel="f:Patient/f:active/@value"><x/></replace></diff>`, fhir.Unprocessable},
		{"two for one", diff + `<replace sel="f:Patient/f:name"><name/><name/></replace></diff>`, fhir.Unprocessable},
		{"white space that is not there", diff + `<remove sel="f:Patient/f:active" ws="before"/></diff>`, fhir.Unprocessable},
		{"another resource", diff + `<replace sel="f:Patient"><Basic xmlns="http://hl7.org/fhir"/></replace><remove sel="f:Patient/f:x"/></diff>`, fhir.Unprocessable},
		{"too many operations", diff + strings.Repeat(`<remove sel="f:Patient/f:active"/>`, maxOperations+1) + `</diff>`, fhir.TooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := play(t, tt.patch)
			if err == nil {
				t.Fatalf("accepted: %s", got)
			}
			if kind := fhir.KindOf(err); kind != tt.kind {
				t.Errorf("%v (%v), want %v", kind, err, tt.kind)
			}
		})
	}
}

// FHIRPath Patch may come in XML too.
func TestFHIRPathPatchInXML(t *testing.T) {
	defs, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	formats := patch.New(defs, path.New(defs, units), time.Now)
	Add(formats, xml.New(defs))
	p, err := formats.Read("application/fhir+xml", []byte(`<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="replace"/></part><part><name value="path"/><valueString value="Patient.birthDate"/></part><part><name value="value"/><valueDate value="1980-02-03"/></part></parameter></Parameters>`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Parse([]byte(patient), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Apply(t.Context(), r)
	if err != nil || !strings.Contains(string(got), `"birthDate":"1980-02-03"`) {
		t.Errorf("%v: %s", err, got)
	}
	if _, err := formats.Read("application/fhir+xml", []byte(`<Parameters/>`)); fhir.KindOf(err) != fhir.Invalid {
		t.Errorf("without namespace: %v", err)
	}
	if diff := cmp.Diff([]string{"application/fhir+json", "application/fhir+xml", "application/json-patch+json", MediaType}, formats.MediaTypes()); diff != "" {
		t.Error(diff)
	}
}

// FuzzPatch: no patch makes a panic, an error of the server's own, or a result
// that is no JSON.
func FuzzPatch(f *testing.F) {
	f.Add(diff + `<add sel="f:Patient" pos="prepend"><gender value="x"/></add><replace sel="/f:Patient/f:name[f:given='x' and @id][1]/@id">y</replace></diff>`)
	f.Add(diff + `<remove sel="f:Patient/*[last()]/text()" ws="both"/><add sel="f:Patient" type="namespace::p">u</add></diff>`)
	f.Add(diff + `<replace sel="f:Patient/comment()[1]"><!-- x --></replace><add sel='f:Patient/processing-instruction("p")' pos="after">t</add></diff>`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := play(t, text)
		if err != nil {
			if kind := fhir.KindOf(err); kind == fhir.Internal {
				t.Fatal(err)
			}
			return
		}
		if _, err := jsontree.Parse(got, jsontree.Limits{Depth: 1000}); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
	})
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
