package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"galen/fhir"
	"galen/fhir/search"
)

const cursorKeySize = 32 // AES-256

// A cursor is the driver's position and the total, sealed with AES-256-GCM
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

func (s *Store) sealCursor(position []byte, total int, fingerprint []byte) (string, error) {
	if position == nil {
		return "", nil
	}
	nonce := make([]byte, s.cursors.NonceSize(), s.cursors.NonceSize()+len(position)+32)
	if _, err := io.ReadFull(s.opts.Random, nonce); err != nil {
		return "", &fhir.Error{Op: "store.Search", Err: err}
	}
	plain := append(binary.AppendVarint(nil, int64(total)), position...)
	return base64.RawURLEncoding.EncodeToString(s.cursors.Seal(nonce, nonce, plain, fingerprint)), nil
}

// openCursor undoes sealCursor; "" is the first page.
func (s *Store) openCursor(text string, fingerprint []byte) (position []byte, total int, err error) {
	if text == "" {
		return nil, 0, nil
	}
	bad := fhir.E("store.Search", fhir.Value, "cursor", "the cursor is not of this search, or has expired")
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	n := s.cursors.NonceSize()
	if err != nil || len(sealed) < n {
		return nil, 0, bad
	}
	plain, err := s.cursors.Open(nil, sealed[:n], sealed[n:], fingerprint)
	if err != nil {
		return nil, 0, bad
	}
	t, size := binary.Varint(plain)
	if size <= 0 || size == len(plain) {
		return nil, 0, bad
	}
	return plain[size:], int(t), nil
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
