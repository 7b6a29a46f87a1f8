package profile

import (
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/definition"
	"galen/fhir/jsontree"
)

// sliced sorts values into slices and holds each against its own. A slice of a
// slice (re-slicing, "a/b") sorts the values of the outer one again.
func (c *checker) sliced(values []value, e *element, at string) {
	if len(e.slices) == 0 {
		return
	}
	in := make([]*element, len(values))
	for i, v := range values {
		for _, s := range e.slices {
			if !strings.Contains(sliceName(s), "/") && c.fits(v, e, s) {
				in[i] = s
				break
			}
		}
	}
	for _, s := range e.slices {
		var mine []value
		for i, v := range values {
			if in[i] == s || strings.Contains(sliceName(s), "/") && in[i] != nil && strings.HasPrefix(sliceName(s), sliceName(in[i])+"/") && c.fits(v, e, s) {
				mine = append(mine, v)
			}
		}
		c.counted(mine, s, at+":"+sliceName(s))
		for _, v := range mine {
			c.one(v, s)
		}
	}
	c.ordering(values, in, e)
}

// ordering keeps the rules of a slicing: closed slices take every value, ordered
// ones come in their order, open ones at the end.
func (c *checker) ordering(values []value, in []*element, e *element) {
	if e.slicing == nil {
		return
	}
	last, outside := -1, false
	for i, s := range in {
		if s == nil {
			outside = true
			if e.slicing.rules == "closed" {
				c.fail(fhir.Invalid, values[i].at, "fits none of the slices of the profile, which allows no others")
			}
			continue
		}
		at := slices.Index(e.slices, s)
		if e.slicing.ordered && at < last {
			c.fail(fhir.Invalid, values[i].at, "is not in the order of the profile's slices")
		}
		if e.slicing.rules == "openAtEnd" && outside {
			c.fail(fhir.Invalid, values[i].at, "stands behind values that fit no slice")
		}
		last = max(last, at)
	}
}

func sliceName(s *element) string { return s.id[strings.LastIndexByte(s.id, ':')+1:] }

// fits reports whether a value belongs into a slice: every discriminator says so.
func (c *checker) fits(v value, e, s *element) bool {
	if s.narrows != nil {
		return c.fits(v, e, s.narrows)
	}
	if e.slicing == nil || len(e.slicing.by) == 0 {
		return c.ofType(v, s) && (s.hasValue() || len(s.types) == 1) && c.satisfies(v, s)
	}
	for _, d := range e.slicing.by {
		if !c.discriminates(v, s, d) {
			return false
		}
	}
	return true
}

func (c *checker) ofType(v value, s *element) bool {
	return slices.ContainsFunc(s.types, func(t typeRef) bool { return t.code == v.typ || c.Defs.IsA(v.typ, t.code) })
}

// discriminates decides by one discriminator
// (https://hl7.org/fhir/R4/valueset-discriminator-type.html).
func (c *checker) discriminates(v value, s *element, d discriminator) bool {
	if d.path == "url" && v.typ == "Extension" {
		if url, ok := extensionURL(s); ok {
			return v.node.Get("url").Text() == url
		}
	}
	defs, values := []*element{s}, []value{v}
	if d.path != "$this" {
		for step := range strings.SplitSeq(d.path, ".") {
			if defs, values = c.step(defs, values, step); defs == nil {
				return false
			}
		}
	}
	return slices.ContainsFunc(defs, func(def *element) bool {
		switch d.kind {
		case "exists":
			return def.max == 0 && len(values) == 0 || def.max != 0 && def.min > 0 && len(values) > 0
		case "type":
			return slices.ContainsFunc(values, func(v value) bool { return c.ofType(v, def) })
		case "profile":
			return slices.ContainsFunc(values, func(v value) bool { return c.meetsQuietly(v, def) })
		}
		return slices.ContainsFunc(values, func(v value) bool { return c.satisfies(v, def) })
	})
}

// extensionURL is the URL that a slice of extensions is about: that of the
// definition its type names, or a fixed one.
func extensionURL(s *element) (string, bool) {
	for _, t := range s.types {
		for _, p := range t.profiles {
			url, _ := definition.Canonical(p)
			return url, true
		}
	}
	for _, child := range s.children {
		if child.name == "url" && child.fixed.Exists() {
			return child.fixed.Text(), true
		}
	}
	return "", false
}

// step follows one step of a discriminator's path, in the definitions and in the
// values: a name, extension('url'), ofType(T) or resolve().
func (c *checker) step(defs []*element, values []value, step string) ([]*element, []value) {
	if step == "resolve()" {
		return defs, c.resolved(values)
	}
	if strings.HasPrefix(step, "ofType(") {
		return defs, values
	}
	name, url := step, ""
	if arg, ok := strings.CutPrefix(step, "extension("); ok {
		name, url = "extension", strings.Trim(arg, "')")
	}
	var nextDefs []*element
	for _, def := range defs {
		for _, child := range def.children {
			if child.name != name {
				continue
			}
			if len(child.slices) == 0 || child.hasValue() {
				nextDefs = append(nextDefs, child)
			}
			nextDefs = append(nextDefs, child.slices...)
		}
	}
	var nextValues []value
	for _, v := range values {
		if t, ok := c.Defs.Type(v.typ); ok {
			nextValues = append(nextValues, c.values(v, t, name)...)
		}
	}
	if url != "" {
		nextDefs = slices.DeleteFunc(nextDefs, func(e *element) bool { u, ok := extensionURL(e); return !ok || u != url })
		nextValues = slices.DeleteFunc(nextValues, func(v value) bool { return v.node.Get("url").Text() != url })
	}
	if nextDefs == nil && name == "coding" { // a pattern on the concept says it all
		return defs, values
	}
	return nextDefs, nextValues
}

// resolved are the contained resources and entries that references point to.
func (c *checker) resolved(values []value) []value {
	var out []value
	for _, v := range values {
		text := v.node.Get("reference").Text()
		if id, local := strings.CutPrefix(text, "#"); local {
			for n := range c.whole.Root().Get("contained").Items() {
				if n.Get("id").Text() == id {
					out = append(out, value{node: n, typ: n.Get("resourceType").Text(), at: v.at})
				}
			}
			continue
		}
		found := false
		for entry := range c.whole.Root().Get("entry").Items() {
			if url := entry.Get("fullUrl").Text(); url != "" && (url == text || strings.HasSuffix(url, "/"+text)) {
				n := entry.Get("resource")
				out, found = append(out, value{node: n, typ: n.Get("resourceType").Text(), at: v.at}), true
			}
		}
		if kind := fhir.ParseReference(text).Key.Type; !found && kind != "" {
			out = append(out, value{typ: kind, at: v.at}) // its type is known, its content is not
		}
	}
	return out
}

// satisfies reports whether a value is what a definition says a value must be:
// fixed values, patterns and required codes, here and below.
func (c *checker) satisfies(v value, e *element) bool {
	if e.fixed.Exists() && !jsontree.Equal(v.node, e.fixed) || e.pattern.Exists() && !matches(v.node, e.pattern) {
		return false
	}
	if e.binding != "" && e.strength == "required" && !e.hasValue() && c.Terminology != nil {
		ok := false
		for _, coding := range codingsOf(v) {
			in, err := c.Terminology.Contains(c.ctx, e.binding, coding)
			ok = ok || in && err == nil
		}
		return ok
	}
	t, known := c.Defs.Type(v.typ)
	for _, child := range e.children {
		if !known || !child.hasValue() && !slices.ContainsFunc(child.slices, (*element).hasValue) {
			continue
		}
		values := c.values(v, t, child.name)
		if child.hasValue() && !(len(values) == 0 && child.min == 0) &&
			!slices.ContainsFunc(values, func(v value) bool { return c.satisfies(v, child) }) {
			return false
		}
		for _, s := range child.slices {
			if s.min > 0 && s.hasValue() && !slices.ContainsFunc(values, func(v value) bool { return c.satisfies(v, s) }) {
				return false
			}
		}
	}
	return true
}

func (c *checker) meetsQuietly(v value, e *element) bool {
	for _, t := range e.types {
		for _, canonical := range append(slices.Clone(t.profiles), t.target...) {
			if p, err := c.find(c.ctx, canonical); err == nil && c.Defs.IsA(v.typ, p.typ) && c.conforms(v, p) {
				return true
			}
		}
	}
	return false
}
