package rest

import (
	"iter"

	"galen/fhir/jsontree"
)

// literals yields every Reference.reference of a resource, contained resources
// and extensions included.
func literals(n jsontree.Node) iter.Seq[jsontree.Node] {
	return func(yield func(jsontree.Node) bool) { walkLiterals(n, yield) }
}

func walkLiterals(n jsontree.Node, yield func(jsontree.Node) bool) bool {
	switch n.Kind() {
	case jsontree.Array:
		for item := range n.Items() {
			if !walkLiterals(item, yield) {
				return false
			}
		}
	case jsontree.Object:
		for name, member := range n.Members() {
			if name == "reference" && member.Kind() == jsontree.String {
				if !yield(member) {
					return false
				}
				continue
			}
			if !walkLiterals(member, yield) {
				return false
			}
		}
	}
	return true
}
