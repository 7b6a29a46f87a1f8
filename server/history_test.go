package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"galen/fhir/jsontree"
	"galen/server/auth"
	"galen/server/servertest"
)

// lines are the entries of a history: "PUT Patient/a 2", in their order.
func lines(bundle jsontree.Node) []string {
	var out []string
	for e := range bundle.Get("entry").Items() {
		request := e.Get("request")
		version := strings.Trim(strings.TrimPrefix(e.Get("response").Get("etag").Text(), "W/"), `"`)
		out = append(out, request.Get("method").Text()+" "+request.Get("url").Text()+" "+version)
	}
	return out
}

func linkOf(bundle jsontree.Node, relation string) string {
	for l := range bundle.Get("link").Items() {
		if l.Get("relation").Text() == relation {
			return l.Get("url").Text()
		}
	}
	return ""
}

// aged is a server on which something happened each day from 2026-01-01 on.
func aged(t *testing.T) (*servertest.Server, servertest.Client) {
	t.Helper()
	clock := &clock{now: time.Date(2025, 12, 31, 12, 0, 0, 0, time.UTC)}
	s := servertest.Start(t, servertest.Options{Now: clock.Now})
	c := s.As("admin", func(c *auth.Claims) { c.TTL = 1000 * time.Hour })
	group := `{"resourceType":"Group","id":"g","type":"person","actual":true}`
	for _, request := range []func(){
		func() { c.Do("PUT", "Patient/a", identified("a", "1", "A")).Want(201) }, // 01-01
		func() { c.Do("PUT", "Patient/a", identified("a", "1", "B")).Want(200) }, // 01-02
		func() { c.Do("PUT", "Group/g", group).Want(201) },                       // 01-03
		func() { c.Do("PUT", "Patient/b", identified("b", "2", "A")).Want(201) }, // 01-04
		func() { c.Do("DELETE", "Patient/a", "").Want(204) },                     // 01-05
		func() {
			c.Do("PATCH", "Patient/b", `[{"op":"remove","path":"/name"}]`, "Content-Type", jsonPatch).Want(200)
		}, // 01-06
		func() { c.Do("PUT", "Patient/a", identified("a", "1", "C")).Want(201) }, // 01-07
	} {
		clock.advance(24 * time.Hour)
		request()
	}
	return s, c
}

// fhir.md 50: history at every level.
func TestHistory(t *testing.T) {
	_, c := aged(t)
	instance := []string{"PUT Patient/a 4", "DELETE Patient/a 3", "PUT Patient/a 2", "PUT Patient/a 1"}
	patients := []string{"PUT Patient/a 4", "PATCH Patient/b 2", "DELETE Patient/a 3", "PUT Patient/b 1", "PUT Patient/a 2", "PUT Patient/a 1"}
	system := slices.Insert(slices.Clone(patients), 4, "PUT Group/g 1")
	reversed := slices.Clone(system)
	slices.Reverse(reversed)
	cases := []struct {
		target string
		want   []string
		total  string
	}{
		{"Patient/a/_history", instance, "4"},
		{"Patient/_history", patients, "6"},
		{"_history", system, "7"},
		{"_history?_since=2026-01-05T12:00:00Z", system[:3], "3"},
		{"_history?_since=2026-01-05T12:00:00.001Z", system[:2], "2"},
		{"_history?_since=2026-01-05T13:00:00%2B01:00", system[:3], "3"},
		{"Patient/a/_history?_since=2030-01-01", nil, "0"},
		{"_history?_count=2", system[:2], "7"},
		{"_history?_count=0", nil, "7"},
		{"_history?_sort=-_lastUpdated&_format=json&_pretty=true", system, "7"},
		{"_history?_sort=_lastUpdated", reversed, "7"},
		{"_history?_sort=_lastUpdated&_count=2", reversed[:2], "7"},
		{"Patient/a/_history?_sort=_lastUpdated&_since=2026-01-05", []string{"DELETE Patient/a 3", "PUT Patient/a 4"}, "2"},
		{"Patient/_history?_sort=_lastUpdated&_at=2026-01-05", []string{"PUT Patient/a 2", "PUT Patient/b 1", "DELETE Patient/a 3"}, "3"},
		{"Patient/a/_history?_at=2026-01-02", []string{"PUT Patient/a 2", "PUT Patient/a 1"}, "2"},
		{"Patient/a/_history?_at=2026-01-03", []string{"PUT Patient/a 2"}, "1"},
		{"Patient/a/_history?_at=2026-01-06", nil, "0"},
		{"Patient/_history?_at=2026-01-05", []string{"DELETE Patient/a 3", "PUT Patient/b 1", "PUT Patient/a 2"}, "3"},
		{"_history?_at=2025", nil, "0"},
		{"_history?_at=2027", []string{"PUT Patient/a 4", "PATCH Patient/b 2", "PUT Group/g 1"}, "3"},
	}
	for _, k := range cases {
		t.Run(k.target, func(t *testing.T) {
			bundle := c.In(t).Do("GET", k.target, "").Want(200).JSON()
			same(t, "entries", lines(bundle), k.want)
			same(t, "total", bundle.Get("total").Text(), k.total)
			same(t, "type", bundle.Get("type").Text(), "history")
		})
	}
}

// https://hl7.org/fhir/R4/bundle.html#history: what each entry says.
func TestHistoryEntries(t *testing.T) {
	_, c := aged(t)
	bundle := c.Do("GET", "Patient/a/_history", "").Want(200).JSON()
	var got []string
	for e := range bundle.Get("entry").Items() {
		response := e.Get("response")
		if !strings.HasSuffix(e.Get("fullUrl").Text(), "/fhir/Patient/a") {
			t.Errorf("fullUrl %q", e.Get("fullUrl").Text())
		}
		got = append(got, fmt.Sprint(response.Get("status").Text(), " ", response.Get("lastModified").Text(), " ", e.Get("resource").Exists()))
	}
	same(t, "entries", got, []string{
		"200 OK 2026-01-07T12:00:00.000Z true", "204 No Content 2026-01-05T12:00:00.000Z false",
		"200 OK 2026-01-02T12:00:00.000Z true", "201 Created 2026-01-01T12:00:00.000Z true",
	})
}

func TestHistoryErrors(t *testing.T) {
	_, c := aged(t)
	for target, want := range map[string]int{
		"Patient/never/_history": 404, "Nothing/_history": 404, "Nothing/1/_history": 404, "Patient/a_b/_history": 404,
		"_history?_since=x": 400, "_history?_count=-1": 400, "_history?_at=2026-13": 400, "_history?_sort=family": 400,
		"_history?_sort=_id": 400, "_history?_list=1": 400, "_history?_page=x": 410, "AuditEvent/_history": 405,
	} {
		c.In(t).Do("GET", target, "").Want(want).Issue()
	}
}

// fhir.md 50: paging is stable while others write.
func TestHistoryPaging(t *testing.T) {
	for _, level := range []string{"_history?", "Patient/_history?", "_history?_sort=_lastUpdated&", "Patient/_history?_sort=_lastUpdated&"} {
		t.Run(level, func(t *testing.T) {
			c := admin(t)
			want := map[string]bool{}
			for i := range 12 {
				id := fmt.Sprint("p", i%5)
				got := c.Do("PUT", "Patient/"+id, identified(id, "1", fmt.Sprint(i)))
				want[id+got.Header.Get("ETag")] = true
			}
			seen := map[string]int{}
			target, pages := level+"_count=1", 0
			for target != "" && pages < 30 { // oldest first, the new versions come too
				bundle := c.Do("GET", target, "").Want(200).JSON()
				same(t, "total", bundle.Get("total").Text(), "12")
				if !strings.Contains(linkOf(bundle, "self"), "_count=1") {
					t.Errorf("self %q", linkOf(bundle, "self"))
				}
				for e := range bundle.Get("entry").Items() {
					seen[e.Get("resource").Get("id").Text()+e.Get("response").Get("etag").Text()]++
				}
				c.Do("PUT", "Patient/p0", identified("p0", "1", fmt.Sprint("later", pages))).Want(200)
				target = linkOf(bundle, "next")
				pages++
			}
			if pages < 12 { // a write of the same millisecond may come as one more
				t.Errorf("%d pages", pages)
			}
			for v := range want {
				same(t, v, seen[v], 1)
			}
		})
	}
}

// A cursor leads on in its own history only.
func TestHistoryCursorOfAnotherHistory(t *testing.T) {
	_, c := aged(t)
	next, err := url.Parse(linkOf(c.Do("GET", "Patient/a/_history?_count=1", "").Want(200).JSON(), "next"))
	if err != nil {
		t.Fatal(err)
	}
	c.Do("GET", "Patient/b/_history?"+next.RawQuery, "").Want(410).Issue()
	c.Do("GET", "Patient/a/_history?"+next.RawQuery, "").Want(200)
}

// Each version is held against the filter as it was: a resource that moved from
// one patient to another shows each of them its part.
func TestHistoryUnderAFilter(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	a := s.As("admin")
	observation := func(subject, status string) string {
		return `{"resourceType":"Observation","id":"o","status":"` + status + `","code":{"text":"x"},"subject":{"reference":"Patient/` + subject + `"}}`
	}
	a.Do("PUT", "Observation/o", observation("one", "preliminary")).Want(201)
	a.Do("PUT", "Observation/o", observation("one", "final")).Want(200)
	a.Do("PUT", "Observation/o", observation("two", "final")).Want(200)
	a.Do("DELETE", "Observation/o", "").Want(204)
	a.Do("PUT", "Patient/one", `{"resourceType":"Patient","id":"one"}`).Want(201)
	as := func(patient string) servertest.Client {
		return s.As("admin", func(c *auth.Claims) { c.Scope, c.Patient = "patient/*.rs", patient })
	}
	for _, level := range []string{"Observation/o/_history", "Observation/_history"} {
		same(t, level+" of one", lines(as("one").Do("GET", level, "").Want(200).JSON()), []string{"PUT Observation/o 2", "PUT Observation/o 1"})
		same(t, level+" of two", lines(as("two").Do("GET", level, "").Want(200).JSON()), []string{"DELETE Observation/o 4", "PUT Observation/o 3"})
	}
	as("three").Do("GET", "Observation/o/_history", "").Want(404)
	as("three").Do("GET", "Observation/o/_history?_since=2020", "").Want(404)
	same(t, "nothing since", lines(as("one").Do("GET", "Observation/o/_history?_since=2099", "").Want(200).JSON()), []string(nil))
	same(t, "type history of three", lines(as("three").Do("GET", "Observation/_history", "").Want(200).JSON()), []string(nil))
}
