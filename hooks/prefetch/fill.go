package prefetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Item is one resource and how it is cited: a versioned reference, relative to
// this server or absolute.
type Item struct {
	Resource fhir.Resource
	Citation string
}

// Source answers the queries of absent keys: the local store, or the FHIR
// server of the client. A resource that does not exist is an error of Kind
// NotFound or Deleted. Any other error but Internal means that the data could
// not be had; Internal fails the call.
type Source interface {
	Fetch(ctx context.Context, query string) ([]Item, error)
}

// Pager is a Source that can also follow the next link of a Bundle that the
// client sent; it decides which links it trusts.
type Pager interface {
	Source
	Follow(ctx context.Context, next string) ([]Item, error)
}

// Holdings tells of each resource whether this server has that very version
// with that content.
type Holdings interface {
	Holds(ctx context.Context, resources []fhir.Resource) ([]bool, error)
}

// State is how a key was satisfied.
type State uint8

// The states of a key.
const (
	Given   State = iota + 1 // by the client
	NoData                   // null, or no such resource: there is nothing
	Outcome                  // an OperationOutcome: the client could not get it
	Fetched                  // from the Source
	Failed                   // absent, and no Source had it
)

// Data is what one key holds.
type Data struct {
	Template
	State State
	// Partial means that there are further pages which could not be read.
	Partial bool
	Items   []Item
	next    string // of a Bundle that was given
}

// Missing reports whether the data may exist and could not be had.
func (d *Data) Missing() bool { return d.State == Failed || d.State == Outcome }

// Filler reads the prefetch of a call.
type Filler struct {
	// Server is the call's fhirServer with a slash at its end; "" if it is this
	// server or none was named.
	Server string
	// Source answers absent keys; nil if there is none.
	Source Source
	// Holds says what this server has of what was sent without a Server; nil for
	// nothing.
	Holds Holdings
	// Now is today() in tokens.
	Now time.Time
	// Parallel is how many fetches run at once; 0 means 4.
	Parallel int
}

// Fill reads every template's key out of the call's prefetch object, which may
// be absent, and fetches the absent ones; data and templates correspond by
// position. A key that cannot be had is Missing, no error. An error is of Kind
// Invalid or the like, naming the key, when what was sent is not FHIR.
func (f Filler) Fill(ctx context.Context, p *Plan, call Context, prefetch jsontree.Node) ([]Data, error) {
	v := &values{context: call, results: make([]Data, len(p.templates)), index: map[string]int{}, now: f.Now}
	var absent []int
	for i := range p.templates {
		t := &p.templates[i]
		v.index[t.Key] = i
		v.results[i].Template = t.Template
		known, err := f.given(&v.results[i], prefetch.Get(t.Key))
		if err != nil {
			return nil, err
		}
		if !known || v.results[i].next != "" {
			absent = append(absent, i)
		}
	}
	if size(v.results) > maxItems {
		return nil, fhir.E("prefetch.Fill", fhir.TooLong, "prefetch", "the prefetch holds too many resources")
	}
	for len(absent) > 0 {
		ready, later := p.ready(absent)
		if err := f.fetchAll(ctx, p, v, ready); err != nil {
			return nil, err
		}
		absent = later
	}
	return v.results, f.cite(ctx, v.results)
}

// maxItems is how many resources one call may bring.
const maxItems = 10_000

func size(all []Data) int {
	n := 0
	for i := range all {
		n += len(all[i].Items)
	}
	return n
}

// ready splits off what depends on none of the rest. A template depends only on
// earlier ones, so the first is always ready.
func (p *Plan) ready(absent []int) (ready, later []int) {
	waiting := map[int]bool{}
	for _, i := range absent {
		blocked := false
		for _, need := range p.templates[i].needs {
			blocked = blocked || waiting[need]
		}
		waiting[i] = true
		if blocked {
			later = append(later, i)
		} else {
			ready = append(ready, i)
		}
	}
	return ready, later
}

// given reads what the client sent; false for an absent key.
func (f Filler) given(d *Data, value jsontree.Node) (bool, error) {
	switch value.Kind() {
	case jsontree.Absent:
		return false, nil
	case jsontree.Null:
		d.State = NoData
		return true, nil
	}
	at := "prefetch." + d.Key
	resource, err := parse(value, at)
	if err != nil {
		return true, err
	}
	switch resource.Type {
	case "OperationOutcome":
		d.State = Outcome
		return true, nil
	case "Bundle":
		d.State = Given
		if d.Items, err = f.entries(resource, at); err == nil {
			d.next = NextLink(resource)
		}
		return true, err
	}
	d.State, d.Items = Given, []Item{f.item(resource)}
	return true, nil
}

// NextLink is the URL of a Bundle's next page, "" if it is the last.
func NextLink(bundle fhir.Resource) string {
	for link := range bundle.Root().Get("link").Items() {
		if link.Get("relation").Text() == "next" {
			return link.Get("url").Text()
		}
	}
	return ""
}

const defaultParallel = 4

// fetchAll fetches keys side by side and waits for all of them.
func (f Filler) fetchAll(ctx context.Context, p *Plan, v *values, keys []int) error {
	if len(keys) == 1 {
		return f.fetch(ctx, &p.templates[keys[0]], v, &v.results[keys[0]])
	}
	most := f.Parallel
	if most <= 0 {
		most = defaultParallel
	}
	slots := make(chan struct{}, most)
	errs := make([]error, len(keys))
	var wg sync.WaitGroup
	for n, i := range keys {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() {
				if recover() != nil { // nobody else could: it would end the process
					errs[n] = fhir.E("prefetch.fetch", fhir.Internal, "prefetch", "panic")
				}
				<-slots
			}()
			errs[n] = f.fetch(ctx, &p.templates[i], v, &v.results[i])
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fetch fills one key: all of it, or the pages after the one that was given.
func (f Filler) fetch(ctx context.Context, c *compiled, v *values, d *Data) error {
	pager, pages := f.Source.(Pager)
	if d.State == Given && (pages || f.Source == nil) {
		return f.follow(ctx, pager, d)
	}
	if d.State == Given { // the source has no pages to follow: it is asked for all
		first := *d
		defer func() {
			if d.State == Failed {
				*d, d.Partial = first, true
			}
		}()
	}
	d.State = Failed
	if f.Source == nil {
		return nil
	}
	for _, i := range c.needs {
		if v.results[i].Missing() {
			return nil
		}
	}
	query, err := c.resolve(ctx, v)
	if err != nil {
		return err
	}
	if query == "" {
		if len(c.needs) > 0 || c.optional() {
			d.State = NoData
		}
		return nil
	}
	items, err := f.Source.Fetch(ctx, query)
	switch kind := fhir.KindOf(err); {
	case err == nil:
		d.State, d.Items = Fetched, items
	case kind == fhir.Internal:
		return err
	}
	return nil
}

// optional reports whether a token without value means that there is nothing to
// ask for: one that is computed.
func (c *compiled) optional() bool {
	for i := range c.tokens {
		if c.tokens[i].expr != nil {
			return true
		}
	}
	return false
}

// follow reads the pages after the one that was given.
func (f Filler) follow(ctx context.Context, pager Pager, d *Data) error {
	if pager == nil {
		d.Partial = true
		return nil
	}
	items, err := pager.Follow(ctx, d.next)
	if err != nil {
		d.Partial = true
		return nil
	}
	d.Items = append(d.Items, items...)
	return nil
}

// entries are the resources of a searchset, its outcomes left out.
func (f Filler) entries(bundle fhir.Resource, at string) ([]Item, error) {
	var out []Item
	err := Entries(bundle, at, func(r fhir.Resource) { out = append(out, f.item(r)) })
	return out, err
}

// Entries calls visit with each resource of a searchset, its outcomes left out.
// The error names the place, which begins with at.
func Entries(bundle fhir.Resource, at string, visit func(fhir.Resource)) error {
	for entry := range bundle.Root().Get("entry").Items() {
		node := entry.Get("resource")
		if !node.Exists() || entry.Get("search").Get("mode").Text() == "outcome" {
			continue
		}
		r, err := parse(node, at+".entry.resource")
		if err != nil {
			return err
		}
		if r.Type != "OperationOutcome" {
			visit(r)
		}
	}
	return nil
}

func parse(node jsontree.Node, at string) (fhir.Resource, error) {
	r, err := fhir.Parse(node.Raw(), jsontree.Limits{})
	var e *fhir.Error
	if errors.As(err, &e) {
		return r, &fhir.Error{Op: "prefetch.Fill", Kind: e.Kind, At: at, Err: e.Err}
	}
	return r, err
}

// item cites a resource that the client sent: on its server, if it named one;
// else not yet.
func (f Filler) item(r fhir.Resource) Item {
	if f.Server == "" {
		return Item{Resource: r}
	}
	return Item{r, Cite(f.Server, r)}
}

// Cite is the reference to a resource on a server whose base URL ends with a
// slash, with its version if it says one.
func Cite(server string, r fhir.Resource) string {
	if r.ID == "" {
		return Fingerprint(r)
	}
	citation := server + r.String()
	if v := r.Root().Get("meta").Get("versionId").Text(); fhir.ValidID(v) {
		citation += "/_history/" + v
	}
	return citation
}

// Fingerprint cites a resource that no server is known to hold: by the SHA-256
// of its bytes, so that it can be recognised and is not taken for another.
func Fingerprint(r fhir.Resource) string {
	sum := sha256.Sum256(r.Bytes())
	return "urn:galen:sha256:" + hex.EncodeToString(sum[:])
}

// cite completes the citations of what was sent without a server: as a local
// version only where this server has that very version.
func (f Filler) cite(ctx context.Context, all []Data) error {
	var open []*Item
	var resources []fhir.Resource
	for i := range all {
		for j := range all[i].Items {
			if it := &all[i].Items[j]; it.Citation == "" {
				open, resources = append(open, it), append(resources, it.Resource)
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	held := make([]bool, len(open))
	if f.Holds != nil {
		var err error
		if held, err = f.Holds.Holds(ctx, resources); err != nil {
			return err
		}
	}
	for i, it := range open {
		if held[i] {
			it.Citation = fhir.VersionedReference(it.Resource.Key, it.Resource.Version)
		} else {
			it.Citation = Fingerprint(it.Resource)
		}
	}
	return nil
}
