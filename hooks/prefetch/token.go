package prefetch

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
)

// token is what stands between {{ and }}: a member of the context, the id of
// the user, or an expression.
type token struct {
	text     string
	field    string
	userType string

	expr   *path.Expr
	fields []string // members of the context that expr uses
	keys   []string // earlier keys that expr uses
}

// Context is a hook's context: the value of a member, absent if there is none.
type Context func(member string) jsontree.Node

// values are what the tokens of one call are filled with.
type values struct {
	context Context
	results []Data
	index   map[string]int
	now     time.Time
}

// resolve fills the tokens in. No query and no error means that a token has no
// value: then there is nothing to ask for.
func (c *compiled) resolve(ctx context.Context, v *values) (string, error) {
	var b strings.Builder
	inPath := true
	for i, literal := range c.literals {
		b.WriteString(literal)
		inPath = inPath && !strings.Contains(literal, "?")
		if i == len(c.tokens) {
			break
		}
		texts, err := c.tokens[i].eval(ctx, v)
		if err != nil || len(texts) == 0 {
			return "", err
		}
		for j, text := range texts {
			if j > 0 {
				b.WriteByte(',') // https://build.fhir.org/ig/HL7/cds-hooks-library/prefetch.html
			}
			escaped, err := escape(text, inPath)
			if err != nil {
				return "", err
			}
			b.WriteString(escaped)
		}
	}
	query := b.String()
	if len(query) > maxQuery {
		return "", fhir.E("prefetch.resolve", fhir.TooCostly, "prefetch."+c.Key, "the query becomes too long")
	}
	return query, nil
}

// maxQuery is how long a query may become, in bytes: what servers accept as a
// URL.
const maxQuery = 8 << 10

// pathValue is what may stand in the path of a query: an id or Type/id.
var pathValue = regexp.MustCompile(`^([A-Z][A-Za-z]{1,63}/)?[A-Za-z0-9\-.]{1,64}$`)

// escape makes a value inert in its place. In a path nothing can be escaped
// that every server understands, so what is neither an id nor a relative
// reference is refused.
func escape(text string, inPath bool) (string, error) {
	if !inPath {
		return url.QueryEscape(text), nil
	}
	if !pathValue.MatchString(text) || strings.Trim(text, ".") == "" {
		return "", fhir.E("prefetch.escape", fhir.Value, "context", "a value that is to be read is no id and no reference")
	}
	return text, nil
}

func (t *token) eval(ctx context.Context, v *values) ([]string, error) {
	switch {
	case t.field != "":
		return texts(v.context(t.field)), nil
	case t.userType != "":
		if kind, id, _ := strings.Cut(v.context("userId").Text(), "/"); kind == t.userType && id != "" {
			return []string{id}, nil
		}
		return nil, nil
	}
	env := path.Env{Vars: map[string][]path.Item{}, Now: v.now, MaxSteps: maxSteps}
	for _, name := range t.fields {
		env.Vars["context_"+name] = items(v.context(name))
	}
	for _, key := range t.keys {
		var all []path.Item
		for _, it := range v.results[v.index[key]].Items {
			all = append(all, path.ResourceItem(it.Resource))
		}
		env.Vars[key] = all
	}
	found, err := t.expr.Eval(ctx, env)
	if err != nil {
		return nil, fhir.E("prefetch.eval", fhir.Value, "context", "a prefetch token cannot be computed from this call")
	}
	var out []string
	seen := map[string]bool{}
	for _, it := range found {
		if text := it.Text(); text != "" && !seen[text] {
			seen[text] = true
			out = append(out, text)
		}
	}
	return out, nil
}

// maxSteps bounds the evaluation of one token.
const maxSteps = 100_000

// texts are the strings of a member that is one or an array of them.
func texts(n jsontree.Node) []string {
	var out []string
	for item := range n.Items() {
		if item.Kind() == jsontree.String && item.Text() != "" {
			out = append(out, item.Text())
		}
	}
	return out
}

// items are a member's values for FHIRPath: resources and strings.
func items(n jsontree.Node) []path.Item {
	var out []path.Item
	for item := range n.Items() {
		switch item.Kind() {
		case jsontree.String:
			out = append(out, path.StringItem(item.Text()))
		case jsontree.Object:
			if r, err := fhir.Parse(item.Raw(), jsontree.Limits{}); err == nil {
				out = append(out, path.ResourceItem(r))
			}
		}
	}
	return out
}
