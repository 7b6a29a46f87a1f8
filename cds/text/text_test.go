package text_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/cds/feature"
	"galen/cds/text"
	"galen/fhir"
	"galen/fhir/jsontree"
)

// Go makes the same features and numbers of a mention as training did.
func TestNoSkew(t *testing.T) {
	raw, err := os.ReadFile("../../models/training/context-assertion/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Before, Mention, After string
		Names                  []string
		Numbers                []int64
	}
	if err := json.Unmarshal(raw, &golden); err != nil || len(golden) < 5 {
		t.Fatal(len(golden), err)
	}
	for _, g := range golden {
		if diff := cmp.Diff(g.Names, text.Names(g.Before, g.Mention, g.After)); diff != "" {
			t.Errorf("%s (-python +go):\n%s", g.Mention, diff)
		}
		if diff := cmp.Diff(g.Numbers, text.Numbers(g.Before, g.Mention, g.After, 1<<15, 160)); diff != "" {
			t.Errorf("%s (-python +go):\n%s", g.Mention, diff)
		}
	}
}

func TestMentions(t *testing.T) {
	const note = "Mother has Diabetes Mellitus. Denies CHEST PAIN;\nno Pulmonary  Edema. Blue toes."
	var got []string
	for _, m := range text.NewLexicon("blue toes").Mentions(note, 1<<15, 160) {
		if note[m.Start:m.End] != m.Text {
			t.Errorf("%q is not at its place", m.Text)
		}
		whose := "patient"
		if m.Relative {
			whose = "relative"
		}
		got = append(got, m.Text+"|"+m.Display+"|"+whose)
	}
	want := []string{"Diabetes Mellitus|Diabetes mellitus|relative", "CHEST PAIN|Chest pain|patient", "Pulmonary  Edema|Pulmonary edema|patient", "Blue toes||patient"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Words end where they end.
	if n := len(text.NewLexicon().Mentions("feverfew, coughing, strokes", 1<<15, 160)); n != 0 {
		t.Errorf("%d mentions in parts of words", n)
	}
}

// HTML loses its tags and entities, and every word stays at its byte.
func TestPlain(t *testing.T) {
	for markup, want := range map[string]string{
		"<p>no <b>fever</b></p>": "   no    fever        ",
		"a &amp; b &lt;c":        "a &     b <   c",
		"2 &bogus; 3 & 4":        "2 &bogus; 3 & 4",
		"open <p":                "open   ",
	} {
		if got := text.Plain(markup); got != want || len(got) != len(markup) {
			t.Errorf("%q: %q, want %q", markup, got, want)
		}
	}
}

func TestNotes(t *testing.T) {
	encoded := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	ev := feature.Evidence{PatientID: "p"}
	add := func(citation, body string) {
		r, err := fhir.Parse([]byte(body), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		ev.Items = append(ev.Items, feature.Item{Resource: r, Citation: citation})
	}
	const subject = `"subject":{"reference":"Patient/p"}`
	add("d1", `{"resourceType":"DocumentReference","status":"current",`+subject+`,"content":[{"attachment":{"contentType":"text/plain; charset=utf-8","data":"`+encoded("no fever")+`"}},{"attachment":{"contentType":"application/pdf","data":"AAAA"}},{"attachment":{"url":"Binary/b"}}]}`)
	add("b", `{"resourceType":"Binary","id":"b","contentType":"text/html","data":"`+encoded("<p>cough</p>")+`"}`)
	add("r", `{"resourceType":"DiagnosticReport","status":"final",`+subject+`,"conclusion":"Pneumonia."}`)
	add("c", `{"resourceType":"Composition","status":"final",`+subject+`,"section":[{"section":[{"text":{"status":"generated","div":"<div>edema</div>"}}]}]}`)
	add("wrong", `{"resourceType":"DiagnosticReport","status":"entered-in-error",`+subject+`,"conclusion":"Stroke."}`)
	add("other", `{"resourceType":"DiagnosticReport","status":"final","subject":{"reference":"Patient/q"},"conclusion":"Stroke."}`)
	var got []string
	for _, n := range text.Notes(ev) {
		got = append(got, n.Citation+" "+n.Part+": "+strings.TrimSpace(n.Text))
	}
	want := []string{
		"d1 DocumentReference.content[0].attachment: no fever", "d1 DocumentReference.content[2].attachment: cough",
		"r DiagnosticReport.conclusion: Pneumonia.", "c Composition.section[0].section[0].text.div: edema",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzMentions(f *testing.F) {
	f.Add("No fever. <b>Denies</b> chest pain &amp; Müdigkeit")
	l := text.NewLexicon()
	f.Fuzz(func(t *testing.T, note string) {
		if p := text.Plain(note); len(p) != len(note) {
			t.Fatal("bytes moved")
		}
		last := 0
		for _, m := range l.Mentions(note, 1<<15, 160) {
			if m.Start < last || m.End > len(note) || m.Start >= m.End {
				t.Fatalf("mention at %d–%d", m.Start, m.End)
			}
			last = m.End
		}
	})
}
