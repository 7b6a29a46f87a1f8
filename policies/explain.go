package policies

import (
	"slices"
	"strings"
)

// nearest explains a default deny: what the request lacks for the allow that it
// comes closest to. Casbin cannot say that, so the rules are compared here.
func (s *rules) nearest(k key) string {
	best, text := 1<<30, "a rule"
	for _, row := range s.rows {
		if row.Deny {
			continue
		}
		if cost, missing := s.miss(row, k, best); cost < best {
			best, text = cost, missing+" ("+row.ID+")"
		}
	}
	return text
}

// miss is how far a request is from a rule, and what it lacks; once that is not
// below the best so far, the rest does not matter. Another purpose or condition
// is nearer than another role, and that nearer than another action or type.
func (s *rules) miss(row Row, k key, best int) (cost int, missing string) {
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
		lack(!slices.Contains(row.Purposes, k.purpose), 1, "purpose ", row.Purposes[0])
	}
	lack(!c.holds(k.facts), 1, c.missing, "")
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
