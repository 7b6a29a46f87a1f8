package profile

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/terminology"
)

// checker is one validation.
type checker struct {
	*Validator
	ctx    context.Context
	whole  fhir.Resource
	issues fhir.Issues
	depth  int
}

func (c *checker) add(severity fhir.Severity, kind fhir.Kind, at, message string) {
	if len(c.issues) < maxIssues {
		c.issues = append(c.issues, fhir.Issue{Severity: severity, Kind: kind, At: at, Diagnostics: message})
	}
}

func (c *checker) fail(kind fhir.Kind, at, message string) {
	c.add(fhir.SeverityError, kind, at, message)
}

// conformsTo answers the FHIRPath function of that name.
func (c *checker) conformsTo(_ context.Context, item path.Item, canonical string) (bool, error) {
	p, err := c.find(c.ctx, canonical)
	if err != nil {
		return false, err
	}
	return c.Defs.IsA(item.Type(), p.typ) && c.conforms(value{node: item.Node(), typ: item.Type(), at: item.Type()}, p), nil
}

// conforms reports whether a value meets a profile, without findings.
func (c *checker) conforms(v value, p *profile) bool {
	trial := checker{Validator: c.Validator, ctx: c.ctx, whole: c.whole, depth: c.depth}
	trial.conform(v, p)
	return !slices.ContainsFunc(trial.issues, func(i fhir.Issue) bool { return i.Severity <= fhir.SeverityError })
}

// conform holds a value against a whole profile.
func (c *checker) conform(v value, p *profile) {
	if c.depth++; c.depth > maxDepth {
		c.add(fhir.Warning, fhir.TooCostly, v.at, "profiles lead to each other too deep; not checked further")
	} else {
		c.one(v, p.root)
		c.narrowed(v, p)
	}
	c.depth--
}

// narrowed holds a value against the profile that p narrows, if p is known by its
// differential; a snapshot says it all.
func (c *checker) narrowed(v value, p *profile) {
	if p.base == "" {
		return
	}
	base, err := c.find(c.ctx, p.base)
	if err != nil {
		c.add(fhir.Warning, fhir.NotFound, v.at, "the profile "+p.base+" that "+p.url+" narrows is not known to this server")
		return
	}
	c.conform(v, base)
}

// one holds one value against an element and all below it.
func (c *checker) one(v value, e *element) {
	if e.fixed.Exists() && !jsontree.Equal(v.node, e.fixed) {
		c.fail(fhir.Value, v.at, "must have the fixed value of the profile")
	}
	if e.pattern.Exists() && !matches(v.node, e.pattern) {
		c.fail(fhir.Value, v.at, "must match the pattern of the profile")
	}
	if e.maxLength > 0 && utf8.RuneCountInString(v.node.Text()) > e.maxLength {
		c.fail(fhir.Value, v.at, "is longer than the "+strconv.Itoa(e.maxLength)+" characters of the profile")
	}
	c.bound(v, e)
	for _, r := range e.rules {
		c.hold(v, r)
	}
	c.typed(v, e)
	c.below(v, e.children)
}

// hold evaluates a constraint; what cannot be decided does not hold.
func (c *checker) hold(v value, r rule) {
	severity := fhir.SeverityError
	if r.warning {
		severity = fhir.Warning
	}
	result, err := r.expr.Eval(c.ctx, path.Env{Resource: c.whole, Focus: path.TypedItem(v.typ, v.node), Terminology: c.Terminology, Conforms: c.conformsTo})
	if err != nil {
		c.add(fhir.Warning, fhir.Invariant, v.at, r.text+" (cannot be decided)")
		return
	}
	if ok, known := path.Truth(result); known && !ok {
		c.add(severity, fhir.Invariant, v.at, r.text)
	}
}

// typed checks the type of a value and the profiles that its type must meet.
func (c *checker) typed(v value, e *element) {
	if len(e.types) == 0 || strings.Contains(v.typ, ".") { // a backbone
		return
	}
	var of *typeRef
	for i, t := range e.types {
		if t.code == v.typ || c.Defs.IsA(v.typ, t.code) {
			of = &e.types[i]
			break
		}
	}
	if of == nil {
		c.fail(fhir.Invalid, v.at, "has a type that the profile does not allow")
		return
	}
	if v.typ == "Reference" || v.typ == "canonical" {
		c.target(v, e.types)
	}
	c.meets(v, of.profiles)
}

// meets: of the profiles that a type names, a value must conform to one.
func (c *checker) meets(v value, canonicals []string) {
	var known []*profile
	for _, canonical := range canonicals {
		p, err := c.find(c.ctx, canonical)
		if err != nil {
			c.add(fhir.Warning, fhir.NotFound, v.at, "the profile "+canonical+" that applies here is not known to this server")
			return
		}
		known = append(known, p)
	}
	if len(known) == 1 {
		c.conform(v, known[0])
		return
	}
	if len(known) > 1 && !slices.ContainsFunc(known, func(p *profile) bool { return c.conforms(v, p) }) {
		c.fail(fhir.Invalid, v.at, "conforms to none of the profiles allowed here")
	}
}

const coreURL = "http://hl7.org/fhir/StructureDefinition/"

// target: a literal reference must name a type that the profile allows.
func (c *checker) target(v value, types []typeRef) {
	ref := fhir.ParseReference(v.node.Get("reference").Text())
	kind := ref.Key.Type
	if id, local := strings.CutPrefix(ref.Text, "#"); local {
		for n := range c.whole.Root().Get("contained").Items() {
			if n.Get("id").Text() == id {
				kind = n.Get("resourceType").Text()
			}
		}
	}
	if kind == "" {
		return
	}
	any := false
	for _, t := range types {
		for _, canonical := range t.target {
			any = true
			name := strings.TrimPrefix(canonical, coreURL)
			if p, err := c.find(c.ctx, canonical); err == nil {
				name = p.typ
			} else if name == canonical {
				return // a profile that is not known may be of any type
			}
			if name == kind || c.Defs.IsA(kind, name) {
				return
			}
		}
	}
	if any {
		c.fail(fhir.Value, v.at+".reference", "refers to a type that the profile does not allow")
	}
}

// bound holds a code against a binding
// (https://hl7.org/fhir/R4/terminologies.html#strength).
func (c *checker) bound(v value, e *element) {
	if e.binding == "" || c.Terminology == nil || e.strength != "required" && e.strength != "extensible" {
		return
	}
	codings := codingsOf(v)
	if len(codings) == 0 {
		return
	}
	for _, coding := range codings {
		ok, err := c.Terminology.Contains(c.ctx, e.binding, coding)
		if err != nil {
			c.add(fhir.Information, fhir.NotSupported, v.at, "whether the code is in the value set "+e.binding+" cannot be decided here")
			return
		}
		if ok {
			return
		}
	}
	if e.strength == "required" {
		c.fail(fhir.CodeInvalid, v.at, "must have a code of the value set "+e.binding)
		return
	}
	c.add(fhir.Warning, fhir.CodeInvalid, v.at, "should have a code of the value set "+e.binding+" if one fits")
}

// codingsOf are the codes of a value, whatever its type.
func codingsOf(v value) []terminology.Coding {
	switch v.typ {
	case "CodeableConcept":
		var out []terminology.Coding
		for n := range v.node.Get("coding").Items() {
			out = append(out, terminology.CodingOf(n))
		}
		return out
	case "Coding", "Quantity", "Age", "Duration", "Distance", "Count", "SimpleQuantity", "MoneyQuantity":
		if v.node.Get("code").Exists() {
			return []terminology.Coding{terminology.CodingOf(v.node)}
		}
		return nil
	}
	if v.node.Kind() == jsontree.String {
		return []terminology.Coding{{Code: v.node.Text()}}
	}
	return nil
}

// below holds the children of a value against the elements that the profile
// names.
func (c *checker) below(v value, children []*element) {
	if len(children) == 0 {
		return
	}
	t, ok := c.Defs.Type(v.typ)
	if !ok {
		return
	}
	for _, e := range children {
		if e.name == "value" && t.Kind == spec.Primitive || e.name == "id" && len(e.types) > 0 && e.min == 0 {
			continue // the value itself; an id is only text
		}
		values := c.values(v, t, e.name)
		c.counted(values, e, v.at+"."+e.name)
		c.sliced(values, e, v.at+"."+e.name)
		for _, child := range values {
			c.one(child, e)
		}
	}
}

func (c *checker) counted(values []value, e *element, at string) {
	switch {
	case len(values) < e.min && len(values) == 0:
		c.fail(fhir.Required, at, "is required by the profile")
	case len(values) < e.min:
		c.fail(fhir.Required, at, "must occur at least "+strconv.Itoa(e.min)+" times in the profile")
	case e.max == 0 && len(values) > 0:
		c.fail(fhir.Invalid, values[0].at, "is not allowed by the profile")
	case e.max > 0 && len(values) > e.max:
		c.fail(fhir.Invalid, values[e.max].at, "may occur at most "+strconv.Itoa(e.max)+" times in the profile")
	}
}

// values are the values of one element of a value.
func (c *checker) values(v value, t *spec.Type, name string) []value {
	owner := v.node
	if t.Kind == spec.Primitive {
		owner = v.sibling
	}
	el, ok := t.Child(name)
	if !ok {
		return nil
	}
	if !el.Choice {
		_, code, _ := t.Element(name)
		return list(owner, name, c.resourceType(owner.Get(name), code), v.at)
	}
	for _, ref := range el.Types {
		member := el.JSONName(ref.Code)
		if owner.Get(member).Exists() || owner.Get("_"+member).Exists() {
			return list(owner, member, ref.Code, v.at)
		}
	}
	return nil
}

// resourceType is the type of a value of an element that holds any resource.
func (c *checker) resourceType(n jsontree.Node, code string) string {
	if kind := n.Get("resourceType").Text(); kind != "" {
		return kind
	}
	return code
}

// list makes values of a member and its "_" twin, which may be longer or alone.
func list(owner jsontree.Node, name, code, at string) []value {
	n, twin := owner.Get(name), owner.Get("_"+name)
	at += "." + name
	if n.Kind() != jsontree.Array && twin.Kind() != jsontree.Array {
		if !n.Exists() && !twin.Exists() {
			return nil
		}
		return []value{{n, twin, code, at}}
	}
	var out []value
	for i := range max(n.Len(), twin.Len()) {
		v := value{n.Item(i), twin.Item(i), code, at + "[" + strconv.Itoa(i) + "]"}
		if kind := v.node.Get("resourceType").Text(); kind != "" {
			v.typ = kind
		}
		out = append(out, v)
	}
	return out
}

// matches reports whether a value has all that a pattern has
// (https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_).
func matches(n, pattern jsontree.Node) bool {
	switch pattern.Kind() {
	case jsontree.Object:
		for name, want := range pattern.Members() {
			if !matches(n.Get(name), want) {
				return false
			}
		}
		return n.Exists()
	case jsontree.Array:
		for want := range pattern.Items() {
			found := false
			for item := range n.Items() {
				found = found || matches(item, want)
			}
			if !found {
				return false
			}
		}
		return true
	}
	return jsontree.Equal(n, pattern)
}
