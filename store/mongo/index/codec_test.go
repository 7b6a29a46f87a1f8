package index_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
	"galen/store/mongo/index"
)

func entries(t testing.TB) []search.Entry {
	t.Helper()
	d, err := decimal.Parse("5.40")
	if err != nil {
		t.Fatal(err)
	}
	r := search.Range{Low: d, High: d}
	token := search.Token{System: "s", Code: "c", Folded: true}
	q := search.Quantity{Range: r, System: "u", Code: "mg", Unit: "mg", Canonical: search.Range{Low: d, OpenHigh: true}, CanonicalUnit: "g"}
	var list []search.Entry
	for _, v := range []search.Value{
		token,
		search.Text{Norm: "a b"},
		search.TypedIdentifier{System: "s", Code: "c", Value: "v"},
		search.String{Exact: "Ä", Norm: "a"},
		search.Date{Period: fhir.Period{Low: -5, High: fhir.End}},
		search.Number{Range: r},
		q,
		search.Reference{Key: fhir.Key{Type: "Patient", ID: "p"}, Version: "2"},
		search.Reference{URL: "urn:x"},
		search.URI{URI: "http://x"},
		search.Position{Latitude: -1.5, Longitude: 2},
		search.Composite{Parts: []search.Value{token, q}},
	} {
		list = append(list, search.Entry{Param: "p", Value: v})
	}
	return list
}

// TestCodec: a record gives back the same entries.
func TestCodec(t *testing.T) {
	want := entries(t)
	got, err := index.Decode(index.Encode(want))
	if err != nil {
		t.Fatal(err)
	}
	equal := cmp.Comparer(func(a, b decimal.Decimal) bool { return a.String() == b.String() })
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// FuzzDecode: no record makes Decode fail otherwise than by its error.
func FuzzDecode(f *testing.F) {
	f.Add(index.Encode(entries(f)))
	f.Fuzz(func(t *testing.T, record []byte) {
		list, err := index.Decode(record)
		if err == nil {
			again, err := index.Decode(index.Encode(list))
			if err != nil || len(again) != len(list) {
				t.Errorf("what was decoded does not come back: %v", err)
			}
		}
	})
}

// TestOrder: keys are ordered as what they stand for.
func TestOrder(t *testing.T) {
	for _, pair := range [][2]float64{{-90, -1}, {-1, 0}, {0, 0.5}, {0.5, 90}} {
		if index.Float(pair[0]) >= index.Float(pair[1]) {
			t.Errorf("Float(%v) is not before Float(%v)", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]fhir.Instant{{fhir.Beginning, -1}, {-1, 0}, {0, 1}, {1, fhir.End}} {
		if index.Instant(pair[0]) >= index.Instant(pair[1]) {
			t.Errorf("Instant(%v) is not before Instant(%v)", pair[0], pair[1])
		}
	}
}
