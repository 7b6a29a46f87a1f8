package index

import (
	"context"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// computed is an expression for the engine.
type computed struct {
	param int32
	code  string
	kind  spec.ParamType
	expr  *path.Expr
	parts []computed // of a composite, each on what expr selects
}

// compute compiles an expression that is more than a path.
func (c compiler) compute(engine *path.Engine, param *spec.SearchParam, text string, number int32) (computed, error) {
	out := computed{param: number, code: param.Code, kind: param.Type}
	var err error
	if out.expr, err = engine.Compile(text); err != nil || param.Type != spec.Composite {
		return out, err
	}
	for _, part := range param.Components {
		p, err := c.compute(engine, part.Param, part.Expression, number)
		if err != nil {
			return out, err
		}
		out.parts = append(out.parts, p)
	}
	return out, nil
}

// compute serves an expression that only the FHIRPath engine can read, on the
// whole resource or on a focus in it.
func (w *walk) compute(c *computed, focus path.Item) error {
	items, err := c.expr.Eval(context.Background(), path.Env{Resource: w.resource, Focus: focus, Resolve: resolveType})
	switch fhir.KindOf(err) {
	case fhir.TooCostly, fhir.Timeout:
		return &fhir.Error{Op: "index.Index", Kind: fhir.TooCostly, At: c.code, Err: err}
	}
	// An expression that does not fit the data selects nothing.
	for _, item := range items {
		e := &emit{param: c.param}
		if c.kind == spec.Composite {
			if err := w.product(e, len(c.parts), func(i int) error { return w.compute(&c.parts[i], item) }); err != nil {
				return err
			}
		} else if convert := converters[c.kind][item.Type()]; convert != nil && item.Node().Exists() {
			convert(w, e, item.Node())
		} else {
			w.system(e, c.kind, item)
		}
	}
	return nil
}

// system adds a value that the expression made itself.
func (w *walk) system(e *emit, kind spec.ParamType, item path.Item) {
	flag, isFlag := item.Bool()
	text, isText := item.Str()
	figure, isFigure := item.Decimal()
	switch {
	case kind == spec.Token && isFlag:
		w.add(e, boolean(flag))
	case kind == spec.Token && (isText || isFigure):
		w.token(e, "", item.Text())
	case kind == spec.String && isText && text != "":
		w.add(e, search.String{Exact: text, Norm: search.Normalize(text)})
	case kind == spec.URI && isText && text != "":
		w.add(e, search.URI{URI: text})
	case kind == spec.Reference && isText && text != "":
		w.add(e, search.ParseReference(text, w.opts.Base))
	case kind == spec.Number && isFigure:
		w.add(e, search.Number{Range: search.Range{Low: figure, High: figure}})
	}
}

// resolveType is resolve() for "resolve() is Patient": the type that a reference
// names, with nothing in it.
func resolveType(_ context.Context, reference string) (path.Item, bool) {
	key := fhir.ParseReference(reference).Key
	return path.TypedItem(key.Type, jsontree.Node{}), key.Type != ""
}
