package spec

import (
	"slices"
	"strings"
)

// CodeSet is the expansion of a value set: every code with its system. FHIR's
// own code systems are case-sensitive.
type CodeSet struct {
	ValueSet string // canonical URL without version

	systems []systemCodes
	open    bool // holds a system whose codes are not listed
}

// systemCodes are the codes of one system; none stands for all.
type systemCodes struct {
	system string
	codes  []string // sorted
}

// Has reports whether the set holds the code of the system.
func (c *CodeSet) Has(system, code string) bool {
	return slices.ContainsFunc(c.systems, func(s systemCodes) bool { return s.system == system && s.has(code) })
}

// HasCode reports whether the set holds the code in any system, which is what an
// element of type code asks.
func (c *CodeSet) HasCode(code string) bool {
	_, ok := c.System(code)
	return ok
}

// System is the system of a bare code: the first that has it, in the order of
// the value set.
func (c *CodeSet) System(code string) (string, bool) {
	for _, s := range c.systems {
		if s.has(code) {
			return s.system, true
		}
	}
	return "", false
}

// Systems are the code systems of the set.
func (c *CodeSet) Systems() []string {
	list := make([]string, len(c.systems))
	for i, s := range c.systems {
		list[i] = s.system
	}
	return list
}

// Codes are the codes of one system of the set, sorted.
func (c *CodeSet) Codes(system string) []string {
	for _, s := range c.systems {
		if s.system == system {
			return s.codes
		}
	}
	return nil
}

func (s systemCodes) has(code string) bool {
	if len(s.codes) == 0 {
		return code != "" && !strings.ContainsAny(code, " \t\r\n")
	}
	_, ok := slices.BinarySearch(s.codes, code)
	return ok
}
