package xmltree

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf8"
)

// Limits bounds what Parse accepts. A zero field means the default.
type Limits struct {
	Bytes int // longest document; default 64 MiB, never above 2 GiB - 1
	Depth int // deepest nesting of elements; default 100
}

const (
	defaultBytes = 64 << 20
	defaultDepth = 100

	// FHIR needs three attributes and two namespaces; more than this is an
	// attack on the search for duplicates.
	maxAttrs    = 256
	maxBindings = 256
)

// Reason is why a document was refused.
type Reason uint8

// The reasons of a SyntaxError.
const (
	Malformed Reason = iota // not well-formed XML 1.0 with namespaces
	Forbidden               // a document type declaration or an entity
	Encoding                // not UTF-8
	TooDeep                 // nested beyond Limits.Depth
	TooLong                 // longer than Limits.Bytes
)

// SyntaxError tells why and where a document was refused. It never holds text
// of the document.
type SyntaxError struct {
	Reason Reason
	Offset int // in bytes, from 0
	Line   int // from 1
	Column int // in bytes, from 1
	msg    string
}

// Error says what is wrong and where, without repeating the document.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at line %d, column %d", e.msg, e.Line, e.Column)
}

// binding is a namespace prefix in force.
type binding struct {
	prefix string
	space  int32
	depth  int
}

const (
	xmlSpace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsSpace = "http://www.w3.org/2000/xmlns/"
)

type parser struct {
	*Doc
	at       int
	depth    int
	open     []int32 // the elements around the place
	bindings []binding
}

// Parse indexes src, which the Doc keeps and nobody may change afterwards. The
// error is a *SyntaxError.
func Parse(src []byte, lim Limits) (*Doc, error) {
	if lim.Bytes <= 0 {
		lim.Bytes = defaultBytes
	}
	if lim.Depth <= 0 {
		lim.Depth = defaultDepth
	}
	p := parser{Doc: &Doc{src: src, spaces: []string{"", xmlSpace, xmlnsSpace}, root: -1}, depth: lim.Depth}
	if longest := min(lim.Bytes, math.MaxInt32); len(src) > longest {
		p.at = longest
		return nil, p.fail(TooLong, "document longer than allowed")
	}
	if err := p.characters(); err != nil {
		return nil, err
	}
	tags := bytes.Count(src, []byte{'<'})
	p.nodes = make([]node, 0, tags+1)
	p.attrs = make([]attribute, 0, tags)
	p.bindings = []binding{{"xml", 1, 0}, {"xmlns", 2, 0}, {"", 0, 0}}
	if err := p.declaration(); err != nil {
		return nil, err
	}
	if err := p.document(); err != nil {
		return nil, err
	}
	return p.Doc, nil
}

// fail is the error at the current place.
func (p *parser) fail(reason Reason, msg string) error {
	before := p.src[:min(p.at, len(p.src))]
	line := bytes.LastIndexByte(before, '\n') + 1
	return &SyntaxError{reason, p.at, p.Line(len(before)), p.at - line + 1, msg}
}

// characters checks that the bytes are characters of XML 1.0 in UTF-8.
func (p *parser) characters() error {
	for i := 0; i < len(p.src); {
		c := p.src[i]
		if c < utf8.RuneSelf {
			if c < ' ' && !isSpace(c) {
				p.at = i
				return p.fail(Malformed, "a control character that XML does not have")
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(p.src[i:])
		p.at = i
		if r == utf8.RuneError && size == 1 {
			return p.fail(Encoding, "not UTF-8")
		}
		if !legal(r) {
			return p.fail(Malformed, "a character that XML does not have")
		}
		i += size
	}
	p.at = 0
	return nil
}

func (p *parser) has(prefix string) bool {
	return len(p.src)-p.at >= len(prefix) && string(p.src[p.at:p.at+len(prefix)]) == prefix
}

func (p *parser) space() bool {
	from := p.at
	for p.at < len(p.src) && isSpace(p.src[p.at]) {
		p.at++
	}
	return p.at > from
}

// declaration reads a byte order mark and <?xml …?>
// (https://www.w3.org/TR/xml/#NT-XMLDecl).
func (p *parser) declaration() error {
	if p.has("\uFEFF") {
		p.at += len("\uFEFF")
	}
	if !p.has("<?xml") || p.at+5 < len(p.src) && !isSpace(p.src[p.at+5]) {
		return nil
	}
	p.at += len("<?xml")
	for _, name := range []string{"version", "encoding", "standalone"} {
		spaced := p.space()
		if !p.has(name) {
			if name == "version" {
				return p.fail(Malformed, "an XML declaration needs a version")
			}
			continue
		}
		if !spaced {
			return p.fail(Malformed, "white space expected")
		}
		p.at += len(name)
		value, err := p.quoted()
		if err != nil {
			return err
		}
		if err := p.declared(name, p.src[value.start:value.end]); err != nil {
			return err
		}
	}
	p.space()
	if !p.has("?>") {
		return p.fail(Malformed, "the XML declaration does not end")
	}
	p.at += 2
	return nil
}

func (p *parser) declared(name string, value []byte) error {
	switch name {
	case "version":
		if string(value) != "1.0" {
			return p.fail(Malformed, "only XML 1.0 is read")
		}
	case "encoding":
		if v := string(bytes.ToLower(value)); v != "utf-8" && v != "us-ascii" {
			return p.fail(Encoding, "only UTF-8 is read")
		}
	case "standalone":
		if string(value) != "yes" && string(value) != "no" {
			return p.fail(Malformed, "standalone is yes or no")
		}
	}
	return nil
}

// quoted reads ="…" or ='…' with optional white space around the equals sign.
func (p *parser) quoted() (span, error) {
	p.space()
	if !p.has("=") {
		return span{}, p.fail(Malformed, "an equals sign expected")
	}
	p.at++
	p.space()
	if !p.has(`"`) && !p.has("'") {
		return span{}, p.fail(Malformed, "a quote expected")
	}
	quote := p.src[p.at]
	p.at++
	length := bytes.IndexByte(p.src[p.at:], quote)
	if length < 0 {
		return span{}, p.fail(Malformed, "a value without its closing quote")
	}
	value := span{int32(p.at), int32(p.at + length)}
	p.at += length + 1
	return value, nil
}

// document reads everything behind the declaration.
func (p *parser) document() error {
	for p.at < len(p.src) {
		if err := p.item(); err != nil {
			return err
		}
	}
	switch {
	case len(p.open) > 0:
		return p.fail(Malformed, "an element without its end tag")
	case p.root < 0:
		return p.fail(Malformed, "no element")
	}
	return nil
}

func (p *parser) item() error {
	switch {
	case p.src[p.at] != '<', p.has("<![CDATA["):
		return p.text()
	case p.has("</"):
		return p.endTag()
	case p.has("<!--"):
		return p.until(Comment, "<!--", "-->")
	case p.has("<!"):
		return p.fail(Forbidden, "a document type declaration, which FHIR does not allow")
	case p.has("<?"):
		return p.instruction()
	}
	return p.startTag()
}

func (p *parser) add(n node) {
	n.parent = -1
	if len(p.open) > 0 {
		n.parent = p.open[len(p.open)-1]
	}
	n.next = int32(len(p.nodes)) + 1
	p.nodes = append(p.nodes, n)
}

// text reads a run of character data and CDATA sections.
func (p *parser) text() error {
	start, coded := p.at, false
	for p.at < len(p.src) {
		switch c := p.src[p.at]; {
		case c == '<' && p.has("<![CDATA["):
			length := bytes.Index(p.src[p.at:], cdataEnd)
			if length < 0 {
				return p.fail(Malformed, "a CDATA section without its end")
			}
			coded = true
			p.at += length + len(cdataEnd)
			continue
		case c == '<':
			return p.endText(start, coded)
		case c == '&':
			_, length := reference(p.src[p.at:])
			if length == 0 {
				return p.fail(Forbidden, "a reference to what XML itself does not declare")
			}
			coded = true
			p.at += length
			continue
		case c == ']' && p.has("]]>"):
			return p.fail(Malformed, "]]> outside a CDATA section")
		case c == '\r':
			coded = true
		}
		p.at++
	}
	return p.endText(start, coded)
}

func (p *parser) endText(start int, coded bool) error {
	whole := span{int32(start), int32(p.at)}
	if len(p.open) > 0 {
		p.add(node{span: whole, content: whole, kind: Text, coded: coded})
		return nil
	}
	for i := start; i < p.at; i++ {
		if !isSpace(p.src[i]) {
			p.at = i
			return p.fail(Malformed, "text outside the root element")
		}
	}
	return nil
}

// until reads a comment or the like.
func (p *parser) until(kind Kind, begin, end string) error {
	start := p.at
	p.at += len(begin)
	length := bytes.Index(p.src[p.at:], []byte(end[:2]))
	if length < 0 || !bytes.HasPrefix(p.src[p.at+length:], []byte(end)) {
		return p.fail(Malformed, "a comment that does not end, or has -- inside")
	}
	content := span{int32(p.at), int32(p.at + length)}
	p.at += length + len(end)
	p.add(node{span: span{int32(start), int32(p.at)}, content: content, kind: kind})
	return nil
}

func (p *parser) instruction() error {
	start := p.at
	p.at += 2
	length := ncName(p.src[p.at:])
	target := span{int32(p.at), int32(p.at + length)}
	if length == 0 || bytes.EqualFold(p.src[target.start:target.end], []byte("xml")) {
		return p.fail(Malformed, "a processing instruction without a proper target")
	}
	p.at += length
	end := bytes.Index(p.src[p.at:], []byte("?>"))
	if end < 0 || end > 0 && !isSpace(p.src[p.at]) {
		return p.fail(Malformed, "a processing instruction that does not end")
	}
	content := span{int32(p.at), int32(p.at + end)}
	p.at += end + 2
	p.add(node{span: span{int32(start), int32(p.at)}, local: target, content: content, kind: Instruction})
	return nil
}
