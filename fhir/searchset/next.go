package searchset

import (
	"net/url"

	"galen/fhir/jsontree"
)

// Next is the cursor in the next link of a Bundle that Write made, "" on the last
// page; param is the Page's PageParam.
func Next(bundle jsontree.Node, param string) string {
	for l := range bundle.Get("link").Items() {
		if l.Get("relation").Text() != "next" {
			continue
		}
		if u, err := url.Parse(l.Get("url").Text()); err == nil {
			return u.Query().Get(param)
		}
	}
	return ""
}
