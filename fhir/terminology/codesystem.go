package terminology

import (
	"cmp"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/terminology/release"
)

// codeSystem is a CodeSystem ready to be asked
// (https://hl7.org/fhir/R4/codesystem.html).
type codeSystem struct {
	url, version, name string
	content            string // complete, fragment, example, not-present, supplement
	fold               bool   // codes are compared without case
	root               jsontree.Node
	concepts           []*concept // in document order, parents first
	byCode             map[string]*concept
}

// concept is one code with its place in the hierarchy.
type concept struct {
	system            *codeSystem
	node              jsontree.Node
	code, display     string
	parents, children []*concept
	abstract          bool // not to be selected
	inactive          bool
	row               *release.Concept // of a system that was imported; node is then absent
	place             int32            // in its table
}

// importedSystem makes a code system of an imported table.
func importedSystem(t *release.Table) *codeSystem {
	cs := &codeSystem{url: t.URL, version: t.Version, name: t.Name, content: "complete", byCode: make(map[string]*concept, len(t.Concepts))}
	all := make([]concept, len(t.Concepts))
	cs.concepts = make([]*concept, len(t.Concepts))
	for i := range t.Concepts {
		row := &t.Concepts[i]
		c := &all[i]
		*c = concept{system: cs, code: row.Code, display: row.Display, inactive: row.Inactive, row: row, place: int32(i)}
		for _, p := range row.Parents {
			c.parents = append(c.parents, &all[p])
			all[p].children = append(all[p].children, c)
		}
		cs.concepts[i] = c
		cs.byCode[c.code] = c
	}
	return cs
}

// compileSystem reads a CodeSystem: the nesting of its concepts, and its parent
// and child properties, are its hierarchy.
func compileSystem(r fhir.Resource) *codeSystem {
	root := r.Root()
	cs := &codeSystem{
		url: root.Get("url").Text(), version: root.Get("version").Text(), name: cmp.Or(root.Get("name").Text(), root.Get("title").Text(), root.Get("url").Text()),
		content: root.Get("content").Text(), fold: root.Get("caseSensitive").Kind() == jsontree.False,
		root: root, byCode: map[string]*concept{},
	}
	cs.add(root.Get("concept"), nil)
	for _, c := range cs.concepts {
		cs.relate(c)
	}
	return cs
}

// add takes the concepts of one level and what is below them; the parser has
// bounded the depth.
func (cs *codeSystem) add(list jsontree.Node, parent *concept) {
	for n := range list.Items() {
		c := &concept{system: cs, node: n, code: n.Get("code").Text(), display: n.Get("display").Text()}
		if parent != nil {
			c.parents = []*concept{parent}
			parent.children = append(parent.children, c)
		}
		if key := cs.key(c.code); cs.byCode[key] == nil {
			cs.byCode[key] = c
			cs.concepts = append(cs.concepts, c)
		}
		cs.add(n.Get("concept"), c)
	}
}

// relate reads the properties that matter to every question
// (https://hl7.org/fhir/R4/codesystem-concept-properties.html).
func (cs *codeSystem) relate(c *concept) {
	for p := range c.node.Get("property").Items() {
		switch p.Get("code").Text() {
		case "parent":
			cs.link(cs.concept(propertyText(p)), c)
		case "child":
			cs.link(c, cs.concept(propertyText(p)))
		case "notSelectable", "abstract":
			c.abstract = c.abstract || propertyText(p) == "true"
		case "inactive":
			c.inactive = c.inactive || propertyText(p) == "true"
		case "status":
			c.inactive = c.inactive || propertyText(p) == "retired" || propertyText(p) == "inactive"
		}
	}
}

func (cs *codeSystem) link(parent, child *concept) {
	if parent == nil || child == nil || parent == child {
		return
	}
	for _, known := range child.parents {
		if known == parent {
			return
		}
	}
	child.parents = append(child.parents, parent)
	parent.children = append(parent.children, child)
}

func (cs *codeSystem) key(code string) string {
	if cs.fold {
		return strings.ToLower(code)
	}
	return code
}

// concept finds a code, nil if the system does not define it.
func (cs *codeSystem) concept(code string) *concept { return cs.byCode[cs.key(code)] }

// complete reports whether a code that is not found does not exist.
func (cs *codeSystem) complete() bool { return cs.content == "complete" }

// propertyText is the value of a property, whatever its type; the code of a
// Coding.
func propertyText(p jsontree.Node) string {
	for name, v := range p.Members() {
		if strings.HasPrefix(name, "value") {
			if v.Kind() == jsontree.Object {
				return v.Get("code").Text()
			}
			return v.Text()
		}
	}
	return ""
}

// isA reports whether c is the ancestor or below it. Hierarchies may have loops.
func (c *concept) isA(ancestor *concept) bool {
	return c == ancestor || c.below(ancestor)
}

// below reports whether c is a proper descendant.
func (c *concept) below(ancestor *concept) bool {
	if c.row != nil {
		_, found := slices.BinarySearch(c.row.Ancestors, ancestor.place)
		return found
	}
	seen := map[*concept]bool{c: true}
	for queue := c.parents; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		if p == ancestor {
			return true
		}
		if !seen[p] {
			seen[p] = true
			queue = append(queue[:len(queue):len(queue)], p.parents...)
		}
	}
	return false
}
