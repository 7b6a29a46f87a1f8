package main

import (
	"encoding/base64"
	"strings"
	"testing"
)

// Notes go in as DocumentReferences and come back as findings: each with its code
// and place, and whether it is denied, past or a relative's.
func TestNotesToFindings(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	admin, clinician := g.token("admin"), g.token("clinician")
	const note = "History of hypertension. The patient denies chest pain and has no fever. CT shows pneumonia.\n\nFamily history: father with diabetes. Toes are blue."
	g.want(201, "PUT", "/fhir/Patient/noted", admin, `{"resourceType":"Patient","id":"noted"}`)
	g.want(422, "POST", "/fhir/Patient/noted/$assess?model=context-assertion", clinician, "")
	g.want(201, "PUT", "/fhir/DocumentReference/n1", admin, `{"resourceType":"DocumentReference","id":"n1","status":"current","type":{"coding":[{"system":"http://loinc.org","code":"34109-9"}]},
		"subject":{"reference":"Patient/noted"},"content":[{"attachment":{"contentType":"text/plain","data":"`+base64.StdEncoding.EncodeToString([]byte(note))+`"}}]}`)
	risk := g.want(201, "POST", "/fhir/Patient/noted/$assess?model=context-assertion&term=blue", clinician, "")
	got := map[string]string{}
	for p := range risk.Get("prediction").Items() {
		values := map[string]string{}
		for x := range p.Get("extension").Item(0).Get("extension").Items() {
			values[x.Get("url").Text()] = x.Get("valueBoolean").Text() + x.Get("valueInteger").Text() + x.Get("valueReference").Get("reference").Text()
		}
		text := p.Get("outcome").Get("text").Text()
		if values["source"] != "DocumentReference/n1/_history/1" || note[atoi(t, values["start"]):atoi(t, values["end"])] != text {
			t.Errorf("%s: %v", text, values)
		}
		got[text] = p.Get("outcome").Get("coding").Item(0).Get("code").Text() + " " + values["negated"] + " " + values["relative"]
	}
	want := map[string]string{
		"hypertension": "38341003 false false", "chest pain": "29857009 true false", "fever": "386661006 true false",
		"pneumonia": "233604007 false false", "diabetes": "73211009 false true", "blue": " false false",
	}
	for text, facts := range want {
		if got[text] != facts {
			t.Errorf("%s: %q, want %q", text, got[text], facts)
		}
	}
	if len(got) != len(want) {
		t.Error(got)
	}
	if again := g.want(200, "GET", "/fhir/RiskAssessment/"+risk.Get("id").Text()+"/$replay", clinician, ""); parameter(again, "equal") != "true" {
		t.Errorf("replay: %s", again.Raw())
	}
	if strings.Contains(g.logs.String(), "chest pain") {
		t.Error("the log holds words of a note")
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			t.Fatalf("%q is no number", text)
		}
		n = n*10 + int(c-'0')
	}
	return n
}
