// Package prefetch is what a CDS service asks to be sent along and how it fills
// what was not: templates, their tokens, and the reading of each key of a call
// (https://cds-hooks.hl7.org/2.0/#prefetch-template).
//
// A key can be given, given as "no data" (null), answered with an
// OperationOutcome, or absent; only an absent one is fetched, from a Source, in
// parallel with the others. What could not be had is told apart from what does
// not exist. A Plan is checked once against what the standard allows in
// templates; no value of a call can change which server or type a query names.
//
// It does not know where a Source gets its data or what the data mean.
package prefetch

import (
	"regexp"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/path"
)

// Template is one prefetch entry of a service: a FHIR read or search relative
// to the client's server, with tokens such as {{context.patientId}}.
type Template struct {
	Key   string
	Query string
}

// Rules are what the templates of one hook may hold.
type Rules struct {
	// Fields are the members of the hook's context that may be tokens.
	Fields []string
	// Resources are those members that hold resources; only a FHIRPath token may
	// go into them.
	Resources []string
	// Paths compiles the FHIRPath tokens of the CDS Hooks 3.0 ballot; nil allows
	// only those of 2.0.
	Paths *path.Engine
}

// Plan is the compiled templates of one service. It is immutable and safe for
// concurrent use.
type Plan struct{ templates []compiled }

// compiled is a template ready to be filled in: literal text and tokens in turn.
type compiled struct {
	Template
	literals []string // one more than tokens
	tokens   []token
	needs    []int // templates whose results the tokens use; all stand before it
}

// NewPlan compiles templates and refuses what the standard does not allow: an
// error of Kind Invalid whose At is the key.
func NewPlan(rules Rules, templates []Template) (*Plan, error) {
	p := &Plan{}
	keys := map[string]int{}
	for i, t := range templates {
		if _, twice := keys[t.Key]; twice || !code.MatchString(t.Key) {
			return nil, invalid(t.Key, "a prefetch key must be a FHIR code and stand once")
		}
		c, err := compile(rules, t, keys)
		if err != nil {
			return nil, err
		}
		keys[t.Key] = i
		p.templates = append(p.templates, c)
	}
	return p, nil
}

// Templates are the templates in their order.
func (p *Plan) Templates() []Template {
	out := make([]Template, len(p.templates))
	for i, c := range p.templates {
		out[i] = c.Template
	}
	return out
}

// code is the regular expression of the FHIR type code
// (https://hl7.org/fhir/R4/datatypes.html#code).
var code = regexp.MustCompile(`^[^\s]+(\s[^\s]+)*$`)

func invalid(key, message string) error {
	return fhir.E("prefetch.NewPlan", fhir.Invalid, key, message)
}

func compile(rules Rules, t Template, keys map[string]int) (compiled, error) {
	c := compiled{Template: t}
	rest := t.Query
	for {
		before, after, found := strings.Cut(rest, "{{")
		c.literals = append(c.literals, before)
		if !found {
			break
		}
		text, tail, closed := strings.Cut(after, "}}")
		if !closed {
			return c, invalid(t.Key, "a token has no end")
		}
		tok, err := parseToken(rules, t.Key, strings.TrimSpace(text))
		if err != nil {
			return c, err
		}
		for _, key := range tok.keys {
			at, before := keys[key]
			if !before {
				return c, invalid(t.Key, "a token names a key that does not stand before it")
			}
			c.needs = append(c.needs, at)
		}
		c.tokens = append(c.tokens, tok)
		rest = tail
	}
	return c, c.check()
}

// portable is the subset of queries that every client must know
// (https://cds-hooks.hl7.org/2.0/#prefetch-query-restrictions).
var (
	readQuery   = regexp.MustCompile(`^([A-Z][A-Za-z]{1,63}/)?\x00$`)
	searchParam = regexp.MustCompile(`^[a-z][a-zA-Z0-9-]*(:in)?$`)
	typeName    = regexp.MustCompile(`^[A-Z][A-Za-z]{1,63}$`)
	sortValue   = regexp.MustCompile(`^-?[a-z][a-zA-Z0-9-]*(,-?[a-z][a-zA-Z0-9-]*)*$`)
	comparator  = regexp.MustCompile(`^(ne|sa|eb|ap)[0-9\x00]`) // not among eq, lt, gt, ge, le
	countValue  = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
)

// check holds the query against that subset: the read of one instance, or the
// search of a type by plain parameters.
func (c *compiled) check() error {
	query := strings.Join(c.literals, "\x00") // a NUL stands for each token
	name, criteria, isSearch := strings.Cut(query, "?")
	if !isSearch {
		if !readQuery.MatchString(query) {
			return invalid(c.Key, "a prefetch read must be Type/{{token}} or {{token}}")
		}
		return nil
	}
	if !typeName.MatchString(name) {
		return invalid(c.Key, "a prefetch search must begin with Type?")
	}
	for pair := range strings.SplitSeq(criteria, "&") {
		param, value, _ := strings.Cut(pair, "=")
		switch {
		case value == "":
			return invalid(c.Key, "a search parameter has no value")
		case comparator.MatchString(value):
			return invalid(c.Key, "only the prefixes eq, lt, gt, ge and le are portable")
		case param == "_count" && countValue.MatchString(value), param == "_sort" && sortValue.MatchString(value), param == "_id":
		case !searchParam.MatchString(param):
			return invalid(c.Key, "only plain search parameters, :in, _id, _count and _sort are portable")
		}
	}
	return nil
}

// userTypes are the tokens for the user, by the type that context.userId must
// name (https://cds-hooks.hl7.org/2.0/#prefetch-tokens).
var userTypes = map[string]string{
	"userPractitionerId": "Practitioner", "userPractitionerRoleId": "PractitionerRole",
	"userPatientId": "Patient", "userRelatedPersonId": "RelatedPerson",
}

// plain is a token of CDS Hooks 2.0.
var plain = regexp.MustCompile(`^context\.([A-Za-z][A-Za-z0-9]*)$`)

// member and prior find what a FHIRPath token of 3.0 takes from the call: a
// member of the context, and the result of another key.
var (
	member = regexp.MustCompile(`(^|[^.%\w])context\.([A-Za-z][A-Za-z0-9]*)`)
	prior  = regexp.MustCompile("%([A-Za-z][A-Za-z0-9_]*|`[^`]+`)")
)

// parseToken reads what stands between {{ and }}.
func parseToken(rules Rules, key, text string) (token, error) {
	if m := plain.FindStringSubmatch(text); m != nil {
		if !slices.Contains(rules.Fields, m[1]) {
			return token{}, invalid(key, "context."+m[1]+" is no prefetch token of this hook")
		}
		return token{text: text, field: m[1]}, nil
	}
	if resourceType, ok := userTypes[text]; ok {
		return token{text: text, userType: resourceType}, nil
	}
	if rules.Paths == nil {
		return token{}, invalid(key, "a token must be context.<field> or one of the user")
	}
	return pathToken(rules, key, text)
}

func pathToken(rules Rules, key, text string) (token, error) {
	tok := token{text: text}
	for _, m := range prior.FindAllStringSubmatch(text, -1) {
		tok.keys = append(tok.keys, strings.Trim(m[1], "`"))
	}
	for _, m := range member.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(rules.Fields, m[2]) && !slices.Contains(rules.Resources, m[2]) {
			return tok, invalid(key, "context."+m[2]+" is no prefetch token of this hook")
		}
		tok.fields = append(tok.fields, m[2])
	}
	source := member.ReplaceAllString(text, "${1}%context_$2")
	expr, err := rules.Paths.Compile(source)
	if err != nil {
		return tok, invalid(key, "a token is neither of CDS Hooks nor FHIRPath")
	}
	tok.expr = expr
	return tok, nil
}
