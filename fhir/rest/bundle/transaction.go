package bundle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/etag"
	"galen/fhir/jsontree"
	"galen/fhir/patch"
	"galen/fhir/rest"
	"galen/fhir/rest/entry"
	"galen/fhir/rest/pending"
	"galen/fhir/search"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// transaction performs entries that write, all or none: identities first, then
// links, then one commit (https://hl7.org/fhir/R4/http.html#trules).
type transaction struct {
	*performance
	steps []step // in the order of processing

	// What one attempt knows.
	taken   map[fhir.Key]int  // the identities of the steps, by their positions
	changed map[fhir.Key]int  // those that will not be what they are now
	fresh   *pending.Set      // what the steps write, by their positions
	found   map[string]string // conditional references that were resolved
}

// step is an entry on its way.
type step struct {
	*entry.Entry
	act     *rest.Act
	sent    fhir.Resource // none for a DELETE; of a PATCH, what it makes
	patch   patch.Patch   // of a PATCH, else nil
	where   *search.Query // the criteria of a conditional interaction, else nil
	ifMatch int64         // the client's condition, as etag.Match reads it
	newID   string        // what it gets if it is created
	hidden  bool          // a DELETE of what the caller may not see, so as if it were not there

	key    fhir.Key
	next   string         // the version it is going to make, if somebody refers to that
	more   []store.Change // what a conditional DELETE deletes beside key
	idle   bool           // there is nothing to write: ifNoneExist or a DELETE found so
	own    bool           // change.IfMatch is what the server read: if it fails, read again
	change store.Change
	done   rest.Outcome
}

// interactions that write, as policies and audit know them.
var interactions = map[string]struct {
	kind   audit.Kind
	action policies.Action
}{
	http.MethodPost:   {audit.Create, policies.Create},
	http.MethodPut:    {audit.Update, policies.Update},
	http.MethodPatch:  {audit.Patch, policies.Update},
	http.MethodDelete: {audit.Delete, policies.Delete},
}

// transaction performs the writes and then the reads, which see what was
// written.
func (p *performance) transaction(ctx context.Context) error {
	t := &transaction{performance: p}
	err := t.begin(ctx)
	if err == nil {
		err = t.perform(ctx)
	}
	if err = t.end(ctx, err); err != nil {
		return err
	}
	for i := range t.steps {
		st := &t.steps[i]
		p.answers[st.Index] = p.written(st.Entry, st.done)
	}
	var reads [][]*entry.Entry
	for i := range p.entries {
		if e := &p.entries[i]; !e.Writes() {
			reads = append(reads, []*entry.Entry{e})
		}
	}
	p.run(reads, func(e *entry.Entry) { p.answers[e.Index] = p.alone(ctx, e) })
	return nil
}

// begin decides on every entry before anything is done.
func (t *transaction) begin(ctx context.Context) error {
	for i := range t.entries {
		e := &t.entries[i]
		err := e.Err
		switch {
		case err != nil:
		case e.Writes() && e.Operation() != "":
			err = fhir.E("bundle.begin", fhir.NotSupported, e.At("request.url"), "a transaction calls operations by GET only")
		case e.Writes():
			err = t.add(ctx, e)
		default:
			err = t.readable(ctx, e)
		}
		if err != nil {
			return e.Place(err)
		}
	}
	slices.SortStableFunc(t.steps, func(a, b step) int { return cmp.Compare(a.Phase(), b.Phase()) })
	return nil
}

// readable refuses a transaction for a read that the caller may not make, before
// anything is written.
func (t *transaction) readable(ctx context.Context, e *entry.Entry) error {
	key := e.Key()
	if !t.Defs.IsResource(key.Type) || e.Operation() != "" {
		return nil // metadata, system search and history; else the read fails by itself
	}
	action := policies.Read
	if key.ID == "" {
		action = policies.Search
	}
	if t.Policies.Decide(ctx, t.caller.Principal, policies.Request{Action: action, Type: key.Type}).Allow {
		return nil
	}
	_, err := t.Begin(ctx, t.caller, audit.Read, action, key) // puts the refusal on record
	return err
}

// add decides on an entry and reads what it asks.
func (t *transaction) add(ctx context.Context, e *entry.Entry) (err error) {
	is, key := interactions[e.Method], e.Key()
	st := step{Entry: e}
	if st.act, err = t.Begin(ctx, t.caller, is.kind, is.action, key); err != nil {
		return err
	}
	defer func() { t.steps = append(t.steps, st) }()
	if st.ifMatch, err = etag.Match(e.IfMatch); err != nil {
		return err
	}
	if err = t.content(&st); err != nil {
		return err
	}
	if key.ID != "" && !fhir.ValidID(key.ID) {
		return fhir.E("bundle.add", fhir.Value, e.At("request.url"), "an id must be 1 to 64 letters, digits, - or .")
	}
	criteria := e.Query
	if e.Method == http.MethodPost {
		criteria = e.IfNoneExist
	}
	if head, tail, ok := strings.Cut(criteria, "?"); ok && (head == "" || head == key.Type) {
		criteria = tail // some clients write ifNoneExist as a whole URL
	}
	if criteria != "" {
		st.act.Ask(criteria)
		st.where, err = t.Criteria(ctx, st.act, key.Type, criteria)
	}
	return err
}

// content reads what an entry sends.
func (t *transaction) content(st *step) (err error) {
	switch st.Method {
	case http.MethodDelete:
		return nil
	case http.MethodPatch:
		st.patch, err = t.patchOf(st.Entry)
		return err
	}
	if st.sent, err = fhir.Parse(st.Resource.Raw(), jsontree.Limits{Depth: t.Limits.Depth}); err != nil {
		return err
	}
	if st.sent.Type != st.Key().Type {
		return fhir.E("bundle.content", fhir.Invalid, "resourceType", "the resource's type is not the one of the URL")
	}
	return nil
}

// attempts is how often a transaction starts again because another writer
// changed what it had found. Every time somebody else got through, so this is
// how many may crowd around the same resources.
const attempts = 64

// errAgain is why an attempt was given up: not for what the client asked.
var errAgain = errors.New("another writer came first")

func (t *transaction) perform(ctx context.Context) error {
	for range attempts {
		err := t.try(ctx)
		if !errors.Is(err, errAgain) {
			return err
		}
	}
	return fhir.E("bundle.perform", fhir.Conflict, "", "other writers changed the same resources every time")
}

// try makes one attempt.
func (t *transaction) try(ctx context.Context) error {
	if err := t.identify(ctx); err != nil {
		return err
	}
	if err := t.versions(ctx); err != nil {
		return err
	}
	links, err := t.links()
	if err != nil {
		return err
	}
	var acts []*rest.Act
	var changes []store.Change
	var origin []*step
	if err := t.prepareAll(ctx, links); err != nil {
		return err
	}
	for i := range t.steps {
		st := &t.steps[i]
		if st.idle {
			continue
		}
		for _, change := range append([]store.Change{st.change}, st.more...) {
			acts, changes, origin = append(acts, st.act), append(changes, change), append(origin, st)
		}
	}
	outcomes, err := t.Commit(ctx, acts, changes)
	if err != nil {
		return overtaken(err, origin)
	}
	for i, st := range origin {
		if changes[i].Key != st.key {
			continue // one of several deletes
		}
		if st.done = outcomes[i]; st.done.Matched && st.Method == http.MethodPut {
			return errAgain // alone in its commit, it met what its criteria now match
		}
	}
	for i := range t.steps {
		if st := &t.steps[i]; st.idle && st.done.Exists() {
			st.act.Touch(st.done.Record)
		}
	}
	return nil
}

// overtaken tells what the server has to try again, such as a condition of its
// own that no longer held, from what the client has to hear.
func overtaken(err error, origin []*step) error {
	var failed *store.ChangeError
	if !errors.As(err, &failed) {
		return err
	}
	st := origin[failed.Index]
	var conflict *store.ConflictError
	if errors.As(err, &conflict) && conflict.Unless || st.own && fhir.KindOf(err) == fhir.Precondition {
		return errAgain
	}
	if st.Method == http.MethodDelete && fhir.KindOf(err) == fhir.NotFound {
		st.hidden = true
		return errAgain
	}
	return st.Place(failed.Err)
}

// maxIssues is how many findings are told at once.
const maxIssues = 100

// prepareAll makes the changes. The error tells what is wrong with all of them,
// as far as it is the client's, so that a Bundle is not mended one entry at a
// time; its Kind is that of the first.
func (t *transaction) prepareAll(ctx context.Context, links linker) error {
	var first error
	var issues fhir.Issues
	for i := range t.steps {
		st := &t.steps[i]
		if st.idle || len(issues) >= maxIssues {
			continue
		}
		err := st.Place(t.prepare(ctx, st, links))
		switch {
		case err == nil:
			continue
		case fhir.KindOf(err).Status() >= http.StatusInternalServerError:
			return err
		case first == nil:
			first = err
		}
		issues = append(issues, fhir.IssuesOf(err)...)
	}
	if first == nil {
		return nil
	}
	return &fhir.Error{Op: "bundle.prepare", Kind: fhir.KindOf(first), At: issues[0].At, Err: issues}
}

// prepare makes the change of a step, its links resolved and the resource valid.
func (t *transaction) prepare(ctx context.Context, st *step, links linker) error {
	st.change.Key = st.key
	switch st.Method {
	case http.MethodDelete:
		st.change.Method = store.Delete
		return nil
	case http.MethodPost:
		st.change.Method = store.Post
	case http.MethodPatch:
		st.change.Method = store.Patch
	default:
		st.change.Method = store.Put
		if st.where == nil && st.sent.ID != st.key.ID {
			return fhir.E("bundle.prepare", fhir.Invalid, st.key.Type+".id", "the resource's id is not the one of the URL")
		}
	}
	body, err := links.resolve(ctx, st)
	if err != nil {
		return err
	}
	if bytes.Equal(body, st.change.Resource.Bytes()) {
		return nil // checked before
	}
	st.change.Resource, err = t.Check(body, st.key.Type)
	return err
}

// end puts every step on record.
func (t *transaction) end(ctx context.Context, err error) error {
	acts := make([]*rest.Act, len(t.steps))
	for i := range t.steps {
		acts[i] = t.steps[i].act
	}
	return t.Record(ctx, acts, err)
}
