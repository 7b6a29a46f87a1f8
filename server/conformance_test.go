package server_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/validate"
	"galen/server/servertest"
)

var update = flag.Bool("update", false, "rewrite docs/conformance.md")

// texts lists a member of each item of an array.
func texts(list jsontree.Node, member string) []string {
	var out []string
	for item := range list.Items() {
		if member == "" {
			out = append(out, item.Text())
			continue
		}
		out = append(out, item.Get(member).Text())
	}
	return out
}

// docs/conformance.md is what the server says of itself: it cannot promise more.
func TestConformanceDocument(t *testing.T) {
	s := servertest.Start(t, servertest.Options{BaseURL: "http://galen.test"})
	root := s.Anonymous().Do("GET", "metadata", "").Want(200).JSON()
	got := conformance(root)
	const golden = "../docs/conformance.md"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("go test ./server -run ConformanceDocument -update:\n%s", diff)
	}
}

// conformance renders a CapabilityStatement for people.
func conformance(root jsontree.Node) string {
	var b strings.Builder
	rest := root.Get("rest").Item(0)
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# What Galen conforms to\n")
	line("FHIR %s, REST. Made of `GET [base]/metadata` by `go test ./server -run ConformanceDocument -update`; a test fails when the two differ.\n", root.Get("fhirVersion").Text())
	line("- Formats: %s", strings.Join(texts(root.Get("format"), ""), ", "))
	line("- Patches: %s", strings.Join(texts(root.Get("patchFormat"), ""), ", "))
	line("- Of the system: %s", strings.Join(texts(rest.Get("interaction"), "code"), ", "))
	line("- %s\n", rest.Get("documentation").Text())
	line("## Interactions\n")
	groups := map[string][]string{}
	var order []string
	for r := range rest.Get("resource").Items() {
		what := strings.Join(texts(r.Get("interaction"), "code"), ", ")
		for _, name := range []string{"conditionalRead", "conditionalCreate", "conditionalUpdate", "conditionalDelete", "updateCreate"} {
			if v := r.Get(name); v.Exists() {
				what += "; " + name + " " + v.Text()
			}
		}
		if groups[what] == nil {
			order = append(order, what)
		}
		groups[what] = append(groups[what], r.Get("type").Text())
	}
	slices.SortFunc(order, func(a, b string) int { return len(groups[a]) - len(groups[b]) })
	for i, what := range order {
		types := strings.Join(groups[what], ", ")
		if i == len(order)-1 {
			types = fmt.Sprintf("All other %d types", len(groups[what]))
		}
		line("- %s: %s", types, what)
	}
	line("\n## Operations\n")
	line("| operation | of | definition |\n|---|---|---|")
	for _, row := range operations(rest) {
		line("%s", row)
	}
	line("\n## Search parameters\n")
	line("Every type: %s.\n", strings.Join(texts(rest.Get("searchParam"), "name"), ", "))
	common := texts(rest.Get("searchParam"), "name")
	for r := range rest.Get("resource").Items() {
		own := slices.DeleteFunc(texts(r.Get("searchParam"), "name"), func(p string) bool { return slices.Contains(common, p) })
		line("- %s: %s", r.Get("type").Text(), strings.Join(own, ", "))
	}
	return b.String()
}

// operations are the rows of the table, by name.
func operations(rest jsontree.Node) []string {
	of := map[string][]string{}
	add := func(list jsontree.Node, where string) {
		for o := range list.Items() {
			key := "| $" + o.Get("name").Text() + " | %s | " + o.Get("definition").Text() + " |"
			of[key] = append(of[key], where)
		}
	}
	add(rest.Get("operation"), "system")
	types := 0
	for r := range rest.Get("resource").Items() {
		types++
		add(r.Get("operation"), r.Get("type").Text())
	}
	var rows []string
	for key, where := range of {
		text := strings.Join(where, ", ")
		if len(where) >= types {
			text = strings.Join(append(slices.DeleteFunc(where, func(w string) bool { return w != "system" }), "every type"), ", ")
		}
		rows = append(rows, fmt.Sprintf(key, text))
	}
	slices.Sort(rows)
	return rows
}

// The statement is valid R4 by the strict rules, invariants included.
func TestCapabilitiesAreValid(t *testing.T) {
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	validator, err := validate.New(defs, path.New(defs, units), validate.Strict)
	if err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t, servertest.Options{})
	for _, target := range []string{"metadata", "metadata?mode=full", "metadata?mode=normative", "metadata?mode=terminology"} {
		body := s.Anonymous().Do("GET", target, "").Want(200).Body
		r, err := fhir.Parse(body, jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, issue := range validator.Validate(r) {
			if issue.Severity <= fhir.SeverityError {
				t.Errorf("%s: %s: %s", target, issue.At, issue.Diagnostics)
			}
		}
	}
}

// What is declared is there: every interaction, search parameter, include and
// operation is asked for once, and none is answered as unknown.
func TestCapabilitiesAreKept(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	root := admin.Do("GET", "metadata", "").Want(200).JSON()
	rest := root.Get("rest").Item(0)
	for r := range rest.Get("resource").Items() {
		typ := r.Get("type").Text()
		if !slices.Contains([]string{"Patient", "Observation", "Composition", "ValueSet", "Location"}, typ) {
			continue
		}
		for _, code := range texts(r.Get("interaction"), "code") {
			ask, ok := interactions[code]
			if !ok {
				t.Errorf("%s: no way to ask for %s", typ, code)
				continue
			}
			got := admin.Do(ask[0], strings.ReplaceAll(ask[1], "T", typ), "{}")
			if got.Status == 405 || got.Status >= 500 || got.Status == 404 && strings.Contains(string(got.Body), "nothing is served") {
				t.Errorf("%s %s: %d %s", typ, code, got.Status, got.Body)
			}
		}
		for _, i := range texts(r.Get("searchInclude"), "") {
			admin.Do("GET", typ+"?_include="+i, "", "Prefer", "handling=strict").Want(200)
		}
		for o := range r.Get("operation").Items() {
			name := o.Get("name").Text()
			level := typ + "/$" + name
			got := admin.Do("POST", level, "")
			if strings.Contains(string(got.Body), "no such operation") {
				got = admin.Do("POST", typ+"/x/$"+name, "")
			}
			if got.Status >= 500 || got.Status == 405 || strings.Contains(string(got.Body), "no such operation") {
				t.Errorf("%s: %d %s", level, got.Status, got.Body)
			}
		}
	}
	for _, code := range texts(rest.Get("interaction"), "code") {
		if _, ok := interactions[code]; !ok {
			t.Errorf("no way to ask for %s", code)
		}
	}
}

// interactions are how each is asked for; T stands for the type.
var interactions = map[string][2]string{
	"read": {"GET", "T/x"}, "vread": {"GET", "T/x/_history/1"}, "update": {"PUT", "T/x"}, "patch": {"PATCH", "T/x"},
	"delete": {"DELETE", "T/x"}, "history-instance": {"GET", "T/x/_history"}, "history-type": {"GET", "T/_history"},
	"create": {"POST", "T"}, "search-type": {"GET", "T"},
	"transaction": {"POST", ""}, "batch": {"POST", ""}, "search-system": {"GET", ""}, "history-system": {"GET", "_history"},
}

func TestCapabilitiesOverHTTP(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Anonymous()
	first := c.Do("GET", "metadata", "").Want(200)
	tag := first.Header.Get("Etag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Errorf("ETag %q is not weak", tag)
	}
	if again := c.Do("GET", "metadata", "", "If-None-Match", tag).Want(304); len(again.Body) > 0 || again.Header.Get("Etag") != tag {
		t.Errorf("304 with a body or without its ETag")
	}
	c.Do("GET", "metadata", "", "If-None-Match", `W/"x"`).Want(200)
	c.Do("HEAD", "metadata", "").Want(200)
	part := c.Do("GET", "metadata?_elements=fhirVersion", "").Want(200).JSON()
	if part.Get("fhirVersion").Text() != "4.0.1" || part.Get("software").Exists() {
		t.Errorf("_elements: %.300s", part.Raw())
	}
	if sum := c.Do("GET", "metadata?_summary=true", "").Want(200); len(sum.Body) >= len(first.Body) {
		t.Error("_summary=true leaves nothing out")
	}
	if got := c.Do("GET", "metadata?mode=terminology", "").Want(200).JSON(); got.Get("resourceType").Text() != "TerminologyCapabilities" || !got.Get("expansion").Exists() {
		t.Errorf("mode=terminology: %.300s", got.Raw())
	}
	c.Do("GET", "metadata?mode=wild", "").Want(400).Issue()
	c.Do("GET", "metadata?_summary=wild", "").Want(400).Issue()
	root := first.JSON()
	rest := root.Get("rest").Item(0)
	if diff := cmp.Diff([]string{"application/fhir+json", "application/fhir+xml", "json", "xml"}, texts(root.Get("format"), "")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"application/fhir+json", "application/fhir+xml", "application/json-patch+json", "application/xml-patch+xml"}, texts(root.Get("patchFormat"), "")); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(texts(rest.Get("operation"), "name"), "graphql") {
		t.Error("$graphql is not among the system's operations")
	}
}
