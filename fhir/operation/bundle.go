package operation

import (
	"strconv"

	"galen/fhir/jsontree"
	"galen/store"
)

// bundle is a Bundle that is being written around stored bytes
// (https://hl7.org/fhir/R4/bundle.html).
type bundle struct {
	out     []byte
	base    string
	entries int
}

func newBundle(kind, base string) *bundle {
	return &bundle{out: append(append([]byte(`{"resourceType":"Bundle","type":"`), kind...), '"'), base: base}
}

// member adds a member of raw JSON.
func (b *bundle) member(name string, raw []byte) {
	b.out = append(append(append(append(b.out, ',', '"'), name...), '"', ':'), raw...)
}

func (b *bundle) total(n int) { b.member("total", strconv.AppendInt(nil, int64(n), 10)) }

// links writes the link to the page itself and, unless it is "", to the next.
func (b *bundle) links(self, next string) {
	raw := jsontree.AppendString([]byte(`[{"relation":"self","url":`), self)
	if next != "" {
		raw = jsontree.AppendString(append(raw, `},{"relation":"next","url":`...), next)
	}
	b.member("link", append(raw, '}', ']'))
}

// entry adds a resource; mode is that of a search, "" for none.
func (b *bundle) entry(r store.Record, mode string) {
	open := `,{"fullUrl":`
	if b.entries == 0 {
		open = `,"entry":[{"fullUrl":`
	}
	b.entries++
	b.out = jsontree.AppendString(append(b.out, open...), b.base+"/"+r.Key.String())
	b.out = append(append(b.out, `,"resource":`...), r.Body...)
	if mode != "" {
		b.out = append(append(append(b.out, `,"search":{"mode":"`...), mode...), `"}`...)
	}
	b.out = append(b.out, '}')
}

func (b *bundle) bytes() []byte {
	if b.entries > 0 {
		b.out = append(b.out, ']')
	}
	return append(b.out, '}')
}
