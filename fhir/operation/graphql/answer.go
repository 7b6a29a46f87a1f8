package graphql

import (
	"slices"

	"galen/fhir/jsontree"
)

// object is an object of the answer, in the order of the query.
type object struct {
	keys   []string
	values []any // *object, []any, raw JSON as []byte, or nil for null
	single []string
}

func (o *object) set(key string, value any) {
	if i := slices.Index(o.keys, key); i >= 0 {
		o.values[i] = value
		return
	}
	o.keys = append(o.keys, key)
	o.values = append(o.values, value)
}

// promote takes over the values of a flattened object: they become lists that
// grow from one object to the next. It reports whether a value that was to be
// single came twice.
func (o *object) promote(from *object, suffix string) (twice bool) {
	for i, key := range from.keys {
		value, single := from.values[i], slices.Contains(from.single, key)
		if value == nil {
			continue
		}
		key += suffix
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		at := slices.Index(o.keys, key)
		switch {
		case single && (at >= 0 || len(list) > 1):
			return true
		case single:
			o.single = append(o.single, key)
			o.set(key, list[0])
		case at < 0:
			o.set(key, list)
		default:
			before, _ := o.values[at].([]any)
			o.values[at] = append(before, list...)
		}
	}
	return false
}

// problem is an entry of errors: what could not be read, and where.
type problem struct {
	message string
	path    []string
}

func (r *run) answer(data *object) []byte {
	out := appendValue([]byte(`{"data":`), data)
	for i, p := range r.problems {
		if i == 0 {
			out = append(out, `,"errors":[`...)
		} else {
			out = append(out, ',')
		}
		out = jsontree.AppendString(append(out, `{"message":`...), p.message)
		for j, key := range p.path {
			if j == 0 {
				out = append(out, `,"path":[`...)
			} else {
				out = append(out, ',')
			}
			out = jsontree.AppendString(out, key)
		}
		if len(p.path) > 0 {
			out = append(out, ']')
		}
		out = append(out, '}')
	}
	if len(r.problems) > 0 {
		out = append(out, ']')
	}
	return append(out, '}')
}

func appendValue(out []byte, value any) []byte {
	switch v := value.(type) {
	case *object:
		out = append(out, '{')
		for i, key := range v.keys {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendValue(append(jsontree.AppendString(out, key), ':'), v.values[i])
		}
		return append(out, '}')
	case []any:
		out = append(out, '[')
		for i, item := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendValue(out, item)
		}
		return append(out, ']')
	case []byte:
		return append(out, v...)
	}
	return append(out, "null"...)
}
