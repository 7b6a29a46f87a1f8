package xml_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/fhirtest"
	"galen/fhir/jsontree"
	"galen/fhir/xml"
)

const patient = `<Patient xmlns="http://hl7.org/fhir">`

// Each case is a rule of https://hl7.org/fhir/R4/xml.html or json.html: the
// XML, the JSON it means, and the XML that the JSON is written as ("" if it is
// the same).
func TestRules(t *testing.T) {
	tests := []struct{ name, xml, json, out string }{
		{"a resource without elements", `<Patient xmlns="http://hl7.org/fhir"/>`, `{"resourceType":"Patient"}`, ""},
		{"Resource.id is an element", patient + `<id value="a"/></Patient>`, `{"resourceType":"Patient","id":"a"}`, ""},
		{"Element.id is an attribute", patient + `<name id="n1"><family value="x"/></name></Patient>`, `{"resourceType":"Patient","name":[{"id":"n1","family":"x"}]}`, ""},
		{"booleans have no quotes in JSON", patient + `<active value="true"/></Patient>`, `{"resourceType":"Patient","active":true}`, ""},
		{"the choice is named by its type", patient + `<multipleBirthInteger value="2"/></Patient>`, `{"resourceType":"Patient","multipleBirthInteger":2}`, ""},
		{
			"id and extension of a primitive", patient + `<birthDate id="b" value="1970-03-30"><extension url="http://x/t"><valueDateTime value="1970-03-30T10:00:00Z"/></extension></birthDate></Patient>`,
			`{"resourceType":"Patient","birthDate":"1970-03-30","_birthDate":{"id":"b","extension":[{"url":"http://x/t","valueDateTime":"1970-03-30T10:00:00Z"}]}}`, "",
		},
		{
			"a primitive with an extension only", patient + `<gender><extension url="http://x"><valueCode value="a"/></extension></gender></Patient>`,
			`{"resourceType":"Patient","_gender":{"extension":[{"url":"http://x","valueCode":"a"}]}}`, "",
		},
		{
			"null pads arrays of primitives", patient + `<name><given value="a"/><given id="g"/><given id="h" value="c"/></name></Patient>`,
			`{"resourceType":"Patient","name":[{"given":["a",null,"c"],"_given":[null,{"id":"g"},{"id":"h"}]}]}`, "",
		},
		{
			"no value at all in the array", patient + `<name><given id="g"/></name></Patient>`,
			`{"resourceType":"Patient","name":[{"_given":[{"id":"g"}]}]}`, "",
		},
		{
			"contained resources", patient + `<contained><Organization><id value="o"/></Organization></contained></Patient>`,
			`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}]}`, "",
		},
		{
			"resources in Parameters", `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="p"/><resource><Patient/></resource></parameter></Parameters>`,
			`{"resourceType":"Parameters","parameter":[{"name":"p","resource":{"resourceType":"Patient"}}]}`, "",
		},
		{
			"a content reference", `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="p"/><part><name value="q"/><valueString value="s"/></part></parameter></Parameters>`,
			`{"resourceType":"Parameters","parameter":[{"name":"p","part":[{"name":"q","valueString":"s"}]}]}`, "",
		},
		{
			"decimals keep their digits", `<Observation xmlns="http://hl7.org/fhir"><valueQuantity><value value="1.00"/></valueQuantity><component><valueQuantity><value value="1.2E+2"/></valueQuantity></component><component><valueQuantity><value value="0.123456789012345678"/></valueQuantity></component></Observation>`,
			`{"resourceType":"Observation","valueQuantity":{"value":1.00},"component":[{"valueQuantity":{"value":1.2E+2}},{"valueQuantity":{"value":0.123456789012345678}}]}`, "",
		},
		{
			"white space in values is written as references", patient + `<name><text value="a&#9;b&#10;c&#13;d"/></name></Patient>`,
			`{"resourceType":"Patient","name":[{"text":"a\tb\nc\rd"}]}`, "",
		},
		{
			"markup in values is escaped", patient + `<name><text value="&lt;a href=&quot;x&quot;&gt; &amp; 'b'"/></name></Patient>`,
			`{"resourceType":"Patient","name":[{"text":"<a href=\"x\"> & 'b'"}]}`, "",
		},
		{"astral characters", patient + `<name><text value="𝒳 😀 ü"/></name></Patient>`, `{"resourceType":"Patient","name":[{"text":"𝒳 😀 ü"}]}`, ""},
		{
			"elements out of order are put in order", patient + `<birthDate value="1970"/><active value="true"/><name><family value="x"/></name><identifier><value value="1"/></identifier><name><family value="y"/></name></Patient>`,
			`{"resourceType":"Patient","identifier":[{"value":"1"}],"active":true,"name":[{"family":"x"},{"family":"y"}],"birthDate":"1970"}`,
			patient + `<identifier><value value="1"/></identifier><active value="true"/><name><family value="x"/></name><name><family value="y"/></name><birthDate value="1970"/></Patient>`,
		},
		{
			"prefixes, comments, schema locations and white space do not count",
			`<?xml version="1.0" encoding="utf-8"?><!-- a --><f:Patient xmlns:f="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir x.xsd">` + "\n  <!-- b --><f:active value='true' />\n</f:Patient><?go on?>",
			`{"resourceType":"Patient","active":true}`, patient + `<active value="true"/></Patient>`,
		},
		{"a plus sign is not for JSON", patient + `<multipleBirthInteger value="+2"/></Patient>`, `{"resourceType":"Patient","multipleBirthInteger":2}`, patient + `<multipleBirthInteger value="2"/></Patient>`},
		{
			"a narrative keeps every byte", patient + `<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml" title='b'  class="a">x&#160;<b >y</b>` + "\n" + `<br/><!-- c --><![CDATA[<z>]]></div></text></Patient>`,
			`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" title='b'  class=\"a\">x&#160;<b >y</b>\n<br/><!-- c --><![CDATA[<z>]]></div>"}}`, "",
		},
		{
			"a narrative that inherits its namespace gets its own", `<f:Patient xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text><div>x</div></f:text></f:Patient>`,
			`{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}`,
			patient + `<text><div xmlns="http://www.w3.org/1999/xhtml">x</div></text></Patient>`,
		},
		{
			"a narrative with prefixes is written without", `<Patient xmlns="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><text><h:div xml:lang="de">x<h:p class="c">y &amp; z</h:p></h:div></text></Patient>`,
			`{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"de\">x<p class=\"c\">y &amp; z</p></div>"}}`,
			patient + `<text><div xmlns="http://www.w3.org/1999/xhtml" xml:lang="de">x<p class="c">y &amp; z</p></div></text></Patient>`,
		},
	}
	codec := newCodec(t)
	const header = `<?xml version="1.0" encoding="UTF-8"?>`
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := codec.ToJSON([]byte(tt.xml), 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.json, string(got)); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
			want := tt.out
			if want == "" {
				want = tt.xml
			}
			back, err := codec.ToXML(parse(t, got), xml.Compact)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(header+want, string(back)); diff != "" {
				t.Errorf("XML (-want +got):\n%s", diff)
			}
			wellFormed(t, back)
		})
	}
}

// What is written is XML 1.0 whatever a stored string holds.
func TestXMLIsLegal(t *testing.T) {
	tests := []struct{ name, json, want string }{
		{"a form feed in a string", `{"resourceType":"Patient","name":[{"text":"a\fb"}]}`, `<text value="a` + "\uFFFD" + `b"/>`},
		{"a noncharacter", `{"resourceType":"Patient","name":[{"text":"a\uffffb"}]}`, `<text value="a` + "\uFFFD" + `b"/>`},
		{"a named character of HTML", `{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a&nbsp;b &amp; &copy;</div>"}}`, `a&#160;b &amp; &#169;</div>`},
		{"a narrative that is no XHTML", `{"resourceType":"Patient","text":{"div":"<div>a<br>b</div>"}}`, `<div xmlns="http://www.w3.org/1999/xhtml">&lt;div&gt;a&lt;br&gt;b&lt;/div&gt;</div>`},
		{"a narrative that breaks out", `{"resourceType":"Patient","text":{"div":"<div>a</div></text><active value=\"true\"/>"}}`, `&lt;/text&gt;`},
		{"a narrative with a DTD", `{"resourceType":"Patient","text":{"div":"<!DOCTYPE div [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><div>&x;</div>"}}`, `&lt;!DOCTYPE`},
		{"a narrative without namespace", `{"resourceType":"Patient","text":{"div":"<div class=\"c\">a</div>"}}`, `<div xmlns="http://www.w3.org/1999/xhtml" class="c">a</div>`},
	}
	codec := newCodec(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := codec.ToXML(parse(t, []byte(tt.json)), xml.Compact)
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, got)
			if !strings.Contains(string(got), tt.want) {
				t.Errorf("%s\nlacks %s", got, tt.want)
			}
			if _, err := codec.ToJSON(got, 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// What FHIR XML does not allow is refused with its place and line.
func TestReadRefuses(t *testing.T) {
	in := func(s string) string { return patient + "\n" + s + "</Patient>" }
	tests := []struct {
		name, xml, at, line string
		kind                fhir.Kind
	}{
		{"unknown element", in(`<nme value="x"/>`), "Patient", "line 2", fhir.Invalid},
		{"unknown element below", in(`<name><fam value="x"/></name>`), "Patient.name[0]", "line 2", fhir.Invalid},
		{"an attribute written as an element", in(`<name><id value="x"/></name>`), "Patient.name[0]", "line 2", fhir.Invalid},
		{"unknown attribute", in(`<active value="true" val="true"/>`), "Patient.active", "line 2", fhir.Invalid},
		{"unknown attribute beside the value", in(`<active value="true" x="y"/>`), "Patient.active", "line 2", fhir.Invalid},
		{"value on what is not primitive", in(`<name value="x"/>`), "Patient.name[0]", "line 2", fhir.Invalid},
		{"xsi:type", in(`<active xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x" value="true"/>`), "Patient.active", "line 2", fhir.Invalid},
		{"no namespace", `<Patient><active value="true"/></Patient>`, "", "line 1", fhir.Invalid},
		{"wrong namespace below", in(`<active xmlns="http://hl7.org/fhr" value="true"/>`), "Patient", "line 2", fhir.Invalid},
		{"narrative in FHIR's namespace", in(`<text><div>x</div></text>`), "Patient.text", "line 2", fhir.Invalid},
		{"foreign elements in a narrative", in(`<text><h:div xmlns:h="http://www.w3.org/1999/xhtml"><active value="true"/></h:div></text>`), "Patient.text.div", "line 2", fhir.Invalid},
		{"not a resource", `<HumanName xmlns="http://hl7.org/fhir"/>`, "", "line 1", fhir.Invalid},
		{"an abstract resource", `<DomainResource xmlns="http://hl7.org/fhir"/>`, "", "line 1", fhir.Invalid},
		{"twice what may be once", in(`<active value="true"/>` + "\n" + `<active value="true"/>`), "Patient.active", "line 3", fhir.Invalid},
		{"twice with another between", in(`<gender value="male"/><birthDate value="1970"/><gender value="male"/>`), "Patient.gender", "line 2", fhir.Invalid},
		{"text", in(`<name>Peter</name>`), "Patient.name[0]", "line 2", fhir.Invalid},
		{"text in a primitive", in(`<active value="true">x</active>`), "Patient.active", "line 2", fhir.Invalid},
		{"an empty element", in(`<name/>`), "Patient.name[0]", "line 2", fhir.Invalid},
		{"an empty primitive", in(`<active/>`), "Patient.active", "line 2", fhir.Invalid},
		{"an empty value", in(`<birthDate value=""/>`), "Patient.birthDate", "line 2", fhir.Value},
		{"an empty id", in(`<name id=""><family value="x"/></name>`), "Patient.name[0]", "line 2", fhir.Value},
		{"not a boolean", in(`<active value="1"/>`), "Patient.active", "line 2", fhir.Value},
		{"not an integer", in(`<multipleBirthInteger value="1.0"/>`), "Patient.multipleBirthInteger", "line 2", fhir.Value},
		{"nothing contained", in(`<contained/>`), "Patient.contained[0]", "line 2", fhir.Invalid},
		{"two contained in one", in(`<contained><Patient/><Patient/></contained>`), "Patient.contained[0]", "line 2", fhir.Invalid},
		{"a data type contained", in(`<contained><HumanName/></contained>`), "Patient.contained[0]", "line 2", fhir.Invalid},
		{"an attribute on contained", in(`<contained id="x"><Patient/></contained>`), "Patient.contained[0]", "line 2", fhir.Invalid},
		{"DTD", `<!DOCTYPE Patient []>` + patient + `</Patient>`, "offset 0", "line 1", fhir.Malformed},
		{"external entity", `<?xml version="1.0"?><!DOCTYPE Patient [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + patient + `<active value="&x;"/></Patient>`, "offset 21", "line 1", fhir.Malformed},
		{"named character of HTML", in(`<text><div xmlns="http://www.w3.org/1999/xhtml">&nbsp;</div></text>`), "offset 86", "line 2", fhir.Malformed},
		{"not XML", `{"resourceType":"Patient"}`, "offset 0", "line 1", fhir.Malformed},
		{"nothing", ``, "offset 0", "line 1", fhir.Malformed},
	}
	codec := newCodec(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := codec.ToJSON([]byte(tt.xml), 0)
			var e *fhir.Error
			if !errors.As(err, &e) {
				t.Fatalf("accepted as %s", got)
			}
			if e.Kind != tt.kind || e.At != tt.at || !strings.Contains(e.Err.Error(), tt.line) {
				t.Errorf("got %v at %q: %v; want %v at %q on %s", e.Kind, e.At, e.Err, tt.kind, tt.at, tt.line)
			}
		})
	}
	if _, err := codec.ToJSON([]byte(patient+"</Patient>"), 10); fhir.KindOf(err) != fhir.TooLong {
		t.Errorf("too long: %v", err)
	}
}

// JSON that is not FHIR has no XML and is refused without a panic.
func TestWriteRefuses(t *testing.T) {
	tests := []struct{ name, json, at string }{
		{"unknown element", `{"resourceType":"Patient","nme":"x"}`, "Patient"},
		{"unknown type", `{"resourceType":"Patent"}`, ""},
		{"one for array", `{"resourceType":"Patient","name":{"family":"x"}}`, "Patient.name"},
		{"object for primitive", `{"resourceType":"Patient","active":{}}`, "Patient.active"},
		{"string for object", `{"resourceType":"Patient","maritalStatus":"x"}`, "Patient.maritalStatus"},
		{"null without a twin", `{"resourceType":"Patient","name":[{"given":[null]}]}`, "Patient.name[0].given[0]"},
		{"an id with an extension", `{"resourceType":"Patient","name":[{"_id":{"id":"x"}}]}`, "Patient.name[0]"},
		{"a twin of what is not primitive", `{"resourceType":"Patient","maritalStatus":{"text":"x"},"_maritalStatus":{"id":"x"}}`, "Patient.maritalStatus"},
		{"a narrative that is no string", `{"resourceType":"Patient","text":{"div":1}}`, "Patient.text.div"},
	}
	codec := newCodec(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := codec.ToXML(parse(t, []byte(tt.json)), xml.Compact)
			var e *fhir.Error
			if !errors.As(err, &e) || e.Kind != fhir.NotAcceptable || e.At != tt.at {
				t.Errorf("got %v, want NotAcceptable at %q", err, tt.at)
			}
		})
	}
}

func TestPretty(t *testing.T) {
	const want = `<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir">
  <text>
    <div xmlns="http://www.w3.org/1999/xhtml"><p>a</p></div>
  </text>
  <contained>
    <Organization>
      <id value="o"/>
    </Organization>
  </contained>
  <active value="true"/>
</Patient>`
	codec := newCodec(t)
	body, err := codec.ToJSON([]byte(want), 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := codec.ToXML(parse(t, body), xml.Pretty)
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// FuzzToJSON: whatever is accepted is JSON, and survives the way to XML and
// back.
func FuzzToJSON(f *testing.F) {
	f.Add([]byte(patient + `<name id="n"><given value="a"/><given id="g"/></name><birthDate value="1970"><extension url="u"><valueCode value="&#10;"/></extension></birthDate></Patient>`))
	f.Add([]byte(`<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text><h:div xml:lang="x">a<![CDATA[<]]>` + "\r\n" + `</h:div></f:text></f:Patient>`))
	f.Add([]byte(`<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Patient><contained><Patient/></contained></Patient></resource></entry></Bundle>`))
	codec := newCodec(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		body, err := codec.ToJSON(text, 0)
		if err != nil {
			return
		}
		doc, err := jsontree.Parse(body, jsontree.Limits{Depth: 2000})
		if err != nil {
			t.Fatalf("not JSON: %v\n%s", err, body)
		}
		out, err := codec.ToXML(doc.Root(), xml.Compact)
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		again, err := codec.ToJSON(out, 0)
		if err != nil || string(again) != string(body) {
			t.Fatalf("%v\n%s\n%s\n%s", err, body, out, again)
		}
	})
}

func BenchmarkToXML(b *testing.B) {
	codec, body := newCodec(b), large(b)
	root := parse(b, body)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := codec.ToXML(root, xml.Compact); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToJSON(b *testing.B) {
	codec, body := newCodec(b), large(b)
	text, err := codec.ToXML(parse(b, body), xml.Compact)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := codec.ToJSON(text, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// large is a Bundle of all examples but other Bundles.
func large(b *testing.B) []byte {
	out := []byte(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for _, body := range fhirtest.Examples(b) {
		if parse(b, body).Get("resourceType").Text() == "Bundle" {
			continue
		}
		if out[len(out)-1] == '}' {
			out = append(out, ',')
		}
		out = append(append(append(out, `{"resource":`...), body...), '}')
	}
	return append(out, `]}`...)
}
