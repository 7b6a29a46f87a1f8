package profile

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
)

// profile is a StructureDefinition ready to be held against values.
type profile struct {
	url, typ string
	base     string // the profile that this one, known by its differential, narrows
	root     *element
	contexts []extensionContext
}

// extensionContext is where an extension may stand
// (https://hl7.org/fhir/R4/defining-extensions.html#context).
type extensionContext struct {
	kind, expression string
	compiled         *path.Expr // of a fhirpath context
}

// element is one ElementDefinition
// (https://hl7.org/fhir/R4/elementdefinition.html) with what is below it.
type element struct {
	id, name   string // name without [x]
	min, max   int    // max -1 is *
	types      []typeRef
	fixed      jsontree.Node
	pattern    jsontree.Node
	binding    string // value set
	strength   string
	maxLength  int
	rules      []rule
	slicing    *slicing
	slices     []*element
	children   []*element
	contentRef string   // id of the element whose children these are
	narrows    *element // of a slice: the same one in the profile that is narrowed, which says what belongs into it
}

type typeRef struct {
	code             string
	profiles, target []string
}

type rule struct {
	expr    *path.Expr
	text    string
	warning bool
}

// slicing is how values are sorted into slices
// (https://hl7.org/fhir/R4/profiling.html#slicing).
type slicing struct {
	by      []discriminator
	rules   string // open, closed, openAtEnd
	ordered bool
}

type discriminator struct{ kind, path string }

// compile reads a StructureDefinition: its snapshot, else its differential. It and
// the profiles that narrow it are above.
func (v *Validator) compile(ctx context.Context, r fhir.Resource, above []string) (*profile, error) {
	const op = "profile.compile"
	root := r.Root()
	p := &profile{url: root.Get("url").Text(), typ: root.Get("type").Text()}
	b := builder{v: v, byID: map[string]*element{}}
	list := root.Get("snapshot").Get("element")
	if list.Len() == 0 {
		if list = root.Get("differential").Get("element"); list.Len() == 0 {
			return nil, fhir.E(op, fhir.NotSupported, "profile", "the profile "+p.url+" has neither a snapshot nor a differential")
		}
		p.base = root.Get("baseDefinition").Text()
		if err := b.sparse(ctx, p, above); err != nil {
			return nil, err
		}
	}
	for c := range root.Get("context").Items() {
		ec := extensionContext{kind: c.Get("type").Text(), expression: c.Get("expression").Text()}
		if ec.kind == "fhirpath" {
			ec.compiled, _ = v.Engine.Compile(ec.expression) // one that does not compile allows no place
		}
		p.contexts = append(p.contexts, ec)
	}
	for n := range list.Items() {
		if err := b.add(n); err != nil {
			return nil, err
		}
	}
	p.root = b.root
	b.refer()
	return p, nil
}

type builder struct {
	v    *Validator
	root *element
	byID map[string]*element
	diff *differential // nil for a snapshot
}

// add places an element by its id: "Observation.component:systolic.code" is
// below the slice systolic of component.
func (b *builder) add(n jsontree.Node) error {
	e := b.v.element(n)
	if b.diff != nil {
		b.typed(e)
		if !strings.Contains(e.id, ".") {
			e.children, b.byID[e.id] = b.root.children, e
			b.root = e
			return nil
		}
		b.outline(e.id)
	}
	b.byID[e.id], e.narrows = e, b.narrows(e.id)
	if b.root == nil {
		b.root = e
		return nil
	}
	dot := strings.LastIndexByte(e.id, '.')
	if dot < 0 {
		return fhir.E("profile.compile", fhir.Invalid, "profile", "the snapshot has two roots")
	}
	last := e.id[dot+1:]
	name, _, sliced := strings.Cut(last, ":")
	if sliced {
		if of := b.byID[e.id[:dot+1]+name]; of != nil {
			of.slices = append(of.slices, e)
			return nil
		}
	}
	parent := b.byID[e.id[:dot]]
	if parent == nil {
		return fhir.E("profile.compile", fhir.Invalid, "profile", "an element of the snapshot has no parent")
	}
	parent.children = append(parent.children, e)
	return nil
}

// refer gives elements that repeat another one (Questionnaire.item.item) its
// children.
func (b *builder) refer() {
	for _, e := range b.byID {
		if of := b.byID[strings.TrimPrefix(e.contentRef, "#")]; e.contentRef != "" && of != nil && len(e.children) == 0 {
			e.children = of.children
		}
	}
}

func (v *Validator) element(n jsontree.Node) *element {
	p := n.Get("path").Text()
	name := strings.TrimSuffix(p[strings.LastIndexByte(p, '.')+1:], "[x]")
	e := &element{id: n.Get("id").Text(), name: name, max: -1, contentRef: n.Get("contentReference").Text()}
	if e.id == "" { // before R4's tools wrote ids
		e.id = p
		if s := n.Get("sliceName").Text(); s != "" {
			e.id += ":" + s
		}
	}
	e.min, _ = strconv.Atoi(n.Get("min").Text())
	if m := n.Get("max").Text(); m != "*" && m != "" {
		e.max, _ = strconv.Atoi(m)
	}
	e.maxLength, _ = strconv.Atoi(n.Get("maxLength").Text())
	for name, member := range n.Members() {
		switch {
		case strings.HasPrefix(name, "fixed"):
			e.fixed = member
		case strings.HasPrefix(name, "pattern"):
			e.pattern = member
		}
	}
	e.binding, e.strength = n.Get("binding").Get("valueSet").Text(), n.Get("binding").Get("strength").Text()
	for t := range n.Get("type").Items() {
		e.types = append(e.types, typeRef{typeCode(t), texts(t.Get("profile")), texts(t.Get("targetProfile"))})
	}
	if s := n.Get("slicing"); s.Exists() {
		e.slicing = &slicing{rules: s.Get("rules").Text(), ordered: s.Get("ordered").Kind() == jsontree.True}
		for d := range s.Get("discriminator").Items() {
			e.slicing.by = append(e.slicing.by, discriminator{d.Get("type").Text(), d.Get("path").Text()})
		}
	}
	e.rules = v.rules(n.Get("constraint"), e)
	return e
}

// typeCode is the FHIR type of an ElementDefinition.type: ids and urls of R4
// name it in an extension.
func typeCode(t jsontree.Node) string {
	code := t.Get("code").Text()
	if !strings.HasPrefix(code, "http://hl7.org/fhirpath/") {
		return code
	}
	for x := range t.Get("extension").Items() {
		if x.Get("url").Text() == "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type" {
			return x.Get("valueUrl").Text()
		}
	}
	return strings.ToLower(strings.TrimPrefix(code, "http://hl7.org/fhirpath/System."))
}

func texts(n jsontree.Node) []string {
	var out []string
	for item := range n.Items() {
		out = append(out, item.Text())
	}
	return out
}

// rules are the constraints that R4 does not have: its own are checked by
// fhir/validate.
func (v *Validator) rules(list jsontree.Node, e *element) []rule {
	var out []rule
	for n := range list.Items() {
		if v.known(n.Get("key").Text(), e) {
			continue
		}
		expr, err := v.Engine.Compile(n.Get("expression").Text())
		if err != nil {
			continue // an author's mistake is not the resource's
		}
		out = append(out, rule{expr, n.Get("key").Text() + ": " + n.Get("human").Text(), n.Get("severity").Text() == "warning"})
	}
	return out
}

func (v *Validator) known(key string, e *element) bool {
	if key == "ele-1" || key == "ext-1" {
		return true
	}
	root, rest, _ := strings.Cut(e.id, ".")
	names := []string{root}
	for _, t := range e.types {
		names = append(names, t.code)
	}
	for _, name := range names {
		t, ok := v.Defs.Type(name)
		if !ok {
			continue
		}
		for _, inv := range t.Invariants {
			if inv.Key == key && (rest == "" || name != root) {
				return true
			}
		}
		for i := range t.Elements {
			el := &t.Elements[i]
			if el.Name != e.name {
				continue
			}
			for _, inv := range el.Invariants {
				if inv.Key == key {
					return true
				}
			}
		}
	}
	return slices.Contains([]string{"txt-1", "txt-2"}, key)
}

// hasValue reports whether an element or one below it says what a value must be.
func (e *element) hasValue() bool {
	return e.fixed.Exists() || e.pattern.Exists() || slices.ContainsFunc(e.children, (*element).hasValue)
}
