package operation

import (
	"context"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// meta answers $meta (https://hl7.org/fhir/R4/resource-operation-meta.html) of
// one resource, or with all profiles, labels and tags in use on a type or on all.
func (s *Set) meta(ctx context.Context, c *call) (Result, error) {
	if c.ID == "" {
		return s.metaInUse(ctx, c)
	}
	rec, err := s.rest.Read(ctx, c.Caller, c.key())
	if err != nil {
		return Result{}, err
	}
	return metaResult(rec.Body)
}

func metaResult(body []byte) (Result, error) {
	doc, err := jsontree.Parse(body, jsontree.Limits{})
	if err != nil {
		return Result{}, &fhir.Error{Op: "operation.meta", Err: err}
	}
	out := []byte(`{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":`)
	out = append(out, doc.Root().Get("meta").Raw()...)
	return Result{Body: append(out, `}]}`...)}, nil
}

func (s *Set) metaAdd(ctx context.Context, c *call) (Result, error) {
	return s.changeMeta(ctx, c, added)
}

func (s *Set) metaDelete(ctx context.Context, c *call) (Result, error) {
	return s.changeMeta(ctx, c, deleted)
}

// metaLists are the members of Meta that the operations change
// (https://hl7.org/fhir/R4/resource-operation-meta-add.html).
var metaLists = []string{"profile", "security", "tag"}

// attempts is how often a change starts again after another writer came first.
const attempts = 5

// changeMeta makes a new version with the changed lists, or none if nothing
// changes.
func (s *Set) changeMeta(ctx context.Context, c *call, change func(old, given jsontree.Node) [][]byte) (Result, error) {
	given, err := c.node("meta")
	if err != nil {
		return Result{}, err
	}
	for range attempts {
		rec, err := s.rest.Read(ctx, c.Caller, c.key())
		if err != nil {
			return Result{}, err
		}
		body, changed, err := changedMeta(rec.Body, given, change)
		if err != nil || !changed {
			if err != nil {
				return Result{}, err
			}
			return metaResult(rec.Body)
		}
		out, err := s.rest.Update(ctx, c.Caller, c.key(), body, rec.ETag())
		switch fhir.KindOf(err) {
		case fhir.Conflict, fhir.Precondition:
			if err != nil {
				continue
			}
		}
		if err != nil {
			return Result{}, err
		}
		return metaResult(out.Body)
	}
	return Result{}, fhir.E("operation.changeMeta", fhir.Conflict, "", "other writers came first each time")
}

func changedMeta(body []byte, given jsontree.Node, change func(old, given jsontree.Node) [][]byte) ([]byte, bool, error) {
	doc, err := jsontree.Parse(body, jsontree.Limits{})
	if err != nil {
		return nil, false, &fhir.Error{Op: "operation.changeMeta", Err: err}
	}
	meta := doc.Root().Get("meta")
	edit, changed := doc.Edit(), false
	for _, name := range metaLists {
		old := meta.Get(name)
		items := change(old, given.Get(name))
		if len(items) == old.Len() {
			continue
		}
		changed = true
		if len(items) == 0 {
			edit.Delete(meta, name)
			continue
		}
		raw := []byte{'['}
		for i, item := range items {
			if i > 0 {
				raw = append(raw, ',')
			}
			raw = append(raw, item...)
		}
		edit.Set(meta, name, append(raw, ']'), "lastUpdated")
	}
	return edit.Bytes(), changed, nil
}

// added is the old items with the given ones that are not among them.
func added(old, given jsontree.Node) [][]byte {
	var items []jsontree.Node
	var out [][]byte
	for _, list := range []jsontree.Node{old, given} {
		for item := range list.Items() {
			if list == old || !among(item, items) {
				items = append(items, item)
				out = append(out, item.Raw())
			}
		}
	}
	return out
}

// deleted is the old items without the given ones.
func deleted(old, given jsontree.Node) [][]byte {
	var remove []jsontree.Node
	for item := range given.Items() {
		remove = append(remove, item)
	}
	var out [][]byte
	for item := range old.Items() {
		if !among(item, remove) {
			out = append(out, item.Raw())
		}
	}
	return out
}

// among compares profiles by their text, tags and labels by system and code.
func among(item jsontree.Node, list []jsontree.Node) bool {
	for _, o := range list {
		if item.Kind() == jsontree.String && item.Text() == o.Text() ||
			item.Kind() == jsontree.Object && item.Get("system").Text() == o.Get("system").Text() && item.Get("code").Text() == o.Get("code").Text() {
			return true
		}
	}
	return false
}
