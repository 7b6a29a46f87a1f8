package patch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// operation is one operation of RFC 6902, section 4.
type operation struct {
	op         string
	path, from []string // reference tokens, decoded
	value      jsontree.Node
}

// jsonPatch is a document of RFC 6902, section 3.
type jsonPatch []operation

func readJSON(body []byte) (Patch, error) {
	const op = "patch.readJSON"
	doc, err := jsontree.Parse(body, jsontree.Limits{})
	if err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Malformed, Err: err}
	}
	root := doc.Root()
	if root.Kind() != jsontree.Array {
		return nil, fhir.E(op, fhir.Invalid, "", "a JSON Patch is an array of operations")
	}
	if root.Len() > maxOperations {
		return nil, fhir.E(op, fhir.TooLong, "", "the patch has more operations than allowed")
	}
	var out jsonPatch
	for n := range root.Items() {
		o, err := readOperation(n, fmt.Sprintf("[%d]", len(out)))
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// needs is what each operation has beside path.
var needs = map[string]string{"add": "value", "remove": "", "replace": "value", "move": "from", "copy": "from", "test": "value"}

func readOperation(n jsontree.Node, at string) (operation, error) {
	const op = "patch.readJSON"
	o := operation{op: n.Get("op").Text(), value: n.Get("value")}
	need, known := needs[o.op]
	switch {
	case n.Kind() != jsontree.Object:
		return o, fhir.E(op, fhir.Invalid, at, "an operation is an object")
	case !known || n.Get("op").Kind() != jsontree.String:
		return o, fhir.E(op, fhir.Invalid, at+".op", "op must be add, remove, replace, move, copy or test")
	case need != "" && !n.Get(need).Exists():
		return o, fhir.E(op, fhir.Required, at+"."+need, o.op+" needs "+need)
	}
	var ok bool
	if o.path, ok = pointer(n.Get("path")); !ok {
		return o, fhir.E(op, fhir.Invalid, at+".path", "path must be a JSON Pointer (RFC 6901)")
	}
	if need == "from" {
		if o.from, ok = pointer(n.Get("from")); !ok {
			return o, fhir.E(op, fhir.Invalid, at+".from", "from must be a JSON Pointer (RFC 6901)")
		}
		if o.op == "move" && len(o.from) < len(o.path) && slices.Equal(o.from, o.path[:len(o.from)]) {
			return o, fhir.E(op, fhir.Invalid, at+".from", "a value cannot be moved into itself")
		}
	}
	return o, nil
}

// pointer reads a JSON Pointer (RFC 6901, section 3) into its tokens.
func pointer(n jsontree.Node) ([]string, bool) {
	text := n.Text()
	if n.Kind() != jsontree.String || text != "" && text[0] != '/' {
		return nil, false
	}
	if text == "" {
		return []string{}, true
	}
	tokens := strings.Split(text[1:], "/")
	for i, token := range tokens {
		for j := range len(token) {
			if token[j] == '~' && (j+1 == len(token) || token[j+1] != '0' && token[j+1] != '1') {
				return nil, false
			}
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return tokens, true
}

// Apply performs the operations one after the other; the first that fails ends
// it.
func (p jsonPatch) Apply(ctx context.Context, r fhir.Resource) ([]byte, error) {
	return p.apply(ctx, r.Root())
}

func (p jsonPatch) apply(ctx context.Context, n jsontree.Node) ([]byte, error) {
	root := leaf(n)
	size := root.size()
	for i := range p {
		at := fmt.Sprintf("[%d].path", i)
		if err := late(ctx); err != nil {
			return nil, err
		}
		var grown int
		var err error
		if root, grown, err = p[i].apply(root, at); err != nil {
			return nil, err
		}
		if size += grown; size > maxResult {
			return nil, fhir.E("patch.Apply", fhir.TooLong, at, "the patched resource is longer than allowed")
		}
	}
	return root.append(nil), nil
}

const nothingThere = "nothing is at this place"

// apply performs one operation on the document and returns it, and how many
// bytes it put in.
func (o operation) apply(root *value, at string) (*value, int, error) {
	switch o.op {
	case "test":
		there := find(root, o.path)
		if there != nil && there.open {
			there = parsed(there.append(nil))
		}
		if there == nil || !equal(there.node, o.value) {
			return nil, 0, misfit(at, "the test failed")
		}
		return root, 0, nil
	case "remove":
		root, err := remove(root, o.path, at)
		return root, 0, err
	case "replace":
		if find(root, o.path) == nil {
			return nil, 0, misfit(at, nothingThere)
		}
		root, err := put(root, o.path, leaf(o.value), true, at)
		return root, leaf(o.value).size(), err
	case "add":
		root, err := put(root, o.path, leaf(o.value), false, at)
		return root, leaf(o.value).size(), err
	}
	source := find(root, o.from)
	if source == nil {
		return nil, 0, misfit(strings.TrimSuffix(at, "path")+"from", nothingThere)
	}
	moved, grown := source.clone(), source.size()
	if o.op == "move" {
		if slices.Equal(o.from, o.path) {
			return root, 0, nil
		}
		var err error
		if root, err = remove(root, o.from, at); err != nil {
			return nil, 0, err
		}
		grown = 0
	}
	root, err := put(root, o.path, moved, false, at)
	return root, grown, err
}

// find is the value at a path, nil if there is none.
func find(v *value, tokens []string) *value {
	for _, token := range tokens {
		switch {
		case v.isObject():
			v = v.member(token)
		case v.isArray():
			items := v.items()
			i, ok := index(token, len(items)-1)
			if !ok {
				return nil
			}
			v = items[i]
		default:
			return nil
		}
		if v == nil {
			return nil
		}
	}
	return v
}

// index reads an array index up to last (RFC 6901, section 4).
func index(token string, last int) (int, bool) {
	i, err := strconv.Atoi(token)
	return i, err == nil && i >= 0 && i <= last && strconv.Itoa(i) == token
}

// owner opens the way to what holds the last token of a path.
func owner(root *value, tokens []string, at string) (*value, error) {
	v := root
	for _, token := range tokens[:len(tokens)-1] {
		switch {
		case v.isObject():
			v = v.expand().member(token)
		case v.isArray():
			i, ok := index(token, len(v.expand().kids)-1)
			if !ok {
				return nil, misfit(at, nothingThere)
			}
			v = v.kids[i]
		default:
			v = nil
		}
		if v == nil {
			return nil, misfit(at, nothingThere)
		}
	}
	if !v.isObject() && !v.isArray() {
		return nil, misfit(at, nothingThere)
	}
	return v.expand(), nil
}

func remove(root *value, tokens []string, at string) (*value, error) {
	if len(tokens) == 0 {
		return nil, misfit(at, "the whole resource cannot be removed")
	}
	v, err := owner(root, tokens, at)
	if err != nil {
		return nil, err
	}
	last := tokens[len(tokens)-1]
	if !v.array {
		if !v.remove(last) {
			return nil, misfit(at, nothingThere)
		}
		return root, nil
	}
	i, ok := index(last, len(v.kids)-1)
	if !ok {
		return nil, misfit(at, nothingThere)
	}
	v.kids = slices.Delete(v.kids, i, i+1)
	return root, nil
}

// put sets a member or replaces an item, or inserts one before it.
func put(root *value, tokens []string, what *value, replace bool, at string) (*value, error) {
	if len(tokens) == 0 {
		return what, nil
	}
	v, err := owner(root, tokens, at)
	if err != nil {
		return nil, err
	}
	last := tokens[len(tokens)-1]
	if !v.array {
		v.set(last, what)
		return root, nil
	}
	i, ok := index(last, len(v.kids))
	switch {
	case last == "-" && !replace:
		v.kids = append(v.kids, what)
	case !ok:
		return nil, misfit(at, "the index is beyond the end of the array")
	case replace:
		v.kids[i] = what
	default:
		v.kids = slices.Insert(v.kids, i, what)
	}
	return root, nil
}
