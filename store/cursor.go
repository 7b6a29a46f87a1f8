package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"

	"galen/fhir"
	"galen/fhir/search"
)

const cursorKeySize = 32 // AES-256

// A cursor is the driver's position, the total and the way back, sealed with AES-256-GCM
// because positions hold sort values, which can be patient data, and bound to
// the query's fingerprint as additional data, because a position means nothing
// in another query.
func newCursors(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// cursor is where a page starts, and where the pages before it did.
type cursor struct {
	position []byte   // of the driver; nil for the first page
	total    int      // of the whole search
	back     [][]byte // of pages before, oldest first, without the first one
	deep     bool     // the oldest of them were dropped
}

// Bounds of cursor.back, so that links stay short.
const (
	maxBack      = 8
	maxBackBytes = 400
)

// next is the cursor of the page after this one; nil position, no such page.
func (c cursor) next(position []byte) cursor {
	n := cursor{position: position, total: c.total, deep: c.deep}
	if c.position != nil {
		n.back = append(slices.Clone(c.back), c.position)
	}
	size := 0
	for i := len(n.back) - 1; i >= 0; i-- {
		if size += len(n.back[i]); size > maxBackBytes || len(n.back)-i > maxBack {
			n.back, n.deep = n.back[i+1:], true
			break
		}
	}
	return n
}

// previous is the cursor of the page before; false if there is none, or none
// known any more. A nil position is the first page.
func (c cursor) previous() (cursor, bool) {
	switch last := len(c.back) - 1; {
	case c.position == nil || last < 0 && c.deep:
		return cursor{}, false
	case last < 0:
		return cursor{total: c.total}, true
	default:
		return cursor{c.back[last], c.total, c.back[:last], c.deep}, true
	}
}

func (c cursor) bytes() []byte {
	b := binary.AppendVarint(nil, int64(c.total))
	deep := byte(0)
	if c.deep {
		deep = 1
	}
	b = append(b, deep)
	for _, position := range append(c.back[:len(c.back):len(c.back)], c.position) {
		b = append(binary.AppendUvarint(b, uint64(len(position))), position...)
	}
	return b
}

// parseCursor undoes bytes.
func parseCursor(b []byte) (c cursor, ok bool) {
	total, size := binary.Varint(b)
	if size <= 0 || size == len(b) {
		return c, false
	}
	c.total, c.deep = int(total), b[size] != 0
	for b = b[size+1:]; len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return c, false
		}
		c.back = append(c.back, b[size:size+int(n)])
		b = b[size+int(n):]
	}
	if len(c.back) == 0 {
		return c, false
	}
	last := len(c.back) - 1
	c.position, c.back = c.back[last], c.back[:last]
	return c, true
}

// seal makes the text of a cursor; "" for the first page. It is bound to the
// fingerprint of its query, which is asked for only then.
func (s *Store) seal(c cursor, fingerprint func() []byte) (string, error) {
	if c.position == nil {
		return "", nil
	}
	nonce := make([]byte, s.cursors.NonceSize(), s.cursors.NonceSize()+len(c.position)+maxBackBytes)
	if _, err := io.ReadFull(s.opts.Random, nonce); err != nil {
		return "", &fhir.Error{Op: "store.Search", Err: err}
	}
	return base64.RawURLEncoding.EncodeToString(s.cursors.Seal(nonce, nonce, c.bytes(), fingerprint())), nil
}

// open undoes seal. A cursor of another query, or sealed with a key that is no
// more, is gone for good: Kind Deleted, which is 410.
func (s *Store) open(text string, fingerprint func() []byte) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	gone := fhir.E("store.Search", fhir.Deleted, "cursor", "the page is not of this search, or has expired; start the search again")
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	n := s.cursors.NonceSize()
	if err != nil || len(sealed) < n {
		return cursor{}, gone
	}
	plain, err := s.cursors.Open(nil, sealed[:n], sealed[n:], fingerprint())
	if err != nil {
		return cursor{}, gone
	}
	c, ok := parseCursor(plain)
	if !ok {
		return cursor{}, gone
	}
	return c, nil
}

func (in HistoryInput) fingerprint() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "history %q %q %d %d %t", in.Type, in.ID, in.Since.UnixMilli(), in.Until.UnixMilli(), in.Oldest)
	return h.Sum(nil)
}

// fingerprint is the same for queries that mean the same.
func fingerprint(q *search.Query) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "search %q %+v ", q.Types, q.Sort)
	printExpr(h, q.Where)
	return h.Sum(nil)
}

func printExpr(w io.Writer, e search.Expr) {
	fmt.Fprintf(w, "%T(", e)
	switch e := e.(type) {
	case search.All:
		for _, part := range e {
			printExpr(w, part)
		}
	case search.Any:
		for _, part := range e {
			printExpr(w, part)
		}
	case search.Not:
		printExpr(w, e.Of)
	case search.Chain:
		io.WriteString(w, strconv.Quote(e.Param)+e.Type)
		printExpr(w, e.Of)
	case search.Reverse:
		io.WriteString(w, strconv.Quote(e.Param)+e.Type)
		printExpr(w, e.Of)
	case search.Where:
		io.WriteString(w, strconv.Quote(e.Param))
		for _, t := range e.Any {
			printTest(w, t)
		}
	case search.Updated:
		printTest(w, e.DateTest)
	default:
		fmt.Fprintf(w, "%+v", e)
	}
	io.WriteString(w, ")")
}

// printTest leaves out the period of an approximate date: it depends on the
// moment of parsing, and the next page is parsed later.
func printTest(w io.Writer, t search.Test) {
	switch t := t.(type) {
	case search.DateTest:
		if t.Op == search.Ap {
			t.Period = fhir.Period{}
		}
		fmt.Fprintf(w, "date %d %d %d;", t.Op, t.Low, t.High)
	case search.CompositeTest:
		for _, part := range t.Parts {
			printTest(w, part)
		}
	case search.ReferenceTest:
		fmt.Fprintf(w, "reference %q %q %q %q;", t.Type, t.ID, t.URL, t.Version)
	default:
		fmt.Fprintf(w, "%T%+v;", t, t)
	}
}
