package policies

import (
	"crypto/sha256"
	_ "embed" // the shipped policy
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/spec"
)

//go:embed model.conf
var shippedModel string

//go:embed policy.csv
var shippedPolicy string

// Revision is one immutable version of the policy: its two files and where it
// came from.
type Revision struct {
	Model  string // text of model.conf
	Policy string // text of policy.csv
	Parent string // digest of the revision it replaces, "" for the first
	Author string // subject who proposed it
	Reason string
}

// Shipped is the policy that comes with the server.
func Shipped() Revision {
	return Revision{Model: shippedModel, Policy: shippedPolicy, Author: "galen", Reason: "shipped with the server"}
}

// Digest identifies what the revision allows: SHA-256 over the two files, in
// hexadecimal. Author, reason and parent do not change it.
func (r Revision) Digest() string {
	h := sha256.New()
	for _, text := range []string{r.Model, r.Policy} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Row is one rule of policy.csv.
type Row struct {
	ID        string
	Role      string   // "*" for any
	Org       string   // "*" for any
	Type      string   // resource type, group, service, model; "*" for any
	Actions   []Action // never empty
	Purposes  []string // v3-ActReason codes; nil for any
	Condition string
	Deny      bool
	Line      int // in policy.csv
}

// inherit is a g line: a role has the rights of another one.
type inherit struct {
	role, parent, org string
	line              int
}

// document is a parsed policy.csv.
type document struct {
	rows       []Row
	inherits   []inherit
	groups     map[string][]string // group → resource types, sorted
	clearances []clearance
	defs       *spec.Definitions
}

const maxRows = 200 // Casbin's cost is linear in rows; see docs/design.md

var (
	namePattern    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	servicePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// parsePolicy reads and lints policy.csv. The error is an *fhir.Error of Kind
// Invalid whose At is the line.
func parsePolicy(text string, defs *spec.Definitions) (*document, error) {
	d := &document{groups: map[string][]string{}, defs: defs}
	r := csv.NewReader(strings.NewReader(text))
	r.Comment, r.FieldsPerRecord, r.TrimLeadingSpace = '#', -1, true
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return d, d.lint()
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			return nil, refuse(syntax.Line, "not CSV: "+syntax.Err.Error())
		} else if err != nil {
			return nil, refuse(0, "not CSV")
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		line, _ := r.FieldPos(0)
		if reason := d.add(fields, line); reason != "" {
			return nil, refuse(line, reason)
		}
	}
}

func refuse(line int, reason string) error {
	return fhir.E("policies.New", fhir.Invalid, fmt.Sprintf("policy.csv line %d", line), reason)
}

// add takes one line and returns why it is refused, "" if it is not.
func (d *document) add(f []string, line int) string {
	width := map[string]int{"p": 9, "g": 4, "t": 3, "l": 5}[f[0]]
	switch {
	case width == 0:
		return "a line begins with p, g, t or l"
	case len(f) != width:
		return fmt.Sprintf("a %s line has %d fields, not %d", f[0], width, len(f))
	case slices.Contains(f, ""):
		return "a field is empty"
	}
	switch f[0] {
	case "l":
		return d.addClearance(f[1:])
	case "t":
		return d.addGroup(f[1], strings.Split(f[2], "|"))
	case "g":
		if !namePattern.MatchString(f[1]) || !namePattern.MatchString(f[2]) || f[1] == f[2] {
			return "a g line names two different roles"
		}
		d.inherits = append(d.inherits, inherit{f[1], f[2], f[3], line})
		return ""
	}
	return d.addRow(f[1:], line)
}

func (d *document) addGroup(name string, members []string) string {
	if !namePattern.MatchString(name) {
		return "a group's name is lower case"
	}
	if _, ok := d.groups[name]; ok {
		return "the group is defined twice"
	}
	var types []string
	for _, m := range members {
		if d.defs.IsResource(m) {
			types = append(types, m)
			continue
		}
		group, ok := d.groups[m]
		if !ok {
			return "a member is neither a resource type nor an earlier group"
		}
		types = append(types, group...)
	}
	slices.Sort(types)
	d.groups[name] = slices.Compact(types)
	return ""
}

func (d *document) addRow(f []string, line int) string {
	row := Row{Role: f[0], Org: f[1], Type: f[2], Condition: f[5], Deny: f[6] == "deny", ID: f[7], Line: line}
	for _, a := range strings.Split(f[3], "|") {
		if !Action(a).known() {
			return "an action is unknown"
		}
		if reason := d.typeFits(row.Type, Action(a)); reason != "" {
			return reason
		}
		row.Actions = append(row.Actions, Action(a))
	}
	if f[4] != "*" {
		row.Purposes = strings.Split(f[4], "|")
	}
	c, ok := lookupCondition(row.Condition)
	switch {
	case row.Role != "*" && !namePattern.MatchString(row.Role):
		return "a role is lower case"
	case row.Role == "*" && !row.Deny:
		return "an allow names a role"
	case slices.ContainsFunc(row.Purposes, func(p string) bool { return !slices.Contains(purposes(), p) }):
		return "a purpose is unknown"
	case !ok:
		return "the condition is unknown"
	case f[6] != "allow" && f[6] != "deny":
		return "the effect is allow or deny"
	case row.Deny && c.narrows:
		return "a deny cannot be limited to a compartment or the like"
	case !namePattern.MatchString(row.ID):
		return "an id is lower case"
	case d.used(row.ID):
		return "the id is used twice"
	case c.narrows:
		if reason := d.limitable(row); reason != "" {
			return reason
		}
	}
	d.rows = append(d.rows, row)
	return ""
}

// typeFits says why a rule's type does not suit its action.
func (d *document) typeFits(name string, a Action) string {
	if name == "*" {
		return ""
	}
	if a.Interaction() {
		if _, group := d.groups[name]; group || d.defs.IsResource(name) {
			return ""
		}
		return "the type is neither a resource type nor a group"
	}
	switch a {
	case Invoke, Feedback, ModelRead, ModelPromote, ModelRetire, ModelInfer:
		if _, group := d.groups[name]; group || !servicePattern.MatchString(name) {
			return "the type is no service or model"
		}
		return ""
	}
	return "the action has no types: write *"
}

// limitable says why a rule's types cannot be limited to a patient.
func (d *document) limitable(row Row) string {
	if row.Condition == notRestricted {
		return ""
	}
	limits := newLimits(d.defs)
	for _, name := range d.typesOf(row.Type) {
		if _, ok := limits[name]; !ok {
			return name + " cannot be limited to a compartment"
		}
	}
	if row.Type == "*" || slices.ContainsFunc(row.Actions, func(a Action) bool { return !a.Interaction() }) {
		return "a rule with " + row.Condition + " names resource types and FHIR interactions"
	}
	return ""
}

func (d *document) typesOf(name string) []string {
	if types, ok := d.groups[name]; ok {
		return types
	}
	return []string{name}
}

// lint checks what only the whole can show.
func (d *document) lint() error {
	if len(d.rows) > maxRows {
		return refuse(d.rows[maxRows].Line, fmt.Sprintf("more than %d rules", maxRows))
	}
	for _, i := range d.inherits {
		known := slices.ContainsFunc(d.rows, func(r Row) bool { return r.Role == i.parent }) ||
			slices.ContainsFunc(d.inherits, func(o inherit) bool { return o.role == i.parent })
		if !known {
			return refuse(i.line, "the inherited role has no rules")
		}
	}
	if roles := d.roles(); len(roles) > 64 {
		return refuse(0, "more than 64 roles")
	}
	return nil
}

// roles are the names that a token's roles can match, sorted.
func (d *document) roles() []string {
	var list []string
	for _, r := range d.rows {
		if r.Role != "*" {
			list = append(list, r.Role)
		}
	}
	for _, i := range d.inherits {
		list = append(list, i.role)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// orgs are the organizations that a rule names, sorted, with "" for every other.
func (d *document) orgs() []string {
	list := []string{""}
	for _, r := range d.rows {
		list = append(list, r.Org)
	}
	for _, i := range d.inherits {
		list = append(list, i.org)
	}
	list = slices.DeleteFunc(list, func(o string) bool { return o == "*" })
	slices.Sort(list)
	return slices.Compact(list)
}
