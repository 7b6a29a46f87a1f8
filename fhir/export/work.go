package export

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/searchset"
	"galen/fhir/subject"
)

const (
	page     = 100      // resources read at once
	fileSize = 16 << 20 // bytes after which a file is full
	between  = time.Second
)

// cursor is how far a job is: files longer than it says are cut.
type cursor struct {
	Source int
	Page   string // cursor of the search
	Files  []*file
}

// writer is a job under way.
type writer struct {
	*Service
	run   *job.Run
	order order
	cursor
	dir   string
	saved time.Time
	seen  map[fhir.Key]bool // of the type whose sources overlap
	typ   string            // of seen
}

// Work is the Runner of the jobs.
func (s *Service) Work(ctx context.Context, run *job.Run) error {
	state := run.State()
	w := &writer{Service: s, run: run, dir: run.Folder(), saved: s.Now()}
	if err := json.Unmarshal(state.Input, &w.order); err != nil {
		return &fhir.Error{Op: "export.Work", Err: err}
	}
	if len(state.Cursor) > 0 {
		if err := json.Unmarshal(state.Cursor, &w.cursor); err != nil {
			return &fhir.Error{Op: "export.Work", Err: err}
		}
	}
	if err := w.cut(); err != nil {
		return err
	}
	for w.Source < len(w.order.Sources) {
		if err := w.step(ctx); err != nil {
			return err
		}
		if w.Page == "" {
			w.Source++
		}
		if s.Now().Sub(w.saved) >= between {
			if err := w.save(); err != nil {
				return err
			}
		}
	}
	return w.save()
}

// save syncs the files and then says how long they are.
func (w *writer) save() error {
	for _, f := range w.Files {
		if err := f.sync(w.dir); err != nil {
			return err
		}
	}
	text, err := json.Marshal(w.cursor)
	if err != nil {
		return &fhir.Error{Op: "export.save", Err: err}
	}
	w.saved = w.Now()
	return w.run.Save(func(s *job.State) {
		s.Cursor, s.Total, s.Done = text, len(w.order.Sources), w.Source
	})
}

// step exports one page of one source. What only this source cannot do goes to
// the error file.
func (w *writer) step(ctx context.Context) error {
	src := w.order.Sources[w.Source]
	query := "_count=" + strconv.Itoa(page) + "&_total=none"
	if src.Query != "" {
		query += "&" + src.Query
	}
	if w.Page != "" {
		query += "&" + rest.PageParam + "=" + url.QueryEscape(w.Page)
	}
	body, err := w.REST.Search(ctx, w.order.caller(), rest.SearchIn{Type: src.Type, Compartment: src.Compartment, Query: query, Strict: true})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if kind := fhir.KindOf(err); kind == fhir.Unavailable || kind == fhir.Internal {
			return err
		}
		w.Page = ""
		w.run.Note(src.Type + ": " + err.Error())
		return w.missing(src.Type, err)
	}
	doc, err := jsontree.Parse(body, jsontree.Limits{})
	if err != nil {
		return &fhir.Error{Op: "export.step", Err: err}
	}
	for e := range doc.Root().Get("entry").Items() {
		if e.Get("search").Get("mode").Text() == "match" {
			if err := w.resource(src, e.Get("resource")); err != nil {
				return err
			}
		}
	}
	w.Page = searchset.Next(doc.Root(), rest.PageParam)
	return nil
}

// resource writes one line, unless the resource is not wanted or there already.
func (w *writer) resource(src source, n jsontree.Node) error {
	key := fhir.Key{Type: n.Get("resourceType").Text(), ID: n.Get("id").Text()}
	if w.order.Patients && key.Type != "Patient" && len(subject.Patients(key, n.Raw())) == 0 {
		return nil
	}
	if src.Overlaps {
		if err := w.remember(src.Type); err != nil {
			return err
		}
		if w.seen[key] {
			return nil
		}
		w.seen[key] = true
	}
	return w.line(key.Type, n.Raw())
}

// remember knows what of a type is in the files.
func (w *writer) remember(typ string) error {
	if w.typ == typ {
		return nil
	}
	w.typ, w.seen = typ, map[fhir.Key]bool{}
	for _, f := range w.Files {
		if f.Type != typ {
			continue
		}
		text, err := w.content(w.dir, f)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			if doc, err := jsontree.Parse(bytes.TrimSpace(line), jsontree.Limits{}); err == nil {
				w.seen[fhir.Key{Type: typ, ID: doc.Root().Get("id").Text()}] = true
			}
		}
	}
	return nil
}

// errorType names the files of OperationOutcomes.
const errorType = "OperationOutcome"

// missing says in the error file what could not be exported.
func (w *writer) missing(typ string, cause error) error {
	kind := fhir.KindOf(cause)
	text, err := json.Marshal(map[string]any{"resourceType": errorType, "issue": []any{map[string]any{
		"severity": "error", "code": kind.Code(), "diagnostics": "not exported: " + typ + ": " + cause.Error(),
	}}})
	if err != nil {
		return &fhir.Error{Op: "export.missing", Err: err}
	}
	return w.line(errorType, text)
}

// line appends a resource to the file of its type.
func (w *writer) line(typ string, resource []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, resource); err != nil { // white space only: a line is one resource
		return &fhir.Error{Op: "export.line", Err: err}
	}
	line.WriteByte('\n')
	var last *file
	n := 1
	for _, f := range w.Files {
		if f.Type == typ {
			last = f
			n++
		}
	}
	if last == nil || last.Size > fileSize {
		last = &file{Type: typ, Name: typ + "-" + strconv.Itoa(n) + ".ndjson"}
		w.Files = append(w.Files, last)
	}
	return w.append(w.dir, last, line.Bytes())
}
