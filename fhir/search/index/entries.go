package index

import (
	"fmt"

	"galen/fhir/search"
)

// entries puts what was found in the order of the parameters, without repeats.
func (w *walk) entries(codes []string) []search.Entry {
	w.counts = append(w.counts[:0], make([]int32, len(codes)+1)...)
	for _, f := range w.found {
		w.counts[f.param+1]++
	}
	for i := range codes {
		w.counts[i+1] += w.counts[i]
	}
	sorted := make([]search.Entry, len(w.found))
	for _, f := range w.found {
		sorted[w.counts[f.param]] = search.Entry{Param: codes[f.param], Value: f.value}
		w.counts[f.param]++
	}
	kept, start := sorted[:0], int32(0)
	for i := range codes {
		kept = appendDistinct(kept, sorted[start:w.counts[i]])
		start = w.counts[i]
	}
	clear(sorted[len(kept):])
	return kept
}

// appendDistinct adds the entries of one parameter, each once. Few are compared
// in pairs, many by their identity.
func appendDistinct(kept, group []search.Entry) []search.Entry {
	const few = 16
	if len(group) > few {
		seen := make(map[any]struct{}, len(group))
		for _, e := range group {
			id := identity(e.Value)
			if _, ok := seen[id]; !ok {
				seen[id] = struct{}{}
				kept = append(kept, e)
			}
		}
		return kept
	}
	first := len(kept)
	for _, e := range group {
		if !has(kept[first:], e.Value) {
			kept = append(kept, e)
		}
	}
	return kept
}

func has(list []search.Entry, v search.Value) bool {
	for _, e := range list {
		if same(e.Value, v) {
			return true
		}
	}
	return false
}

// same reports whether two values are found alike: 1.0 is 1.00.
func same(a, b search.Value) bool {
	switch a := a.(type) {
	case search.Number:
		b, ok := b.(search.Number)
		return ok && sameRange(a.Range, b.Range)
	case search.Quantity:
		b, ok := b.(search.Quantity)
		return ok && a.System == b.System && a.Code == b.Code && a.Unit == b.Unit && sameRange(a.Range, b.Range)
	case search.Composite:
		b, ok := b.(search.Composite)
		if !ok || len(a.Parts) != len(b.Parts) {
			return false
		}
		for i := range a.Parts {
			if !same(a.Parts[i], b.Parts[i]) {
				return false
			}
		}
		return true
	}
	if _, ok := b.(search.Composite); ok {
		return false // not comparable by ==
	}
	return a == b
}

func sameRange(a, b search.Range) bool {
	return a.OpenLow == b.OpenLow && a.OpenHigh == b.OpenHigh && a.Low.Equal(b.Low) && a.High.Equal(b.High)
}

// identity is a map key that is equal for values that are the same.
func identity(v search.Value) any {
	switch v := v.(type) {
	case search.Number:
		return rangeIdentity(v.Range)
	case search.Quantity:
		return [4]string{rangeIdentity(v.Range), v.System, v.Code, v.Unit}
	case search.Composite:
		text := ""
		for _, part := range v.Parts {
			text += fmt.Sprintf("%T%+q", part, fmt.Sprint(identity(part)))
		}
		return text
	}
	return v
}

func rangeIdentity(r search.Range) string {
	return fmt.Sprint(r.Low.SortKey(), r.High.SortKey(), r.OpenLow, r.OpenHigh)
}
