package ucum

import (
	_ "embed"
	"fmt"
	"math/big"
	"strings"
)

//go:embed ucum.tsv
var essence string

type prefix struct {
	name  string
	value *big.Rat
}

// atom is a unit of the table with its definition worked out to base units.
type atom struct {
	name    string
	metric  bool
	measure measure
}

// row is one line of ucum.tsv; see gen for the columns.
type row struct{ kind, code, name, property, value, unit, function, flags string }

// Load builds the table from the embedded UCUM essence, in about a millisecond.
// It fails only if that table contradicts itself, which the tests exclude.
func Load() (*Table, error) { return load(essence) }

func load(text string) (*Table, error) {
	t := &Table{
		prefixes: map[string]prefix{},
		atoms:    map[string]atom{},
		units:    newCache[string, Unit](),
		pairs:    newCache[pair, conversion](),
	}
	l := loader{table: t, pending: map[string]row{}}
	var order []string
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if len(f) != 8 {
			return nil, fmt.Errorf("ucum: a row of %d columns, want 8", len(f))
		}
		r := row{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]}
		if r.kind == "prefix" {
			value, ok := new(big.Rat).SetString(r.value)
			if !ok {
				return nil, fmt.Errorf("ucum: prefix %s: bad value", r.code)
			}
			t.prefixes[r.code] = prefix{r.name, value}
			continue
		}
		l.pending[r.code] = r
		order = append(order, r.code)
	}
	for _, code := range order {
		if _, ok := l.find(code); !ok {
			return nil, fmt.Errorf("ucum: unit %s: %w", code, l.err)
		}
	}
	return t, nil
}

// loader works out units in the order their definitions need one another.
type loader struct {
	table   *Table
	pending map[string]row
	err     error // the first
}

// find returns a unit, defining it first if need be. A unit leaves pending
// before its definition is read, so one defined by itself is found unknown.
func (l *loader) find(code string) (atom, bool) {
	if a, ok := l.table.atoms[code]; ok {
		return a, true
	}
	r, ok := l.pending[code]
	if !ok {
		return atom{}, false
	}
	delete(l.pending, code)
	m, err := l.define(r)
	if err != nil {
		if l.err == nil {
			l.err = err
		}
		return atom{}, false
	}
	a := atom{name: r.name, metric: strings.Contains(r.flags, "m"), measure: m}
	l.table.atoms[code] = a
	return a, true
}

func (l *loader) define(r row) (measure, error) {
	arbitrary := strings.Contains(r.flags, "a")
	if r.kind == "base-unit" || arbitrary && r.unit == "1" {
		// An arbitrary unit is commensurable with nothing but itself (UCUM §24).
		return measure{magnitude: big.NewRat(1, 1), dims: []power{{r.code, 1, arbitrary}}}, nil
	}
	p := parser{code: r.unit, prefixes: l.table.prefixes, find: l.find}
	node, err := p.parse()
	if err != nil {
		return measure{}, fmt.Errorf("definition %q: %w", r.unit, err)
	}
	value, ok := new(big.Rat).SetString(r.value)
	if !ok {
		return measure{}, fmt.Errorf("value %q", r.value)
	}
	m, err := node.measure.times(measure{magnitude: value})
	if err != nil || r.function == "" {
		return m, err
	}
	if m.fn = functions(r.function); m.fn == nil {
		return measure{}, fmt.Errorf("function %q", r.function)
	}
	m.scale = big.NewRat(1, 1)
	return m, nil
}
