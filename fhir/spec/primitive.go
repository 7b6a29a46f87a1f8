package spec

import (
	"strings"
	"unicode/utf8"
)

// maxString is the length that R4 allows a string: 1024*1024 characters.
const maxString = 1 << 20

// ValidPrimitive reports whether text is a value of a primitive type, as it
// stands in JSON without quotes (https://hl7.org/fhir/R4/datatypes.html#primitive).
// It takes no text that the official regular expression refuses, but for a form
// feed in a string, and refuses what the page's prose rules out beyond it:
// dates that do not exist, integers beyond 32 bits, base64 with misplaced
// padding, control characters in a uri, white space in a code other than single
// spaces, strings beyond 1,048,576 characters, and empty values. The text is
// taken to be valid UTF-8. A name that is no primitive type has no valid value.
func ValidPrimitive(typeCode, text string) bool {
	switch typeCode {
	case "boolean":
		return text == "true" || text == "false"
	case "integer":
		return validInteger(text, 0)
	case "unsignedInt":
		return validInteger(text, 1)
	case "positiveInt":
		return validInteger(text, 2)
	case "decimal":
		return validDecimal(text)
	case "string", "markdown":
		return text != "" && (len(text) <= maxString || utf8.RuneCountInString(text) <= maxString)
	case "xhtml":
		return text != ""
	case "base64Binary":
		return validBase64(text)
	}
	return validName(typeCode, text) || validTime(typeCode, text)
}

// validName checks the types that identify something.
func validName(typeCode, text string) bool {
	switch typeCode {
	case "id":
		return validID(text)
	case "code":
		return validCode(text)
	case "uri", "url", "canonical":
		return validURI(text)
	case "oid":
		return validOID(text)
	case "uuid":
		return validUUID(text)
	}
	return false
}

// validTime checks the types that name a date or a time of day.
func validTime(typeCode, text string) bool {
	switch typeCode {
	case "date":
		rest, _, ok := cutDate(text)
		return ok && rest == ""
	case "dateTime":
		rest, whole, ok := cutDate(text)
		return ok && (rest == "" || whole && validClockAndZone(rest))
	case "instant":
		rest, whole, ok := cutDate(text)
		return ok && whole && validClockAndZone(rest)
	case "time":
		rest, ok := cutClock(text)
		return ok && rest == ""
	}
	return false
}

// validInteger checks -?(0|[1-9][0-9]*) within 32 bits; no sign if least is 1,
// no zero either if it is 2.
func validInteger(text string, least int) bool {
	digits, negative := strings.CutPrefix(text, "-")
	if digits == "" || len(digits) > 10 || negative && least > 0 {
		return false
	}
	if digits[0] == '0' && (len(digits) > 1 || least > 1) {
		return false
	}
	n := int64(0)
	for i := 0; i < len(digits); i++ {
		if !digit(digits[i]) {
			return false
		}
		n = n*10 + int64(digits[i]-'0')
	}
	return n < 1<<31 || negative && n == 1<<31
}

// validDecimal checks -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?, which is
// the grammar of a JSON number.
func validDecimal(text string) bool {
	text = strings.TrimPrefix(text, "-")
	n := digits(text)
	if n == 0 || text[0] == '0' && n > 1 {
		return false
	}
	if text = text[n:]; strings.HasPrefix(text, ".") {
		if n = digits(text[1:]); n == 0 {
			return false
		}
		text = text[1+n:]
	}
	if text != "" && (text[0] == 'e' || text[0] == 'E') {
		text = text[1:]
		if text != "" && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		if n = digits(text); n == 0 {
			return false
		}
		text = text[n:]
	}
	return text == ""
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// digits is how many digits text starts with.
func digits(text string) int {
	n := 0
	for n < len(text) && digit(text[n]) {
		n++
	}
	return n
}

// validID checks [A-Za-z0-9\-\.]{1,64}.
func validID(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for i := 0; i < len(text); i++ {
		if c := text[i]; !digit(c) && !letter(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// validCode checks [^\s]+(\s[^\s]+)* with only spaces between the words.
func validCode(text string) bool {
	if text == "" || text[len(text)-1] == ' ' {
		return false
	}
	space := true // as good as one before the first character
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ' && space, '\t' <= c && c <= '\r':
			return false
		default:
			space = c == ' '
		}
	}
	return true
}

// validURI checks \S* without control characters (RFC 3986 has none), not empty.
func validURI(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] <= ' ' || text[i] == 0x7f {
			return false
		}
	}
	return text != ""
}

// validOID checks urn:oid:[0-2](\.(0|[1-9][0-9]*))+.
func validOID(text string) bool {
	text, ok := strings.CutPrefix(text, "urn:oid:")
	if !ok || len(text) < 3 || text[0] < '0' || text[0] > '2' {
		return false
	}
	for text = text[1:]; text != ""; {
		if text[0] != '.' {
			return false
		}
		n := digits(text[1:])
		if n == 0 || text[1] == '0' && n > 1 {
			return false
		}
		text = text[1+n:]
	}
	return true
}

// validUUID checks urn:uuid: and 8-4-4-4-12 hexadecimal digits in lower case.
func validUUID(text string) bool {
	text, ok := strings.CutPrefix(text, "urn:uuid:")
	if !ok || len(text) != 36 {
		return false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !digit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// validBase64 checks (\s*([0-9a-zA-Z\+\/\=]){4}\s*)+ with padding only at the
// very end, as RFC 4648 section 4 has it: groups of four, white space between
// them.
func validBase64(text string) bool {
	n, pads := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r':
			if n%4 != 0 {
				return false
			}
			continue
		case c == '=':
			pads++
		case !digit(c) && !letter(c) && c != '+' && c != '/', pads > 0:
			return false
		}
		n++
	}
	return n > 0 && n%4 == 0 && pads <= 2
}

// cutDate takes a date off the front of text: YYYY, YYYY-MM or YYYY-MM-DD, which
// must exist in the Gregorian calendar; whole says that it has a day.
func cutDate(text string) (rest string, whole, ok bool) {
	year, ok := number(text, 4, 1, 9999)
	if !ok {
		return text, false, false
	}
	text = text[4:]
	if text == "" || text[0] != '-' {
		return text, false, true
	}
	month, ok := number(text[1:], 2, 1, 12)
	if !ok {
		return text, false, false
	}
	text = text[3:]
	if text == "" || text[0] != '-' {
		return text, false, true
	}
	if _, ok = number(text[1:], 2, 1, daysIn(year, month)); !ok {
		return text, false, false
	}
	return text[3:], true, true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// validClockAndZone checks what follows the day: T, a time of day, a zone.
func validClockAndZone(text string) bool {
	text, ok := strings.CutPrefix(text, "T")
	if !ok {
		return false
	}
	text, ok = cutClock(text)
	if !ok || text == "" {
		return false
	}
	if text[0] != '+' && text[0] != '-' {
		return text == "Z"
	}
	if len(text) != 6 || text[3] != ':' {
		return false
	}
	hours, ok := number(text[1:], 2, 0, 14)
	if !ok {
		return false
	}
	minutes, ok := number(text[4:], 2, 0, 59)
	return ok && (hours < 14 || minutes == 0)
}

// cutClock takes hh:mm:ss with an optional fraction off the front of text. Second
// 60 is a leap second.
func cutClock(text string) (rest string, ok bool) {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return text, false
	}
	for i, most := range [...]int{23, 59, 60} {
		if _, ok := number(text[3*i:], 2, 0, most); !ok {
			return text, false
		}
	}
	if text = text[8:]; strings.HasPrefix(text, ".") {
		n := digits(text[1:])
		return text[1+n:], n > 0
	}
	return text, true
}

// number reads width digits off the front of text, within bounds.
func number(text string, width, least, most int) (int, bool) {
	if len(text) < width {
		return 0, false
	}
	n := 0
	for i := range width {
		if !digit(text[i]) {
			return 0, false
		}
		n = n*10 + int(text[i]-'0')
	}
	return n, least <= n && n <= most
}
