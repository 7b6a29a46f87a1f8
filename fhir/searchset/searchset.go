// Package searchset writes the Bundle that answers a search
// (https://hl7.org/fhir/R4/bundle.html#searchset): the links of the page, the
// matches, what goes with them, and what the client has to be told.
//
// Promises: stored bytes go in as they are, or as the view of them that was
// asked for; self tells what was applied and nothing else; every page links to
// the first, the next and, as far as the cursor reaches back, the previous one.
//
// It searches nothing and decides nothing.
package searchset

import (
	"net/url"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/r4"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/fhir/view"
	"galen/store"
)

// Page is one page of an answer.
type Page struct {
	Base      string // absolute FHIR base URL, no slash at its end
	Path      string // of the search below it, "Patient"; "" for the whole system
	PageParam string // the parameter that holds a cursor
	Cursor    string // of this page, "" for the first
	Request   *search.Request
	Result    store.SearchResult
}

// Write makes the Bundle. The error means that a stored resource cannot be read.
func Write(defs *spec.Definitions, p Page) ([]byte, error) {
	w := &writer{out: make([]byte, 0, size(p.Result))}
	w.add(`{"resourceType":"Bundle","type":"searchset"`)
	if p.Result.HasTotal {
		w.add(`,"total":`)
		w.out = strconv.AppendInt(w.out, int64(p.Result.Total), 10)
	}
	p.links(w)
	v := view.Of(p.Request)
	for _, group := range []struct {
		mode    string
		records []store.Record
	}{{"match", p.Result.Matches}, {"include", p.Result.Included}} {
		for _, r := range group.records {
			body, err := view.Apply(defs, v, r.Body)
			if err != nil {
				return nil, err
			}
			w.entry(p.Base+"/"+r.Key.String(), body, group.mode)
		}
	}
	if issues := p.warnings(); len(issues) > 0 {
		w.entry("", r4.OperationOutcome(issues), "outcome")
	}
	if w.entries > 0 {
		w.add(`]`)
	}
	w.add(`}`)
	return w.out, nil
}

// links writes Bundle.link (https://hl7.org/fhir/R4/search.html#Paging). A
// search that fits one page has no use for the others.
func (p Page) links(w *writer) {
	at := func(cursor string) string {
		u := strings.TrimSuffix(p.Base+"/"+p.Path, "/")
		query := p.Request.String()
		if cursor != "" {
			query = strings.TrimPrefix(query+"&"+p.PageParam+"="+url.QueryEscape(cursor), "&")
		}
		if query == "" {
			return u
		}
		return u + "?" + query
	}
	w.link("self", at(p.Cursor))
	if p.Cursor != "" || p.Result.Next != "" {
		w.link("first", at(""))
	}
	if p.Result.HasPrevious {
		w.link("previous", at(p.Result.Previous))
	}
	if p.Result.Next != "" {
		w.link("next", at(p.Result.Next))
	}
	w.add(`]`)
}

// warnings tell what was passed over or cut short.
func (p Page) warnings() fhir.Issues {
	var issues fhir.Issues
	for _, i := range p.Request.Ignored {
		issues = append(issues, fhir.Issue{Severity: fhir.Warning, Kind: fhir.NotSupported, At: i.Name, Diagnostics: i.Reason})
	}
	if p.Result.Truncated {
		issues = append(issues, fhir.Issue{Severity: fhir.Warning, Kind: fhir.TooCostly, Diagnostics: "more resources were to be included than a page may hold"})
	}
	return issues
}

// writer splices the Bundle together.
type writer struct {
	out     []byte
	started bool // Bundle.link
	entries int
}

func (w *writer) add(s string) { w.out = append(w.out, s...) }

func (w *writer) link(relation, target string) {
	if w.started {
		w.add(`,{"relation":"`)
	} else {
		w.add(`,"link":[{"relation":"`)
	}
	w.started = true
	w.add(relation)
	w.add(`","url":`)
	w.out = append(jsontree.AppendString(w.out, target), '}')
}

func (w *writer) entry(fullURL string, resource []byte, mode string) {
	if w.entries == 0 {
		w.add(`,"entry":[{`)
	} else {
		w.add(`,{`)
	}
	w.entries++
	if fullURL != "" {
		w.add(`"fullUrl":`)
		w.out = append(jsontree.AppendString(w.out, fullURL), ',')
	}
	w.add(`"resource":`)
	w.out = append(w.out, resource...)
	w.add(`,"search":{"mode":"` + mode + `"}}`)
}

func size(r store.SearchResult) int {
	n := 2048
	for _, list := range [][]store.Record{r.Matches, r.Included} {
		for _, record := range list {
			n += len(record.Body) + 200
		}
	}
	return n
}
