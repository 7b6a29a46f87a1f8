package custom

import (
	"context"
	"maps"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
	"galen/store"
)

// Driver is the store.Driver on which the store must be built: its commits keep
// the registry up to date.
func (r *Registry) Driver() store.Driver { return &driver{r.driver, r} }

type driver struct {
	store.Driver
	registry *Registry
}

// Commit indexes by the parameters of the moment what was indexed by older ones,
// and takes over the SearchParameters that it writes. A parameter that is wrong
// refuses the commit as a whole, with Kind Unprocessable.
func (d *driver) Commit(ctx context.Context, writes []store.Write) error {
	r := d.registry
	if !slices.ContainsFunc(writes, func(w store.Write) bool { return w.Type == paramType && w.Task != store.Reindex }) {
		r.gate.RLock()
		defer r.gate.RUnlock()
		current, err := r.current(writes)
		if err != nil {
			return err
		}
		return d.Driver.Commit(ctx, current)
	}
	fresh, err := r.change(ctx, writes)
	if err != nil {
		return err
	}
	for _, mark := range fresh {
		if err := r.Settle(ctx, mark); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// change commits writes of SearchParameters, and returns the marks that are new.
func (r *Registry) change(ctx context.Context, writes []store.Write) (fresh []string, err error) {
	r.gate.Lock()
	defer r.gate.Unlock()
	stored, err := r.after(writes)
	if err != nil {
		return nil, err
	}
	before, kept := r.defs.Load(), maps.Clone(r.indexed)
	// A mark that no parameter bears now is of the past, even if it comes back.
	known := marks(before)
	for mark := range marks(r.opts.Defs.With(r.more(stored))) {
		if known[mark] == nil {
			delete(r.indexed, mark)
			r.times[mark]++
			fresh = append(fresh, mark)
		}
	}
	next := r.combined(stored)
	if err := r.opts.Indexer.Use(next); err != nil {
		return nil, err
	}
	current, err := r.current(writes)
	if err == nil {
		err = r.driver.Commit(ctx, current)
	}
	if err != nil {
		r.indexed = kept
		return nil, joined(err, r.opts.Indexer.Use(before))
	}
	r.stored = stored
	if err := r.use(next); err != nil {
		return nil, err
	}
	return fresh, r.writeMarks()
}

func joined(err, other error) error {
	if other != nil {
		return other
	}
	return err
}

// more are the stored parameters by type.
func (r *Registry) more(stored map[string]Definition) map[string][]*spec.SearchParam {
	out := map[string][]*spec.SearchParam{}
	for _, d := range stored {
		for typ, p := range d.Params {
			out[typ] = append(out[typ], p)
		}
	}
	return out
}

// after is what is stored after writes.
func (r *Registry) after(writes []store.Write) (map[string]Definition, error) {
	stored := maps.Clone(r.stored)
	var added []int // of writes
	for i, w := range writes {
		if w.Type != paramType || w.Task == store.Reindex || w.Task == store.Expunge && !w.Deleted {
			continue
		}
		delete(stored, w.ID)
		if w.Task == store.Append && !w.Deleted {
			added = append(added, i)
		}
	}
	// A composite may come in one commit with its parts, in any order.
	for len(added) > 0 {
		var later []int
		var refused error
		for _, i := range added {
			w := &writes[i]
			resource, err := fhir.Parse(w.Body, jsontree.Limits{})
			if err != nil {
				return nil, err
			}
			d, ok, issues := Read(r.combined(stored), r.opts.Engine, resource)
			switch {
			case len(issues) > 0:
				refused = refusal(i, issues)
				later = append(later, i)
			case ok:
				if typ := r.clash(d, w.ID, stored); typ != "" {
					return nil, refusal(i, fhir.Issues{{
						Severity: fhir.SeverityError, Kind: fhir.Unprocessable, At: "SearchParameter.code",
						Diagnostics: "another stored search parameter has this code on " + typ,
					}})
				}
				stored[w.ID] = d
			}
		}
		if len(later) == len(added) {
			return nil, refused
		}
		added = later
	}
	return stored, nil
}

// refusal says what is wrong with the i-th write.
func refusal(i int, issues fhir.Issues) error {
	return &store.ChangeError{Index: i, Err: &fhir.Error{Op: "custom.Commit", Kind: fhir.Unprocessable, At: issues[0].At, Err: issues}}
}

// current is writes with entries by the parameters of now; the caller holds the
// gate.
func (r *Registry) current(writes []store.Write) ([]store.Write, error) {
	copied := false
	for i := range writes {
		w := &writes[i]
		if w.Deleted || w.Task == store.Expunge || r.opts.Indexer.Marked(w.Type, w.Entries) {
			continue
		}
		resource, err := fhir.Parse(w.Body, jsontree.Limits{})
		if err != nil {
			return nil, err
		}
		entries, err := r.opts.Indexer.Index(resource)
		if err != nil {
			return nil, err
		}
		if !copied {
			writes, copied = slices.Clone(writes), true
		}
		writes[i].Entries = entries
	}
	return writes, nil
}

// Validator adds to another one what is wrong with SearchParameters.
type Validator struct {
	Next interface {
		Validate(fhir.Resource) fhir.Issues
	}
	Registry *Registry
}

// Validate holds a SearchParameter against the definitions of now. Parts of a
// composite may be written with it: the commit tells whether they are there.
func (v Validator) Validate(resource fhir.Resource) fhir.Issues {
	issues := v.Next.Validate(resource)
	if resource.Type != paramType {
		return issues
	}
	_, _, more := Read(v.Registry.defs.Load(), v.Registry.opts.Engine, resource)
	for _, issue := range more {
		if !strings.HasSuffix(issue.At, "].definition") {
			issues = append(issues, issue)
		}
	}
	return issues
}
