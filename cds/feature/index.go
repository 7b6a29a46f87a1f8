package feature

import (
	"slices"

	"galen/models/manifest"
)

// coded are the items of an Evidence by the codes that they bear, so that a
// feature looks only at what may carry it.
type coded map[key][]int

type key struct{ system, code string }

func byCode(items []Item) coded {
	out := coded{}
	for i := range items {
		src, known := sources[items[i].Resource.Type]
		if !known {
			continue
		}
		for coding := range items[i].Resource.Root().Get(src.code).Get("coding").Items() {
			k := key{coding.Get("system").Text(), coding.Get("code").Text()}
			if list := out[k]; len(list) == 0 || list[len(list)-1] != i {
				out[k] = append(list, i)
			}
		}
	}
	return out
}

// of are the positions of the items that may carry a feature, in order.
func (c coded) of(f *manifest.Feature) []int {
	var out []int
	for i := range f.Codes {
		out = append(out, c[key{f.Codes[i].System, f.Codes[i].Code}]...)
		for _, panel := range f.Codes[i].Panels {
			out = append(out, c[key{panel.System, panel.Code}]...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
