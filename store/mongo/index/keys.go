package index

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"galen/fhir"
	"galen/fhir/search"
)

// The letters of keys. A range has a key for each end.
const (
	Token     = "t" // code, Sep, system
	Folded    = "f" // the same of a system that heeds no case: lower case
	System    = "y" // of a token
	Word      = "w" // of a Text
	Typed     = "i" // system, Sep, code, Sep, value
	Norm      = "s" // of a String, cut
	Exactly   = "x" // a String as written, cut
	DateLow   = "d" // 16 hexadecimal digits
	DateHigh  = "e"
	NumLow    = "n" // decimal.SortKey, "" if open
	NumHigh   = "o" // "~" if open
	QtyLow    = "q" // whatever the unit
	QtyHigh   = "h"
	CanonLow  = "l" // unit, Sep, key
	CanonHigh = "m"
	Backwards = "z" // a range that ends before it begins
	Key       = "r" // of a reference: id, Sep, type
	URL       = "v" // of a reference
	URI       = "u"
	Latitude  = "p" // 16 hexadecimal digits
	Parts     = "c" // a composite: the code of the first part if that is a token
)

// Sep stands between the parts of a key: it is in no FHIR string
// (https://hl7.org/fhir/R4/datatypes.html#string).
const Sep = "\x01"

// All is the key of every resource that is not deleted.
const All = ""

// MaxString bounds the text of a string's key in bytes; Long ends one that was
// cut.
const (
	MaxString = 200
	Long      = "\x02"
)

// MaxWord bounds a word's key in bytes.
const MaxWord = 64

// Of begins every key of a parameter and letter.
func Of(param, letter string) string { return param + "=" + letter }

// Dated names the parameters of a type that is asked for by patient and code,
// newest first, and grows large.
type Dated struct{ Code, Date string }

// DatedTypes are those types.
var DatedTypes = map[string]Dated{
	"AllergyIntolerance":       {"code", "date"},
	"Composition":              {"type", "date"},
	"Condition":                {"code", "onset-date"},
	"DiagnosticReport":         {"code", "date"},
	"DocumentReference":        {"type", "date"},
	"Encounter":                {"type", "date"},
	"Immunization":             {"vaccine-code", "date"},
	"MedicationAdministration": {"code", "effective-time"},
	"MedicationRequest":        {"code", "authoredon"},
	"MedicationStatement":      {"code", "effective"},
	"Observation":              {"code", "date"},
	"Procedure":                {"code", "date"},
	"RiskAssessment":           {"method", "date"},
	"ServiceRequest":           {"code", "authored"},
}

// PatientParams are the parameters that a patient is asked for by.
var PatientParams = [...]string{"patient", "subject"}

// Pair is the key of a patient and code together.
func Pair(param, code string, patient fhir.Key, token string) string {
	return param + "&" + code + "=" + Ref(patient) + Sep + token
}

// Ref is a reference's part of a key.
func Ref(k fhir.Key) string { return k.ID + Sep + k.Type }

// Code is a token's part of a key, with its letter.
func Code(folded bool, code, system string) string {
	letter := Token
	if folded {
		letter = Folded
	}
	return letter + code + Sep + system
}

// Instant orders instants by bytes.
func Instant(i fhir.Instant) string { return fmt.Sprintf("%016x", uint64(i)^(1<<63)) }

// Float orders numbers by bytes.
func Float(f float64) string {
	bits := math.Float64bits(f)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], bits)
	return fmt.Sprintf("%x", b)
}

// Cut shortens a string's text for its key.
func Cut(s string) string {
	if len(s) <= MaxString {
		return s
	}
	return s[:start(s, MaxString)] + Long
}

// CutWord shortens a word for its key.
func CutWord(s string) string {
	if len(s) <= MaxWord {
		return s
	}
	return s[:start(s, MaxWord)]
}

// start is where the character at n begins.
func start(s string, n int) int {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// Keys are all keys of a resource, each once, in order.
func Keys(typ string, entries []search.Entry) []string {
	k := keys{All}
	for _, e := range entries {
		k.add(e.Param)
		k.value(e.Param, e.Value)
	}
	k.pairs(typ, entries)
	slices.Sort(k)
	return slices.Compact(k)
}

type keys []string

// add appends a key. A string that is not UTF-8 would not pass through BSON.
func (k *keys) add(key string) { *k = append(*k, strings.ToValidUTF8(key, "\ufffd")) }

func (k *keys) value(param string, v search.Value) {
	add := func(letter, text string) { k.add(Of(param, letter) + text) }
	switch v := v.(type) {
	case search.Token:
		add("", Code(v.Folded, v.Code, v.System))
		add(System, v.System)
	case search.Text:
		for word := range strings.SplitSeq(v.Norm, " ") {
			add(Word, CutWord(word))
		}
	case search.TypedIdentifier:
		add(Typed, v.System+Sep+v.Code+Sep+v.Value)
	case search.String:
		add(Norm, Cut(v.Norm))
		add(Exactly, Cut(v.Exact))
	case search.Date:
		k.bounds(param, DateLow, DateHigh, Instant(v.Low), Instant(v.High))
	case search.Number:
		low, high := Ends(v.Range)
		k.bounds(param, NumLow, NumHigh, low, high)
	case search.Quantity:
		low, high := Ends(v.Range)
		k.bounds(param, QtyLow, QtyHigh, low, high)
		if v.CanonicalUnit != "" {
			low, high = Ends(v.Canonical)
			k.bounds(param, CanonLow+v.CanonicalUnit+Sep, CanonHigh+v.CanonicalUnit+Sep, low, high)
		}
	case search.Reference:
		if v.ID != "" {
			add(Key, Ref(v.Key))
		}
		if v.URL != "" || v.ID == "" {
			add(URL, v.URL)
		}
	case search.URI:
		add(URI, v.URI)
	case search.Position:
		add(Latitude, Float(v.Latitude))
	case search.Composite:
		add(Parts, first(v.Parts))
	}
}

func (k *keys) bounds(param, lowLetter, highLetter, low, high string) {
	k.add(Of(param, lowLetter) + low)
	k.add(Of(param, highLetter) + high)
	if high < low {
		k.add(Of(param, Backwards))
	}
}

// Ends are the keys of a range's ends.
func Ends(r search.Range) (low, high string) {
	high = "~"
	if !r.OpenLow {
		low = r.Low.SortKey()
	}
	if !r.OpenHigh {
		high = r.High.SortKey()
	}
	return low, high
}

func first(parts []search.Value) string {
	if len(parts) > 0 {
		if t, ok := parts[0].(search.Token); ok {
			return Code(t.Folded, t.Code, t.System)
		}
	}
	return ""
}

// pairs adds the keys of patients with codes.
func (k *keys) pairs(typ string, entries []search.Entry) {
	rule, ok := DatedTypes[typ]
	if !ok {
		return
	}
	for _, e := range entries {
		ref, ok := e.Value.(search.Reference)
		if !ok || ref.ID == "" || !slices.Contains(PatientParams[:], e.Param) {
			continue
		}
		for _, c := range entries {
			if t, ok := c.Value.(search.Token); ok && c.Param == rule.Code {
				k.add(Pair(e.Param, rule.Code, ref.Key, Code(t.Folded, t.Code, t.System)))
			}
		}
	}
}

// Sorts are the sort keys of a resource by parameter, ascending and descending:
// search.SortKey.
func Sorts(entries []search.Entry) (up, down map[string]string) {
	up, down = map[string]string{}, map[string]string{}
	for _, e := range entries {
		if _, done := up[e.Param]; done {
			continue
		}
		if k, ok := search.SortKey(entries, fhir.Header{}, search.Sort{Param: e.Param}); ok {
			up[e.Param] = strings.ToValidUTF8(k, "\ufffd")
			k, _ = search.SortKey(entries, fhir.Header{}, search.Sort{Param: e.Param, Descending: true})
			down[e.Param] = strings.ToValidUTF8(k, "\ufffd")
		}
	}
	return up, down
}
