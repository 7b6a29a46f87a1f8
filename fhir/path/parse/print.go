package parse

import (
	"fmt"
	"strings"
)

// String prints the tree as FHIRPath with a parenthesis around every operator
// inside another term; Parse reads it back as the same tree.
func (n *Node) String() string {
	var b strings.Builder
	n.print(&b)
	return b.String()
}

func (n *Node) print(b *strings.Builder) {
	switch n.Kind {
	case Empty:
		b.WriteString("{}")
	case Boolean, Number:
		b.WriteString(n.Text)
	case String:
		quote(b, n.Text, '\'')
	case Quantity:
		b.WriteString(n.Text + " ")
		if n.Calendar {
			b.WriteString(n.Unit)
		} else {
			quote(b, n.Unit, '\'')
		}
	case Date, DateTime:
		b.WriteString("@" + n.Text)
	case Time:
		b.WriteString("@T" + n.Text)
	case External:
		b.WriteByte('%')
		quote(b, n.Text, '`')
	case This:
		b.WriteString("$this")
	case Index:
		b.WriteString("$index")
	case Total:
		b.WriteString("$total")
	default:
		n.printOperation(b)
	}
}

func (n *Node) printOperation(b *strings.Builder) {
	switch n.Kind {
	case Name, Call:
		if n.Left != nil {
			n.Left.operand(b)
			b.WriteByte('.')
		}
		name(b, n.Text)
		if n.Kind == Call {
			b.WriteByte('(')
			for i, a := range n.Args {
				if i > 0 {
					b.WriteString(", ")
				}
				a.print(b)
			}
			b.WriteByte(')')
		}
	case Subscript:
		n.Left.operand(b)
		b.WriteByte('[')
		n.Args[0].print(b)
		b.WriteByte(']')
	case Unary:
		b.WriteString(n.Text)
		n.Args[0].operand(b)
	case Binary:
		n.Left.operand(b)
		b.WriteString(" " + n.Text + " ")
		n.Args[0].operand(b)
	case TypeOf:
		n.Left.operand(b)
		b.WriteString(" " + n.Text + " ")
		if n.Type.Namespace != "" {
			name(b, n.Type.Namespace)
			b.WriteByte('.')
		}
		name(b, n.Type.Name)
	}
}

// operand prints a part of an operation, in parentheses if it is one itself.
func (n *Node) operand(b *strings.Builder) {
	if n.Kind == Unary || n.Kind == Binary || n.Kind == TypeOf {
		b.WriteByte('(')
		n.print(b)
		b.WriteByte(')')
		return
	}
	n.print(b)
}

// name prints an identifier, in backquotes if it could be read as another thing.
func name(b *strings.Builder, s string) {
	l := lexer{src: s}
	if s == "" || !isLetter(s[0]) || l.word() != s || precedence[s] != 0 || s == "true" || s == "false" || CalendarUnit(s) != "" {
		quote(b, s, '`')
		return
	}
	b.WriteString(s)
}

func quote(b *strings.Builder, s string, mark byte) {
	b.WriteByte(mark)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == mark || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(b, "\\u%04x", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte(mark)
}
