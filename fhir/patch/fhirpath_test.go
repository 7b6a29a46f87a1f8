package patch

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

var formats = sync.OnceValues(func() (Formats, error) {
	defs, err := spec.Load()
	if err != nil {
		return nil, err
	}
	units, err := ucum.Load()
	if err != nil {
		return nil, err
	}
	return New(defs, path.New(defs, units), time.Now), nil
})

// applied reads and applies a FHIRPath Patch.
func applied(t testing.TB, resource, parameters string) (string, error) {
	t.Helper()
	f, err := formats()
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Read(FHIRPathPatch, []byte(parameters))
	if err != nil {
		return "", err
	}
	r, err := fhir.Parse([]byte(resource), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Apply(t.Context(), r)
	return string(out), err
}

// op is one operation; parts are the JSON of its parts beside type.
func op(kind string, parts ...string) string {
	out := `{"name":"operation","part":[{"name":"type","valueCode":"` + kind + `"}`
	for _, p := range parts {
		out += "," + p
	}
	return out + "]}"
}

func at(path string) string    { return `{"name":"path","valueString":"` + path + `"}` }
func named(name string) string { return `{"name":"name","valueString":"` + name + `"}` }
func to(value string) string   { return `{"name":"value",` + value + `}` }
func number(name, n string) string {
	return `{"name":"` + name + `","valueInteger":` + n + `}`
}

func parameters(operations ...string) string {
	out := `{"resourceType":"Parameters","parameter":[`
	for i, o := range operations {
		if i > 0 {
			out += ","
		}
		out += o
	}
	return out + "]}"
}

func TestFHIRPathPatch(t *testing.T) {
	const patient = `{"resourceType":"Patient","name":[{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]},{"family":"B"}],"birthDate":"1980","_birthDate":{"extension":[{"url":"u","valueDecimal":1.00}]},"multipleBirthInteger":2}`
	const rest = `"birthDate":"1980","_birthDate":{"extension":[{"url":"u","valueDecimal":1.00}]},"multipleBirthInteger":2}`
	const names = `{"resourceType":"Patient","name":[{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]},{"family":"B"}],`
	cases := []struct {
		name, on, patch, want string
		kind                  fhir.Kind
	}{
		{"add a single element", patient, op("add", at("Patient"), named("active"), to(`"valueBoolean":true`)), patient[:len(patient)-1] + `,"active":true}`, 0},
		{"add to a list that is not there", patient, op("add", at("Patient"), named("identifier"), to(`"valueIdentifier":{"value":"1"}`)), patient[:len(patient)-1] + `,"identifier":[{"value":"1"}]}`, 0},
		{"add to a list of primitives pads the siblings", patient, op("add", at("Patient.name[0]"), named("given"), to(`"valueString":"z","_valueString":{"id":"z"}`)), `{"resourceType":"Patient","name":[{"family":"A","given":["x","y","z"],"_given":[null,{"id":"g"},{"id":"z"}]},{"family":"B"}],` + rest, 0},
		{"add refuses a second value", patient, op("add", at("Patient"), named("birthDate"), to(`"valueDate":"1990"`)), "", fhir.Unprocessable},
		{"add refuses a second choice of another type", patient, op("add", at("Patient"), named("multipleBirth"), to(`"valueBoolean":true`)), "", fhir.Unprocessable},
		{"add a choice by its plain name", patient, op("add", at("Patient"), named("deceased"), to(`"valueDateTime":"2020-01-01T00:00:00+05:00"`)), patient[:len(patient)-1] + `,"deceasedDateTime":"2020-01-01T00:00:00+05:00"}`, 0},
		{"add a choice by its JSON name", patient, op("add", at("Patient"), named("deceasedBoolean"), to(`"valueBoolean":false`)), patient[:len(patient)-1] + `,"deceasedBoolean":false}`, 0},
		{"add an extension to a primitive", patient, op("add", at("Patient.name[1].family"), named("extension"), to(`"valueExtension":{"url":"e","valueCode":"c"}`)), `{"resourceType":"Patient","name":[{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]},{"family":"B","_family":{"extension":[{"url":"e","valueCode":"c"}]}}],` + rest, 0},
		{"add a second extension to a primitive", patient, op("add", at("Patient.birthDate"), named("extension"), to(`"valueExtension":{"url":"e","valueCode":"c"}`)), names + `"birthDate":"1980","_birthDate":{"extension":[{"url":"u","valueDecimal":1.00},{"url":"e","valueCode":"c"}]},"multipleBirthInteger":2}`, 0},
		{"add a backbone element by parts", patient, op("add", at("Patient"), named("contact"), to(`"part":[{"name":"gender","valueCode":"male"},{"name":"telecom","valueContactPoint":{"value":"1"}},{"name":"telecom","valueContactPoint":{"value":"2"}}]`)), patient[:len(patient)-1] + `,"contact":[{"gender":"male","telecom":[{"value":"1"},{"value":"2"}]}]}`, 0},
		{"parts within parts", `{"resourceType":"Questionnaire","status":"draft"}`, op("add", at("Questionnaire"), named("item"), to(`"part":[{"name":"linkId","valueString":"1"},{"name":"item","part":[{"name":"linkId","valueString":"1.1"},{"name":"initial","part":[{"name":"value","valueDecimal":1.00}]}]}]`)), `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","item":[{"linkId":"1.1","initial":[{"valueDecimal":1.00}]}]}]}`, 0},
		{"add a contained resource", patient, op("add", at("Patient"), named("contained"), to(`"resource":{"resourceType":"Practitioner","id":"p"}`)), patient[:len(patient)-1] + `,"contained":[{"resourceType":"Practitioner","id":"p"}]}`, 0},
		{"add needs a target", patient, op("add", at("Patient.contact"), named("gender"), to(`"valueCode":"male"`)), "", fhir.Unprocessable},
		{"add needs one target", patient, op("add", at("Patient.name"), named("text"), to(`"valueString":"x"`)), "", fhir.Unprocessable},
		{"add knows the elements", patient, op("add", at("Patient"), named("colour"), to(`"valueString":"x"`)), "", fhir.Unprocessable},

		{"delete", patient, op("delete", at("Patient.multipleBirth")), names + `"birthDate":"1980","_birthDate":{"extension":[{"url":"u","valueDecimal":1.00}]}}`, 0},
		{"delete takes the extensions along", patient, op("delete", at("Patient.birthDate")), names + `"multipleBirthInteger":2}`, 0},
		{"delete an item of a padded list", patient, op("delete", at("Patient.name[0].given[1]")), `{"resourceType":"Patient","name":[{"family":"A","given":["x"]},{"family":"B"}],` + rest, 0},
		{"delete what is not there", patient, op("delete", at("Patient.photo")), patient, 0},
		{"delete refuses many", patient, op("delete", at("Patient.name")), "", fhir.Unprocessable},
		{"delete takes along what it empties", patient, op("delete", at("Patient.name[1].family")), `{"resourceType":"Patient","name":[{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]}],` + rest, 0},
		{"delete the last extension of a primitive", patient, op("delete", at("Patient.birthDate.extension[0]")), names + `"birthDate":"1980","multipleBirthInteger":2}`, 0},
		{"delete by a condition", patient, op("delete", at("Patient.name.where(family = 'A')")), `{"resourceType":"Patient","name":[{"family":"B"}],` + rest, 0},
		{"delete the whole resource", patient, op("delete", at("Patient")), "", fhir.Unprocessable},
		{"delete a computed value", patient, op("delete", at("Patient.name.count()")), "", fhir.Unprocessable},
		{"delete a primitive that is only an extension", `{"resourceType":"Patient","name":[{"given":[null,"b"],"_given":[{"extension":[{"url":"u","valueCode":"x"}]},null]}]}`, op("delete", at("Patient.name.given.extension[0]")), `{"resourceType":"Patient","name":[{"given":["b"]}]}`, 0},

		{"replace", patient, op("replace", at("Patient.name[1].family"), to(`"valueString":"C"`)), `{"resourceType":"Patient","name":[{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]},{"family":"C"}],` + rest, 0},
		{"replace takes the extensions along", patient, op("replace", at("Patient.birthDate"), to(`"valueDate":"1990"`)), names + `"birthDate":"1990","multipleBirthInteger":2}`, 0},
		{"replace changes the type of a choice", patient, op("replace", at("Patient.multipleBirth"), to(`"valueBoolean":true`)), names + `"birthDate":"1980","_birthDate":{"extension":[{"url":"u","valueDecimal":1.00}]},"multipleBirthBoolean":true}`, 0},
		{"replace inside an extension of a primitive", patient, op("replace", at("Patient.birthDate.extension[0].value"), to(`"valueDecimal":2.50`)), names + `"birthDate":"1980","_birthDate":{"extension":[{"url":"u","valueDecimal":2.50}]},"multipleBirthInteger":2}`, 0},
		{"replace needs a target", patient, op("replace", at("Patient.gender"), to(`"valueCode":"male"`)), "", fhir.Unprocessable},

		{"insert", patient, op("insert", at("Patient.name"), number("index", "1"), to(`"valueHumanName":{"family":"Z"}`)), `{"resourceType":"Patient","name":[{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]},{"family":"Z"},{"family":"B"}],` + rest, 0},
		{"insert into a padded list", patient, op("insert", at("Patient.name[0].given"), number("index", "1"), to(`"valueString":"z"`)), `{"resourceType":"Patient","name":[{"family":"A","given":["x","z","y"],"_given":[null,null,{"id":"g"}]},{"family":"B"}],` + rest, 0},
		{"insert at the end", patient, op("insert", at("Patient.name"), number("index", "2"), to(`"valueHumanName":{"family":"Z"}`)), `{"resourceType":"Patient","name":[{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]},{"family":"B"},{"family":"Z"}],` + rest, 0},
		{"insert beyond the end", patient, op("insert", at("Patient.name"), number("index", "3"), to(`"valueHumanName":{"family":"Z"}`)), "", fhir.Unprocessable},
		{"insert into an empty list", patient, op("insert", at("Patient.photo"), number("index", "0"), to(`"valueAttachment":{"url":"u"}`)), patient[:len(patient)-1] + `,"photo":[{"url":"u"}]}`, 0},
		{"insert into part of a list", patient, op("insert", at("Patient.name.where(family = 'A')"), number("index", "0"), to(`"valueHumanName":{"family":"Z"}`)), "", fhir.Unprocessable},
		{"insert into what does not repeat", patient, op("insert", at("Patient.birthDate"), number("index", "0"), to(`"valueDate":"1990"`)), "", fhir.Unprocessable},
		{"move", patient, op("move", at("Patient.name"), number("source", "1"), number("destination", "0")), `{"resourceType":"Patient","name":[{"family":"B"},{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]}],` + rest, 0},
		{"move in a padded list", patient, op("move", at("Patient.name[0].given"), number("source", "1"), number("destination", "0")), `{"resourceType":"Patient","name":[{"family":"A","given":["y","x"],"_given":[{"id":"g"},null]},{"family":"B"}],` + rest, 0},
		{"move beyond the end", patient, op("move", at("Patient.name"), number("source", "0"), number("destination", "2")), "", fhir.Unprocessable},

		{"no type", patient, `{"name":"operation","part":[]}`, "", fhir.Value},
		{"unknown type", patient, op("merge", at("Patient")), "", fhir.Value},
		{"another parameter", patient, `{"name":"op"}`, "", fhir.Invalid},
		{"no path", patient, op("delete"), "", fhir.Required},
		{"no value", patient, op("replace", at("Patient.birthDate")), "", fhir.Required},
		{"empty value", patient, op("replace", at("Patient.birthDate"), `{"name":"value"}`), "", fhir.Required},
		{"a part too many", patient, op("delete", at("Patient.birthDate"), named("x")), "", fhir.Invalid},
		{"a part twice", patient, op("delete", at("Patient.birthDate"), at("Patient.name")), "", fhir.Invalid},
		{"negative index", patient, op("insert", at("Patient.name"), number("index", "-1"), to(`"valueHumanName":{}`)), "", fhir.Value},
		{"index that is no integer", patient, op("insert", at("Patient.name"), `{"name":"index","valueString":"x"}`, to(`"valueHumanName":{}`)), "", fhir.Value},
		{"no FHIRPath", patient, op("delete", at("Patient.(")), "", fhir.Invalid},
		{"two values", patient, op("add", at("Patient"), named("active"), to(`"valueBoolean":true,"valueString":"x"`)), "", fhir.Invalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := applied(t, c.on, parameters(c.patch))
			if got != c.want || (err != nil) != (c.want == "") {
				t.Fatalf("got  %s, %v\nwant %s", got, err, c.want)
			}
			if err != nil && fhir.KindOf(err) != c.kind {
				t.Errorf("Kind %v, want %v: %v", fhir.KindOf(err), c.kind, err)
			}
		})
	}
}

func TestFHIRPathPatchIsParameters(t *testing.T) {
	for name, body := range map[string]string{
		"another resource": `{"resourceType":"Patient"}`,
		"no array":         `{"resourceType":"Parameters","parameter":{}}`,
		"no resource":      `[]`,
	} {
		if _, err := applied(t, `{"resourceType":"Patient"}`, body); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestFormats(t *testing.T) {
	f, err := formats()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("application/merge-patch+json", []byte(`{}`)); fhir.KindOf(err) != fhir.MediaUnknown {
		t.Errorf("unknown format: %v", err)
	}
}

func FuzzFHIRPathPatch(f *testing.F) {
	const patient = `{"resourceType":"Patient","name":[{"family":"A","given":["x",null],"_given":[null,{"id":"g"}]}],"_birthDate":{"extension":[{"url":"u","valueDecimal":1.00}]}}`
	for _, kind := range []string{"add", "insert", "delete", "replace", "move"} {
		for _, p := range []string{"Patient", "Patient.name", "Patient.name[0].given", "Patient.birthDate", "Patient.birthDate.extension[0].value", "Patient.photo"} {
			f.Add(patient, kind, p, "extension", `"valueString":"x"`, 1)
		}
	}
	f.Add(`{"resourceType":"Patient","contained":[{"resourceType":"Patient","contact":[{"gender":"male"}]}]}`, "delete", "Patient.contained.contact.gender", "", `"part":[]`, 0)
	f.Fuzz(func(t *testing.T, resource, kind, expression, name, value string, i int) {
		r, err := fhir.Parse([]byte(resource), jsontree.Limits{})
		if err != nil {
			return
		}
		fs, err := formats()
		if err != nil {
			t.Fatal(err)
		}
		quote := func(s string) string { return string(jsontree.AppendString(nil, s)) }
		n := strconv.Itoa(i)
		parts := map[string]string{
			"path": `{"name":"path","valueString":` + quote(expression) + `}`, "name": `{"name":"name","valueString":` + quote(name) + `}`,
			"value": `{"name":"value",` + value + `}`, "index": number("index", n), "source": number("source", n), "destination": number("destination", "0"),
		}
		var list []string
		for _, p := range takes[kind] {
			list = append(list, parts[p])
		}
		p, err := fs.Read(FHIRPathPatch, []byte(parameters(op(kind, list...))))
		if err != nil {
			return
		}
		out, err := p.Apply(t.Context(), r)
		if err != nil {
			if k := fhir.KindOf(err); k.Status() >= 500 {
				t.Errorf("Kind %v: %v", k, err)
			}
			return
		}
		if _, err := fhir.Parse(out, jsontree.Limits{}); err != nil {
			t.Errorf("the result is no resource: %v in %q", err, out)
		}
	})
}
