package policies

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"

	"github.com/goccy/go-yaml"

	"galen/fhir"
)

//go:embed cases/*.yaml
var shippedCases embed.FS

// Case is one or more requests with the answer they must get. Every action with
// every type is a request.
type Case struct {
	Name   string
	Who    CaseWho
	Action []Action
	Type   []string // none for an action without types
	Expect string   // "allow" or "deny"
	Rule   string   // id of the rule that decides, "" for default deny or another layer
	Reason Reason   // if given, the reason
	Only   string   // if given, the patient to whom the answer is limited: "Patient/1"
	file   string
}

// CaseWho is the principal of a Case.
type CaseWho struct {
	Roles   []string
	Org     string
	Purpose string
	Patient string
	Scopes  *string // absent: a token without scopes
}

// Principal is who the case is about.
func (w CaseWho) Principal() Principal {
	p := Principal{Subject: "case", Roles: w.Roles, Org: w.Org, Purpose: w.Purpose, Patient: w.Patient}
	if w.Scopes != nil {
		p.Scopes, _ = ParseScopes(*w.Scopes)
		if p.Scopes == nil {
			p.Scopes = []Scope{}
		}
	}
	return p
}

// Requests are the requests of the case.
func (c Case) Requests() []Request {
	types := c.Type
	if len(types) == 0 {
		types = []string{""}
	}
	var list []Request
	for _, a := range c.Action {
		for _, name := range types {
			list = append(list, Request{Action: a, Type: name})
		}
	}
	return list
}

// ShippedCases are the cases of the shipped policy.
func ShippedCases() ([]Case, error) {
	names, err := fs.Glob(shippedCases, "cases/*.yaml")
	if err != nil {
		return nil, &fhir.Error{Op: "policies.ShippedCases", Err: err}
	}
	var all []Case
	for _, name := range names {
		text, err := shippedCases.ReadFile(name)
		if err != nil {
			return nil, &fhir.Error{Op: "policies.ShippedCases", Err: err}
		}
		cases, err := ParseCases(name, text)
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

// ParseCases reads a file of cases: a YAML list. Unknown members, actions and
// effects are refused with an *fhir.Error of Kind Invalid.
func ParseCases(file string, text []byte) ([]Case, error) {
	var list []Case
	if err := yaml.UnmarshalWithOptions(text, &list, yaml.Strict()); err != nil {
		return nil, &fhir.Error{Op: "policies.ParseCases", Kind: fhir.Invalid, At: file, Err: err}
	}
	for i := range list {
		c := &list[i]
		c.file = file
		if c.Name == "" || (c.Expect != "allow" && c.Expect != "deny") || len(c.Action) == 0 ||
			slices.ContainsFunc(c.Action, func(a Action) bool { return !a.known() }) {
			return nil, fhir.E("policies.ParseCases", fhir.Invalid, fmt.Sprintf("%s case %d", file, i+1),
				"a case has a name, known actions and expects allow or deny")
		}
	}
	return list, nil
}

// Check runs the cases and says which answers differ, one line each.
func (e *Engine) Check(ctx context.Context, cases []Case) []string {
	var wrong []string
	for _, c := range cases {
		for _, r := range c.Requests() {
			if problem := e.checkOne(ctx, c, r); problem != "" {
				wrong = append(wrong, fmt.Sprintf("%s: %s (%s %s): %s", c.file, c.Name, r.Action, r.Type, problem))
			}
		}
	}
	return wrong
}

func (e *Engine) checkOne(ctx context.Context, c Case, r Request) string {
	p := c.Who.Principal()
	d := e.Decide(ctx, p, r)
	only := ""
	if d.Own {
		only = p.OwnKey().String()
	}
	switch {
	case d.Allow != (c.Expect == "allow"):
		return fmt.Sprintf("allow is %t by rule %q, reason %s, missing: %s", d.Allow, d.Rule, d.Reason, d.Missing)
	case d.Rule != c.Rule:
		return fmt.Sprintf("rule is %q, not %q", d.Rule, c.Rule)
	case c.Reason != "" && d.Reason != c.Reason:
		return fmt.Sprintf("reason is %q, not %q", d.Reason, c.Reason)
	case only != c.Only:
		return fmt.Sprintf("limited to %q, not %q", only, c.Only)
	}
	return ""
}
