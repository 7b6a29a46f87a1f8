package system

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"strings"
	"unicode/utf8"

	"galen/fhir/jsontree"
)

// Characters converts a byte offset to one in characters; -1 stays.
func Characters(s string, at int) any {
	if at < 0 {
		return int64(-1)
	}
	return int64(utf8.RuneCountInString(s[:at]))
}

// Encode encodes as hex, base64 or urlbase64; nil if it cannot.
func Encode(s, how string) any {
	switch how {
	case "hex":
		return hex.EncodeToString([]byte(s))
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(s))
	case "urlbase64":
		return base64.URLEncoding.EncodeToString([]byte(s))
	}
	return nil
}

// Decode is the reverse of Encode; nil if it cannot.
func Decode(s, how string) any {
	var out []byte
	var err error
	switch how {
	case "hex":
		out, err = hex.DecodeString(s)
	case "base64":
		out, err = base64.StdEncoding.DecodeString(s)
	case "urlbase64":
		out, err = base64.URLEncoding.DecodeString(s)
	default:
		return nil
	}
	if err != nil || !utf8.Valid(out) {
		return nil
	}
	return string(out)
}

// Escape escapes for html or json; nil if it cannot.
func Escape(s, how string) any {
	switch how {
	case "html":
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(s)
	case "json":
		quoted := jsontree.AppendString(nil, s)
		return string(quoted[1 : len(quoted)-1])
	}
	return nil
}

// Unescape is the reverse of Escape; nil if it cannot.
func Unescape(s, how string) any {
	switch how {
	case "html":
		return html.UnescapeString(s)
	case "json":
		return unescapeJSON(s)
	}
	return nil
}

// unescapeJSON decodes the inside of a JSON string; quotes in it may stand
// without a backslash. Anything else that JSON refuses is empty.
func unescapeJSON(s string) any {
	quoted := make([]byte, 0, len(s)+2)
	quoted = append(quoted, '"')
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			quoted = append(quoted, s[i], s[i+1])
			i++
		case s[i] == '"':
			quoted = append(quoted, '\\', '"')
		default:
			quoted = append(quoted, s[i])
		}
	}
	doc, err := jsontree.Parse(append(quoted, '"'), jsontree.Limits{})
	if err != nil {
		return nil
	}
	return doc.Root().Text()
}
