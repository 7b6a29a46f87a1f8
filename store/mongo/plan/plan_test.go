package plan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
	"galen/store/mongo/index"
	"galen/store/mongo/plan"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func number(t *testing.T, op search.Op, text string) search.NumberTest {
	t.Helper()
	d, err := decimal.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	n := search.NumberTest{Op: op, Value: d}
	n.Low, n.High = d.Interval()
	return n
}

type query struct {
	name  string
	typ   string
	where plan.Expr
	sorts []search.Sort
}

// queries has one of every condition.
func queries(t *testing.T) []query {
	where := func(param string, tests ...search.Test) search.Where { return search.Where{Param: param, Any: tests} }
	date := func(op search.Op) search.Test {
		return search.DateTest{Op: op, Period: fhir.Period{Low: 1_000_000, High: 2_000_000}}
	}
	patient := where("subject", search.ReferenceTest{Key: fhir.Key{Type: "Patient", ID: "p"}})
	code := where("code", search.TokenTest{System: "http://loinc.org", Code: "33914-3"})
	newest := []search.Sort{{Param: "date", Descending: true}}
	list := []query{
		{"everything", "Patient", nil, nil},
		{"recently updated", "Patient", nil, []search.Sort{{Param: "_lastUpdated", Descending: true}}},
		{"token", "Observation", code, nil},
		{"token of any system", "Observation", where("code", search.TokenTest{AnySystem: true, Code: "A"}), nil},
		{"system", "Observation", where("code", search.TokenTest{System: "s", AnyCode: true}), nil},
		{"text", "Observation", where("code", search.TextTest{Norm: "serum crea"}), nil},
		{"typed", "Patient", where("identifier", search.TypedTest{System: "s", Code: "MR", Value: "1"}), nil},
		{"reference of any type", "Observation", where("subject", search.ReferenceTest{Key: fhir.Key{ID: "p"}}), nil},
		{"url", "Observation", where("instantiates", search.ReferenceTest{URL: "http://x/y"}), nil},
		{"uri below", "ValueSet", where("url", search.URITest{Mode: search.URIBelow, URI: "http://x/y"}), nil},
		{"uri above", "ValueSet", where("url", search.URITest{Mode: search.URIAbove, URI: "http://x/y"}), nil},
		{"near", "Location", where("near", search.NearTest{Latitude: 1, Longitude: 2, Meters: 1000}), nil},
		{"composite", "Observation", where("code-value-quantity", search.CompositeTest{Parts: []search.Test{code.Any[0], number(t, search.Gt, "5")}}), nil},
		{"number", "RiskAssessment", where("probability", number(t, search.Ge, "0.5")), nil},
		{"quantity", "Observation", where("value-quantity", search.QuantityTest{NumberTest: number(t, search.Eq, "5.4"), AnyUnit: true}), nil},
		{"canonical quantity", "Observation", where("value-quantity", search.QuantityTest{Canonical: number(t, search.Lt, "5.4"), CanonicalUnit: "g"}), nil},
		{"not that token", "Observation", plan.Not{Of: code}, nil},
		{"other", "Observation", where("code", search.Other{Of: code.Any[0]}), nil},
		{"missing", "Observation", plan.Not{Of: search.Present{Param: "code"}}, nil},
		{"id", "Patient", search.HasID{IDs: []string{"a", "b"}}, nil},
		{"updated", "Patient", search.Updated{DateTest: search.DateTest{Op: search.Ge, Period: fhir.Period{Low: 1_000_000, High: 2_000_000}}}, nil},
		{"chain", "Observation", plan.Refers{Param: "subject", To: plan.Set{{Type: "Patient", ID: "p"}: true}}, nil},
		{"has", "Patient", plan.Among{Of: plan.Set{{Type: "Patient", ID: "p"}: true}}, nil},
		{"or with what no index has", "Observation", plan.Or{code, plan.Not{Of: patient}}, nil},
		{"patient, code, newest first", "Observation", plan.And{patient, code}, newest},
		{"code, newest first, from a day", "Observation", plan.And{code, where("date", date(search.Ge))}, newest},
	}
	for _, mode := range []search.StringMode{search.StartsWith, search.Contains, search.Exact, search.EndsWith, search.Whole} {
		list = append(list, query{fmt.Sprintf("string %d", mode), "Patient", where("name", search.StringTest{Mode: mode, Text: "ann"}), nil})
	}
	for op := search.Eq; op <= search.Ap; op++ {
		list = append(list, query{"date " + op.String(), "Observation", where("date", date(op)), nil})
	}
	return list
}

// TestGolden holds the filters and sorts.
func TestGolden(t *testing.T) {
	const file = "testdata/plans.txt"
	var got bytes.Buffer
	for _, q := range queries(t) {
		n := plan.Compile(q.typ, q.where)
		fmt.Fprintf(&got, "%s: exact %v\n", q.name, n.Exact)
		for _, run := range plan.Phases(q.sorts) {
			for _, phase := range run {
				filter, _ := phase.Filter(n.Where(), nil)
				fmt.Fprintf(&got, "\t%s sort %s\n", print(filter), print(phase.Sort()))
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("plans (-want +got):\n%s", diff)
	}
}

// TestIndexed: every compiled query leads with a field that a declared index
// begins with, in all branches of an $or.
func TestIndexed(t *testing.T) {
	for _, q := range queries(t) {
		leading := []string{plan.ID}
		for _, i := range plan.Indexes(q.typ) {
			leading = append(leading, i.Keys[0].Name)
		}
		if filter := plan.Compile(q.typ, q.where).Where(); !led(filter, leading) {
			t.Errorf("%s: no index for %s", q.name, print(filter))
		}
	}
}

// led reports whether a conjunct is by a leading field, or an $or of which all
// branches are.
func led(d plan.Doc, leading []string) bool {
	return slices.ContainsFunc(d, func(f plan.Field) bool {
		branch := func(v any) bool { return led(v.(plan.Doc), leading) }
		switch f.Name {
		case "$and":
			return slices.ContainsFunc(f.Value.(plan.List), branch)
		case "$or":
			return !slices.ContainsFunc(f.Value.(plan.List), func(v any) bool { return !branch(v) })
		}
		return slices.Contains(leading, f.Name)
	})
}

// TestSortOfIndex: newest first by patient and code is an index's own order.
func TestSortOfIndex(t *testing.T) {
	phase := plan.Phases([]search.Sort{{Param: "date", Descending: true}})[0][0]
	for _, i := range plan.Indexes("Observation") {
		if i.Name == "newest" && print(i.Keys[1:]) == print(phase.Sort()) {
			return
		}
	}
	t.Errorf("no index of Observation goes on with %s", print(phase.Sort()))
}

func print(v any) string {
	switch v := v.(type) {
	case plan.Doc:
		parts := make([]string, len(v))
		for i, f := range v {
			parts[i] = f.Name + ": " + print(f.Value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case plan.List:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = print(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// TestLead: what a filter looks for is among the keys of what passes.
func TestLead(t *testing.T) {
	entries := []search.Entry{
		{Param: "code", Value: search.Token{System: "http://loinc.org", Code: "33914-3", Folded: true}},
		{Param: "subject", Value: search.Reference{Key: fhir.Key{Type: "Patient", ID: "p"}}},
	}
	key := index.Pair("subject", "code", fhir.Key{Type: "Patient", ID: "p"}, index.Code(true, "33914-3", "http://loinc.org"))
	if !slices.Contains(index.Keys("Observation", entries), key) {
		t.Errorf("no key of the patient with the code")
	}
}
