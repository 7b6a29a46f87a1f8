// Package searchtest runs the search scripts of testdata/search, each a few
// resources and what queries on them must find, against anything that answers
// queries: search.Find, which is the truth, and every store driver.
//
// A script is a txtar file. Its comment says what rule it is about. A section
// "Type/id" is a resource (resourceType, id and meta.lastUpdated are filled in);
// they are created in the order of the file, a second apart from 2020-01-01. The
// section "queries" has lines of
//
//	Patient?name=eve => id id …   # in any order, unless the query sorts
//	Patient?name=bob => none
//	Patient?name:x=y => error invalid   # a fhir.Kind
//	?_tag=x          => Patient/id Observation/id
//
// SearchParameters among the resources are in force. Their terminology is hearts.
package searchtest

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/search/custom"
	"galen/fhir/search/index"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

// Base is the server's base URL in the scripts.
const Base = "https://galen.test/fhir/"

// now is the time at which the scripts search.
var now = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Document is a resource of a script, stamped with its header, and its entries.
type Document struct {
	fhir.Resource
	Entries []search.Entry
}

// Finder answers a query with all keys that match, in the order asked.
type Finder func(q *search.Query) ([]fhir.Key, error)

// Run runs every script in a folder as a subtest. load puts the documents of one
// script, in order of creation, into a fresh store and returns how to search it.
func Run(t *testing.T, dir string, load func(t *testing.T, docs []Document) Finder) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	tools := newTools(t)
	parser, indexer := tools.parser, tools.indexer
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script := txtar.Parse(data)
			tools.use(t, script)
			var docs []Document
			var queries string
			for _, section := range script.Files {
				if section.Name == "queries" {
					queries = string(section.Data)
				} else {
					docs = append(docs, document(t, indexer, section, len(docs)))
				}
			}
			find := load(t, docs)
			for number, line := range strings.Split(queries, "\n") {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					check(t, parser, find, number+1, line)
				}
			}
		})
	}
}

// Tools are the parser and indexer that the scripts are run with.
func Tools(tb testing.TB) (*parse.Parser, *index.Indexer) {
	tb.Helper()
	t := newTools(tb)
	return t.parser, t.indexer
}

// tools are what a script is run with.
type tools struct {
	defs    *spec.Definitions // R4's
	engine  *path.Engine
	parser  *parse.Parser
	indexer *index.Indexer
}

func newTools(tb testing.TB) tools {
	tb.Helper()
	defs, err := spec.Load()
	if err != nil {
		tb.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		tb.Fatal(err)
	}
	t := tools{defs: defs, engine: path.New(defs, units)}
	if t.indexer, err = index.New(defs, t.engine, units, index.Options{Base: Base, FullText: search.AllText}); err != nil {
		tb.Fatal(err)
	}
	clock := func() time.Time { return now }
	t.parser = parse.New(defs, units, parse.Options{Base: Base, Now: clock, Terminology: hearts{}, FullText: search.AllText})
	return t
}

// use puts the SearchParameters of a script in force, and no other script's.
func (x tools) use(t *testing.T, script *txtar.Archive) {
	t.Helper()
	more := map[string][]*spec.SearchParam{}
	for _, section := range script.Files {
		if !strings.HasPrefix(section.Name, "SearchParameter/") {
			continue
		}
		d, ok, issues := custom.Read(x.defs.With(more), x.engine, document(t, x.indexer, section, 0).Resource)
		if !ok {
			t.Fatalf("%s: %v", section.Name, issues)
		}
		for typ, p := range d.Params {
			more[typ] = append(more[typ], p)
		}
	}
	defs := x.defs.With(more)
	if err := x.indexer.Use(defs); err != nil {
		t.Fatal(err)
	}
	x.parser.Use(defs)
}

// hearts is the terminology of the scripts: one value set, of one hierarchy.
type hearts struct{}

var _ parse.Terminology = hearts{}

// Codes lists the value set http://x.org/hearts, also known as ValueSet/hearts.
func (hearts) Codes(valueSet string, _ int) ([]parse.Coding, error) {
	if valueSet != "http://x.org/hearts" && valueSet != "ValueSet/hearts" {
		return nil, fhir.E("searchtest", fhir.NotFound, "", "no such value set")
	}
	return []parse.Coding{{System: "http://x.org/cs", Code: "heart"}, {System: "http://x.org/cs", Code: "valve"}}, nil
}

// Hierarchy knows of organ > heart > valve in http://x.org/cs.
func (hearts) Hierarchy(c parse.Coding, above bool) ([]parse.Coding, error) {
	line := []string{"organ", "heart", "valve"}
	i := slices.Index(line, c.Code)
	if i < 0 || c.System != "http://x.org/cs" {
		return nil, fhir.E("searchtest", fhir.NotFound, "", "no such code")
	}
	line = line[i:]
	if above {
		line = []string{"organ", "heart", "valve"}[:i+1]
	}
	var codes []parse.Coding
	for _, code := range line {
		codes = append(codes, parse.Coding{System: c.System, Code: code})
	}
	return codes, nil
}

// document makes the n-th resource of a script.
func document(t *testing.T, indexer *index.Indexer, section txtar.File, n int) Document {
	t.Helper()
	kind, id, ok := strings.Cut(section.Name, "/")
	_, body, open := strings.Cut(string(section.Data), "{")
	if !ok || !open {
		t.Fatalf("section %q is no resource", section.Name)
	}
	head := fmt.Sprintf(`{"resourceType":%q,"id":%q`, kind, id)
	if strings.TrimSpace(body) != "}" {
		head += ","
	}
	r, err := fhir.Parse([]byte(head+body), jsontree.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", section.Name, err)
	}
	h := r.Header
	h.Version = 1
	if h.LastUpdated.IsZero() {
		h.LastUpdated = time.Date(2020, 1, 1, 0, 0, n, 0, time.UTC)
	}
	if r, err = fhir.Parse(r.Stamp(h), jsontree.Limits{}); err != nil {
		t.Fatalf("%s: %v", section.Name, err)
	}
	entries, err := indexer.Index(r)
	if err != nil {
		t.Fatalf("%s: %v", section.Name, err)
	}
	return Document{r, entries}
}

// check runs one line of a script.
func check(t *testing.T, parser *parse.Parser, find Finder, number int, line string) {
	t.Helper()
	url, want, ok := strings.Cut(line, "=> ")
	if !ok {
		t.Fatalf("line %d: no =>", number)
	}
	want, _, _ = strings.Cut(want, "#")
	kind, query, _ := strings.Cut(strings.TrimSpace(url), "?")
	req, err := parser.Parse(kind, query, parse.Strict)
	got := ""
	switch {
	case err != nil:
		got = "error " + fhir.KindOf(err).String()
	default:
		keys, err := find(&req.Query)
		if err != nil {
			t.Errorf("line %d: %s: %v", number, url, err)
			return
		}
		got = text(keys, kind, len(req.Sort) == 0)
	}
	fields := strings.Fields(want)
	if err == nil && len(req.Sort) == 0 {
		slices.Sort(fields)
	}
	if wanted := strings.Join(fields, " "); got != wanted {
		t.Errorf("line %d: %s\n got: %s\nwant: %s", number, url, got, wanted)
	}
}

// text writes keys as a script does.
func text(keys []fhir.Key, kind string, sort bool) string {
	if len(keys) == 0 {
		return "none"
	}
	list := make([]string, len(keys))
	for i, key := range keys {
		if list[i] = key.String(); kind != "" {
			list[i] = key.ID
		}
	}
	if sort {
		slices.Sort(list)
	}
	return strings.Join(list, " ")
}

// Corpus holds documents in memory for search.Find and search.Match.
func Corpus(docs []Document) search.Corpus {
	c := &corpus{docs: make(map[fhir.Key]Document, len(docs))}
	for _, d := range docs {
		c.docs[d.Key] = d
		c.order = append(c.order, d.Key)
	}
	return c
}

type corpus struct {
	docs  map[fhir.Key]Document
	order []fhir.Key
}

func (c *corpus) Keys(resourceType string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		for _, key := range c.order {
			if (resourceType == "" || key.Type == resourceType) && !yield(key) {
				return
			}
		}
	}
}

func (c *corpus) Header(key fhir.Key) (fhir.Header, bool) {
	d, ok := c.docs[key]
	return d.Header, ok
}

func (c *corpus) Entries(key fhir.Key) []search.Entry { return c.docs[key].Entries }
