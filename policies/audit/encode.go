package audit

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// timeLayout has a fixed width, so that text order is time order.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// writer appends JSON as RFC 8785 wants it
// (https://www.rfc-editor.org/rfc/rfc8785): no white space, members in the order
// of their names, which the callers keep. Members without a value are left out.
type writer struct {
	b     []byte
	comma bool
}

func (w *writer) name(name string) {
	if w.comma {
		w.b = append(w.b, ',')
	}
	w.comma = true
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

func (w *writer) open(name string) {
	if name != "" {
		w.name(name)
	}
	w.b, w.comma = append(w.b, '{'), false
}

func (w *writer) close() { w.b, w.comma = append(w.b, '}'), true }

func (w *writer) text(name, value string) {
	if value != "" {
		w.name(name)
		w.b = appendString(w.b, value)
	}
}

func (w *writer) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	w.name(name)
	w.b = append(w.b, '[')
	for i, v := range values {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = appendString(w.b, v)
	}
	w.b = append(w.b, ']')
}

func (w *writer) number(name string, value uint64) {
	w.name(name)
	w.b = strconv.AppendUint(w.b, value, 10)
}

// appendCanonical appends the canonical form of the entry, all of it but Query.
func (e *Entry) appendCanonical(dst []byte) []byte {
	w := writer{b: dst}
	w.open("")
	e.writeAgent(&w)
	w.texts("assessments", e.Assessments)
	w.text("call", e.Call)
	w.texts("cards", e.Cards)
	if e.Decision != (Decision{}) {
		w.open("decision")
		w.name("allow")
		w.b = strconv.AppendBool(w.b, e.Decision.Allow)
		w.text("revision", e.Decision.Revision)
		w.text("rule", e.Decision.Rule)
		w.close()
	}
	w.text("kind", string(e.Kind))
	if e.Model != (Model{}) {
		w.open("model")
		w.text("digest", e.Model.Digest)
		w.text("name", e.Model.Name)
		w.text("version", e.Model.Version)
		w.close()
	}
	w.text("object", e.Object)
	w.number("outcome", uint64(e.Outcome))
	w.texts("patients", e.Patients)
	w.text("private", e.Commitment)
	w.text("reason", e.Reason)
	w.text("request", e.Request)
	w.texts("resources", e.Resources)
	w.number("seq", e.Seq)
	w.text("service", e.Service)
	w.name("time")
	w.b = append(e.Time.AppendFormat(append(w.b, '"'), timeLayout), '"')
	w.close()
	return w.b
}

func (e *Entry) writeAgent(w *writer) {
	a := &e.Agent
	w.open("agent")
	w.text("address", a.Address)
	w.text("client", a.Client)
	w.text("jti", a.TokenID)
	w.text("org", a.Org)
	w.text("patient", a.Patient)
	w.text("purpose", a.Purpose)
	w.texts("roles", a.Roles)
	w.text("subject", a.Subject)
	w.text("user", a.FHIRUser)
	w.close()
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string as RFC 8785, section 3.2.2.2 wants it; what
// is no UTF-8 becomes U+FFFD, since such a string has no canonical form.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf && c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, c)
		i += size
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	if c >= utf8.RuneSelf {
		return append(dst, "\uFFFD"...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// stamp is a time as entries hold it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
