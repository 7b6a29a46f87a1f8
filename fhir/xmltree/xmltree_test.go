package xmltree_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir/xmltree"
)

// show prints a tree with everything decoded.
func show(n xmltree.Node) string {
	switch n.Kind() {
	case xmltree.Text:
		return fmt.Sprintf("%q", n.Value())
	case xmltree.Comment:
		return "<!--" + n.Value() + "-->"
	case xmltree.Instruction:
		return "<?" + n.Name() + n.Value() + "?>"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{%s}%s", n.Space(), n.Name())
	for a := range n.Attrs() {
		if a.Declares() {
			fmt.Fprintf(&b, " xmlns:%s=%q", a.Name(), a.Value())
			continue
		}
		fmt.Fprintf(&b, " {%s}%s=%q", a.Space(), a.Name(), a.Value())
	}
	b.WriteString("[")
	for child := range n.Children() {
		b.WriteString(show(child))
	}
	return b.String() + "]"
}

func TestParse(t *testing.T) {
	tests := []struct{ name, xml, want string }{
		{"empty", `<a/>`, `{}a[]`},
		{"empty with an end tag", `<a></a >`, `{}a[]`},
		{"attributes", `<a b="1" c = '"2"'/>`, `{}a {}b="1" {}c="\"2\""[]`},
		{"references", `<a b="&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;">&lt;&#xA;</a>`, `{}a {}b="<>&\"'A😀"["<\n"]`},
		{"white space in attributes", "<a b=' \t\r\n\r\n x&#9;&#10;'/>", `{}a {}b="     x\t\n"[]`},
		{"line ends", "<a>x\r\ny\rz\n</a>", `{}a["x\ny\nz\n"]`},
		{"CDATA", "<a>x<![CDATA[<&]>\r\n]]>y</a>", `{}a["x<&]>\ny"]`},
		{"comments and instructions", `<?xml version='1.0' encoding="UTF-8" standalone='yes'?><!-- - --><a><!----><?p q?></a><?r?>`, `{}a[<!----><?p q?>]`},
		{"a byte order mark", "\uFEFF<a/>", `{}a[]`},
		{"default namespace", `<a xmlns="u"><b xmlns=""><c/></b><d x="1"/></a>`, `{u}a xmlns:="u"[{}b xmlns:=""[{}c[]]{u}d {}x="1"[]]`},
		{"prefixes", `<p:a xmlns:p="u"><b xmlns:p="v" p:c="1"/><p:d/></p:a>`, `{u}a xmlns:p="u"[{}b xmlns:p="v" {v}c="1"[]{u}d[]]`},
		{"xml:lang", `<a xml:lang="x"/>`, `{}a {http://www.w3.org/XML/1998/namespace}lang="x"[]`},
		{"same name in two namespaces", `<a xmlns:p="u" b="1" p:b="2"/>`, `{}a xmlns:p="u" {}b="1" {u}b="2"[]`},
		{"names beyond ASCII", `<ä·1 _="x"/>`, `{}ä·1 {}_="x"[]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := xmltree.Parse([]byte(tt.xml), xmltree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, show(doc.Root())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	const text = "<a>\n<b c='1'>x<d/></b><e/></a>"
	doc, err := xmltree.Parse([]byte(text), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for n := range doc.Root().Subtree() {
		start, end := n.Content()
		got = append(got, fmt.Sprintf("%d %q %q in %q", n.Line(), n.Raw(), text[start:end], n.Parent().Name()))
	}
	want := []string{
		`1 "<a>\n<b c='1'>x<d/></b><e/></a>" "\n<b c='1'>x<d/></b><e/>" in ""`,
		`1 "\n" "\n" in "a"`,
		`2 "<b c='1'>x<d/></b>" "x<d/>" in "a"`,
		`2 "x" "x" in "b"`,
		`2 "<d/>" "" in "b"`,
		`2 "<e/>" "" in "a"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, xml string
		reason    xmltree.Reason
		offset    int
	}{
		{"nothing", "", xmltree.Malformed, 0},
		{"white space only", " \n", xmltree.Malformed, 2},
		{"text only", "x", xmltree.Malformed, 0},
		{"two roots", "<a/><b/>", xmltree.Malformed, 4},
		{"text behind the root", "<a/>x", xmltree.Malformed, 4},
		{"no end tag", "<a><b></b>", xmltree.Malformed, 10},
		{"wrong end tag", "<a><b></a></b>", xmltree.Malformed, 6},
		{"end tag of another prefix", `<a xmlns:p="u"><p:b></b></a>`, xmltree.Malformed, 20},
		{"end tag alone", "</a>", xmltree.Malformed, 0},
		{"tag that does not end", "<a b='1'", xmltree.Malformed, 8},
		{"no quote", "<a b=1/>", xmltree.Malformed, 5},
		{"no value", "<a b/>", xmltree.Malformed, 4},
		{"no white space", `<a b="1"c="2"/>`, xmltree.Malformed, 8},
		{"attribute twice", `<a b="1" b="2"/>`, xmltree.Malformed, 9},
		{"attribute twice by namespace", `<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>`, xmltree.Malformed, 35},
		{"< in an attribute", `<a b="<"/>`, xmltree.Malformed, 6},
		{"bare &", `<a>a & b</a>`, xmltree.Forbidden, 5},
		{"unknown entity", `<a>&nbsp;</a>`, xmltree.Forbidden, 3},
		{"reference to a control character", `<a>&#1;</a>`, xmltree.Forbidden, 3},
		{"reference to a surrogate", `<a>&#xD800;</a>`, xmltree.Forbidden, 3},
		{"reference beyond Unicode", `<a b="&#x110000;"/>`, xmltree.Forbidden, 6},
		{"reference of nothing", `<a b="&#;&#x;"/>`, xmltree.Forbidden, 6},
		{"]]> in text", `<a>]]></a>`, xmltree.Malformed, 3},
		{"-- in a comment", `<a><!-- -- --></a>`, xmltree.Malformed, 7},
		{"open comment", `<a><!-- `, xmltree.Malformed, 7},
		{"open CDATA", `<a><![CDATA[ ]]</a>`, xmltree.Malformed, 3},
		{"CDATA outside", `<![CDATA[x]]><a/>`, xmltree.Malformed, 0},
		{"DTD", `<!DOCTYPE a><a/>`, xmltree.Forbidden, 0},
		{"entity declaration inside", `<a><!ENTITY x "y"></a>`, xmltree.Forbidden, 3},
		{"XML 1.1", `<?xml version="1.1"?><a/>`, xmltree.Malformed, 19},
		{"UTF-16 declared", `<?xml version="1.0" encoding="UTF-16"?><a/>`, xmltree.Encoding, 37},
		{"second declaration", `<a/><?xml version="1.0"?>`, xmltree.Malformed, 6},
		{"instruction without target", `<a><? x?></a>`, xmltree.Malformed, 5},
		{"undeclared prefix", `<p:a/>`, xmltree.Malformed, 6},
		{"undeclared prefix of an attribute", `<a p:b="1"/>`, xmltree.Malformed, 12},
		{"prefix out of scope", `<a><b xmlns:p="u"/><p:c/></a>`, xmltree.Malformed, 25},
		{"prefix bound to nothing", `<a xmlns:p=""/>`, xmltree.Malformed, 13},
		{"xmlns declared", `<a xmlns:xmlns="u"/>`, xmltree.Malformed, 18},
		{"two colons", `<a:b:c xmlns:a="u"/>`, xmltree.Malformed, 4},
		{"control character", "<a>\x01</a>", xmltree.Malformed, 3},
		{"noncharacter", "<a>\uFFFE</a>", xmltree.Malformed, 3},
		{"not UTF-8", "<a>\xff</a>", xmltree.Encoding, 3},
		{"UTF-16", "\xff\xfe<\x00a\x00", xmltree.Encoding, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := xmltree.Parse([]byte(tt.xml), xmltree.Limits{})
			var s *xmltree.SyntaxError
			if !errors.As(err, &s) {
				t.Fatal("accepted")
			}
			if s.Reason != tt.reason || s.Offset != tt.offset {
				t.Errorf("got %d at %d (%v), want %d at %d", s.Reason, s.Offset, err, tt.reason, tt.offset)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	attrs := strings.Builder{}
	for i := range 300 {
		fmt.Fprintf(&attrs, " a%d=''", i)
	}
	spaces := strings.Builder{}
	for i := range 300 {
		fmt.Fprintf(&spaces, "<a xmlns:p%d='u%d'>", i, i)
	}
	tests := []struct {
		name, xml string
		lim       xmltree.Limits
		reason    xmltree.Reason
	}{
		{"deep", strings.Repeat("<a>", 100_000), xmltree.Limits{}, xmltree.TooDeep},
		{"one too deep", "<a><a><a/></a></a>", xmltree.Limits{Depth: 2}, xmltree.TooDeep},
		{"long", "<a/>", xmltree.Limits{Bytes: 3}, xmltree.TooLong},
		{"many attributes", "<a" + attrs.String() + "/>", xmltree.Limits{}, xmltree.Malformed},
		{"many namespaces", spaces.String(), xmltree.Limits{Depth: 1000}, xmltree.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := xmltree.Parse([]byte(tt.xml), tt.lim)
			var s *xmltree.SyntaxError
			if !errors.As(err, &s) || s.Reason != tt.reason {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := xmltree.Parse([]byte("<a><a/></a>"), xmltree.Limits{Depth: 2, Bytes: 11}); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

// FuzzParse: whatever is accepted, encoding/xml accepts too and reads alike.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`<?xml version="1.0"?><a xmlns="u" b="&lt;"><c xmlns:p="v" p:d='1'/>x<![CDATA[y]]><!-- z --><?p q?></a>`,
		"<a b='\t\r\n'>\r\n&#13;</a>", `<a><b/></a>`, "\uFEFF<ä/>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := xmltree.Parse(text, xmltree.Limits{})
		if err != nil {
			return
		}
		var ours, theirs []string
		for n := range doc.Root().Subtree() {
			if n.Kind() == xmltree.Element {
				ours = append(ours, n.Space()+" "+n.Name())
			}
		}
		d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\uFEFF"))))
		d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil && strings.Contains(err.Error(), "invalid XML name") {
				return // encoding/xml knows the names of an older edition of XML
			}
			if err != nil {
				t.Fatalf("encoding/xml: %v", err)
			}
			if e, ok := token.(xml.StartElement); ok {
				theirs = append(theirs, e.Name.Space+" "+e.Name.Local)
			}
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Fatal(diff)
		}
		if !utf8Text(doc) {
			t.Fatal("a value is not UTF-8")
		}
	})
}

func utf8Text(doc *xmltree.Doc) bool {
	for n := range doc.Root().Subtree() {
		if !bytes.Equal(bytes.ToValidUTF8([]byte(n.Value()), nil), []byte(n.Value())) {
			return false
		}
	}
	return true
}

func BenchmarkParse(b *testing.B) {
	text := []byte("<a>" + strings.Repeat(`<entry id="x1"><value value="some text of a usual length"/><b><c value="1"/></b></entry>`+"\n", 10_000) + "</a>")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := xmltree.Parse(text, xmltree.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
