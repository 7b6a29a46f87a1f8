package mongo

import (
	"context"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store/mongo/plan"
)

// maxSet bounds the resources that a chain or _has goes through: some 100 MB.
const maxSet = 1_000_000

// resolver answers chains by searching their ends first.
type resolver struct {
	ctx context.Context
	db  *DB
}

// find yields the resources of a type that meet a condition.
func (r *resolver) find(typ string, e search.Expr, yield func(*plan.Resource) bool) error {
	where, err := plan.Resolve(e, r)
	if err != nil {
		return err
	}
	return r.db.each(r.ctx, typ, plan.Compile(typ, where), yield)
}

func tooMany() error {
	return fhir.E("mongo.Search", fhir.TooCostly, "", "a chained condition matches too many resources")
}

func (r *resolver) Chain(c search.Chain) (plan.Set, error) {
	set := plan.Set{}
	err := r.find(c.Type, c.Of, func(found *plan.Resource) bool {
		set[found.Key] = true
		return len(set) <= maxSet
	})
	if err == nil && len(set) > maxSet {
		err = tooMany()
	}
	return set, err
}

func (r *resolver) Reverse(c search.Reverse) (plan.Set, error) {
	set := plan.Set{}
	err := r.find(c.Type, search.And(search.Present{Param: c.Param}, c.Of), func(found *plan.Resource) bool {
		for _, to := range search.References(found.Entries, c.Param) {
			set[to] = true
		}
		return len(set) <= maxSet
	})
	if err == nil && len(set) > maxSet {
		err = tooMany()
	}
	return set, err
}

// Tree goes down from the root round by round, or up.
func (r *resolver) Tree(t search.Tree) (plan.Set, error) {
	set := plan.Set{t.Root: true}
	for round := []fhir.Key{t.Root}; len(round) > 0; {
		var next []fhir.Key
		add := func(k fhir.Key) {
			if k.Type == t.Root.Type && !set[k] {
				set[k] = true
				next = append(next, k)
			}
		}
		var err error
		if t.Above {
			ids := make([]string, len(round))
			for i, k := range round {
				ids[i] = k.ID
			}
			err = r.find(t.Root.Type, search.HasID{IDs: ids}, func(found *plan.Resource) bool {
				for _, up := range search.References(found.Entries, t.Up) {
					add(up)
				}
				return true
			})
		} else {
			below := make([]search.Test, len(round))
			for i, k := range round {
				below[i] = search.ReferenceTest{Key: k}
			}
			err = r.find(t.Root.Type, search.Where{Param: t.Up, Any: below}, func(found *plan.Resource) bool {
				add(found.Key)
				return true
			})
		}
		switch {
		case err != nil:
			return nil, err
		case len(set) > maxSet:
			return nil, tooMany()
		}
		round = next
	}
	return set, nil
}
