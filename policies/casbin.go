package policies

import (
	"errors"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"

	"galen/fhir"
)

// rules is one revision made ready to decide: an enforcer for each action, so
// that Casbin, whose cost grows with every rule it holds, sees only those that
// could match. It never changes after compile, but for its cache.
type rules struct {
	*document
	digest    string
	roleBits  map[string]uint64
	orgs      map[string]bool
	purposes  map[string]bool
	enforcers map[Action]*casbin.Enforcer
	narrows   map[string]bool // rule id → covers only the compartment
	cache     cache
}

// verdict is what the role policy says, before any limit to a patient.
type verdict struct {
	allow, narrows bool
	rule           string
	reason         Reason
	missing        string
}

// compile makes rules of a revision and tries them.
func compile(rev Revision, doc *document) (*rules, error) {
	s := &rules{
		document: doc, digest: rev.Digest(),
		roleBits: map[string]uint64{}, orgs: map[string]bool{}, purposes: map[string]bool{},
		enforcers: map[Action]*casbin.Enforcer{}, narrows: map[string]bool{},
	}
	for i, role := range doc.roles() {
		s.roleBits[role] = 1 << i
	}
	for _, org := range doc.orgs() {
		s.orgs[org] = true
	}
	for _, row := range doc.rows {
		c, _ := lookupCondition(row.Condition)
		s.narrows[row.ID] = c.narrows
		for _, p := range row.Purposes {
			s.purposes[p] = true
		}
	}
	for _, action := range Actions() {
		if err := s.addEnforcer(action, rev.Model); err != nil {
			return nil, modelError(err)
		}
	}
	return s, s.try()
}

func modelError(err error) error {
	return &fhir.Error{Op: "policies.New", Kind: fhir.Invalid, At: "model.conf", Err: err}
}

var errEffect = errors.New("the policy effect must need an allow and heed every deny")

// addEnforcer makes the enforcer of one action. Rules that cover everything come
// before those that cover a compartment: Casbin names the first that allows.
func (s *rules) addEnforcer(action Action, text string) error {
	m, err := model.NewModelFromString(text)
	if err != nil {
		return err
	}
	effect, ok := m["e"]["e"]
	if !ok || effect.Value != constant.AllowAndDenyEffect {
		return errEffect // !some(deny) alone allows everything without a rule
	}
	var wide, narrow [][]string
	for _, row := range s.rows {
		switch {
		case !slices.Contains(row.Actions, action):
		case s.narrows[row.ID]:
			narrow = append(narrow, row.tuple(action))
		default:
			wide = append(wide, row.tuple(action))
		}
	}
	if len(wide)+len(narrow) == 0 {
		return nil
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return err
	}
	e.AddFunction("purpose", func(args ...any) (any, error) {
		f, of := args[0].(*facts), args[1].(string)
		return purposeHolds(f, of), nil
	})
	e.AddFunction("cond", func(args ...any) (any, error) {
		c, ok := lookupCondition(args[0].(string))
		return ok && c.holds(args[1].(*facts)), nil
	})
	if _, err := e.AddPolicies(append(wide, narrow...)); err != nil {
		return err
	}
	s.enforcers[action] = e
	return s.addLinks(e)
}

// addLinks loads the inheritance of roles, * spelled out for every organization
// that a rule names, and the groups of types.
func (s *rules) addLinks(e *casbin.Enforcer) error {
	for _, i := range s.inherits {
		for org := range s.orgs {
			if i.org != "*" && i.org != org {
				continue
			}
			if _, err := e.AddNamedGroupingPolicy("g", i.role, i.parent, org); err != nil {
				return err
			}
		}
	}
	for group, types := range s.groups {
		for _, name := range types {
			if _, err := e.AddNamedGroupingPolicy("g2", name, group); err != nil {
				return err
			}
		}
	}
	return nil
}

// tuple is the row as Casbin's p for one action.
func (r Row) tuple(action Action) []string {
	purpose, effect := "*", "allow"
	if r.Purposes != nil {
		purpose = strings.Join(r.Purposes, "|")
	}
	if r.Deny {
		effect = "deny"
	}
	return []string{r.Role, r.Org, r.Type, string(action), purpose, r.Condition, effect, r.ID}
}

// purposeHolds reports whether a stated purpose is in a list joined by |.
func purposeHolds(f *facts, list string) bool {
	if list == "*" {
		return true
	}
	if f.purpose == "" {
		return false
	}
	for p := range strings.SplitSeq(list, "|") {
		if p == f.purpose {
			return true
		}
	}
	return false
}

// idField is where a rule's id stands in Casbin's p.
const idField, effectField = 7, 6

// enforce asks for one role. Rule is "" on default deny.
func (s *rules) enforce(role string, k key, f *facts) (allow bool, rule string, err error) {
	e, ok := s.enforcers[k.action]
	if !ok {
		return false, "", nil
	}
	allow, hit, err := e.EnforceEx(role, k.org, k.typ, string(k.action), f)
	if err != nil || len(hit) <= idField {
		return false, "", err
	}
	return allow, hit[idField], nil
}

// decide asks for every role of the principal. A deny for one wins; among the
// allows one that covers everything wins over a compartment.
func (s *rules) decide(k key) verdict {
	f := &facts{purpose: k.purpose, own: k.own}
	v := verdict{reason: NoRule}
	for _, role := range s.roles() {
		if k.roles&s.roleBits[role] == 0 {
			continue
		}
		allow, rule, err := s.enforce(role, k, f)
		switch {
		case err != nil:
			return verdict{reason: Failed}
		case rule == "":
		case !allow:
			return verdict{rule: rule, reason: DenyRule, missing: "no rule that denies (" + rule + ")"}
		case !v.allow || (v.narrows && !s.narrows[rule]):
			v = verdict{allow: true, narrows: s.narrows[rule], rule: rule, reason: Permitted}
		}
	}
	if !v.allow {
		v.missing = s.nearest(k, f)
	}
	return v
}

// try runs every rule once, since Casbin finds faults only when it meets them,
// and makes sure that somebody without a role of the policy gets nothing.
func (s *rules) try() error {
	const stranger = "~"
	for _, action := range Actions() {
		types := []string{"", "~", "Patient", "AuditEvent"}
		for _, row := range s.rows {
			types = append(types, s.typesOf(row.Type)[0])
		}
		slices.Sort(types)
		for _, name := range slices.Compact(types) {
			for _, role := range []string{stranger, "", "*"} {
				for _, own := range []bool{false, true} {
					allow, _, err := s.enforce(role, key{action: action, typ: name, own: own}, &facts{own: own})
					if err != nil {
						return modelError(err)
					}
					if allow {
						return fhir.E("policies.New", fhir.Invalid, "model.conf", "an unknown role is allowed "+string(action))
					}
				}
			}
		}
		for role := range s.roleBits {
			if _, _, err := s.enforce(role, key{action: action, typ: "Patient"}, &facts{}); err != nil {
				return modelError(err)
			}
		}
	}
	return nil
}
