package jsontree

import "strconv"

// Writer writes one JSON document, setting the commas. A name of "" writes an
// item of an array, or the document itself. The zero Writer is ready; what is
// opened must be closed by the caller.
type Writer struct{ out []byte }

// Bytes returns what was written.
func (w *Writer) Bytes() []byte { return w.out }

func (w *Writer) name(name string) {
	if n := len(w.out); n > 0 && w.out[n-1] != '{' && w.out[n-1] != '[' && w.out[n-1] != ':' {
		w.out = append(w.out, ',')
	}
	if name != "" {
		w.out = append(AppendString(w.out, name), ':')
	}
}

// Object opens an object.
func (w *Writer) Object(name string) {
	w.name(name)
	w.out = append(w.out, '{')
}

// EndObject closes it.
func (w *Writer) EndObject() { w.out = append(w.out, '}') }

// Array opens an array.
func (w *Writer) Array(name string) {
	w.name(name)
	w.out = append(w.out, '[')
}

// EndArray closes it.
func (w *Writer) EndArray() { w.out = append(w.out, ']') }

// String writes a string; an empty one is left out, as FHIR has none
// (https://hl7.org/fhir/R4/json.html).
func (w *Writer) String(name, value string) {
	if value != "" {
		w.name(name)
		w.out = AppendString(w.out, value)
	}
}

// Int writes a whole number.
func (w *Writer) Int(name string, value int) {
	w.name(name)
	w.out = strconv.AppendInt(w.out, int64(value), 10)
}

// Bool writes true or false.
func (w *Writer) Bool(name string, value bool) {
	w.name(name)
	w.out = strconv.AppendBool(w.out, value)
}

// Raw copies a value of a document; an absent one is left out.
func (w *Writer) Raw(name string, value Node) {
	if value.Exists() {
		w.name(name)
		w.out = append(w.out, value.Raw()...)
	}
}

// Append copies text that stands between commas: the items of an array or the
// members of an object, written by another Writer.
func (w *Writer) Append(items []byte) {
	if len(items) > 0 {
		w.name("")
		w.out = append(w.out, items...)
	}
}
