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
	narrows   map[string]string // rule id → its condition, if that narrows
	needed    facts             // what some condition asks for
	timed     bool              // some condition asks for the time
	cache     cache
}

// verdict is what the role policy says, before any limit to a patient.
type verdict struct {
	allow    bool
	narrows  []string // conditions of which one must hold for a resource; nil for all resources
	rule     string
	reason   Reason
	missing  string
	withheld []string // security labels that are kept from the principal
}

// onlyOwn reports whether the verdict covers only the token's patient.
func (v *verdict) onlyOwn() bool { return len(v.narrows) == 1 && v.narrows[0] == ownCompartment }

// compile makes rules of a revision and tries them.
func compile(rev Revision, doc *document) (*rules, error) {
	s := &rules{
		document: doc, digest: rev.Digest(),
		roleBits: map[string]uint64{}, orgs: map[string]bool{}, purposes: map[string]bool{},
		enforcers: map[Action]*casbin.Enforcer{}, narrows: map[string]string{},
	}
	for i, role := range doc.roles() {
		s.roleBits[role] = 1 << i
	}
	for _, org := range doc.orgs() {
		s.orgs[org] = true
	}
	for _, row := range doc.rows {
		c, _ := lookupCondition(row.Condition)
		if c.narrows {
			s.narrows[row.ID] = row.Condition
		}
		s.needed |= c.needs
		for _, p := range row.Purposes {
			s.purposes[p] = true
		}
	}
	for _, c := range doc.clearances {
		for _, p := range c.purposes {
			s.purposes[p] = true
		}
	}
	s.timed = s.needed&officeHours != 0
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
		case s.narrows[row.ID] != "":
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
		a, of := args[0].(*asked), args[1].(string)
		return purposeHolds(a.purpose, of), nil
	})
	e.AddFunction("cond", func(args ...any) (any, error) {
		c, ok := lookupCondition(args[0].(string))
		return ok && c.holds(args[1].(*asked).facts), nil
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
func purposeHolds(purpose, list string) bool {
	if list == "*" {
		return true
	}
	if purpose == "" {
		return false
	}
	for p := range strings.SplitSeq(list, "|") {
		if p == purpose {
			return true
		}
	}
	return false
}

// idField is where a rule's id stands in Casbin's p.
const idField, effectField = 7, 6

// enforce asks for one role. Rule is "" on default deny.
func (s *rules) enforce(role string, k key, a *asked) (allow bool, rule string, err error) {
	e, ok := s.enforcers[k.action]
	if !ok {
		return false, "", nil
	}
	allow, hit, err := e.EnforceEx(role, k.org, k.typ, string(k.action), a)
	if err != nil || len(hit) <= idField {
		return false, "", err
	}
	return allow, hit[idField], nil
}

// decide asks for every role of the principal. A deny for one wins; among the
// allows one that covers everything wins, and those that narrow add up.
func (s *rules) decide(k key) verdict {
	a := &asked{k.purpose, k.facts}
	v := verdict{reason: NoRule}
	for _, role := range s.roles() {
		if k.roles&s.roleBits[role] == 0 {
			continue
		}
		allow, rule, err := s.enforce(role, k, a)
		switch {
		case err != nil:
			return verdict{reason: Failed}
		case rule == "":
		case !allow:
			return verdict{rule: rule, reason: DenyRule, missing: "no rule that denies (" + rule + ")"}
		default:
			v.add(rule, s.narrows[rule])
		}
	}
	if !v.allow {
		v.missing = s.nearest(k)
	}
	return v
}

// add counts a rule that allows, "" being its condition if that narrows nothing.
func (v *verdict) add(rule, narrows string) {
	wide := v.allow && v.narrows == nil
	switch {
	case wide:
	case narrows == "":
		v.rule, v.narrows = rule, nil
	default:
		if !v.allow {
			v.rule = rule
		}
		if !slices.Contains(v.narrows, narrows) {
			v.narrows = append(v.narrows, narrows)
		}
	}
	v.allow, v.reason = true, Permitted
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
				for _, f := range []facts{0, ^facts(0)} {
					allow, _, err := s.enforce(role, key{action: action, typ: name}, &asked{facts: f})
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
			if _, _, err := s.enforce(role, key{action: action, typ: "Patient"}, &asked{}); err != nil {
				return modelError(err)
			}
		}
	}
	return nil
}
