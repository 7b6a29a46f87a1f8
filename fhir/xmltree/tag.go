package xmltree

import (
	"bytes"
	"slices"
)

// qName reads a name with an optional prefix
// (https://www.w3.org/TR/xml-names/#NT-QName).
func (p *parser) qName() (prefix, local span, err error) {
	length := ncName(p.src[p.at:])
	if length == 0 {
		return prefix, local, p.fail(Malformed, "a name expected")
	}
	local = span{int32(p.at), int32(p.at + length)}
	p.at += length
	prefix = span{local.start, local.start}
	if !p.has(":") {
		return prefix, local, nil
	}
	p.at++
	if length = ncName(p.src[p.at:]); length == 0 {
		return prefix, local, p.fail(Malformed, "a name expected behind the prefix")
	}
	prefix, local = local, span{int32(p.at), int32(p.at + length)}
	p.at += length
	return prefix, local, nil
}

// startTag reads <name attributes> or <name attributes/>.
func (p *parser) startTag() error {
	if p.root >= 0 && len(p.open) == 0 {
		return p.fail(Malformed, "a second root element")
	}
	if len(p.open) == p.depth {
		return p.fail(TooDeep, "elements nested deeper than allowed")
	}
	n := node{span: span{start: int32(p.at)}, kind: Element, attrs: int32(len(p.attrs))}
	p.at++
	var err error
	if n.prefix, n.local, err = p.qName(); err != nil {
		return err
	}
	empty, err := p.attributes()
	if err != nil {
		return err
	}
	n.count = int32(len(p.attrs)) - n.attrs
	if err := p.resolve(&n); err != nil {
		return err
	}
	if p.root < 0 {
		p.root = int32(len(p.nodes))
	}
	p.add(n)
	at := int32(len(p.nodes)) - 1
	if empty {
		p.nodes[at].content = span{int32(p.at) - 2, int32(p.at) - 2}
		p.nodes[at].end = int32(p.at)
		p.unbind(len(p.open) + 1)
		return nil
	}
	p.nodes[at].content.start = int32(p.at)
	p.open = append(p.open, at)
	return nil
}

// attributes reads up to the end of the tag.
func (p *parser) attributes() (empty bool, err error) {
	for first := len(p.attrs); ; {
		spaced := p.space()
		switch {
		case p.has(">"):
			p.at++
			return false, nil
		case p.has("/>"):
			p.at += 2
			return true, nil
		case p.at == len(p.src):
			return false, p.fail(Malformed, "a tag that does not end")
		case !spaced:
			return false, p.fail(Malformed, "white space expected before an attribute")
		case len(p.attrs)-first == maxAttrs:
			return false, p.fail(Malformed, "more attributes than are read")
		}
		if err := p.attribute(); err != nil {
			return false, err
		}
	}
}

func (p *parser) attribute() error {
	a := attribute{span: span{start: int32(p.at)}}
	var err error
	if a.prefix, a.local, err = p.qName(); err != nil {
		return err
	}
	if a.value, err = p.quoted(); err != nil {
		return err
	}
	a.end = int32(p.at)
	for i := a.value.start; i < a.value.end; i++ {
		switch c := p.src[i]; {
		case c == '<':
			p.at = int(i)
			return p.fail(Malformed, "< inside an attribute")
		case c == '&':
			_, length := reference(p.src[i:a.value.end])
			if length == 0 {
				p.at = int(i)
				return p.fail(Forbidden, "a reference to what XML itself does not declare")
			}
			a.coded = true
		case c < ' ':
			a.coded = true
		}
	}
	prefix, local := p.view(a.prefix), p.view(a.local)
	a.declare = prefix == "xmlns" || prefix == "" && local == "xmlns"
	if a.declare {
		if err := p.bind(prefix, local, a); err != nil {
			return err
		}
	}
	p.attrs = append(p.attrs, a)
	return nil
}

// bind puts a namespace declaration in force for the element that is being read
// and all inside it.
func (p *parser) bind(prefix, local string, a attribute) error {
	if prefix == "" {
		local = ""
	}
	space := Attr{p.Doc, &a}.Value()
	if local == "xml" || local == "xmlns" || space == xmlSpace || space == xmlnsSpace || local != "" && space == "" {
		return p.fail(Malformed, "a namespace declaration that is not allowed")
	}
	if len(p.bindings) >= maxBindings {
		return p.fail(Malformed, "more namespaces than are read")
	}
	at := slices.Index(p.spaces, space)
	if at < 0 {
		if len(p.spaces) >= maxBindings {
			return p.fail(Malformed, "more namespaces than are read")
		}
		at = len(p.spaces)
		p.spaces = append(p.spaces, space)
	}
	p.bindings = append(p.bindings, binding{local, int32(at), len(p.open) + 1})
	return nil
}

// unbind ends the declarations of elements at that depth and below.
func (p *parser) unbind(depth int) {
	for len(p.bindings) > 0 && p.bindings[len(p.bindings)-1].depth >= depth {
		p.bindings = p.bindings[:len(p.bindings)-1]
	}
}

func (p *parser) lookup(prefix string) (int32, bool) {
	for i := len(p.bindings) - 1; i >= 0; i-- {
		if p.bindings[i].prefix == prefix {
			return p.bindings[i].space, true
		}
	}
	return 0, false
}

// resolve finds the namespaces of an element and its attributes and refuses
// attributes that occur twice (https://www.w3.org/TR/xml-names/#uniqAttrs).
func (p *parser) resolve(n *node) error {
	var ok bool
	if n.space, ok = p.lookup(p.view(n.prefix)); !ok || n.space == 2 {
		return p.fail(Malformed, "a prefix that is not declared")
	}
	attrs := p.attrs[n.attrs:]
	for i := range attrs {
		a := &attrs[i]
		switch prefix := p.view(a.prefix); {
		case a.declare:
			a.space = 2
		case prefix != "":
			if a.space, ok = p.lookup(prefix); !ok {
				return p.fail(Malformed, "a prefix that is not declared")
			}
		}
		for j := range attrs[:i] {
			b := &attrs[j]
			if a.space == b.space && bytes.Equal(p.src[a.local.start:a.local.end], p.src[b.local.start:b.local.end]) {
				p.at = int(a.start)
				return p.fail(Malformed, "an attribute twice in one element")
			}
		}
	}
	return nil
}

// endTag reads </name>, which must be that of the innermost open element.
func (p *parser) endTag() error {
	start := p.at
	p.at += 2
	prefix, local, err := p.qName()
	if err != nil {
		return err
	}
	p.space()
	if !p.has(">") {
		return p.fail(Malformed, "a tag that does not end")
	}
	p.at++
	if len(p.open) == 0 {
		p.at = start
		return p.fail(Malformed, "an end tag without its start")
	}
	n := &p.nodes[p.open[len(p.open)-1]]
	if p.view(prefix) != p.view(n.prefix) || p.view(local) != p.view(n.local) {
		p.at = start
		return p.fail(Malformed, "an end tag that is not that of the open element")
	}
	n.end, n.content.end, n.next = int32(p.at), int32(start), int32(len(p.nodes))
	p.unbind(len(p.open))
	p.open = p.open[:len(p.open)-1]
	return nil
}
