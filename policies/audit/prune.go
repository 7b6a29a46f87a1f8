package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"galen/fhir"
	"galen/policies/journal"
)

// pruned is what is kept of a segment that was removed.
type pruned struct {
	First uint64    `json:"first"` // number of its first entry
	Last  uint64    `json:"last"`
	Prev  string    `json:"prev"` // chain hash before it
	Head  string    `json:"head"` // and over it
	At    time.Time `json:"at"`
}

const prunedFile = "pruned.json"

// Sealed is a segment that nothing is added to any more.
type Sealed struct{ First, Last uint64 }

// Sealed lists the segments but the last, oldest first.
func (l *Log) Sealed() []Sealed {
	l.files.RLock()
	defer l.files.RUnlock()
	var list []Sealed
	for i := range len(l.segments) - 1 {
		list = append(list, Sealed{l.segments[i].first, l.segments[i+1].first - 1})
	}
	return list
}

// Prune removes the oldest segment, which must be sealed, and keeps its place in
// the chain. The entries' hashes in the transparency log must be durable before.
// The error is of Kind Conflict if the segment is not the oldest sealed one.
func (l *Log) Prune(s Sealed) error {
	const op = "audit.Prune"
	l.files.Lock()
	defer l.files.Unlock()
	if len(l.segments) < 2 || l.segments[0].first != s.First || l.segments[1].first != s.Last+1 {
		return fhir.E(op, fhir.Conflict, "", "only the oldest sealed segment can be pruned")
	}
	record := pruned{First: s.First, Last: s.Last, At: l.opt.Now().UTC()}
	for i, into := range []*string{&record.Prev, &record.Head} {
		h, err := headerOf(l.segments[i].path)
		if err != nil {
			return fault(op, err)
		}
		*into = h.prev.String()
	}
	file, err := journal.Open(filepath.Join(l.dir, prunedFile), func([]byte) error { return nil })
	if err != nil {
		return err
	}
	if err := errors.Join(file.Append(record), file.Close(), syncDir(l.dir)); err != nil {
		return err
	}
	if err := errors.Join(os.Remove(l.segments[0].path), syncDir(l.dir)); err != nil {
		return fault(op, err)
	}
	l.segments = l.segments[1:]
	return nil
}

func headerOf(path string) (header, error) {
	f, err := os.Open(path)
	if err != nil {
		return header{}, err
	}
	h, err := readHeader(f)
	return h, errors.Join(err, f.Close())
}

// skipPruned goes over what was pruned: each record must go on where the one
// before ended. A segment that is still there though it has a record (a crash)
// is checked like any other.
func (v *verifier) skipPruned(dir string, segments []segment) error {
	path := filepath.Join(dir, prunedFile)
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fault("audit.Verify", err)
	}
	for decoder := json.NewDecoder(bytes.NewReader(content)); decoder.More(); {
		var p pruned
		if err := decoder.Decode(&p); err != nil || p.First != v.next || p.Last < p.First || p.Prev != v.head.String() {
			v.Bad = &Fault{v.next, BadHeader, prunedFile, decoder.InputOffset()}
			return nil
		}
		if len(segments) > 0 && segments[0].first <= p.First {
			return nil
		}
		head, err := hex.DecodeString(p.Head)
		if err != nil || len(head) != len(v.head) {
			v.Bad = &Fault{v.next, BadHeader, prunedFile, decoder.InputOffset()}
			return nil
		}
		for ; v.next <= p.Last; v.next++ {
			v.visit(Canonical{Seq: v.next})
			v.Pruned++
		}
		copy(v.head[:], head)
	}
	return nil
}
