package custom

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/definition"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// Definition is a SearchParameter resource in a form to search by.
type Definition struct {
	URL, Code string
	Mark      string                       // a digest of all that decides what it finds
	Params    map[string]*spec.SearchParam // by resource type, "Resource" if it is on every one
}

// excluded is the one type that cannot have further parameters: its index is
// made of the audit log.
const excluded = "AuditEvent"

// code is what a query can name. What begins with "_" is the standard's own.
var code = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// reader reads one resource and collects what is wrong.
type reader struct {
	defs   *spec.Definitions
	engine *path.Engine
	root   jsontree.Node
	issues fhir.Issues
}

// Read reads a SearchParameter (https://hl7.org/fhir/R4/searchparameter.html)
// against the definitions that there are. ok is false for one that changes
// nothing: it is not active, or says again what R4 says. Issues are errors, each
// with its place, and then there is no Definition.
func Read(defs *spec.Definitions, engine *path.Engine, r fhir.Resource) (d Definition, ok bool, issues fhir.Issues) {
	x := &reader{defs: defs, engine: engine, root: r.Root()}
	if x.text("status") != "active" || x.known() {
		return d, false, nil
	}
	p := spec.SearchParam{Code: x.text("code"), URL: x.text("url"), Name: x.text("name"), Expression: x.text("expression")}
	d = Definition{URL: p.URL, Code: p.Code, Params: map[string]*spec.SearchParam{}}
	if !code.MatchString(p.Code) {
		x.fail("code", "letters, digits, - and _ are needed, and no _ at the start")
	}
	p.Type = x.kind()
	p.Base, p.Targets = x.list("base"), x.list("target")
	p.MultipleOr, p.MultipleAnd = x.text("multipleOr") != "false", x.text("multipleAnd") != "false"
	p.Components = x.components(p.Type)
	x.targets(p.Targets)
	p.Mark = mark(p)
	d.Mark = p.Mark
	types := x.types(p.Base)
	if p.Expression == "" {
		x.fail("expression", "an expression is needed")
		return Definition{}, false, x.issues
	}
	if strings.Contains(strings.ReplaceAll(p.Expression, "resolve() is ", ""), "resolve()") {
		x.fail("expression", "an expression sees one resource only: resolve() may be asked for a type (resolve() is Patient) and no more")
	}
	for _, typ := range types {
		x.on(&d, p, typ)
	}
	return d, len(x.issues) == 0, x.issues
}

func (x *reader) text(member string) string { return x.root.Get(member).Text() }

func (x *reader) fail(at, message string) {
	x.issues = append(x.issues, fhir.Issue{Severity: fhir.SeverityError, Kind: fhir.Unprocessable, At: "SearchParameter." + at, Diagnostics: message})
}

func (x *reader) list(member string) (out []string) {
	for item := range x.root.Get(member).Items() {
		out = append(out, item.Text())
	}
	return out
}

// known reports whether R4 has the parameter: by its URL, or as the one that this
// derives from and has the code of (as the guides of national profiles do).
func (x *reader) known() bool {
	if p, ok := x.defs.ParamByURL(x.text("url")); ok && p.Mark == "" {
		return true
	}
	url, _ := definition.Canonical(x.text("derivedFrom"))
	p, ok := x.defs.ParamByURL(url)
	return ok && p.Mark == "" && p.Code == x.text("code")
}

func (x *reader) kind() spec.ParamType {
	for t := spec.Number; t <= spec.URI; t++ {
		if t.String() == x.text("type") {
			return t
		}
	}
	x.fail("type", "parameters of this type cannot be added")
	return spec.Special
}

func (x *reader) targets(list []string) {
	for i, name := range list {
		if !x.defs.IsResource(name) && name != "Resource" {
			x.fail("target["+strconv.Itoa(i)+"]", "no such resource type in R4")
		}
	}
}

// types are the resource types of the bases.
func (x *reader) types(bases []string) (types []string) {
	if len(bases) == 0 {
		x.fail("base", "a resource type is needed")
	}
	for i, base := range bases {
		at := "base[" + strconv.Itoa(i) + "]"
		switch {
		case base == excluded:
			x.fail(at, "search parameters cannot be added to AuditEvent")
		case base == "Resource", base == "DomainResource":
			if base == "Resource" {
				types = append(types, base) // what a search over all types knows
			}
			for _, name := range x.defs.ResourceTypes() {
				if x.defs.IsA(name, base) && name != excluded {
					types = append(types, name)
				}
			}
		case x.defs.IsResource(base):
			types = append(types, base)
		default:
			x.fail(at, "no such resource type in R4")
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// on adds the parameter to one type.
func (x *reader) on(d *Definition, p spec.SearchParam, typ string) {
	if other, ok := x.defs.Param(typ, p.Code); ok && other.Mark == "" {
		x.fail("code", "R4 has a search parameter of this code on "+typ)
		return
	}
	p.Base = append(slices.Clone(p.Base), "Resource", "DomainResource")
	if part := p.ExpressionFor(typ); part != "" {
		p.Expression = part
	}
	p.Base = []string{typ}
	if typ != "Resource" { // which is checked on each type
		expr, err := x.engine.Compile(p.Expression)
		if err == nil {
			err = expr.Check(typ)
		}
		if err != nil {
			x.fail("expression", "on "+typ+": "+err.Error())
			return
		}
	}
	d.Params[typ] = &p
}

// components reads the parts of a composite
// (https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.component).
func (x *reader) components(kind spec.ParamType) (out []spec.Component) {
	for item := range x.root.Get("component").Items() {
		at := "component[" + strconv.Itoa(len(out)) + "]"
		url, _ := definition.Canonical(item.Get("definition").Text())
		c := spec.Component{Definition: url, Expression: item.Get("expression").Text()}
		var ok bool
		if c.Param, ok = x.defs.ParamByURL(url); !ok {
			x.fail(at+".definition", "no such search parameter here")
		} else if c.Param.Type == spec.Composite || c.Param.Type == spec.Special {
			x.fail(at+".definition", "a parameter of this type cannot be a part")
		}
		if _, err := x.engine.Compile(c.Expression); err != nil {
			x.fail(at+".expression", err.Error())
		}
		out = append(out, c)
	}
	if (kind == spec.Composite) != (len(out) > 0) {
		x.fail("component", "a composite has components, and nothing else has")
	}
	return out
}

// mark is the digest of what decides which entries the parameter makes.
func mark(p spec.SearchParam) string {
	h := sha256.New()
	fmt.Fprintf(h, "1 %q %d %q %q", p.Code, p.Type, p.Base, p.Expression)
	for _, c := range p.Components {
		kind := -1
		if c.Param != nil {
			kind = int(c.Param.Type)
		}
		fmt.Fprintf(h, " %q %d", c.Expression, kind)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}
