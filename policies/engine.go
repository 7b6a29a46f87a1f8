package policies

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"galen/fhir"
	"galen/fhir/spec"
)

// Engine decides by one revision at a time. It is safe for concurrent use.
type Engine struct {
	defs   *spec.Definitions
	limits limits
	active atomic.Pointer[rules]
}

// New makes an Engine with that revision. A revision that is malformed, that
// Casbin cannot run or that lets an unknown role in is refused with an
// *fhir.Error of Kind Invalid whose At names the file and line.
func New(rev Revision, defs *spec.Definitions) (*Engine, error) {
	e := &Engine{defs: defs, limits: newLimits(defs)}
	if err := e.Activate(rev); err != nil {
		return nil, err
	}
	return e, nil
}

// Activate replaces the revision for every decision from now on. If it fails,
// the one before stays; the errors are those of New.
func (e *Engine) Activate(rev Revision) error {
	doc, err := parsePolicy(rev.Policy, e.defs)
	if err != nil {
		return err
	}
	s, err := compile(rev, doc)
	if err != nil {
		return err
	}
	e.active.Store(s)
	return nil
}

// Revision is the digest of the active revision.
func (e *Engine) Revision() string { return e.active.Load().digest }

// Rows are the rules of the active revision in their order; not to be changed.
func (e *Engine) Rows() []Row { return e.active.Load().rows }

// Decide says whether the principal may do what it asks, and on which rows. It
// never fails: whatever goes wrong is a denial.
func (e *Engine) Decide(_ context.Context, p Principal, r Request) Decision {
	s := e.active.Load()
	d := Decision{Revision: s.digest}
	limited, reason, missing := scopeGate(&p, r)
	if reason != "" {
		d.Reason, d.Missing = reason, missing
		return d
	}
	v := s.verdict(s.keyOf(e.defs, &p, r))
	d.Rule, d.Reason, d.Missing = v.rule, v.reason, v.missing
	if !v.allow {
		return d
	}
	if r.Action.Interaction() && (limited || v.narrows) {
		filter, ok := e.limits.filter(r.Type, p.Patient)
		if !ok {
			d.Rule, d.Reason, d.Missing = "", NoCompartment, "a request that is not limited to one patient"
			return d
		}
		d.Filter = filter
	}
	d.Allow = true
	return d
}

// key is all that a verdict depends on. What no rule names is left out of it, so
// that strange tokens cannot fill the cache.
type key struct {
	roles             uint64 // bits as in rules.roleBits
	action            Action
	typ, org, purpose string
	own               bool
}

func (s *rules) keyOf(defs *spec.Definitions, p *Principal, r Request) key {
	k := key{action: r.Action, typ: r.Type, own: ownPatient(p)}
	for _, role := range p.Roles {
		k.roles |= s.roleBits[role]
	}
	if s.orgs[p.Org] {
		k.org = p.Org
	}
	if s.purposes[p.Purpose] {
		k.purpose = p.Purpose
	}
	if r.Action.Interaction() && r.Type != "" && !defs.IsResource(r.Type) {
		k.roles = 0 // no such type: nobody may
	}
	return k
}

// cache holds verdicts of one revision; it dies with it.
type cache struct {
	mu   sync.RWMutex
	seen map[key]verdict
}

const maxCached = 20_000 // about 5 MB; more keys than the shipped policy can have

func (s *rules) verdict(k key) verdict {
	s.cache.mu.RLock()
	v, ok := s.cache.seen[k]
	s.cache.mu.RUnlock()
	if ok {
		return v
	}
	v = s.decide(k)
	if v.reason == Failed {
		return v
	}
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if s.cache.seen == nil || len(s.cache.seen) >= maxCached {
		s.cache.seen = map[key]verdict{}
	}
	s.cache.seen[k] = v
	return v
}

// nearest explains a default deny: what the request lacks for the allow that it
// comes closest to. Casbin cannot say that, so the rules are compared here.
func (s *rules) nearest(k key, f *facts) string {
	best, text := 1<<30, "a rule"
	for _, row := range s.rows {
		if row.Deny {
			continue
		}
		if cost, missing := s.miss(row, k, f, best); cost < best {
			best, text = cost, missing+" ("+row.ID+")"
		}
	}
	return text
}

// miss is how far a request is from a rule, and what it lacks; once that is not
// below the best so far, the rest does not matter. Another purpose or condition
// is nearer than another role, and that nearer than another action or type.
func (s *rules) miss(row Row, k key, f *facts, best int) (cost int, missing string) {
	lack := func(lacks bool, price int, what, name string) {
		if !lacks || cost >= best {
			return
		}
		if cost += price; cost < best {
			missing = strings.TrimPrefix(missing+", "+what+name, ", ")
		}
	}
	c, _ := lookupCondition(row.Condition)
	lack(!slices.Contains(row.Actions, k.action), 16, "action ", string(row.Actions[0]))
	lack(row.Type != "*" && !slices.Contains(s.typesOf(row.Type), k.typ), 16, "type ", row.Type)
	lack(!s.plays(row.Role, k), 4, "role ", row.Role)
	lack(row.Org != "*" && row.Org != k.org, 2, "organization ", row.Org)
	if row.Purposes != nil {
		lack(!slices.Contains(row.Purposes, f.purpose), 1, "purpose ", row.Purposes[0])
	}
	lack(!c.holds(f), 1, c.missing, "")
	return cost, missing
}

// plays reports whether one of the principal's roles is the role or inherits it.
func (s *rules) plays(role string, k key) bool {
	return s.playsWithin(role, k, len(s.inherits))
}

func (s *rules) playsWithin(role string, k key, depth int) bool {
	if role == "*" || k.roles&s.roleBits[role] != 0 {
		return true
	}
	for _, i := range s.inherits {
		if depth > 0 && i.parent == role && (i.org == "*" || i.org == k.org) && s.playsWithin(i.role, k, depth-1) {
			return true
		}
	}
	return false
}

// OwnKey is the key of the principal's patient, the zero Key if it has none.
func (p Principal) OwnKey() fhir.Key {
	if !ownPatient(&p) {
		return fhir.Key{}
	}
	return fhir.Key{Type: "Patient", ID: p.Patient}
}
