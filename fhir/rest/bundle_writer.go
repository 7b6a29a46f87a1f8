package rest

import (
	"strconv"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/store"
)

// bundleWriter splices stored bytes into a Bundle without decoding them
// (https://hl7.org/fhir/R4/bundle.html).
type bundleWriter struct {
	out     []byte
	base    string
	entries int
}

// link is one Bundle.link.
type link struct{ relation, url string }

func newBundle(kind, base string, size int) *bundleWriter {
	w := &bundleWriter{out: make([]byte, 0, size+512), base: base}
	w.out = append(w.out, `{"resourceType":"Bundle","type":"`...)
	w.out = append(append(w.out, kind...), '"')
	return w
}

func (w *bundleWriter) total(n int) {
	w.out = append(w.out, `,"total":`...)
	w.out = strconv.AppendInt(w.out, int64(n), 10)
}

func (w *bundleWriter) links(links ...link) {
	sep := `,"link":[{"relation":"`
	for _, l := range links {
		if l.url == "" {
			continue
		}
		w.out = append(append(append(w.out, sep...), l.relation...), `","url":`...)
		w.out = append(jsontree.AppendString(w.out, l.url), '}')
		sep = `,{"relation":"`
	}
	if sep[1] == '{' {
		w.out = append(w.out, ']')
	}
}

// entry starts an entry; members are added and close ends it.
func (w *bundleWriter) entry() {
	if w.entries == 0 {
		w.out = append(w.out, `,"entry":[{`...)
	} else {
		w.out = append(w.out, `,{`...)
	}
	w.entries++
}

func (w *bundleWriter) close() { w.out = append(w.out, '}') }

func (w *bundleWriter) comma() {
	if last := w.out[len(w.out)-1]; last != '{' {
		w.out = append(w.out, ',')
	}
}

func (w *bundleWriter) fullURL(k fhir.Key) {
	w.comma()
	w.out = append(w.out, `"fullUrl":`...)
	w.out = jsontree.AppendString(w.out, w.base+"/"+k.String())
}

func (w *bundleWriter) resource(body []byte) {
	w.comma()
	w.out = append(append(w.out, `"resource":`...), body...)
}

func (w *bundleWriter) request(method, url string) {
	w.comma()
	w.out = append(append(append(w.out, `"request":{"method":"`...), method...), `","url":`...)
	w.out = append(jsontree.AppendString(w.out, url), '}')
}

// response is Bundle.entry.response.
type response struct {
	status   string
	location string
	header   fhir.Header // etag and lastModified, unless its version is 0
	outcome  []byte      // an OperationOutcome, nil for none
}

func (w *bundleWriter) response(r response) {
	w.comma()
	w.out = append(w.out, `"response":{"status":`...)
	w.out = jsontree.AppendString(w.out, r.status)
	if r.location != "" {
		w.out = append(w.out, `,"location":`...)
		w.out = jsontree.AppendString(w.out, r.location)
	}
	if r.header.Version != 0 {
		w.out = append(w.out, `,"etag":`...)
		w.out = jsontree.AppendString(w.out, r.header.ETag())
		w.out = append(w.out, `,"lastModified":"`...)
		w.out = append(append(w.out, fhir.FormatInstant(r.header.LastUpdated)...), '"')
	}
	if r.outcome != nil {
		w.out = append(append(w.out, `,"outcome":`...), r.outcome...)
	}
	w.out = append(w.out, '}')
}

func (w *bundleWriter) bytes() []byte {
	if w.entries > 0 {
		w.out = append(w.out, ']')
	}
	return append(w.out, '}')
}

func sizeOf(records ...[]store.Record) int {
	size := 0
	for _, list := range records {
		for _, r := range list {
			size += len(r.Body) + 200
		}
	}
	return size
}
