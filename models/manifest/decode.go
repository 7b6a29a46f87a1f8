package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The largest manifest, in bytes, in nesting of brackets, and in the column where
// a nested block may start; all far above any real one.
const (
	maxBytes  = 512 << 10
	maxDepth  = 24
	maxColumn = 200
)

// Problem is one thing wrong with a manifest.
type Problem struct {
	Key     string // path of the key, such as inputs[0].shape; empty for the file
	Line    int    // from 1; 0 when not known
	Message string
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString("manifest.yaml")
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems is the error of Decode: everything wrong, in file order of the checks.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Decode reads and checks a manifest. Its error is Problems.
func Decode(data []byte) (*Manifest, error) {
	m, file, err := parse(data)
	if err != nil {
		return nil, err
	}
	m.defaults()
	problems := Lint(m)
	if len(problems) == 0 {
		return m, nil
	}
	for i := range problems {
		problems[i].Line = lineOf(file, problems[i].Key)
	}
	return nil, problems
}

// parse is the strict syntax. goccy/go-yaml has panicked on hostile input before;
// a manifest may be uploaded, so a panic in it becomes a Problem.
func parse(data []byte) (m *Manifest, file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			m, file, err = nil, nil, Problems{{Message: "not readable as YAML"}}
		}
	}()
	if len(data) > maxBytes {
		return nil, nil, Problems{{Message: fmt.Sprintf("larger than %d bytes", maxBytes)}}
	}
	tokens := lexer.Tokenize(string(data))
	if p, ok := refuseTokens(tokens); ok {
		return nil, nil, Problems{p}
	}
	file, err = parser.Parse(tokens, 0)
	if err != nil {
		return nil, nil, syntaxProblem(err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, nil, Problems{{Message: "want exactly one YAML document"}}
	}
	m = new(Manifest)
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(m); err != nil {
		return nil, nil, syntaxProblem(err)
	}
	return m, file, nil
}

// refuseTokens refuses what a manifest never needs and an attacker might: anchors,
// aliases and tags (which can blow up a small file), and deep nesting (the parser
// recurses, and a Go stack that overflows cannot be recovered).
func refuseTokens(tokens token.Tokens) (Problem, bool) {
	depth := 0
	for _, t := range tokens {
		block := false
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType:
			return Problem{Line: t.Position.Line, Message: "anchors, aliases, tags and merge keys are not allowed"}, true
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.MappingValueType, token.MappingKeyType, token.SequenceEntryType:
			block = depth <= 0
		}
		if depth > maxDepth || block && t.Position.Column > maxColumn {
			return Problem{Line: t.Position.Line, Message: "nested too deeply"}, true
		}
	}
	return Problem{}, false
}

func syntaxProblem(err error) Problems {
	p := Problem{Message: err.Error()}
	var y yaml.Error
	if errors.As(err, &y) {
		p.Message = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			p.Line = t.Position.Line
		}
	}
	return Problems{p}
}

// lineOf finds the line of a key path; of its nearest parent when the key itself
// is absent.
func lineOf(file *ast.File, key string) int {
	for key != "" {
		path, err := yaml.PathString("$." + key)
		if err == nil {
			if node, err := path.FilterFile(file); err == nil && node != nil && node.GetToken() != nil {
				return node.GetToken().Position.Line
			}
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}

// defaults fills what the file may leave out.
func (m *Manifest) defaults() {
	for i := range m.Features {
		if f := &m.Features[i]; f.Comparator == "" {
			f.Comparator = ComparatorReject
		}
	}
	for i := range m.Outputs {
		o := &m.Outputs[i]
		switch {
		case o.Report != "":
		case o.Prediction():
			o.Report = ReportList
		default:
			o.Report = ReportHide
		}
	}
}
