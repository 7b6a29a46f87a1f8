package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// step is an entry of a transaction that has been decided on.
type step struct {
	*entry
	*act
	key    fhir.Key
	found  store.Record // what ifNoneExist hit: the entry then does nothing
	change store.Change // zero for a GET or a hit
	done   Outcome
}

// transaction performs all entries or none: identities first, then references,
// then one commit, then the reads
// (https://hl7.org/fhir/R4/http.html#trules).
func (s *Service) transaction(ctx context.Context, c Caller, entries []entry) ([]byte, error) {
	steps := make([]step, len(entries))
	for i := range entries {
		st, err := s.decide(ctx, c, &entries[i])
		if err != nil {
			return nil, entryError(&entries[i], err)
		}
		steps[i] = st
	}
	err := s.perform(ctx, c, steps)
	if err := s.endAll(ctx, steps, err); err != nil {
		return nil, err
	}
	return s.transactionResponse(ctx, c, steps)
}

// attempts is how often a transaction starts again when another writer created
// what its ifNoneExist was about to.
const attempts = 5

func (s *Service) perform(ctx context.Context, c Caller, steps []step) error {
	for n := 0; ; n++ {
		err := s.try(ctx, c, steps)
		var conflict *store.ConflictError
		if n == attempts || !errors.As(err, &conflict) || !conflict.Unless {
			return err
		}
	}
}

var interactions = map[string]struct {
	kind   audit.Kind
	action policies.Action
}{
	http.MethodPost:   {audit.Create, policies.Create},
	http.MethodPut:    {audit.Update, policies.Update},
	http.MethodDelete: {audit.Delete, policies.Delete},
}

// decide checks an entry's request and asks the policies; a GET is decided when
// it is performed.
func (s *Service) decide(ctx context.Context, c Caller, e *entry) (step, error) {
	st := step{entry: e, key: e.key()}
	if e.method == http.MethodGet {
		return st, nil
	}
	is, ok := interactions[e.method]
	if !ok {
		return st, e.unknownMethod()
	}
	if e.method != http.MethodDelete {
		if err := e.needsResource(); err != nil {
			return st, err
		}
	}
	if err := s.writable(st.key.Type); err != nil {
		return st, err
	}
	if e.query != "" {
		return st, fhir.E("rest.decide", fhir.NotSupported, e.at+".request.url", "a conditional "+e.method+" is not offered in a Bundle")
	}
	if (e.method == http.MethodPost) != (st.key.ID == "") {
		return st, fhir.E("rest.decide", fhir.Invalid, e.at+".request.url", "POST takes a type, PUT and DELETE a type and an id")
	}
	var err error
	st.act, err = s.begin(ctx, c, is.kind, is.action, st.key)
	return st, err
}

// try resolves identities and references and commits.
func (s *Service) try(ctx context.Context, c Caller, steps []step) error {
	visible := func(st *step) func(string) (search.Expr, bool) { return s.visibility(ctx, st.act) }
	ids := map[string]string{} // fullUrl → relative reference
	for i := range steps {
		st := &steps[i]
		if st.act == nil {
			continue
		}
		if err := s.identify(ctx, st); err != nil {
			return entryError(st.entry, err)
		}
		if st.fullURL != "" && st.method != http.MethodDelete {
			ids[st.fullURL] = st.key.String()
		}
	}
	var acts []*act
	var changes []store.Change
	var origin []int
	for i := range steps {
		st := &steps[i]
		if st.act == nil || st.found.Exists() {
			continue
		}
		r := resolver{service: s, ids: ids, visible: visible(st), base: c.Base + "/"}
		if err := s.prepare(ctx, st, r); err != nil {
			return entryError(st.entry, err)
		}
		acts, changes, origin = append(acts, st.act), append(changes, st.change), append(origin, i)
	}
	outcomes, err := s.commit(ctx, c, acts, changes)
	var failed *store.ChangeError
	if errors.As(err, &failed) {
		return entryError(steps[origin[failed.Index]].entry, err)
	}
	if err != nil {
		return err
	}
	for n, i := range origin {
		steps[i].done = outcomes[n]
	}
	return nil
}

// identify gives an entry its id: a new one, or that of what ifNoneExist hits.
func (s *Service) identify(ctx context.Context, st *step) error {
	st.found, st.change = store.Record{}, store.Change{}
	if st.method != http.MethodPost {
		st.key = st.entry.key()
		var err error
		st.change.IfMatch, err = version(st.ifMatch)
		return err
	}
	st.key = fhir.Key{Type: st.entry.key().Type}
	if st.ifNoneExist == "" {
		st.key.ID = s.Store.NewID()
		return nil
	}
	q, err := s.Parser.ParseCriteria(st.key.Type, strings.TrimPrefix(st.ifNoneExist, "?"))
	if err != nil {
		return err
	}
	keys, err := s.Store.Match(ctx, q, 2)
	switch {
	case err != nil:
		return err
	case len(keys) > 1:
		return fhir.E("rest.identify", fhir.MultipleMatch, st.at+".request.ifNoneExist", "the criteria match more than one resource")
	case len(keys) == 1:
		st.key = keys[0]
		st.found, err = s.Store.Read(ctx, keys[0])
		st.done = Outcome{Record: st.found}
		return err
	}
	st.key.ID = s.Store.NewID()
	st.change.IfNoneExist = q
	return nil
}

// prepare makes the change of an entry, its references resolved and the
// resource valid.
func (s *Service) prepare(ctx context.Context, st *step, r resolver) error {
	st.change.Key = st.key
	if st.method == http.MethodDelete {
		st.change.Method = store.Delete
		return nil
	}
	parsed, err := fhir.Parse(st.resource.Raw(), jsontree.Limits{Depth: s.Limits.Depth})
	if err != nil {
		return err
	}
	bytes, err := r.resolve(ctx, parsed)
	if err != nil {
		return err
	}
	st.change.Resource, err = s.parse(bytes, st.key.Type)
	if err != nil {
		return err
	}
	st.change.Method = store.Post
	if st.method == http.MethodPut {
		st.change.Method = store.Put
		if st.change.Resource.ID != st.key.ID {
			return fhir.E("rest.prepare", fhir.Invalid, st.key.Type+".id", "the resource's id is not the one of the URL")
		}
	}
	return nil
}

// endAll puts every entry on record in one write.
func (s *Service) endAll(ctx context.Context, steps []step, err error) error {
	entries := make([]audit.Entry, 0, len(steps))
	for i := range steps {
		if st := &steps[i]; st.act != nil {
			st.act.entry.Outcome = outcomeOf(err)
			entries = append(entries, st.act.entry)
		}
	}
	if len(entries) > 0 {
		if _, failed := s.Audit.Append(ctx, entries...); failed != nil {
			return failed
		}
	}
	return err
}

func (s *Service) transactionResponse(ctx context.Context, c Caller, steps []step) ([]byte, error) {
	w := newBundle("transaction-response", c.Base, len(steps)*300)
	for i := range steps {
		st := &steps[i]
		w.entry()
		switch st.method {
		case http.MethodGet:
			if err := s.get(ctx, c, st.entry, w); err != nil {
				w.response(failure(st.entry, err))
			}
		case http.MethodDelete:
			w.response(response{status: status(http.StatusNoContent)})
		default:
			w.written(st.done)
		}
		w.close()
	}
	return w.bytes(), nil
}

// resolver replaces the references of a transaction by the identities that its
// entries got.
type resolver struct {
	service *Service
	ids     map[string]string
	visible func(string) (search.Expr, bool)
	base    string
}

// resolve rewrites Reference.reference wherever it stands: a fullUrl of the
// Bundle, or a search that must match one resource.
func (r resolver) resolve(ctx context.Context, resource fhir.Resource) ([]byte, error) {
	edit := resource.Edit()
	changed := false
	for node := range literals(resource.Root()) {
		text := node.Text()
		target, ok := r.ids[text]
		if !ok {
			var err error
			if target, err = r.other(ctx, text); err != nil {
				return nil, err
			}
		}
		if target != "" && target != text {
			edit.Replace(node, jsontree.AppendString(nil, target))
			changed = true
		}
	}
	if !changed {
		return resource.Bytes(), nil
	}
	return edit.Bytes(), nil
}

// other resolves a conditional reference; it refuses a urn that no entry has.
func (r resolver) other(ctx context.Context, text string) (string, error) {
	const op = "rest.resolve"
	if strings.HasPrefix(text, "urn:uuid:") || strings.HasPrefix(text, "urn:oid:") {
		return "", fhir.E(op, fhir.Invalid, "reference", "no entry of the Bundle has this fullUrl")
	}
	resourceType, query, conditional := strings.Cut(text, "?")
	if !conditional || !r.service.Defs.IsResource(resourceType) {
		return "", nil
	}
	q, err := r.service.Parser.ParseCriteria(resourceType, query)
	if err != nil {
		return "", err
	}
	filter, ok := r.visible(resourceType)
	if !ok {
		filter = search.Any{}
	}
	restricted := *q
	restricted.Where = search.And(q.Where, filter)
	keys, err := r.service.Store.Match(ctx, &restricted, 2)
	switch {
	case err != nil:
		return "", err
	case len(keys) > 1:
		return "", fhir.E(op, fhir.MultipleMatch, "reference", "a conditional reference matches more than one resource")
	case len(keys) == 0:
		return "", fhir.E(op, fhir.Precondition, "reference", "a conditional reference matches no resource")
	}
	return keys[0].String(), nil
}
