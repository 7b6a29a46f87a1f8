package transparency

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"galen/fhir"
)

// Inclusion proves that an entry is in the tree of a checkpoint (RFC 6962,
// section 2.1.1): leaf and path are hashes in base64 as encoding/json writes them.
type Inclusion struct {
	Index uint64   `json:"index"` // of the entry, counted from 0
	Size  uint64   `json:"size"`  // of the tree
	Leaf  []byte   `json:"leaf"`  // SHA-256(0x00 | canonical entry)
	Path  [][]byte `json:"path"`
	Root  []byte   `json:"root"`
}

// Consistency proves that one tree is the beginning of another (section 2.1.2).
type Consistency struct {
	From     uint64   `json:"from"`
	To       uint64   `json:"to"`
	Path     [][]byte `json:"path"`
	FromRoot []byte   `json:"from_root"`
	ToRoot   []byte   `json:"to_root"`
}

// Inclusion proves entry seq, counted from 1 as in the log, in a tree of that
// size; size 0 is all that the log holds. Errors: Value for an entry or a size
// that is not there.
func (l *Log) Inclusion(ctx context.Context, seq, size uint64) (Inclusion, error) {
	const op = "transparency.Inclusion"
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.follow(ctx); err != nil {
		return Inclusion{}, err
	}
	if size == 0 {
		size = l.size
	}
	if seq == 0 || seq > size || size > l.size {
		return Inclusion{}, fhir.E(op, fhir.Value, "entry", "the log has no such entry or size")
	}
	path, err := tlog.ProveRecord(int64(size), int64(seq-1), l.hashes)
	if err != nil {
		return Inclusion{}, fault(op, err)
	}
	leaf, err := l.hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(seq-1))})
	if err != nil {
		return Inclusion{}, fault(op, err)
	}
	root, err := tlog.TreeHash(int64(size), l.hashes)
	if err != nil {
		return Inclusion{}, fault(op, err)
	}
	return Inclusion{seq - 1, size, leaf[0][:], bytesOf(path), root[:]}, nil
}

// Consistency proves that the tree of size from is a prefix of that of size to;
// to 0 is all that the log holds. Errors: Value for a size that is not there.
func (l *Log) Consistency(ctx context.Context, from, to uint64) (Consistency, error) {
	const op = "transparency.Consistency"
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.follow(ctx); err != nil {
		return Consistency{}, err
	}
	if to == 0 {
		to = l.size
	}
	if from == 0 || from > to || to > l.size {
		return Consistency{}, fhir.E(op, fhir.Value, "from", "the log has no such sizes")
	}
	path, err := tlog.ProveTree(int64(to), int64(from), l.hashes)
	if err != nil {
		return Consistency{}, fault(op, err)
	}
	var roots [2]tlog.Hash
	for i, size := range []uint64{from, to} {
		if roots[i], err = tlog.TreeHash(int64(size), l.hashes); err != nil {
			return Consistency{}, fault(op, err)
		}
	}
	return Consistency{from, to, bytesOf(path), roots[0][:], roots[1][:]}, nil
}

func bytesOf(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}
