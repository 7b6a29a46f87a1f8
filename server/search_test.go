package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/server/servertest"
)

// bundle is what the tests look at in a searchset.
type bundle struct {
	links   map[string]string
	entries []string // "match Patient/1", in order; an outcome is "outcome"
	total   string
	root    jsontree.Node
}

func searched(t *testing.T, c servertest.Client, target string) bundle {
	t.Helper()
	return read(c.Do("GET", target, "").Want(200).JSON())
}

func read(root jsontree.Node) bundle {
	b := bundle{links: map[string]string{}, total: root.Get("total").Text(), root: root}
	for link := range root.Get("link").Items() {
		u := link.Get("url").Text()
		_, path, _ := strings.Cut(u, "/fhir")
		b.links[link.Get("relation").Text()] = "/fhir" + path
	}
	for e := range root.Get("entry").Items() {
		r, mode := e.Get("resource"), e.Get("search").Get("mode").Text()
		if mode == "outcome" {
			b.entries = append(b.entries, mode)
			continue
		}
		b.entries = append(b.entries, mode+" "+r.Get("resourceType").Text()+"/"+r.Get("id").Text())
	}
	return b
}

// ward fills a server with two patients, where they are cared for and 7
// Observations.
func ward(t *testing.T) servertest.Client {
	t.Helper()
	c := servertest.Start(t, servertest.Options{}).As("admin")
	put := func(key, members string) {
		kind, id, _ := strings.Cut(key, "/")
		body := fmt.Sprintf(`{"resourceType":%q,"id":%q,%s}`, kind, id, members)
		c.Do("PUT", "/fhir/"+key, body).Want(201)
	}
	put("Organization/top", `"name":"Ministry"`)
	put("Organization/clinic", `"name":"Clinic","partOf":{"reference":"Organization/top"}`)
	put("Patient/eve", `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Eve</div>"},"name":[{"family":"Adams"}],"gender":"female","managingOrganization":{"reference":"Organization/clinic"}`)
	put("Patient/bob", `"name":[{"family":"Brown"}],"managingOrganization":{"reference":"Organization/gone"}`)
	for i := range 7 {
		subject := []string{"eve", "bob"}[i%2]
		put(fmt.Sprintf("Observation/o%d", i), fmt.Sprintf(`"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/%s"},"effectiveDateTime":"2020-01-0%d"`, subject, i+1))
	}
	put("Encounter/visit", `"status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/eve"}`)
	return c
}

// Links, totals, caps and what is passed over (spec/fhir.md items 36, 37, 39, 40).
func TestSearchControl(t *testing.T) {
	c := ward(t)
	tests := []struct {
		name, target, self, total string
		entries                   int
	}{
		{"count 0 is only the total", "/fhir/Observation?_count=0", "/fhir/Observation?_count=0", "7", 0},
		{"summary count too", "/fhir/Observation?_summary=count", "/fhir/Observation?_summary=count", "7", 0},
		{"a count above the limit is brought down, and self says so", "/fhir/Observation?_count=100000", "/fhir/Observation?_count=1000", "7", 7},
		{"no total", "/fhir/Observation?_total=none", "/fhir/Observation?_total=none", "", 7},
		{"an estimate is one", "/fhir/Observation?_total=estimate", "/fhir/Observation?_total=estimate", "7", 7},
		{"an unknown parameter is not in self, and there is a warning", "/fhir/Patient?nonsense=1&gender=female", "/fhir/Patient?gender=female", "1", 2},
		{"values are encoded", "/fhir/Patient?name=a%26b%3Dc", "/fhir/Patient?name=a%26b%3Dc", "0", 0},
		{"the whole system", "/fhir?_id=eve", "/fhir?_id=eve", "1", 1},
		{"the whole system, with a slash", "/fhir/?_type=Patient,Encounter", "/fhir?_type=Patient,Encounter", "3", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := searched(t, c, tt.target)
			if b.links["self"] != tt.self || b.total != tt.total || len(b.entries) != tt.entries {
				t.Errorf("self %s, total %q, entries %v", b.links["self"], b.total, b.entries)
			}
		})
	}
	refused := []struct{ name, target, prefer, code string }{
		{"handling=strict", "/fhir/Patient?nonsense=1", "handling=strict", "not-supported"},
		{"an unknown modifier", "/fhir/Patient?gender:nonsense=1", "", "invalid"},
		{"nothing to sort by", "/fhir/Patient?_sort=nonsense", "", "not-supported"},
		{"a negative count", "/fhir/Patient?_count=-1", "", "value"},
		{"contained resources", "/fhir/Patient?_contained=true", "", "not-supported"},
		{"two views at once", "/fhir/Patient?_summary=text&_elements=name", "", "invalid"},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			a := c.Do("GET", tt.target, "", "Prefer", tt.prefer).Want(400)
			if got := a.Issue().Get("code").Text(); got != tt.code {
				t.Errorf("issue code %s, want %s", got, tt.code)
			}
		})
	}
}

// first, next and previous; the total stays; a page of another search is gone
// (spec/fhir.md items 37, 38).
func TestSearchPaging(t *testing.T) {
	c := ward(t)
	var pages []bundle
	var seen []string
	for target := "/fhir/Observation?_sort=-date&_count=2"; target != ""; {
		b := searched(t, c, target)
		pages = append(pages, b)
		seen = append(seen, b.entries...)
		if b.total != "7" {
			t.Errorf("total %s on page %d", b.total, len(pages))
		}
		target = b.links["next"]
	}
	want := []string{"match Observation/o6", "match Observation/o5", "match Observation/o4", "match Observation/o3", "match Observation/o2", "match Observation/o1", "match Observation/o0"}
	if !slices.Equal(seen, want) || len(pages) != 4 {
		t.Fatalf("walked %v on %d pages", seen, len(pages))
	}
	for i := range pages {
		if first := pages[i].links["first"]; first != pages[0].links["self"] {
			t.Errorf("first of page %d is %s", i, first)
		}
		if again := searched(t, c, pages[i].links["self"]); !slices.Equal(again.entries, pages[i].entries) {
			t.Errorf("self of page %d shows %v", i, again.entries)
		}
	}
	at := pages[3]
	for i := 2; i >= 0; i-- {
		if at = searched(t, c, at.links["previous"]); !slices.Equal(at.entries, pages[i].entries) {
			t.Errorf("back on page %d: %v", i, at.entries)
		}
	}
	if _, ok := at.links["previous"]; ok {
		t.Error("the first page has a previous one")
	}
	u, err := url.Parse(pages[0].links["next"])
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/fhir/Observation?_page=" + u.Query().Get("_page"), "/fhir/Observation?_page=nonsense"} {
		c.Do("GET", target, "").Want(410).Issue()
	}
}

// POST _search is the same as GET (https://hl7.org/fhir/R4/http.html#search).
func TestSearchByPost(t *testing.T) {
	c := ward(t)
	const form = "application/x-www-form-urlencoded"
	tests := []struct{ target, body, want string }{
		{"/fhir/Patient/_search", "name=adams", "match Patient/eve"},
		{"/fhir/Patient/_search?name=brown", "name=adams", ""},
		{"/fhir/_search", "_id=eve&_type=Patient", "match Patient/eve"},
		{"/fhir/Patient/eve/Encounter/_search", "", "match Encounter/visit"},
		{"/fhir/Patient/bob/Observation/_search?_count=1", "_sort=date", "match Observation/o1"},
	}
	for _, tt := range tests {
		b := read(c.Do("POST", tt.target, tt.body, "Content-Type", form).Want(200).JSON())
		if got := strings.Join(b.entries, ","); got != tt.want {
			t.Errorf("%s with %s: %s, want %s", tt.target, tt.body, got, tt.want)
		}
	}
}

// https://hl7.org/fhir/R4/compartmentdefinition.html; spec/fhir.md item 45.
func TestCompartmentSearch(t *testing.T) {
	c := ward(t)
	tests := []struct{ target, self, want string }{
		{"/fhir/Patient/bob/Observation", "/fhir/Patient/bob/Observation", "match Observation/o1,match Observation/o3,match Observation/o5"},
		{"/fhir/Patient/bob/Observation?date=2020-01-04", "/fhir/Patient/bob/Observation?date=2020-01-04", "match Observation/o3"},
		{"/fhir/Patient/eve/*?_type=Patient,Encounter", "/fhir/Patient/eve/*?_type=Patient,Encounter", "match Patient/eve,match Encounter/visit"},
		{"/fhir/Patient/eve/Organization", "/fhir/Patient/eve/Organization", ""},
		{"/fhir/Patient/nobody/*", "/fhir/Patient/nobody/*", ""},
	}
	for _, tt := range tests {
		b := searched(t, c, tt.target)
		if got := strings.Join(b.entries, ","); got != tt.want || b.links["self"] != tt.self {
			t.Errorf("%s: %s, want %s; self %s", tt.target, got, tt.want, b.links["self"])
		}
	}
	if all := searched(t, c, "/fhir/Patient/eve/*"); all.total != "6" {
		t.Errorf("everything of eve: %v", all.entries)
	}
	c.Do("GET", "/fhir/Organization/top/Patient", "").Want(404)
	c.Do("GET", "/fhir/Patient/eve/Nonsense", "").Want(404)
}

// Includes: each once, a match stays one, cycles end, what is not there is
// skipped (https://hl7.org/fhir/R4/search.html#include; spec/fhir.md item 41).
func TestSearchIncludes(t *testing.T) {
	c := ward(t)
	c.Do("PUT", "/fhir/Organization/top", `{"resourceType":"Organization","id":"top","name":"Ministry","partOf":{"reference":"Organization/clinic"}}`).Want(200)
	tests := []struct{ name, target, want string }{
		{"forward", "/fhir/Observation?_id=o0&_include=Observation:subject", "match Observation/o0,include Patient/eve"},
		{"to a type", "/fhir/Observation?_id=o0&_include=Observation:subject:Group", "match Observation/o0"},
		{"wildcard", "/fhir/Observation?_id=o0&_include=*", "match Observation/o0,include Patient/eve"},
		{
			"iterate, in a cycle", "/fhir/Observation?_id=o0&_include=Observation:subject&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
			"match Observation/o0,include Patient/eve,include Organization/clinic,include Organization/top",
		},
		{"not there", "/fhir/Patient?_id=bob&_include=Patient:organization", "match Patient/bob"},
		{"a match stays a match", "/fhir/Organization?_sort=_id&_include=Organization:partof", "match Organization/clinic,match Organization/top"},
		{"backward", "/fhir/Patient?_id=eve&_revinclude=Encounter:patient", "match Patient/eve,include Encounter/visit"},
		{
			"backward by any parameter", "/fhir/Organization?_id=clinic&_revinclude=*",
			"match Organization/clinic,include Organization/top,include Patient/eve",
		},
		{"with no matches on the page", "/fhir/Patient?_count=0&_revinclude=Encounter:patient", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(searched(t, c, tt.target).entries, ","); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// spec/fhir.md item 43: what is not whole says so and cannot be put back.
func TestSearchViews(t *testing.T) {
	c := ward(t)
	for _, query := range []string{"_summary=true", "_summary=data", "_elements=name"} {
		r := searched(t, c, "/fhir/Patient?_id=eve&"+query).root.Get("entry").Item(0).Get("resource")
		if r.Get("meta").Get("tag").Item(0).Get("code").Text() != "SUBSETTED" || r.Get("text").Exists() || !r.Get("name").Exists() {
			t.Errorf("%s: %s", query, r.Raw())
		}
		c.Do("PUT", "/fhir/Patient/eve", string(r.Raw())).Want(422)
	}
	if r := searched(t, c, "/fhir/Patient?_id=eve&_summary=text").root.Get("entry").Item(0).Get("resource"); !r.Get("text").Exists() || r.Get("name").Exists() {
		t.Errorf("text: %s", r.Raw())
	}
}

// GET on _search is not R4's, but what clients of other servers send.
func TestSearchByGetOnSearchPath(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.As("admin")
	c.Do("PUT", "Patient/a", `{"resourceType":"Patient","id":"a","gender":"male"}`).Want(201)
	for _, target := range []string{"Patient/_search?gender=male", "_search?_type=Patient&_id=a"} {
		if n := c.Do("GET", target, "").Want(200).JSON().Get("total").Text(); n != "1" {
			t.Errorf("%s finds %s", target, n)
		}
	}
}
