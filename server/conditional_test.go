package server_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"galen/fhir/rest"
	"galen/server/auth"
	"galen/server/servertest"
	"galen/store/sqlite"
)

const crowd = 32 // parallel clients, as in fhir.md 18 and 51

// together makes n requests at once and counts the answers by status.
func together(n int, request func(i int) servertest.Answer) map[int]int {
	var mu sync.Mutex
	var wait sync.WaitGroup
	out := map[int]int{}
	for i := range n {
		wait.Go(func() {
			a := request(i)
			mu.Lock()
			defer mu.Unlock()
			out[a.Status]++
		})
	}
	wait.Wait()
	return out
}

// onBothStores runs a test over store/mem and over SQLite.
func onBothStores(t *testing.T, test func(t *testing.T, c servertest.Client)) {
	t.Run("mem", func(t *testing.T) { test(t, admin(t)) })
	t.Run("sqlite", func(t *testing.T) {
		db, err := sqlite.Open(sqlite.Options{Dir: t.TempDir(), Random: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		test(t, servertest.Start(t, servertest.Options{Driver: db}).As("admin"))
	})
}

func identified(id, value, family string) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return `{"resourceType":"Patient",` + id + `"identifier":[{"system":"http://s","value":"` + value + `"}],"name":[{"family":"` + family + `"}]}`
}

func total(t testing.TB, c servertest.Client, query string) string {
	t.Helper()
	return c.In(t).Do("GET", query, "").Want(200).JSON().Get("total").Text()
}

// fhir.md 18: conditional create.
func TestConditionalCreate(t *testing.T) {
	c := admin(t)
	criteria := "identifier=http://s|1"
	first := c.Do("POST", "Patient", identified("", "1", "A"), "If-None-Exist", criteria).Want(201)
	for _, form := range []string{criteria, "?" + criteria, "Patient?" + criteria} {
		again := c.Do("POST", "Patient", identified("", "1", "B"), "If-None-Exist", form).Want(200)
		same(t, "the one that is there", again.ID(), first.ID())
		same(t, "Location", again.Header.Get("Location"), first.Header.Get("Location"))
	}
	c.Do("POST", "Patient", identified("", "1", "C")).Want(201)
	c.Do("POST", "Patient", identified("", "1", "D"), "If-None-Exist", criteria).Want(412).Issue()
	for _, bad := range []string{"", " ", "?", "identifier=", "_count=1", "colour=red", "identifier:wrong=1", "&&"} {
		c.Do("POST", "Patient", identified("", "9", "E"), "If-None-Exist", "x").Want(400)
		got := c.Do("POST", "Patient", identified("", "9", "E"), "If-None-Exist", bad)
		if bad == "" { // the test's client sends no header without a value
			continue
		}
		got.Want(400).Issue()
	}
	same(t, "total", total(t, c, "Patient?identifier=1"), "2")
}

// fhir.md 18: of 32 parallel conditional creates one creates.
func TestParallelConditionalCreates(t *testing.T) {
	onBothStores(t, func(t *testing.T, c servertest.Client) {
		for round := range 5 {
			value := fmt.Sprint("r", round)
			got := together(crowd, func(i int) servertest.Answer {
				return c.Do("POST", "Patient", identified("", value, fmt.Sprint(i)), "If-None-Exist", "identifier="+value)
			})
			same(t, "answers", got, map[int]int{201: 1, 200: crowd - 1})
			same(t, "total", total(t, c, "Patient?identifier="+value), "1")
		}
	})
}

// fhir.md 19: conditional update.
func TestConditionalUpdate(t *testing.T) {
	c := admin(t)
	put := func(query, body string, want int, headers ...string) servertest.Answer {
		return c.Do("PUT", "Patient?"+query, body, headers...).Want(want)
	}
	created := put("identifier=http://s|1", identified("", "1", "A"), 201)
	if !strings.Contains(created.Header.Get("Location"), "/Patient/"+created.ID()+"/_history/1") {
		t.Errorf("Location %q", created.Header.Get("Location"))
	}
	same(t, "an id that the client gives", put("identifier=2", identified("mine", "2", "A"), 201).ID(), "mine")
	same(t, "the match, no id", put("identifier=1", identified("", "1", "B"), 200).ID(), created.ID())
	same(t, "the match, its id", put("identifier=2&_format=json", identified("mine", "2", "B"), 200).Header.Get("ETag"), `W/"2"`)
	same(t, "identical content makes no version", put("identifier=2", identified("mine", "2", "B"), 200).Header.Get("ETag"), `W/"2"`)
	put("identifier=2", identified("other", "2", "B"), 400).Issue()
	put("identifier=none", identified("mine", "3", "B"), 409).Issue()
	put("identifier=2", identified("", "2", "C"), 412, "If-Match", `W/"1"`).Issue()
	put("identifier=2", identified("", "2", "C"), 200, "If-Match", `W/"2"`)
	put("identifier=none", identified("", "3", "C"), 412, "If-Match", `W/"1"`).Issue()
	put("identifier=2", identified("", "2", "C"), 400, "If-None-Match", "*").Issue() // not passed over: it would update
	c.Do("POST", "Patient", identified("", "2", "D")).Want(201)
	put("identifier=2", identified("", "2", "E"), 412).Issue()
	for _, bad := range []string{"", "colour=red", "identifier=", "_sort=family", "_format=json", "identifier:wrong=1", "identifier=2&colour=red"} {
		put(bad, identified("", "8", "E"), 400).Issue()
	}
	c.Do("PUT", "Patient", identified("", "8", "E")).Want(400).Issue()
	same(t, "nothing was made", total(t, c, "Patient?identifier=8"), "0")
	c.Do("DELETE", "Patient/mine", "").Want(204)
	put("identifier=77", identified("mine", "77", "F"), 201) // brought back
}

// Of 32 parallel conditional updates that find nothing one creates and all
// others update it, each its own version.
func TestParallelConditionalUpdates(t *testing.T) {
	onBothStores(t, func(t *testing.T, c servertest.Client) {
		got := together(crowd, func(i int) servertest.Answer {
			return c.Do("PUT", "Patient?identifier=1", identified("", "1", fmt.Sprint(i)))
		})
		same(t, "answers", got, map[int]int{201: 1, 200: crowd - 1})
		found := c.Do("GET", "Patient?identifier=1", "").Want(200).JSON()
		same(t, "total", found.Get("total").Text(), "1")
		same(t, "version", found.Get("entry").Item(0).Get("resource").Get("meta").Get("versionId").Text(), fmt.Sprint(crowd))
	})
}

// fhir.md 20: conditional delete, one match at most.
func TestConditionalDelete(t *testing.T) {
	c := admin(t)
	c.Do("DELETE", "Patient?identifier=1", "").Want(204)
	c.Do("PUT", "Patient/a", identified("a", "1", "A")).Want(201)
	c.Do("PUT", "Patient/b", identified("b", "2", "A")).Want(201)
	c.Do("PUT", "Patient/c", identified("c", "2", "A")).Want(201)
	for _, bad := range []string{"", "?", "?colour=red", "?identifier=", "?_count=10", "?identifier=1&colour=red", "?identifier:wrong=1", "?_format=json"} {
		c.Do("DELETE", "Patient"+bad, "").Want(400).Issue()
	}
	same(t, "an unknown parameter deletes nothing", total(t, c, "Patient"), "3")
	c.Do("DELETE", "Patient?identifier=2", "").Want(412).Issue()
	c.Do("DELETE", "Patient?identifier=1", "", "If-Match", `W/"2"`).Want(412).Issue()
	same(t, "ETag", c.Do("DELETE", "Patient?identifier=1", "").Want(204).Header.Get("ETag"), `W/"2"`)
	c.Do("GET", "Patient/a", "").Want(410)
	same(t, "total", total(t, c, "Patient"), "2")
	same(t, "conditionalDelete", c.Do("GET", "metadata", "").Want(200).JSON().Get("rest").Item(0).Get("resource").Item(0).Get("conditionalDelete").Text(), "single")
}

// fhir.md 20: conditional delete of several, as the CapabilityStatement says.
func TestConditionalDeleteMultiple(t *testing.T) {
	c := admin(t, func(c *rest.Config) { c.Limits.Deletes = 3 })
	same(t, "conditionalDelete", c.Do("GET", "metadata", "").Want(200).JSON().Get("rest").Item(0).Get("resource").Item(0).Get("conditionalDelete").Text(), "multiple")
	for i := range 3 {
		id := fmt.Sprint("p", i)
		c.Do("PUT", "Patient/"+id, identified(id, "1", "A")).Want(201)
	}
	c.Do("PUT", "Patient/other", identified("other", "2", "A")).Want(201)
	c.Do("DELETE", "Patient?name=a", "").Want(422).Issue()
	same(t, "more than allowed deletes nothing", total(t, c, "Patient"), "4")
	c.Do("DELETE", "Patient?identifier=1", "").Want(204)
	same(t, "total", total(t, c, "Patient"), "1")
	c.Do("DELETE", "Patient?identifier=1", "").Want(204)
}

// fhir.md 51: parallel writers.
func TestParallelUpdates(t *testing.T) {
	onBothStores(t, func(t *testing.T, c servertest.Client) {
		c.Do("PUT", "Patient/p", identified("p", "1", "start")).Want(201)
		got := together(crowd, func(i int) servertest.Answer { return c.Do("PUT", "Patient/p", identified("p", "1", fmt.Sprint(i))) })
		same(t, "without If-Match", got, map[int]int{200: crowd})
		same(t, "versions", total(t, c, "Patient/p/_history"), fmt.Sprint(crowd+1))
		etag := c.Do("GET", "Patient/p", "").Want(200).Header.Get("ETag")
		got = together(crowd, func(i int) servertest.Answer {
			return c.Do("PUT", "Patient/p", identified("p", "1", fmt.Sprint("x", i)), "If-Match", etag)
		})
		same(t, "with If-Match", got, map[int]int{200: 1, 412: crowd - 1})
		got = together(crowd, func(int) servertest.Answer { return c.Do("DELETE", "Patient/p", "") })
		same(t, "deletes", got, map[int]int{204: crowd})
		same(t, "one tombstone", total(t, c, "Patient/p/_history"), fmt.Sprint(crowd+3))
		got = together(crowd, func(int) servertest.Answer {
			return c.Do("PUT", "Patient/new", identified("new", "1", "x"), "If-None-Match", "*")
		})
		same(t, "If-None-Match: *", got, map[int]int{201: 1, 412: crowd - 1})
	})
}

// Parallel patches without If-Match are all applied.
func TestParallelPatches(t *testing.T) {
	onBothStores(t, func(t *testing.T, c servertest.Client) {
		c.Do("PUT", "Patient/p", identified("p", "1", "start")).Want(201)
		got := together(crowd, func(i int) servertest.Answer {
			return c.Do("PATCH", "Patient/p", fmt.Sprintf(`[{"op":"add","path":"/name/-","value":{"text":"%d"}}]`, i), "Content-Type", jsonPatch)
		})
		same(t, "answers", got, map[int]int{200: crowd})
		same(t, "names", c.Do("GET", "Patient/p", "").Want(200).JSON().Get("name").Len(), crowd+1)
	})
}

// fhir.md 21: PATCH.
func TestPatch(t *testing.T) {
	const before = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"effectiveDateTime":"2026-01-01T10:00:00+05:30","valueQuantity":{"value":1.00,"unit":"mg"}}`
	const fhirPatch = "application/fhir+json"
	operation := func(parts string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[` + parts + `]}]}`
	}
	cases := []struct {
		name, kind, patch string
		status            int
		want              string // in the body
	}{
		{"JSON Patch", jsonPatch, `[{"op":"replace","path":"/status","value":"amended"}]`, 200, `"status":"amended","code":{"text":"x"},"effectiveDateTime":"2026-01-01T10:00:00+05:30","valueQuantity":{"value":1.00,"unit":"mg"}`},
		{"with a charset", jsonPatch + "; charset=utf-8", `[{"op":"replace","path":"/status","value":"amended"}]`, 200, `"amended"`},
		{"test holds", jsonPatch, `[{"op":"test","path":"/status","value":"final"},{"op":"remove","path":"/valueQuantity"}]`, 200, `"effectiveDateTime":"2026-01-01T10:00:00+05:30"}`},
		{"test fails", jsonPatch, `[{"op":"test","path":"/status","value":"x"},{"op":"remove","path":"/valueQuantity"}]`, 422, ""},
		{"no such place", jsonPatch, `[{"op":"remove","path":"/note"}]`, 422, ""},
		{"malformed", jsonPatch, `[`, 400, ""},
		{"no patch", jsonPatch, `{}`, 400, ""},
		{"empty", jsonPatch, ``, 400, ""},
		{"id", jsonPatch, `[{"op":"replace","path":"/id","value":"q"}]`, 422, ""},
		{"id removed", jsonPatch, `[{"op":"remove","path":"/id"}]`, 422, ""},
		{"resourceType", jsonPatch, `[{"op":"replace","path":"/resourceType","value":"Patient"}]`, 422, ""},
		{"meta.versionId", jsonPatch, `[{"op":"replace","path":"/meta/versionId","value":"9"}]`, 422, ""},
		{"the whole resource", jsonPatch, `[{"op":"replace","path":"","value":{"resourceType":"Observation","id":"o","status":"final","code":{"text":"y"}}}]`, 200, `"code":{"text":"y"}`},
		{"no resource left", jsonPatch, `[{"op":"replace","path":"","value":[]}]`, 422, ""},
		{"result without a required element", jsonPatch, `[{"op":"remove","path":"/status"}]`, 422, ""},
		{"result with a bad code", jsonPatch, `[{"op":"replace","path":"/status","value":"done"}]`, 422, ""},
		{"FHIRPath Patch", fhirPatch, operation(`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Observation.value.value"},{"name":"value","valueDecimal":2.50}`), 200, `"effectiveDateTime":"2026-01-01T10:00:00+05:30","valueQuantity":{"value":2.50,"unit":"mg"}`},
		{"FHIRPath Patch of the id", fhirPatch, operation(`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Observation.id"},{"name":"value","valueId":"q"}`), 422, ""},
		{"FHIRPath Patch that selects nothing", fhirPatch, operation(`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Observation.issued"},{"name":"value","valueInstant":"2026-01-01T00:00:00Z"}`), 422, ""},
		{"FHIRPath Patch with no operation", fhirPatch, `{"resourceType":"Parameters"}`, 200, `"final"`},
		{"another resource as a patch", fhirPatch, before, 400, ""},
		{"XML Patch", "application/xml-patch+xml", `<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Observation/f:status/@value">amended</replace></diff>`, 200, `"effectiveDateTime":"2026-01-01T10:00:00+05:30","valueQuantity":{"value":1.00,"unit":"mg"}`},
		{"XML Patch that selects nothing", "application/xml-patch+xml", `<diff xmlns:f="http://hl7.org/fhir"><remove sel="f:Observation/f:issued"/></diff>`, 422, ""},
		{"XML Patch of the id", "application/xml-patch+xml", `<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Observation/f:id/@value">q</replace></diff>`, 422, ""},
		{"malformed XML Patch", "application/xml-patch+xml", `<diff`, 400, ""},
		{"FHIRPath Patch in XML", "application/fhir+xml", `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="delete"/></part><part><name value="path"/><valueString value="Observation.effective"/></part></parameter></Parameters>`, 200, `"code":{"text":"x"},"valueQuantity":{"value":1.00`},
		{"a format that is none", "application/merge-patch+json", `{}`, 415, ""},
		{"FHIR version", fhirPatch + "; fhirVersion=5.0", `{"resourceType":"Parameters"}`, 415, ""},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			c := admin(t)
			c.Do("PUT", "Observation/o", before).Want(201)
			got := c.Do("PATCH", "Observation/o", k.patch, "Content-Type", k.kind).Want(k.status)
			if k.status != http.StatusOK {
				got.Issue()
				same(t, "version afterwards", c.Do("GET", "Observation/o", "").Want(200).Header.Get("ETag"), `W/"1"`)
				return
			}
			if !strings.Contains(string(got.Body), k.want) {
				t.Errorf("%s\nlacks %s", got.Body, k.want)
			}
			history := c.Do("GET", "Observation/o/_history", "").Want(200).JSON().Get("entry").Item(0)
			if method := history.Get("request").Get("method").Text(); got.Header.Get("ETag") == `W/"2"` && method != "PATCH" {
				t.Errorf("method %q in the history", method)
			}
		})
	}
}

// A patch that changes nothing makes no version.
func TestPatchWithoutChange(t *testing.T) {
	c := admin(t)
	c.Do("PUT", "Patient/p", patient).Want(201)
	for _, p := range []string{`[]`, `[{"op":"test","path":"/active","value":true}]`, `[{"op":"remove","path":"/meta"}]`} {
		same(t, p, c.Do("PATCH", "Patient/p", p, "Content-Type", jsonPatch).Want(200).Header.Get("ETag"), `W/"1"`)
	}
}

// fhir.md 21: conditional patch.
func TestConditionalPatch(t *testing.T) {
	c := admin(t)
	patch := func(query string, want int, headers ...string) servertest.Answer {
		return c.Do("PATCH", "Patient?"+query, `[{"op":"add","path":"/active","value":true}]`, append(headers, "Content-Type", jsonPatch)...).Want(want)
	}
	patch("identifier=1", 404).Issue()
	c.Do("PUT", "Patient/a", identified("a", "1", "A")).Want(201)
	same(t, "patched", patch("identifier=1", 200).ID(), "a")
	patch("identifier=1", 412, "If-Match", `W/"1"`).Issue()
	c.Do("POST", "Patient", identified("", "1", "B")).Want(201)
	patch("identifier=1", 412).Issue()
	patch("", 400).Issue()
	patch("colour=red", 400).Issue()
}

// A conditional create neither finds what is hidden from the caller nor tells
// that it is there.
func TestConditionalCreateSeesOnlyWhatTheCallerSees(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	observation := func(subject string) string {
		return `{"resourceType":"Observation","identifier":[{"value":"1"}],"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + subject + `"}}`
	}
	hidden := s.As("admin").Do("POST", "Observation", observation("other")).Want(201)
	p := s.As("admin", func(c *auth.Claims) { c.Scope, c.Patient = "patient/*.cruds", "mine" })
	made := p.Do("POST", "Observation", observation("mine"), "If-None-Exist", "identifier=1").Want(201)
	if made.ID() == hidden.ID() {
		t.Error("the hidden resource was returned")
	}
	same(t, "found again", p.Do("POST", "Observation", observation("mine"), "If-None-Exist", "identifier=1").Want(200).ID(), made.ID())
	s.As("ehr").Do("POST", "Patient", patient, "If-None-Exist", "identifier=1").Want(403)
}
