// Package profile holds resources against profiles: StructureDefinitions that
// narrow a type of R4 (https://hl7.org/fhir/R4/profiling.html).
//
// It reads snapshots, or differentials, and checks cardinality, types, fixed values and patterns,
// bindings, slicing by every kind of discriminator, invariants, targets of
// references, profiles of parts, and extensions in the places where they may
// stand. A profile is compiled once. Findings name the element by its FHIRPath
// and never repeat a value; their number, and the depth of profiles within
// profiles, are bounded.
//
// What R4 itself asks of a resource is checked by fhir/validate, and is taken
// for granted here. It makes no snapshots and does not judge must-support.
package profile

import (
	"context"
	_ "embed"
	"slices"
	"strings"
	"sync"

	"galen/fhir"
	"galen/fhir/definition"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/terminology"
)

//go:embed r4.ndjson.gz
var packed []byte

// Builtin is R4's own profiles and extensions, without prose
// (fhir/spec/SOURCE.md).
func Builtin() *definition.Library { return definition.Packed(packed) }

// Terminology decides on codes, for bindings and for expressions.
type Terminology interface {
	path.Terminology
	// Contains reports whether a code is in a value set; the error says that it
	// cannot be decided.
	Contains(ctx context.Context, valueSet string, c terminology.Coding) (bool, error)
}

// Options are what a Validator is made of.
type Options struct {
	Defs        *spec.Definitions
	Engine      *path.Engine
	Source      definition.Source // most often a Stack that ends with Builtin
	Terminology Terminology       // nil decides on no binding
}

// Validator holds resources against profiles. It is safe for concurrent use.
type Validator struct {
	Options
	mu       sync.Mutex
	compiled map[compiledKey]*profile
}

type compiledKey struct {
	url     string
	key     fhir.Key
	version int64
	release string
}

// New returns a Validator.
func New(o Options) *Validator {
	return &Validator{Options: o, compiled: map[compiledKey]*profile{}}
}

// maxIssues is how many findings are listed, maxDepth how deep profiles may lead
// to each other within one value.
const (
	maxIssues = 200
	maxDepth  = 20
	maxKept   = 1000 // compiled profiles
)

// Validate holds a resource against a profile ("url" or "url|version"), nil if it
// conforms. An error is of Kind NotFound for an unknown profile, NotSupported for
// one without snapshot, Invalid for one of another type.
func (v *Validator) Validate(ctx context.Context, r fhir.Resource, canonical string) (fhir.Issues, error) {
	p, err := v.find(ctx, canonical)
	if err != nil {
		return nil, err
	}
	if p.typ != r.Type && !v.Defs.IsA(r.Type, p.typ) {
		return nil, fhir.E("profile.Validate", fhir.Invalid, "profile", "the profile is one of "+p.typ+", not of "+r.Type)
	}
	c := checker{Validator: v, ctx: ctx, whole: r}
	c.conform(value{node: r.Root(), typ: r.Type, at: r.Type}, p)
	return c.issues, nil
}

// Extensions holds every extension of a resource against its definition: those
// that are not known get an information; modifiers that are not known an error,
// as nobody who does not understand one may use the resource
// (https://hl7.org/fhir/R4/extensibility.html#modifierExtension).
func (v *Validator) Extensions(ctx context.Context, r fhir.Resource) fhir.Issues {
	c := checker{Validator: v, ctx: ctx, whole: r}
	c.extensions(r.Root(), r.Type, r.Type, nil)
	return c.issues
}

// find compiles a profile, once for each version of its definition.
func (v *Validator) find(ctx context.Context, canonical string) (*profile, error) {
	return v.narrowing(ctx, canonical, nil)
}

// narrowing is find for the base of other profiles, which are above it. Error:
// Unprocessable for one that narrows itself, or more than maxDepth others.
func (v *Validator) narrowing(ctx context.Context, canonical string, above []string) (*profile, error) {
	const op = "profile.find"
	url, version := definition.Canonical(canonical)
	if slices.Contains(above, url) || len(above) > maxDepth {
		return nil, fhir.E(op, fhir.Unprocessable, "profile", "the profile "+url+" narrows itself")
	}
	r, ok, err := v.Source.Find(ctx, "StructureDefinition", url, version)
	if err != nil {
		return nil, err
	}
	if !ok {
		if name, core := strings.CutPrefix(url, coreURL); core && v.isR4(name, version) {
			return &profile{url: url, typ: name, root: &element{max: -1}}, nil
		}
		return nil, fhir.E(op, fhir.NotFound, "profile", "the profile "+url+" is not known to this server")
	}
	key := compiledKey{url, r.Key, r.Version, r.Root().Get("version").Text()}
	v.mu.Lock()
	p, ok := v.compiled[key]
	v.mu.Unlock()
	if ok {
		return p, nil
	}
	if p, err = v.compile(ctx, r, append(above[:len(above):len(above)], url)); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.compiled) >= maxKept {
		clear(v.compiled)
	}
	v.compiled[key] = p
	return p, nil
}

// isR4 reports whether a name is a type that R4 defines: what its own
// StructureDefinition asks is what fhir/validate holds every resource against.
func (v *Validator) isR4(name, version string) bool {
	_, ok := v.Defs.Type(name)
	return ok && !strings.Contains(name, ".") && (version == "" || strings.HasPrefix("4.0.1", version))
}

// value is one value of a resource under validation.
type value struct {
	node    jsontree.Node // absent for a primitive that has only extensions
	sibling jsontree.Node // the "_" member of a primitive
	typ     string        // FHIR type, as package spec names it
	at      string        // FHIRPath
}
