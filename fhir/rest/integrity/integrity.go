// Package integrity keeps literal references between resources of this server
// whole (https://hl7.org/fhir/R4/valueset-reference-handling-policy.html,
// "enforced"): nothing is written that refers to a resource that is not there,
// and nothing is deleted that another resource refers to.
//
// It holds within one process: writers that meet in it see each other. What
// refers to a deleted resource is found by R4's reference search parameters; the
// few references that none of them covers do not stop a delete. References to
// other servers, to AuditEvents and inside Bundles are not looked at.
package integrity

import (
	"context"
	"errors"
	"slices"
	"sync"

	"galen/fhir"
	"galen/fhir/rest/literal"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/store"
)

// Store is what a Guard asks.
type Store interface {
	ReadMany(ctx context.Context, keys ...fhir.Key) ([]store.Record, error)
	Match(ctx context.Context, q *search.Query, limit int) ([]fhir.Key, error)
}

// Guard checks changes before they are made. It is safe for concurrent use. A nil
// Guard lets everything pass.
type Guard struct {
	defs   *spec.Definitions
	walker *literal.Walker
	store  Store
	// order lets writes that only add references go together and keeps them
	// apart from those that delete.
	order sync.RWMutex
	// referrers are, for each type, the types and parameters that may refer to it.
	referrers map[string][]referrer
}

type referrer struct {
	resourceType string
	params       []string
}

// New returns a Guard over the store.
func New(defs *spec.Definitions, s Store) *Guard {
	g := &Guard{defs: defs, walker: literal.New(defs), store: s, referrers: map[string][]referrer{}}
	for _, from := range defs.ResourceTypes() {
		params := map[string][]string{}
		for _, p := range defs.Params(from) {
			if p.Type != spec.Reference || p.Expression == "" {
				continue
			}
			for _, to := range targets(defs, p) {
				params[to] = append(params[to], p.Code)
			}
		}
		for to, codes := range params {
			g.referrers[to] = append(g.referrers[to], referrer{from, codes})
		}
	}
	return g
}

// targets are the types a parameter may lead to; without a list, all.
func targets(defs *spec.Definitions, p *spec.SearchParam) []string {
	if len(p.Targets) == 0 || slices.Contains(p.Targets, "Resource") {
		return defs.ResourceTypes()
	}
	return p.Targets
}

// Hold checks changes that are about to be committed together and keeps others
// from breaking what it found until release is called. base is the server's FHIR
// base URL with its slash. The error is a *store.ChangeError with one of Kind
// Unprocessable (a reference to what is not there) or Conflict (a delete of what
// is referred to), or it is the store's.
func (g *Guard) Hold(ctx context.Context, base string, changes []store.Change) (release func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	c := commit{Guard: g, base: base, stays: make(map[fhir.Key]bool, len(changes))}
	deletes := false
	for _, ch := range changes {
		c.stays[ch.Key] = ch.Method != store.Delete
		deletes = deletes || ch.Method == store.Delete
	}
	release = g.order.RUnlock
	if deletes {
		g.order.Lock()
		release = g.order.Unlock
	} else {
		g.order.RLock()
	}
	err = c.references(ctx, changes)
	if err == nil && deletes {
		err = c.deletes(ctx, changes)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// commit is one check.
type commit struct {
	*Guard
	base  string
	stays map[fhir.Key]bool // keys of the changes: false for those deleted
	links []link            // to what is stored
}

// link is a reference of a change.
type link struct {
	change int
	path   string
	to     fhir.Key
}

// references checks what the changes refer to.
func (c *commit) references(ctx context.Context, changes []store.Change) error {
	for i, ch := range changes {
		if ch.Method == store.Delete {
			continue
		}
		err := c.walker.References(ch.Resource, func(l literal.Link) error { return c.reference(i, l) })
		if err != nil {
			return &store.ChangeError{Index: i, Err: err}
		}
	}
	keys := make([]fhir.Key, 0, len(c.links))
	for _, l := range c.links {
		keys = append(keys, l.to)
	}
	slices.SortFunc(keys, fhir.Key.Compare)
	keys = slices.Compact(keys)
	records, err := c.store.ReadMany(ctx, keys...)
	if err != nil {
		return err
	}
	there := make(map[fhir.Key]bool, len(records))
	for _, r := range records {
		there[r.Key] = r.Exists() && !r.Deleted
	}
	for _, l := range c.links {
		if !there[l.to] {
			return &store.ChangeError{Index: l.change, Err: missing(l.path)}
		}
	}
	return nil
}

func (c *commit) reference(change int, l literal.Link) error {
	ref := fhir.ParseReference(l.Text)
	if !ref.Local(c.base) || !c.defs.IsResource(ref.Key.Type) || ref.Key.Type == "AuditEvent" {
		return nil
	}
	stays, changed := c.stays[ref.Key]
	switch {
	case !changed:
		c.links = append(c.links, link{change, l.Path(), ref.Key})
		return nil
	case !stays:
		return missing(l.Path())
	}
	return nil
}

func missing(path string) error {
	return fhir.E("integrity.Hold", fhir.Unprocessable, path, "refers to a resource that is not on this server")
}

// maxKeys is how many deleted resources one query looks for.
const maxKeys = 500

// deletes checks that nothing refers to what the changes delete, but what they
// delete or rewrite too.
func (c *commit) deletes(ctx context.Context, changes []store.Change) error {
	at := map[fhir.Key]int{}
	byType := map[string][]fhir.Key{}
	for i, ch := range changes {
		if ch.Method == store.Delete {
			at[ch.Key] = i
			byType[ch.Key.Type] = append(byType[ch.Key.Type], ch.Key)
		}
	}
	for resourceType, keys := range byType {
		for part := range slices.Chunk(keys, maxKeys) {
			for _, r := range c.referrers[resourceType] {
				key, err := c.referred(ctx, r, part)
				if err != nil {
					return err
				}
				if key.ID != "" {
					return &store.ChangeError{Index: at[key], Err: fhir.E("integrity.Hold", fhir.Conflict, "", "another resource refers to this one")}
				}
			}
		}
	}
	return nil
}

var errUnsteady = errors.New("integrity: the store answers differently each time")

// referred is one of the keys that resources of a type refer to, a zero Key if
// they refer to none of them.
func (c *commit) referred(ctx context.Context, r referrer, keys []fhir.Key) (fhir.Key, error) {
	found, err := c.refers(ctx, r, keys)
	switch {
	case err != nil || !found:
		return fhir.Key{}, err
	case len(keys) == 1:
		return keys[0], nil
	}
	for half := range slices.Chunk(keys, (len(keys)+1)/2) {
		if key, err := c.referred(ctx, r, half); err != nil || key.ID != "" {
			return key, err
		}
	}
	return fhir.Key{}, errUnsteady
}

// refers tells whether a resource that stays as it is refers to one of the keys.
func (c *commit) refers(ctx context.Context, r referrer, keys []fhir.Key) (bool, error) {
	tests := make([]search.Test, len(keys))
	for i, k := range keys {
		tests[i] = search.ReferenceTest{Key: k}
	}
	where := make(search.Any, len(r.params))
	for i, p := range r.params {
		where[i] = search.Where{Param: p, Any: tests}
	}
	q := &search.Query{Types: []string{r.resourceType}, Where: where}
	for limit := 2; ; limit *= 8 {
		found, err := c.store.Match(ctx, q, limit)
		if err != nil {
			return false, err
		}
		for _, k := range found {
			if _, changed := c.stays[k]; !changed {
				return true, nil
			}
		}
		if len(found) < limit {
			return false, nil
		}
	}
}
