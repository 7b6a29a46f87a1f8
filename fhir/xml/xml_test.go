package xml_test

import (
	"cmp"
	"compress/bzip2"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	stdxml "encoding/xml"

	gocmp "github.com/google/go-cmp/cmp"

	"galen/fhir/fhirtest"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
	"galen/fhir/xml"
)

func newCodec(t testing.TB) *xml.Codec {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	return xml.New(defs)
}

func parse(t testing.TB, text []byte) jsontree.Node {
	t.Helper()
	doc, err := jsontree.Parse(text, jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

// wellFormed reads a document to its end with another parser.
func wellFormed(t *testing.T, text []byte) {
	t.Helper()
	d := stdxml.NewDecoder(strings.NewReader(string(text)))
	for {
		_, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("encoding/xml refuses what was written: %v\n%s", err, text)
		}
	}
}

// roundTrip goes to XML and back, in both styles, and compares what JSON means,
// numbers by their text.
func roundTrip(t *testing.T, codec *xml.Codec, body []byte) {
	t.Helper()
	root := parse(t, body)
	var first []byte
	for _, style := range []xml.Style{xml.Compact, xml.Pretty} {
		text, err := codec.ToXML(root, style)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, text)
		back, err := codec.ToJSON(text, 0)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !jsontree.Equal(root, parse(t, back)) {
			t.Fatalf("changed on the way:\n%s", gocmp.Diff(string(body), string(back)))
		}
		again, err := codec.ToXML(parse(t, back), style)
		if err != nil || string(again) != string(text) {
			t.Fatalf("the XML of what came back differs: %v", err)
		}
		if style == xml.Compact {
			first = back
		} else if string(first) != string(back) {
			t.Fatal("the style changes the content")
		}
	}
}

// Every official example goes to XML and back without a difference
// (https://hl7.org/fhir/R4/json.html, https://hl7.org/fhir/R4/xml.html).
func TestOfficialExamples(t *testing.T) {
	codec := newCodec(t)
	n := 0
	for name, body := range fhirtest.Examples(t) {
		n++
		t.Run(name, func(t *testing.T) { roundTrip(t, codec, body) })
	}
	if n != 375 {
		t.Errorf("%d examples", n)
	}
}

// A whole synthetic patient, as one transaction Bundle.
func TestSyntheticPatient(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/synthea/*.bz2")
	if err != nil || len(files) == 0 {
		t.Skip("skipped: ../shared not found")
	}
	sizes := map[string]int64{}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		sizes[file] = info.Size()
	}
	f, err := os.Open(slices.MinFunc(files, func(a, b string) int { return cmp.Compare(sizes[a], sizes[b]) }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	body, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, newCodec(t), body)
}

// The inputs of the FHIRPath suite are official XML: XML → JSON → XML → JSON.
func TestOfficialXML(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/fhirpath/input/*.xml")
	if err != nil || len(files) == 0 {
		t.Skip("skipped: ../shared not found")
	}
	codec := newCodec(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			body, err := codec.ToJSON(text, 0)
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, codec, body)
			out, err := codec.ToXML(parse(t, body), xml.Compact)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(tokens(t, text), tokens(t, out)); diff != "" {
				t.Errorf("the XML differs (-official +ours):\n%s", diff)
			}
		})
	}
}

// tokens lists what an XML document says, sorted, as one input is not in the
// order of the definitions: names, attributes but for declarations of namespaces
// and schemas, and text that is not blank. encoding/xml does not normalize white
// space in attributes, so it is made equal here.
func tokens(t *testing.T, text []byte) []string {
	t.Helper()
	var out []string
	d := stdxml.NewDecoder(strings.NewReader(string(text)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			slices.Sort(out)
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case stdxml.StartElement:
			out = append(out, token.Name.Space+" "+token.Name.Local)
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" && a.Name.Local != "schemaLocation" {
					out = append(out, "@"+a.Name.Local+"="+strings.Join(strings.Fields(a.Value), " "))
				}
			}
		case stdxml.CharData:
			if s := strings.Join(strings.Fields(string(token)), " "); s != "" {
				out = append(out, s)
			}
		}
	}
}
