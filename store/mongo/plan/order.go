package plan

import (
	"slices"
	"strings"

	"galen/fhir/search"
	"galen/store/mongo/index"
)

// Place is where a resource stands in an order.
type Place struct {
	Keys    []*string `json:"k,omitempty"` // sort keys; nil where there is none
	Created int64     `json:"c"`
}

// Phase is a part of an order: the resources that have exactly these sort keys.
// A resource without a key comes after those with it that are alike in the keys
// before, which no sort of the database says; so phases are merged.
type Phase struct {
	sorts []search.Sort
	has   []bool
}

// Phases are the parts of an order in runs that follow each other: those with the
// first key, then those without.
func Phases(sorts []search.Sort) [][]Phase {
	list := [][]bool{{}}
	for _, s := range sorts {
		var longer [][]bool
		for _, has := range list {
			longer = append(longer, append(slices.Clone(has), true))
			if !inherent(s) {
				longer = append(longer, append(slices.Clone(has), false))
			}
		}
		list = longer
	}
	var with, without []Phase
	for _, has := range list {
		if len(has) == 0 || has[0] {
			with = append(with, Phase{sorts, has})
		} else {
			without = append(without, Phase{sorts, has})
		}
	}
	if len(without) == 0 {
		return [][]Phase{with}
	}
	return [][]Phase{with, without}
}

// MaxSorts bounds the keys of an order: each may double the phases.
const MaxSorts = 6

func inherent(s search.Sort) bool { return s.Param == "_id" || s.Param == "_lastUpdated" }

var escape = strings.NewReplacer("%", "%25", ".", "%2E", "$", "%24")

// FieldName is a parameter's code as the name of a field.
func FieldName(param string) string { return escape.Replace(param) }

func field(s search.Sort) string {
	switch {
	case s.Param == "_id":
		return ID
	case s.Param == "_lastUpdated":
		return Updated
	case s.Descending:
		return Down + FieldName(s.Param)
	}
	return Up + FieldName(s.Param)
}

// Filter limits a condition's filter to the phase, and to what comes after a
// place. It reports false if nothing of the phase does.
func (p Phase) Filter(where Doc, after *Place) (filter Doc, ok bool) {
	list := List{where}
	for i, s := range p.sorts {
		switch {
		case inherent(s):
		case p.has[i]:
			list = append(list, Doc{{field(s), Doc{{"$gte", ""}}}})
		default:
			list = append(list, Doc{{field(s), nil}})
		}
	}
	if after != nil {
		beyond, ok := p.beyond(*after)
		if !ok {
			return nil, false
		}
		list = append(list, beyond)
	}
	if len(list) == 1 {
		return where, true
	}
	return Doc{{"$and", list}}, true
}

// beyond is the condition to come after a place: greater in one key and equal in
// those before it, where having none is greater than having one.
func (p Phase) beyond(at Place) (beyond Doc, ok bool) {
	var ways List
	equal := Doc{}
	last := true // what is equal in every key is ordered by creation
keys:
	for i, s := range p.sorts {
		switch {
		case p.has[i] && at.Keys[i] == nil:
			last = false
			break keys
		case !p.has[i] && at.Keys[i] == nil:
			continue
		case !p.has[i]:
			ways, last = append(ways, equal), false
			break keys
		}
		op := "$gt"
		if s.Descending {
			op = "$lt"
		}
		ways = append(ways, append(slices.Clone(equal), Field{field(s), Doc{{op, *at.Keys[i]}}}))
		equal = append(slices.Clone(equal), Field{field(s), *at.Keys[i]})
	}
	if last {
		ways = append(ways, append(slices.Clone(equal), Field{Created, Doc{{"$gt", at.Created}}}))
	}
	switch len(ways) {
	case 0:
		return nil, false
	case 1:
		return ways[0].(Doc), true
	}
	return Doc{{"$or", ways}}, true
}

// Sort is the order within the phase.
func (p Phase) Sort() Doc {
	var d Doc
	for i, s := range p.sorts {
		name := field(s)
		if !p.has[i] || slices.ContainsFunc(d, func(f Field) bool { return f.Name == name }) {
			continue
		}
		way := int64(1)
		if s.Descending {
			way = -1
		}
		d = append(d, Field{name, way})
	}
	return append(d, Field{Created, int64(1)})
}

// Index is one that the documents of a type must have.
type Index struct {
	Name string
	Keys Doc
}

// Indexes are those of the current documents of a type. Each begins with Keys,
// as every filter does that is not by ID.
func Indexes(typ string) []Index {
	one, down := int64(1), int64(-1)
	list := []Index{
		{"created", Doc{{Keys, one}, {Created, one}}},
		{"updated", Doc{{Keys, one}, {Updated, down}, {Created, one}}},
	}
	if rule, ok := index.DatedTypes[typ]; ok {
		list = append(list, Index{"newest", Doc{{Keys, one}, {Down + FieldName(rule.Date), down}, {Created, one}}})
	}
	return list
}

// Sorts are the keys of an order that decide anything: a field that comes again
// does not.
func Sorts(sorts []search.Sort) []search.Sort {
	var out []search.Sort
	seen := map[string]bool{}
	for _, s := range sorts {
		if name := field(s); !seen[name] {
			seen[name] = true
			out = append(out, s)
		}
	}
	return out
}

// HistoryIndexes are those of the history.
func HistoryIndexes() []Index {
	one, down := int64(1), int64(-1)
	order := Doc{{"l", down}, {"c", down}, {"v", down}}
	return []Index{
		{"all", append(Doc{{"p", one}}, order...)},
		{"type", append(Doc{{"p", one}, {"y", one}}, order...)},
		{"resource", append(Doc{{"p", one}, {"y", one}, {"i", one}}, order...)},
		{"version", Doc{{"y", one}, {"i", one}, {"v", one}}},
	}
}
