package xmlpatch

import (
	"errors"
	"strconv"
	"strings"

	"galen/fhir/xml"
	"galen/fhir/xmltree"
)

// selector is a location path of RFC 5261, section 4.1: an absolute path, or a
// relative one that starts at the document.
type selector []step

// step is one step of a path.
type step struct {
	axis       axis
	space      string
	local      string // "*" for any name; a prefix, a target
	predicates []predicate
}

type axis uint8

const (
	child axis = iota
	attribute
	namespace
	text
	comment
	instruction
)

// predicate is a position, or conditions that must all hold.
type predicate struct {
	position int // from 1; -1 is last(); 0 for none
	all      []condition
}

// condition is a path that must lead somewhere, to a text if there is one. An
// empty path is the node itself.
type condition struct {
	path  []step
	value string
	equal bool
}

// node is what a selector finds: a node, or an attribute of one.
type node struct {
	xmltree.Node
	attr   xmltree.Attr
	isAttr bool
}

// spaces resolves a prefix by the declarations around the operation. FHIR's own
// examples use f and h without a declaration.
type spaces struct{ at xmltree.Node }

func (s spaces) of(prefix string) (string, bool) {
	for n := s.at; n.Kind() == xmltree.Element; n = n.Parent() {
		for a := range n.Attrs() {
			if a.Declares() && a.Name() == prefix {
				return a.Value(), true
			}
		}
	}
	switch prefix {
	case "":
		return "", true
	case "f":
		return xml.Namespace, true
	case "h":
		return xml.XHTMLNamespace, true
	}
	return "", false
}

var (
	errSelector = errors.New("not a selector that is understood here (RFC 5261, section 4.1)")
	errUnbound  = errors.New("the selector has a prefix that is not declared")
)

// parser reads a selector.
type parser struct {
	text   string
	at     int
	spaces spaces
}

func parseSelector(text string, at xmltree.Node) (selector, error) {
	const longest = 4096
	if len(text) > longest {
		return nil, errSelector
	}
	p := &parser{text: strings.TrimSpace(text), spaces: spaces{at}}
	p.accept("/")
	steps, err := p.path()
	if err != nil {
		return nil, err
	}
	if p.at != len(p.text) {
		return nil, errSelector
	}
	return steps, nil
}

func (p *parser) accept(s string) bool {
	if !strings.HasPrefix(p.text[p.at:], s) {
		return false
	}
	p.at += len(s)
	return true
}

func (p *parser) space() {
	for p.accept(" ") {
	}
}

func (p *parser) path() ([]step, error) {
	var steps []step
	for {
		s, err := p.step()
		if err != nil {
			return nil, err
		}
		if len(steps) > 0 && steps[len(steps)-1].axis != child {
			return nil, errSelector // nothing is below an attribute or a text
		}
		steps = append(steps, s)
		if !p.accept("/") {
			return steps, nil
		}
	}
}

func (p *parser) step() (step, error) {
	s := step{}
	var err error
	switch {
	case p.accept("@"):
		s.axis = attribute
		s.space, s.local, err = p.name(false)
	case p.accept("namespace::"):
		s.axis, s.local = namespace, p.word()
	case p.accept("text()"):
		s.axis = text
	case p.accept("comment()"):
		s.axis = comment
	case p.accept("processing-instruction("):
		s.axis = instruction
		if !p.accept(")") {
			if s.local, err = p.literal(); err == nil && !p.accept(")") {
				err = errSelector
			}
		}
	case p.accept("*"):
		s.local = "*"
	default:
		s.space, s.local, err = p.name(true)
	}
	for err == nil && p.accept("[") {
		var is predicate
		if is, err = p.predicate(); err == nil {
			s.predicates = append(s.predicates, is)
		}
	}
	return s, err
}

// word reads a name without colon.
func (p *parser) word() string {
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune("/[]@='\" ():*,|!<>$+", rune(p.text[p.at])) {
		p.at++
	}
	return p.text[start:p.at]
}

// name reads a name with its namespace; an element without prefix is in the
// default namespace of the patch (RFC 5261, section 4.2.1), an attribute in none.
func (p *parser) name(element bool) (space, local string, err error) {
	prefix, local := "", p.word()
	if p.accept(":") {
		prefix, local = local, p.word()
		if prefix == "" {
			return "", "", errSelector
		}
	}
	if local == "" {
		return "", "", errSelector
	}
	if prefix == "" && !element {
		return "", local, nil
	}
	space, ok := p.spaces.of(prefix)
	if !ok {
		return "", "", errUnbound
	}
	return space, local, nil
}

func (p *parser) literal() (string, error) {
	if p.at == len(p.text) || p.text[p.at] != '\'' && p.text[p.at] != '"' {
		return "", errSelector
	}
	length := strings.IndexByte(p.text[p.at+1:], p.text[p.at])
	if length < 0 {
		return "", errSelector
	}
	value := p.text[p.at+1 : p.at+1+length]
	p.at += length + 2
	return value, nil
}

// predicate reads what stands in brackets, the closing one included.
func (p *parser) predicate() (predicate, error) {
	p.space()
	is := predicate{}
	switch {
	case p.accept("last()"):
		is.position = -1
	case p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9':
		n, err := strconv.ParseUint(p.word(), 10, 31)
		if err != nil || n == 0 {
			return is, errSelector
		}
		is.position = int(n)
	default:
		for {
			c, err := p.condition()
			if err != nil {
				return is, err
			}
			is.all = append(is.all, c)
			if p.space(); !p.accept("and ") {
				break
			}
		}
	}
	if p.space(); !p.accept("]") {
		return is, errSelector
	}
	return is, nil
}

func (p *parser) condition() (condition, error) {
	c := condition{}
	var err error
	if p.space(); !p.accept(".") {
		if c.path, err = p.path(); err != nil {
			return c, err
		}
	}
	if p.space(); p.accept("=") {
		p.space()
		c.equal = true
		c.value, err = p.literal()
	} else if len(c.path) == 0 {
		err = errSelector
	}
	return c, err
}

// find lists what the selector finds in a document.
func (s selector) find(doc *xmltree.Doc) []node {
	first := s[0]
	if first.axis != child {
		return nil
	}
	roots := first.filter([]node{{Node: doc.Root()}})
	return follow(roots, s[1:])
}

// follow takes steps from nodes.
func follow(from []node, steps []step) []node {
	for _, s := range steps {
		var next []node
		for _, n := range from {
			next = append(next, s.filter(s.candidates(n))...)
		}
		from = next
	}
	return from
}

// candidates are the nodes of the step's axis.
func (s step) candidates(n node) []node {
	var out []node
	if n.isAttr {
		return nil
	}
	if s.axis == attribute || s.axis == namespace {
		for a := range n.Attrs() {
			if a.Declares() == (s.axis == namespace) && a.Name() == s.local && (s.axis == namespace || a.Space() == s.space) {
				out = append(out, node{Node: n.Node, attr: a, isAttr: true})
			}
		}
		return out
	}
	for c := range n.Children() {
		out = append(out, node{Node: c})
	}
	return out
}

// kinds are the kinds of node on each axis.
var kinds = map[axis]xmltree.Kind{child: xmltree.Element, text: xmltree.Text, comment: xmltree.Comment, instruction: xmltree.Instruction}

// filter keeps what the step names and its predicates let through.
func (s step) filter(nodes []node) []node {
	var out []node
	for _, n := range nodes {
		if n.isAttr || n.Kind() == kinds[s.axis] && s.named(n) {
			out = append(out, n)
		}
	}
	for _, p := range s.predicates {
		out = p.filter(out)
	}
	return out
}

func (s step) named(n node) bool {
	switch s.axis {
	case child:
		return s.local == "*" || n.Name() == s.local && n.Space() == s.space
	case instruction:
		return s.local == "" || n.Name() == s.local
	}
	return true
}

func (p predicate) filter(nodes []node) []node {
	if p.position != 0 {
		at := p.position - 1
		if p.position < 0 {
			at = len(nodes) - 1
		}
		if at < 0 || at >= len(nodes) {
			return nil
		}
		return nodes[at : at+1]
	}
	var out []node
	for _, n := range nodes {
		holds := true
		for _, c := range p.all {
			holds = holds && c.holds(n)
		}
		if holds {
			out = append(out, n)
		}
	}
	return out
}

func (c condition) holds(n node) bool {
	for _, found := range follow([]node{n}, c.path) {
		if !c.equal || value(found) == c.value {
			return true
		}
	}
	return false
}

// value is the string-value of a node.
func value(n node) string {
	if n.isAttr {
		return n.attr.Value()
	}
	if n.Kind() != xmltree.Element {
		return n.Value()
	}
	var b strings.Builder
	for c := range n.Subtree() {
		if c.Kind() == xmltree.Text {
			b.WriteString(c.Value())
		}
	}
	return b.String()
}

// qualified is an attribute's name as it was written.
func qualified(a xmltree.Attr) string {
	switch {
	case a.Declares() && a.Name() == "":
		return "xmlns"
	case a.Declares():
		return "xmlns:" + a.Name()
	case a.Prefix() != "":
		return a.Prefix() + ":" + a.Name()
	}
	return a.Name()
}

// attributeName is the attribute that an add of that type makes.
func attributeName(typ string) (string, bool) {
	if prefix, ok := strings.CutPrefix(typ, "namespace::"); ok && plain(prefix) {
		return "xmlns:" + prefix, true
	}
	name, ok := strings.CutPrefix(typ, "@")
	return name, ok && plain(strings.TrimPrefix(name, "xml:"))
}

// plain reports whether a name has only what FHIR's names have.
func plain(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '.') {
			return false
		}
	}
	return name != ""
}
