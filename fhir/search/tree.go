package search

import (
	"slices"

	"galen/fhir"
)

// Tree holds if a Reference entry of Param leads to Root or to a resource below
// it (:below), or (Above) to Root or a resource above it (:above), in the
// hierarchy that the references of Up make among the current resources of Root's
// type: Location.partof
// (https://hl7.org/fhir/R4/search.html#reference). A cycle ends.
type Tree struct {
	Param string
	Root  fhir.Key
	Up    string
	Above bool
}

func (Tree) expr() {}

// Reaches reports whether a reference to key satisfies the Tree; up yields where
// the Up references of a resource lead, none if it is not there.
func (t Tree) Reaches(key fhir.Key, up func(fhir.Key) []fhir.Key) bool {
	from, to := key, t.Root
	if t.Above {
		from, to = to, from
	}
	return key.Type == t.Root.Type && slices.Contains(Climb(from, up), to)
}

// Climb lists a resource and all that up leads to from it, each once.
func Climb(from fhir.Key, up func(fhir.Key) []fhir.Key) []fhir.Key {
	seen := map[fhir.Key]bool{from: true}
	line := []fhir.Key{from}
	for i := 0; i < len(line); i++ {
		for _, next := range up(line[i]) {
			if next.Type == from.Type && !seen[next] {
				seen[next] = true
				line = append(line, next)
			}
		}
	}
	return line
}

// References lists the keys that a parameter's entries lead to.
func References(entries []Entry, param string) []fhir.Key {
	var keys []fhir.Key
	for _, e := range entries {
		if ref, ok := e.Value.(Reference); ok && e.Param == param && ref.ID != "" {
			keys = append(keys, ref.Key)
		}
	}
	return keys
}
