package operation

import (
	"context"
	"slices"
	"time"

	"galen/fhir"
	"galen/fhir/coded"
	"galen/fhir/definition"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/profile"
	"galen/fhir/rest"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/fhir/terminology"
	"galen/fhir/terminology/release"
	"galen/fhir/ucum"
	"galen/fhir/validate"
	"galen/store"
)

// Knowledge is what operations know beside the resources; what is nil is not
// offered.
type Knowledge struct {
	Terminology *terminology.Service
	Profiles    *profile.Validator
	Validator   rest.Validator // of $validate; nil is the one of writes
	Codes       coded.Checker  // of $validate; without Terminology it checks nothing
	Extensions  []Extension    // operations of other packages
}

// KnowledgeOptions are what Knowledge is made of.
type KnowledgeOptions struct {
	Defs     *spec.Definitions
	Engine   *path.Engine
	Units    *ucum.Table
	Store    *store.Store         // its definitions come first
	Packages *definition.Packages // then those of packages; nil for none
	Shelf    *release.Shelf       // imported code systems; nil for none
	Remote   terminology.Remote   // another terminology server; nil for none
	Now      func() time.Time
}

// NewKnowledge joins what is stored, what packages bring and what is built in.
// It fails as validate.New does.
func NewKnowledge(o KnowledgeOptions) (Knowledge, error) {
	sources := definition.Stack{storedDefinitions{o.Store}}
	if o.Packages != nil {
		sources = append(sources, o.Packages)
	}
	sources = append(sources, builtin{profile.Builtin(), terminology.Builtin()})
	codes := terminology.New(terminology.Options{Source: sources, Shelf: o.Shelf, Remote: o.Remote, Units: o.Units, Now: o.Now})
	strict, err := validate.New(o.Defs, o.Engine, validate.Strict)
	if err != nil {
		return Knowledge{}, err
	}
	return Knowledge{
		Terminology: codes, Validator: strict, Codes: coded.Checker{Defs: o.Defs, Terminology: codes},
		Profiles: profile.New(profile.Options{Defs: o.Defs, Engine: o.Engine, Source: sources, Terminology: terminology.ForPath{Service: codes}}),
	}, nil
}

// builtin asks the library that holds a type.
type builtin struct{ profiles, codes *definition.Library }

// Find asks the profiles for StructureDefinitions and the codes for all else.
func (b builtin) Find(ctx context.Context, resourceType, url, version string) (fhir.Resource, bool, error) {
	if resourceType == "StructureDefinition" {
		return b.profiles.Find(ctx, resourceType, url, version)
	}
	return b.codes.Find(ctx, resourceType, url, version)
}

// List asks likewise.
func (b builtin) List(ctx context.Context, resourceType string) ([]fhir.Resource, error) {
	if resourceType == "StructureDefinition" {
		return b.profiles.List(ctx, resourceType)
	}
	return b.codes.List(ctx, resourceType)
}

// storedDefinitions are the definitions among the resources.
type storedDefinitions struct{ store *store.Store }

// maxDefinitions is how many versions of one definition are looked through.
const maxDefinitions = 100

// Find returns the stored definition that was updated last.
func (d storedDefinitions) Find(ctx context.Context, resourceType, url, version string) (fhir.Resource, bool, error) {
	where := search.Expr(search.Where{Param: "url", Any: []search.Test{search.URITest{URI: url}}})
	if version != "" {
		where = search.All{where, search.Where{Param: "version", Any: []search.Test{search.TokenTest{AnySystem: true, Code: version}}}}
	}
	list, err := d.search(ctx, search.Query{Types: []string{resourceType}, Where: where}, maxDefinitions)
	if err != nil || len(list) == 0 {
		return fhir.Resource{}, false, err
	}
	return slices.MaxFunc(list, func(a, b fhir.Resource) int { return a.LastUpdated.Compare(b.LastUpdated) }), true, nil
}

// List returns what is stored of a type.
func (d storedDefinitions) List(ctx context.Context, resourceType string) ([]fhir.Resource, error) {
	return d.search(ctx, search.Query{Types: []string{resourceType}}, definition.MaxList)
}

func (d storedDefinitions) search(ctx context.Context, q search.Query, count int) ([]fhir.Resource, error) {
	found, err := d.store.Search(ctx, store.SearchInput{
		Query: &q, Count: count,
		Visible: func(string) (search.Expr, bool) { return nil, true },
	})
	if err != nil {
		return nil, err
	}
	out := make([]fhir.Resource, len(found.Matches))
	for i, rec := range found.Matches {
		if out[i], err = fhir.Parse(rec.Body, jsontree.Limits{}); err != nil {
			return nil, err
		}
		out[i].Header = rec.Header
	}
	return out, nil
}
