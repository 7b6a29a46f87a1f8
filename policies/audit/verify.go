package audit

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"galen/fhir"
)

// Anchor is a state of the log that was noted down earlier, better elsewhere:
// so many entries, and the chain hash over them.
type Anchor struct {
	Seq  uint64 // number of the last entry; 0 for an empty log
	Hash Hash
}

// Report is what Verify found.
type Report struct {
	Entries  uint64 // good ones, from the first on
	Segments int
	Erased   uint64 // entries whose private part was erased
	Pruned   uint64 // entries before the first segment, whose hashes were kept
	Head     Anchor // of the good entries
	Bad      *Fault // the first thing wrong, nil if the log is whole
}

// Fault is where and how a log is not what was written.
type Fault struct {
	Seq    uint64 // of the first entry that is bad or missing
	What   Damage
	File   string // name of the segment
	Offset int64  // in it, bytes
}

// Damage is a kind of Fault.
type Damage string

// The kinds of damage. An attacker who writes the whole rest of the chain anew
// is found only by an Anchor from before.
const (
	Edited     Damage = "edited"         // the entry or its hash was changed
	OutOfOrder Damage = "out of order"   // another entry stands in its place: deleted or moved
	Missing    Damage = "missing"        // a segment is not there, or the end that an anchor knows
	Truncated  Damage = "truncated"      // the file ends inside the entry
	BadHeader  Damage = "segment header" // the segment's header was changed
	Rewritten  Damage = "rewritten"      // the chain is whole, but not the one that an anchor knows
	Uncovered  Damage = "private part"   // the query is not the one that was recorded
)

// Verify checks the log in dir from its first entry on, whoever wrote it, and
// that it passes through the anchors. What is wrong is in the Report; the error,
// an *fhir.Error of Kind Internal, says that it could not be read. A log that is
// being written to may seem truncated.
func Verify(dir string, anchors ...Anchor) (Report, error) {
	return Scan(dir, func(Canonical) {}, anchors...)
}

// Scan is Verify that shows every good entry on its way, in order, and before
// them one without JSON for each that was pruned. The bytes are valid only during
// the call.
func Scan(dir string, visit func(Canonical), anchors ...Anchor) (Report, error) {
	segments, err := listSegments(dir)
	if err != nil {
		return Report{}, fault("audit.Verify", err)
	}
	v := verifier{next: 1, anchors: map[uint64]Hash{}, visit: visit}
	if err := v.skipPruned(dir, segments); err != nil {
		return Report{}, err
	}
	for _, a := range anchors {
		if other, ok := v.anchors[a.Seq]; ok && other != a.Hash {
			return Report{}, fhir.E("audit.Verify", fhir.Invalid, "anchors", "two anchors for one entry differ")
		}
		v.anchors[a.Seq] = a.Hash
	}
	if v.next == 1 {
		v.anchor(segment{})
	}
	for _, s := range segments {
		if v.Bad != nil {
			break
		}
		if err := v.segment(s); err != nil {
			return v.Report, fault("audit.Verify", err)
		}
		v.Segments++
	}
	for seq := range v.anchors { // beyond the end: entries are gone
		if v.Bad == nil && seq >= v.next {
			v.Bad = &Fault{Seq: v.next, What: Missing}
		}
	}
	v.Head = Anchor{v.next - 1, v.head}
	return v.Report, nil
}

type verifier struct {
	Report
	next    uint64
	head    Hash
	anchors map[uint64]Hash
	scratch []byte
	visit   func(Canonical)
}

func (v *verifier) fail(s segment, offset int64, what Damage) {
	v.Bad = &Fault{v.next, what, filepath.Base(s.path), offset}
}

// anchor compares the chain with what is known of it up to here.
func (v *verifier) anchor(s segment) {
	if want, ok := v.anchors[v.next-1]; ok && want != v.head && v.Bad == nil {
		v.fail(s, 0, Rewritten)
		v.Bad.Seq = max(v.next-1, 1)
	}
}

func (v *verifier) segment(s segment) error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := readHeader(f)
	switch {
	case errors.Is(err, errShort) || errors.Is(err, errHeader):
		v.fail(s, 0, BadHeader)
		return nil
	case err != nil:
		return err
	case s.first != v.next:
		v.fail(s, 0, Missing)
		return nil
	case h.first != v.next || h.prev != v.head:
		v.fail(s, 0, BadHeader)
		return nil
	}
	scan := newScanner(f, headerSize, info.Size())
	for v.Bad == nil {
		fr, err := scan.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err := v.frame(s, fr, err); err != nil {
			return err
		}
	}
	return nil
}

// frame checks one frame, read with that error.
func (v *verifier) frame(s segment, f frame, err error) error {
	switch {
	case errors.Is(err, errShort):
		v.fail(s, f.offset, Truncated)
		return nil
	case errors.Is(err, errFrame):
		v.fail(s, f.offset, Edited)
		return nil
	case err != nil:
		return err
	}
	var sum Hash
	sum, v.scratch = link(v.head, f.entry, v.scratch)
	e, err := f.open()
	switch {
	case (err == nil || errors.Is(err, errPrivate)) && e.Seq != v.next:
		v.fail(s, f.offset, OutOfOrder)
	case errors.Is(err, errPrivate):
		v.fail(s, f.offset, Uncovered)
	case err != nil || sum != f.hash:
		v.fail(s, f.offset, Edited)
	default:
		v.Entries++
		if f.erased {
			v.Erased++
		}
		v.visit(Canonical{v.next, f.entry})
		v.next, v.head = v.next+1, sum
		v.anchor(s)
	}
	return nil
}
