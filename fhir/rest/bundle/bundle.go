// Package bundle performs batches and transactions
// (https://hl7.org/fhir/R4/http.html#transaction) on the interactions of
// fhir/rest.
//
// Promises: a transaction is all or nothing and its result does not depend on
// the order of its entries; links between entries lead to the identities they
// got; the entries of a batch stand alone. A conflict with another writer that
// the client did not ask about is tried again here; what remains is 409 or 412.
//
// It keeps no state, decides no access itself and does not look into resources
// beyond their links.
package bundle

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"galen/fhir"
	"galen/fhir/etag"
	"galen/fhir/jsontree"
	"galen/fhir/operation"
	"galen/fhir/patch"
	"galen/fhir/rest"
	"galen/fhir/rest/entry"
	"galen/store"
)

// In is a batch or a transaction to perform.
type In struct {
	Body []byte
	// Return is the preference for what entries that write answer with
	// (https://hl7.org/fhir/R4/http.html#ops): "representation",
	// "OperationOutcome", or anything else for nothing.
	Return string
	// Operations are those that entries may call; nil for none.
	Operations Operations
	// Strict makes the searches refuse what they do not know (Prefer:
	// handling=strict).
	Strict bool
}

// Operations performs FHIR operations: *operation.Set.
type Operations interface {
	Invoke(ctx context.Context, r operation.Request) (operation.Result, error)
}

var _ Operations = (*operation.Set)(nil)

// maxAnswer is how many bytes the reads of one Bundle may answer with; a read
// after that is TooCostly.
const maxAnswer = 256 << 20

// Perform performs a batch or a transaction and returns its response Bundle, in
// the request's order. A transaction is all or nothing; the entries
// of a batch stand alone and each has its own outcome. Errors: Invalid or
// Required for what is no such Bundle, TooLong for more than Limits.Entries, and
// for a transaction those of its entries, with their places.
func Perform(ctx context.Context, s *rest.Service, c rest.Caller, in In) ([]byte, error) {
	r, err := fhir.Parse(in.Body, jsontree.Limits{Depth: s.Limits.Depth})
	if err != nil {
		return nil, err
	}
	b, err := entry.Parse(r, entry.Options{Defs: s.Defs, Base: c.Base, Entries: s.Limits.Entries})
	if err != nil {
		return nil, err
	}
	p := &performance{Service: s, caller: c, entries: b.Entries, prefer: in.Return, strict: in.Strict, operations: in.Operations, answers: make([]answer, len(b.Entries))}
	p.left.Store(maxAnswer)
	if !b.Transaction {
		p.batch(ctx)
		return p.response("batch-response"), nil
	}
	if err := p.transaction(ctx); err != nil {
		return nil, err
	}
	return p.response("transaction-response"), nil
}

// performance is a Bundle on its way.
type performance struct {
	*rest.Service
	caller     rest.Caller
	entries    []entry.Entry
	prefer     string
	strict     bool
	operations Operations
	answers    []answer     // of the entries, by position
	left       atomic.Int64 // bytes that reads may still answer with
}

// batch performs the entries: those that only read side by side, those that
// write in lanes, and neither before the others that were asked for earlier.
func (p *performance) batch(ctx context.Context) {
	for from := 0; from < len(p.entries); {
		to := from + 1
		for to < len(p.entries) && p.entries[to].Writes() == p.entries[from].Writes() {
			to++
		}
		p.run(lanes(p.entries[from:to]), func(e *entry.Entry) { p.answers[e.Index] = p.alone(ctx, e) })
		from = to
	}
}

// lanes are entries that may be performed at the same time as those of other
// lanes. Those that name the same resource, or its type with criteria, keep
// their order.
func lanes(entries []entry.Entry) [][]*entry.Entry {
	var all [][]*entry.Entry
	known := map[string]int{}
	for i := range entries {
		e := &entries[i]
		name := e.Path
		if e.Method == http.MethodPost {
			name = "?" + e.Path + "?" + e.IfNoneExist
		}
		lane, ok := known[name]
		if !ok || !e.Writes() || e.Method == http.MethodPost && e.IfNoneExist == "" {
			lane = len(all)
			known[name] = lane
			all = append(all, nil)
		}
		all[lane] = append(all[lane], e)
	}
	return all
}

// workers is how many lanes of a batch are busy at once. It is more than there
// are processors, so that commits share a flush to disk.
const workers = 16

func (p *performance) run(lanes [][]*entry.Entry, do func(*entry.Entry)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(workers, len(lanes)) {
		running.Go(func() {
			for n := next.Add(1); n <= int64(len(lanes)); n = next.Add(1) {
				for _, e := range lanes[n-1] {
					do(e)
				}
			}
		})
	}
	running.Wait()
}

// alone performs one entry of a batch, or a read of a transaction. A panic is the entry's failure, as it
// would be that of a request.
func (p *performance) alone(ctx context.Context, e *entry.Entry) (a answer) {
	defer func() {
		if recover() != nil {
			a = failure(e, fhir.E("bundle.alone", fhir.Internal, "", "panic"))
		}
	}()
	if e.Err != nil {
		return failure(e, e.Err)
	}
	if !e.Writes() || e.Operation() != "" {
		return p.read(ctx, e)
	}
	out, err := p.write(ctx, e)
	if err != nil {
		return failure(e, err)
	}
	return p.written(e, out)
}

// write performs an entry of a batch as the single interaction that it is.
func (p *performance) write(ctx context.Context, e *entry.Entry) (rest.Outcome, error) {
	key, body := e.Key(), e.Resource.Raw()
	switch {
	case e.Method == http.MethodPost:
		return p.Create(ctx, p.caller, key.Type, body, e.IfNoneExist)
	case e.Method == http.MethodPut && e.Query != "":
		return p.UpdateWhere(ctx, p.caller, key.Type, e.Query, body, e.IfMatch)
	case e.Method == http.MethodPut && etag.Absent(e.IfNoneMatch):
		return p.UpdateAbsent(ctx, p.caller, key, body)
	case e.Method == http.MethodPut:
		return p.Update(ctx, p.caller, key, body, e.IfMatch)
	case e.Method == http.MethodDelete && e.Query == "":
		return p.Delete(ctx, p.caller, key, e.IfMatch)
	case e.Method == http.MethodDelete:
		gone, err := p.DeleteWhere(ctx, p.caller, key.Type, e.Query, e.IfMatch)
		if err != nil || len(gone) == 0 {
			return rest.Outcome{}, err
		}
		return gone[0], nil
	}
	change, err := p.patchOf(e)
	switch {
	case err != nil:
		return rest.Outcome{}, err
	case e.Query != "":
		return p.PatchWhere(ctx, p.caller, key.Type, e.Query, change, e.IfMatch)
	}
	return p.Patch(ctx, p.caller, key, change, e.IfMatch)
}

// patchOf reads the patch of an entry: a Parameters, which is a FHIRPath Patch,
// or a Binary with a patch of its contentType
// (https://hl7.org/fhir/R4/http.html#patch).
func (p *performance) patchOf(e *entry.Entry) (patch.Patch, error) {
	const op = "bundle.patchOf"
	switch e.Resource.Get("resourceType").Text() {
	case "Parameters":
		return p.Patches.Read(patch.FHIRPathPatch, e.Resource.Raw())
	case "Binary":
		data, err := base64.StdEncoding.DecodeString(e.Resource.Get("data").Text())
		if err != nil {
			return nil, fhir.E(op, fhir.Value, e.At("resource.data"), "is not base64")
		}
		kind, _, _ := strings.Cut(e.Resource.Get("contentType").Text(), ";")
		return p.Patches.Read(strings.ToLower(strings.TrimSpace(kind)), data)
	}
	return nil, fhir.E(op, fhir.Invalid, e.At("resource"), "a patch is a Parameters, or a Binary of the patch's media type")
}

// read answers a GET, a HEAD, which has no resource, or an operation.
func (p *performance) read(ctx context.Context, e *entry.Entry) answer {
	if p.left.Load() < 0 {
		return failure(e, fhir.E("bundle.read", fhir.TooCostly, "", "the reads of this Bundle answer with more than is allowed in one"))
	}
	a, err := p.get(ctx, e)
	if err != nil {
		return failure(e, err)
	}
	if e.Method == http.MethodHead {
		a.resource = nil
	}
	p.left.Add(-int64(len(a.resource)))
	return a
}

// get answers what a GET of the URL would.
func (p *performance) get(ctx context.Context, e *entry.Entry) (answer, error) {
	parts := e.Parts()
	n := len(parts)
	a := answer{status: status(http.StatusOK)}
	var err error
	switch {
	case e.Operation() != "":
		return p.operate(ctx, e)
	case parts[n-1] == "_history" && n <= 3:
		a.resource, err = p.versions(ctx, e, parts)
	case n == 1 && parts[0] == "metadata":
		a.resource = p.Capabilities(p.caller.Base).JSON()
	case n == 1:
		a.resource, err = p.Search(ctx, p.caller, rest.SearchIn{Type: parts[0], Query: e.Query, Strict: p.strict})
	case n == 3:
		in := rest.SearchIn{Type: parts[2], Compartment: e.Key(), Query: e.Query, Strict: p.strict}
		if in.Type == "*" {
			in.Type = ""
		}
		a.resource, err = p.Search(ctx, p.caller, in)
	case n == 2, n == 4 && parts[2] == "_history":
		return p.one(ctx, e, parts)
	default:
		err = fhir.E("bundle.get", fhir.NotSupported, e.At("request.url"), "only read, vread, history, search, metadata and operations are offered in a Bundle")
	}
	return a, err
}

// operate calls an operation (https://hl7.org/fhir/R4/operations.html).
func (p *performance) operate(ctx context.Context, e *entry.Entry) (answer, error) {
	const op = "bundle.operate"
	if p.operations == nil {
		return answer{}, fhir.E(op, fhir.NotSupported, e.At("request.url"), "no operations are offered in a Bundle")
	}
	key := e.Key()
	method := e.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	out, err := p.operations.Invoke(ctx, operation.Request{
		Caller: p.caller, Name: e.Operation(), Type: key.Type, ID: key.ID, Method: method,
		Query: e.Query, Body: e.Resource.Raw(), ContentType: "application/fhir+json",
	})
	if err == nil && out.Kind != "" {
		err = fhir.E(op, fhir.NotSupported, e.At("request.url"), "the operation does not answer with a resource, as an entry must")
	}
	if err != nil {
		return answer{}, err
	}
	return answer{status: status(cmp.Or(out.Status, http.StatusOK)), resource: out.Body}, nil
}

// one is a read or a vread, conditional or not.
func (p *performance) one(ctx context.Context, e *entry.Entry, parts []string) (a answer, err error) {
	var rec store.Record
	key := fhir.Key{Type: parts[0], ID: parts[1]}
	if len(parts) == 2 {
		rec, err = p.Read(ctx, p.caller, key)
	} else {
		rec, err = p.VRead(ctx, p.caller, key, parts[3])
	}
	if err != nil {
		return a, err
	}
	a = answer{key: rec.Key, resource: rec.Body, status: status(http.StatusOK), header: rec.Header}
	if len(parts) == 2 && etag.Unchanged(e.IfNoneMatch, e.IfModifiedSince, rec.Header) {
		a.status, a.resource = status(http.StatusNotModified), nil
	}
	return a, nil
}

func (p *performance) versions(ctx context.Context, e *entry.Entry, parts []string) ([]byte, error) {
	query, err := url.ParseQuery(e.Query)
	if err != nil {
		return nil, fhir.E("bundle.versions", fhir.Malformed, e.At("request.url"), "the query is not URL-encoded")
	}
	in := rest.HistoryIn{Query: query}
	if len(parts) > 1 {
		in.Type = parts[0]
	}
	if len(parts) > 2 {
		in.ID = parts[1]
	}
	return p.History(ctx, p.caller, in)
}
