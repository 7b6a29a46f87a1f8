package search

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"galen/fhir"
)

// MaxSortKey bounds a sort key in bytes; what differs only later sorts by
// creation.
const MaxSortKey = 200

// SortKey is what a resource sorts by for one key of the order: a string whose
// byte order is the order of the values, so that every driver sorts alike. Of
// several values the least counts when ascending, the greatest when descending,
// and of a range its low or high end. It reports false if the resource has no
// value to sort by; such come last either way.
//
// Dates sort by instant, numbers and quantities by number (in UCUM base units
// where they have one), strings without case and accents, tokens by code and
// then system, references by type/id or URL. Texts, typed identifiers, positions
// and composites have no order.
func SortKey(entries []Entry, h fhir.Header, s Sort) (key string, ok bool) {
	switch s.Param {
	case "_id":
		return h.ID, true
	case "_lastUpdated":
		return instantKey(fhir.InstantOf(h.LastUpdated)), true
	}
	for i := range entries {
		if entries[i].Param != s.Param {
			continue
		}
		k, has := valueKey(entries[i].Value, s.Descending)
		if has && (!ok || (k < key) != s.Descending && k != key) {
			key, ok = k, true
		}
	}
	return key, ok
}

// valueKey is the key of one value, of its high end if high.
func valueKey(v Value, high bool) (string, bool) {
	switch v := v.(type) {
	case Date:
		if high {
			return instantKey(v.High), true
		}
		return instantKey(v.Low), true
	case Number:
		return rangeKey(v.Range, high), true
	case Quantity:
		if v.CanonicalUnit != "" {
			return rangeKey(v.Canonical, high), true
		}
		return rangeKey(v.Range, high), true
	case String:
		return cut(v.Norm), true
	case Token:
		return cut(v.Code + "\x01" + v.System), true
	case Reference:
		if v.URL != "" {
			return cut(v.URL), true
		}
		return v.Key.String(), true
	case URI:
		return cut(v.URI), true
	}
	return "", false
}

// instantKey moves the sign so that 16 hexadecimal digits order instants.
func instantKey(i fhir.Instant) string { return fmt.Sprintf("%016x", uint64(i)^(1<<63)) }

// rangeKey: "" is before every decimal's key and "~" after it.
func rangeKey(r Range, high bool) string {
	switch {
	case high && r.OpenHigh:
		return "~"
	case high:
		return r.High.SortKey()
	case r.OpenLow:
		return ""
	}
	return r.Low.SortKey()
}

func cut(s string) string {
	if len(s) <= MaxSortKey {
		return s
	}
	end := MaxSortKey
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

type sortKey struct {
	key string
	ok  bool
}

func sortKeys(keys []Sort, key fhir.Key, c Corpus) []sortKey {
	h, _ := c.Header(key)
	entries := c.Entries(key)
	list := make([]sortKey, len(keys))
	for i, s := range keys {
		list[i].key, list[i].ok = SortKey(entries, h, s)
	}
	return list
}

func compareKeys(keys []Sort, a, b []sortKey) int {
	for i, s := range keys {
		switch {
		case a[i].ok != b[i].ok:
			if a[i].ok {
				return -1
			}
			return 1
		case a[i].key == b[i].key:
		case s.Descending:
			return strings.Compare(b[i].key, a[i].key)
		default:
			return strings.Compare(a[i].key, b[i].key)
		}
	}
	return 0
}
