package plan

import (
	"encoding/json"
	"errors"
	"slices"

	"galen/fhir"
	"galen/fhir/search"
)

// RefSet is a search.Chain whose targets are known.
type RefSet struct {
	search.Expr
	Param string
	Keys  map[fhir.Key]bool
}

// KeySet is a search.Reverse so known: the resources that are referred to.
type KeySet struct {
	search.Expr
	Keys map[fhir.Key]bool
}

// Conditions are the parts of a query that all must hold.
func Conditions(e search.Expr) []search.Expr {
	switch e := e.(type) {
	case nil:
		return nil
	case search.All:
		var list []search.Expr
		for _, part := range e {
			list = append(list, Conditions(part)...)
		}
		return list
	}
	return []search.Expr{e}
}

// AddParams adds the parameters that an expression looks at.
func AddParams(want map[string]bool, e search.Expr) {
	switch e := e.(type) {
	case search.All:
		for _, part := range e {
			AddParams(want, part)
		}
	case search.Any:
		for _, part := range e {
			AddParams(want, part)
		}
	case search.Not:
		AddParams(want, e.Of)
	case search.Where:
		want[e.Param] = true
	case search.Present:
		want[e.Param] = true
	case search.Chain:
		want[e.Param] = true
		AddParams(want, e.Of)
	case search.Reverse:
		want[e.Param] = true
		AddParams(want, e.Of)
	case search.Tree:
		want[e.Param], want[e.Up] = true, true
	case RefSet:
		want[e.Param] = true
	}
}

// Chained reports whether there is a Chain, Reverse or Tree in an expression.
func Chained(e search.Expr) bool {
	switch e := e.(type) {
	case search.All:
		return slices.ContainsFunc(e, Chained)
	case search.Any:
		return slices.ContainsFunc(e, Chained)
	case search.Not:
		return Chained(e.Of)
	case search.Chain, search.Reverse, search.Tree:
		return true
	}
	return false
}

// Position is a resource's place in an order: its sort keys, then its row id.
type Position struct {
	Keys []Key
	RID  int64
}

// Key is a sort key, if there is one.
type Key struct {
	Text  string
	Found bool
}

// cursor is a Position as a driver's cursor; nil is a key not found.
type cursor struct {
	Keys [][]byte `json:"k,omitempty"`
	RID  int64    `json:"r"`
}

// Bytes is the position as a cursor.
func (p Position) Bytes() []byte {
	c := cursor{RID: p.RID}
	for _, k := range p.Keys {
		var text []byte
		if k.Found {
			text = append([]byte{}, k.Text...)
		}
		c.Keys = append(c.Keys, text)
	}
	b, _ := json.Marshal(c) // bytes and integers cannot fail
	return b
}

var errCursor = errors.New("not a cursor of this search")

// ParsePosition undoes Bytes for an order of so many sort keys; nil is the place
// before the first.
func ParsePosition(b []byte, keys int) (*Position, error) {
	if b == nil {
		return nil, nil
	}
	var c cursor
	if err := json.Unmarshal(b, &c); err != nil || len(c.Keys) != keys {
		return nil, &fhir.Error{Op: "sqlite.Search", Kind: fhir.Value, At: "cursor", Err: errCursor}
	}
	p := &Position{RID: c.RID}
	for _, k := range c.Keys {
		p.Keys = append(p.Keys, Key{string(k), k != nil})
	}
	return p, nil
}
