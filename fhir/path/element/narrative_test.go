package element_test

import (
	"testing"

	"galen/fhir/jsontree"
	"galen/fhir/path/element"
)

// TestNarrative: R4 narrative, rules txt-1 and txt-2.
func TestNarrative(t *testing.T) {
	const open, end = `<div xmlns="http://www.w3.org/1999/xhtml">`, `</div>`
	tests := []struct {
		name, xhtml string
		want        bool
	}{
		{"text", open + "a" + end, true},
		{"tables, links, images", open + `<table class="x"><tr><td colspan="2"><a href="http://x" title="t">a</a><img src="#i" alt="i"/></td></tr></table>` + end, true},
		{"entity of HTML", open + "a&nbsp;b" + end, true},
		{"image alone is content", open + `<img src="i.png"/>` + end, true},
		{"no content", open + " \n<p></p>" + end, false},
		{"script", open + "a<script>x()</script>" + end, false},
		{"event", open + `<p onclick="x()">a</p>` + end, false},
		{"script in a link", open + `<a href=" JavaScript:x()">a</a>` + end, false},
		{"form", open + "<form><input/></form>a" + end, false},
		{"iframe", open + `<iframe src="http://x">a</iframe>` + end, false},
		{"no div", `<p xmlns="http://www.w3.org/1999/xhtml">a</p>`, false},
		{"other namespace", `<div>a</div>`, false},
		{"two roots", open + "a" + end + open + "b" + end, false},
		{"doctype", `<!DOCTYPE div [<!ENTITY x "y">]>` + open + "a" + end, false},
		{"not well-formed", open + "<b>a" + end, false},
		{"not XML", "a", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := jsontree.Parse(jsontree.AppendString(nil, tt.xhtml), jsontree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, ok := element.TypedItem("xhtml", doc.Root()).Narrative()
			if !ok || got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
	if _, ok := element.StringItem("<div/>").Narrative(); ok {
		t.Error("a System.String is no narrative")
	}
}
