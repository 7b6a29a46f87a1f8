package spec

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
)

//go:embed r4.tsv.gz
var packed []byte

// Load decodes the embedded tables. It keeps no copy: call it once and share
// the result. An error (kind Internal) means that the tables do not fit this
// code, which the tests exclude.
func Load() (*Definitions, error) {
	text, err := unpack(packed)
	if err == nil {
		var d *Definitions
		if d, err = parse(text); err == nil {
			return d, nil
		}
	}
	return nil, &fhir.Error{Op: "spec.Load", Kind: fhir.Internal, Err: err}
}

// unpack makes one string of the tables; every name in Definitions is a piece of
// it, so nothing is copied.
func unpack(data []byte) (string, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	// A gzip file ends with its unpacked size (RFC 1952, 2.3.1). 16 MB is far
	// beyond any edition of FHIR.
	b.Grow(int(min(binary.LittleEndian.Uint32(data[len(data)-4:]), 16<<20)))
	if _, err := io.Copy(&b, r); err != nil {
		return "", err
	}
	return b.String(), nil
}

// record is one line split at its tabs; absent fields are empty.
type record [9]string

// decoder reads the records in order. Records of kind I, Y and B are numbered
// from 1 and referred to by what follows; E, D, M and S belong to the T, P, C or
// V before them.
//
//	R4  FHIR version, format version
//	I   invariant: key, severity (e, w), human text, expression
//	Y   type list: code(targets)<profile>, …
//	B   binding: strength (r, e), value set
//	T   type: name, kind (p, c, b, r, x; a = abstract), base, pattern, invariants
//	E   element: name, min, max, flags (s, m, a), Y, B, content reference, invariants
//	P   parameter: URL, code, name, type, bases, flags (1 = no alternatives), targets, expression
//	D   component: definition, expression
//	C   compartment: code, URL
//	M   member: resource type, parameters
//	V   value set: URL
//	S   codes: system, codes
type decoder struct {
	d           *Definitions
	invariants  []Invariant
	typeLists   [][]TypeRef
	bindings    []*Binding
	own         []Element // of the last type, until it is complete
	typ         *Type
	param       *SearchParam
	compartment *Compartment
	set         *CodeSet
}

var errRecord = errors.New("record does not fit")

func parse(text string) (*Definitions, error) {
	dec := &decoder{d: &Definitions{
		types:        make(map[string]*Type, 1024),
		params:       make(map[string]map[string]*SearchParam, 256),
		sorted:       make(map[string][]*SearchParam, 256),
		byURL:        make(map[string]*SearchParam, 2048),
		compartments: make(map[string]*Compartment, 8),
		valueSets:    make(map[string]*CodeSet, 256),
	}}
	for n := 1; text != ""; n++ {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		if err := dec.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if dec.typ == nil {
		return nil, errRecord
	}
	dec.complete()
	return dec.d, dec.link()
}

func (dec *decoder) line(line string) error {
	kind, line, _ := strings.Cut(line, "\t")
	var r record
	for i := range r {
		r[i], line, _ = strings.Cut(line, "\t")
	}
	switch kind {
	case "I":
		dec.invariants = append(dec.invariants, Invariant{Key: r[0], Severity: severity(r[1]), Human: r[2], Expression: r[3]})
		return nil
	case "Y":
		dec.typeLists = append(dec.typeLists, typeList(r[0]))
		return nil
	case "B":
		dec.bindings = append(dec.bindings, &Binding{Strength: strength(r[0]), ValueSet: r[1]})
		return nil
	case "T":
		return dec.typeRecord(r)
	case "E":
		return dec.element(r)
	case "P":
		return dec.paramRecord(r)
	case "R4":
		if r[0] != "4.0.1" || r[1] != "1" {
			return errRecord
		}
		return nil
	}
	return dec.member(kind, r)
}

// member reads the simple records.
func (dec *decoder) member(kind string, r record) error {
	switch {
	case kind == "D" && dec.param != nil:
		dec.param.Components = append(dec.param.Components, Component{Definition: r[0], Expression: r[1]})
	case kind == "C":
		dec.compartment = &Compartment{Code: r[0], URL: r[1], params: make(map[string][]string, 128)}
		dec.d.compartments[r[0]] = dec.compartment
	case kind == "M" && dec.compartment != nil:
		codes := slices.DeleteFunc(strings.Fields(r[1]), func(code string) bool { return code == "{def}" })
		if len(codes) > 0 {
			dec.compartment.params[r[0]] = codes
		}
	case kind == "V":
		dec.set = &CodeSet{ValueSet: r[0]}
		dec.d.valueSets[r[0]] = dec.set
	case kind == "S" && dec.set != nil:
		dec.set.systems = append(dec.set.systems, systemCodes{system: r[0], codes: strings.Fields(r[1])})
		dec.set.open = dec.set.open || r[1] == ""
	default:
		return errRecord
	}
	return nil
}

func (dec *decoder) typeRecord(r record) error {
	dec.complete()
	t := &Type{Name: r[0], Base: r[2], Abstract: strings.HasSuffix(r[1], "a")}
	switch {
	case r[1] == "":
		return errRecord
	case r[1][0] == 'p':
		t.Kind = Primitive
	case r[1][0] == 'c':
		t.Kind = Complex
	case r[1][0] == 'b':
		t.Kind = Backbone
	case r[1][0] == 'r':
		t.Kind = ResourceKind
	case r[1][0] == 'x':
		t.Kind = Profile
	}
	if r[3] != "" {
		re, err := regexp.Compile("^(?:" + r[3] + ")$")
		if err != nil {
			return err
		}
		t.Pattern = re
	}
	own, err := dec.invariantList(r[4])
	if err != nil {
		return err
	}
	t.Invariants = own
	if base, ok := dec.d.types[t.Base]; ok {
		t.Invariants = slices.Concat(base.Invariants, own)
	} else if t.Base != "" {
		return fmt.Errorf("%w: %s has no base", errRecord, t.Name)
	}
	dec.d.types[t.Name], dec.typ = t, t
	if t.Kind == ResourceKind && !t.Abstract {
		dec.d.resources = append(dec.d.resources, t.Name)
	}
	return nil
}

func (dec *decoder) element(r record) error {
	if dec.typ == nil {
		return errRecord
	}
	e := Element{Path: dec.typ.Name + "." + r[0], ContentRef: r[6]}
	e.Name, e.Choice = strings.CutSuffix(r[0], "[x]")
	e.Summary, e.Modifier, e.Attribute = strings.Contains(r[3], "s"), strings.Contains(r[3], "m"), strings.Contains(r[3], "a")
	var errs [5]error
	e.Min, errs[0] = strconv.Atoi(r[1])
	e.Max = -1
	if r[2] != "*" {
		e.Max, errs[1] = strconv.Atoi(r[2])
	}
	e.Types, errs[2] = pick(dec.typeLists, r[4])
	e.Binding, errs[3] = pick(dec.bindings, r[5])
	e.Invariants, errs[4] = dec.invariantList(r[7])
	dec.own = append(dec.own, e)
	return errors.Join(errs[:]...)
}

// complete gives the last type its elements: those of its base, with its own in
// their place where it restates one and after them where not.
func (dec *decoder) complete() {
	if dec.typ == nil {
		return
	}
	t := dec.typ
	var inherited []Element
	if base, ok := dec.d.types[t.Base]; ok {
		inherited = base.Elements
	}
	t.Elements = make([]Element, len(inherited), len(inherited)+len(dec.own))
	for i, e := range inherited {
		e.Path = t.Name + e.Path[strings.LastIndexByte(e.Path, '.'):]
		t.Elements[i] = e
	}
	for _, e := range dec.own {
		if i := slices.IndexFunc(inherited, func(b Element) bool { return b.Name == e.Name }); i >= 0 {
			t.Elements[i] = e
		} else {
			t.Elements = append(t.Elements, e)
		}
	}
	dec.own = dec.own[:0]
}

func (dec *decoder) paramRecord(r record) error {
	kind := slices.Index(paramTypes[:], r[3])
	if kind < 0 {
		return fmt.Errorf("%w: parameter type %q", errRecord, r[3])
	}
	dec.param = &SearchParam{
		URL: r[0], Code: r[1], Name: r[2], Type: ParamType(kind), Base: strings.Fields(r[4]),
		MultipleOr: r[5] != "1", MultipleAnd: true, Targets: strings.Fields(r[6]), Expression: r[7],
	}
	dec.d.byURL[r[0]] = dec.param
	for _, base := range dec.param.Base {
		if dec.d.params[base] == nil {
			dec.d.params[base] = make(map[string]*SearchParam, 32)
		}
		dec.d.params[base][r[1]] = dec.param
	}
	return nil
}
