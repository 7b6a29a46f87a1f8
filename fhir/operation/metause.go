package operation

import (
	"bytes"
	"context"
	"net/url"
	"strconv"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/searchset"
)

// Of how many resources the meta is put together: page after page of those that
// have a profile, label or tag. Of more, a part would be a wrong answer.
const (
	metaPage = 500
	metaMost = 50_000
)

// metaInUse puts together what the caller's resources of a type, or of all,
// have in meta, each profile, label and tag once, in the order of creation.
func (s *Set) metaInUse(ctx context.Context, c *call) (Result, error) {
	const having = "_profile pr true or _security pr true or _tag pr true"
	query := "_total=none&_elements=meta&_count=" + strconv.Itoa(metaPage) + "&_filter=" + url.QueryEscape(having)
	in, seen := rest.SearchIn{Type: c.Type, Query: query, Strict: true}, map[string]bool{}
	lists := map[string][][]byte{}
	for range metaMost / metaPage {
		body, err := s.rest.Search(ctx, c.Caller, in)
		if err != nil {
			return Result{}, err
		}
		doc, err := jsontree.Parse(body, jsontree.Limits{})
		if err != nil {
			return Result{}, &fhir.Error{Op: "operation.meta", Err: err}
		}
		for e := range doc.Root().Get("entry").Items() {
			collectMeta(lists, seen, e.Get("resource").Get("meta"))
		}
		cursor := searchset.Next(doc.Root(), rest.PageParam)
		if cursor == "" {
			return Result{Body: metaBody(lists)}, nil
		}
		in.Query = query + "&" + rest.PageParam + "=" + url.QueryEscape(cursor)
	}
	return Result{}, fhir.E("operation.meta", fhir.TooCostly, "", "more than "+strconv.Itoa(metaMost)+" resources have profiles, labels or tags; ask for one type")
}

// collectMeta adds what is new. The tag that says that _elements was obeyed is
// not the resource's.
func collectMeta(lists map[string][][]byte, seen map[string]bool, meta jsontree.Node) {
	for _, name := range metaLists {
		for item := range meta.Get(name).Items() {
			key := name + " " + item.Text()
			if item.Kind() == jsontree.Object {
				if item.Get("code").Text() == "SUBSETTED" {
					continue
				}
				key = name + " " + item.Get("system").Text() + "|" + item.Get("code").Text()
			}
			if !seen[key] {
				seen[key] = true
				lists[name] = append(lists[name], bytes.Clone(item.Raw()))
			}
		}
	}
}

func metaBody(lists map[string][][]byte) []byte {
	out := []byte(`{"resourceType":"Parameters"`)
	if len(lists) > 0 {
		out = append(out, `,"parameter":[{"name":"return","valueMeta":{`...)
		first := true
		for _, name := range metaLists {
			if len(lists[name]) == 0 {
				continue
			}
			if !first {
				out = append(out, ',')
			}
			first = false
			out = append(out, `"`+name+`":[`...)
			out = append(out, bytes.Join(lists[name], []byte{','})...)
			out = append(out, ']')
		}
		out = append(out, `}}]`...)
	}
	return append(out, '}')
}
