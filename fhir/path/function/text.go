package function

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"galen/fhir/path/element"
	"galen/fhir/path/machine"
	"galen/fhir/path/parse"
	"galen/fhir/path/system"
)

// textFunctions are N1, 5.6, with those of 2.1 that work on text. Positions and
// lengths count characters, not bytes.
var textFunctions = map[string]machine.Function{
	"length":  onText(0, func(s string, _ []string) any { return int64(utf8.RuneCountInString(s)) }),
	"upper":   onText(0, func(s string, _ []string) any { return strings.ToUpper(s) }),
	"lower":   onText(0, func(s string, _ []string) any { return strings.ToLower(s) }),
	"trim":    onText(0, func(s string, _ []string) any { return strings.TrimSpace(s) }),
	"indexOf": onText(1, func(s string, a []string) any { return system.Characters(s, strings.Index(s, a[0])) }),
	"lastIndexOf": onText(1, func(s string, a []string) any {
		return system.Characters(s, strings.LastIndex(s, a[0]))
	}),
	"startsWith": onText(1, func(s string, a []string) any { return strings.HasPrefix(s, a[0]) }),
	"endsWith":   onText(1, func(s string, a []string) any { return strings.HasSuffix(s, a[0]) }),
	"contains":   onText(1, func(s string, a []string) any { return strings.Contains(s, a[0]) }),
	"encode":     onText(1, func(s string, a []string) any { return system.Encode(s, a[0]) }),
	"decode":     onText(1, func(s string, a []string) any { return system.Decode(s, a[0]) }),
	"escape":     onText(1, func(s string, a []string) any { return system.Escape(s, a[0]) }),
	"unescape":   onText(1, func(s string, a []string) any { return system.Unescape(s, a[0]) }),
	"replace":    {Min: 2, Max: 2, Run: replace},

	"matches":        {Min: 1, Max: 1, Run: matcher(false), Prepare: literalPattern(false)},
	"matchesFull":    {Min: 1, Max: 1, Run: matcher(true), Prepare: literalPattern(true)},
	"replaceMatches": {Min: 2, Max: 2, Run: replaceMatches, Prepare: literalPattern(false)},

	"substring": {Min: 1, Max: 2, Run: substring},
	"toChars":   {Run: toChars},
	"split":     {Min: 1, Max: 1, Run: split},
	"join":      {Max: 1, Run: join},
}

// texts takes the input and the first n arguments as Strings; ok is false if one
// of them is empty, which makes the result empty.
func texts(c *machine.Run, n *machine.Call, base, count int) (s string, args []string, ok bool, err error) {
	it, ok, err := machine.One(c.Above(base), n.Offset)
	if err != nil {
		return "", nil, false, err
	}
	const perStep = 64 // bytes
	s, isText := it.Str()
	c.Left -= len(s) / perStep
	if ok && !isText && !it.Vague() {
		return "", nil, false, machine.Misfit(n.Offset, "expected a String")
	}
	ok = ok && isText
	for i := range count {
		arg, given, err := c.Arg(n, i)
		if err != nil {
			return "", nil, false, err
		}
		a, isText := arg.Str()
		if given && !isText {
			return "", nil, false, machine.Misfit(n.Offset, "expected a String as argument")
		}
		args, ok = append(args, a), ok && given
	}
	return s, args, ok, nil
}

// onText makes a function of a text and count texts. A nil result is empty.
func onText(count int, f func(s string, args []string) any) machine.Function {
	return machine.Function{Min: count, Max: count, Run: func(c *machine.Run, n *machine.Call, base int) error {
		s, args, ok, err := texts(c, n, base, count)
		c.Cut(base)
		if err != nil || !ok {
			return err
		}
		return c.PushValue(f(s, args), n.Offset)
	}}
}

func replace(c *machine.Run, n *machine.Call, base int) error {
	s, args, ok, err := texts(c, n, base, 2)
	c.Cut(base)
	if err != nil || !ok {
		return err
	}
	if times := strings.Count(s, args[0]); len(s)+times*len(args[1]) > machine.MaxText {
		return machine.TooCostly(n.Offset)
	}
	return c.PushText(strings.ReplaceAll(s, args[0], args[1]), n.Offset)
}

// pattern is a regular expression with the size of its program, which bounds the
// work for each byte of text.
type pattern struct {
	re   *regexp.Regexp
	size int
}

const mostInstructions = 20_000 // the greatest of R4, adf-0, has 1,019

// compilePattern reads a regular expression in RE2 syntax, which is linear in
// time; a dot matches a line break (N1, 5.6.9: single line mode).
func compilePattern(text string, full bool) (*pattern, bool) {
	if full {
		text = `\A(?:` + text + `)\z`
	}
	text = "(?s)" + text
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, false
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil || len(program.Inst) > mostInstructions {
		return nil, false
	}
	re, err := regexp.Compile(text)
	return &pattern{re, len(program.Inst)}, err == nil
}

// literalPattern compiles a pattern that stands in the expression once.
func literalPattern(full bool) func(n *parse.Node) (any, string) {
	return func(n *parse.Node) (any, string) {
		if n.Args[0].Kind != parse.String {
			return nil, ""
		}
		p, ok := compilePattern(n.Args[0].Text, full)
		if !ok {
			return nil, "not a regular expression of RE2, or too great a one"
		}
		return p, ""
	}
}

// regex is the pattern of a call, its use on s counted as work.
func regex(c *machine.Run, n *machine.Call, s, text string, full bool) (*regexp.Regexp, error) {
	const longest, perStep = 1000, 32 // bytes of a pattern that comes from data; instructions run
	p, ok := n.State.(*pattern)
	if !ok {
		if len(text) <= longest {
			p, ok = compilePattern(text, full)
		}
		if !ok {
			return nil, machine.Misfit(n.Offset, "not a regular expression of RE2, or too great a one")
		}
		c.Left -= p.size
	}
	return p.re, c.Spend((len(s)+1)*p.size/perStep, n.Offset)
}

func matcher(full bool) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		s, args, ok, err := texts(c, n, base, 1)
		c.Cut(base)
		if err != nil || !ok {
			return err
		}
		re, err := regex(c, n, s, args[0], full)
		if err != nil {
			return err
		}
		c.Push(element.BoolItem(re.MatchString(s)))
		return nil
	}
}

// group is a reference to a group as other engines write it.
var group = regexp.MustCompile(`\$([0-9]+)`)

func replaceMatches(c *machine.Run, n *machine.Call, base int) error {
	s, args, ok, err := texts(c, n, base, 2)
	c.Cut(base)
	if err != nil || !ok {
		return err
	}
	if args[0] == "" { // nothing to find
		return c.PushText(s, n.Offset)
	}
	re, err := regex(c, n, s, args[0], false)
	if err != nil {
		return err
	}
	with := group.ReplaceAllString(args[1], "$${$1}")
	var out []byte
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		out = append(out, s[last:m[0]]...)
		out = re.ExpandString(out, with, s, m)
		if last = m[1]; len(out) > machine.MaxText {
			return machine.TooCostly(n.Offset)
		}
	}
	return c.PushText(string(append(out, s[last:]...)), n.Offset)
}

func substring(c *machine.Run, n *machine.Call, base int) error {
	s, _, ok, err := texts(c, n, base, 0)
	if err != nil {
		return err
	}
	c.Cut(base)
	var bounds [2]int64
	bounds[1] = int64(len(s))
	for i := range n.Args {
		it, given, err := c.Arg(n, i)
		if err != nil {
			return err
		}
		v, isInteger := it.Integer()
		if given && !isInteger {
			return machine.Misfit(n.Offset, "expected an Integer")
		}
		if i == 0 {
			ok = ok && given
		}
		if given {
			bounds[i] = v
		}
	}
	runes := []rune(s)
	start := bounds[0]
	if !ok || start < 0 || start >= int64(len(runes)) {
		return nil
	}
	end := min(start+max(bounds[1], 0), int64(len(runes)))
	return c.PushText(string(runes[start:end]), n.Offset)
}

func toChars(c *machine.Run, n *machine.Call, base int) error {
	s, _, ok, err := texts(c, n, base, 0)
	c.Cut(base)
	if err != nil || !ok {
		return err
	}
	for _, r := range s {
		c.Push(element.StringItem(string(r)))
		if err := c.Spend(0, n.Offset); err != nil {
			return err
		}
	}
	return nil
}

func split(c *machine.Run, n *machine.Call, base int) error {
	s, args, ok, err := texts(c, n, base, 1)
	c.Cut(base)
	if err != nil || !ok {
		return err
	}
	for part := range strings.SplitSeq(s, args[0]) {
		c.Push(element.StringItem(part))
		if err := c.Spend(0, n.Offset); err != nil {
			return err
		}
	}
	return nil
}

func join(c *machine.Run, n *machine.Call, base int) error {
	sep := ""
	if len(n.Args) == 1 {
		it, _, err := c.Arg(n, 0)
		if err != nil {
			return err
		}
		sep, _ = it.Str()
	}
	if len(c.Items) == base {
		return nil
	}
	var b strings.Builder
	for i, it := range c.Above(base) {
		s, ok := it.Str()
		if !ok && !it.Vague() {
			return machine.Misfit(n.Offset, "expected Strings")
		}
		if i > 0 {
			b.WriteString(sep)
		}
		if b.WriteString(s); b.Len() > machine.MaxText {
			return machine.TooCostly(n.Offset)
		}
	}
	c.Cut(base)
	return c.PushText(b.String(), n.Offset)
}
