package transparency

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"galen/fhir"
	"galen/policies/audit"
)

// Kinds of damage that only the tree shows, beside those of audit.Damage.
const (
	BadCheckpoint audit.Damage = "checkpoint" // a checkpoint is not signed by the log's key
	LostHashes    audit.Damage = "tree"       // the hashes of pruned entries are not there
)

// Report is what Verify found.
type Report struct {
	audit.Report
	Checkpoints int       // that the log passes through
	Root        tlog.Hash // over all entries
}

// Verify reads the audit log in logDir from its beginning, its chain, the tree in
// dir and every checkpoint there, and the files of further checkpoints that were
// kept elsewhere. key is the public key, as Log.Key says; "" takes the one in
// dir, which who rules this machine can exchange. What is wrong is in the Report,
// by the first entry that is; the error says that something could not be read.
func Verify(logDir, dir, key string, kept ...string) (Report, error) {
	const op = "transparency.Verify"
	if key == "" {
		public, err := os.ReadFile(filepath.Join(dir, publicFile))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return Report{}, fault(op, err)
		}
		key = strings.TrimSpace(string(public))
	}
	checkpoints, bad, err := allCheckpoints(append([]string{filepath.Join(dir, checkpointsFile)}, kept...), key)
	if err != nil {
		return Report{}, fault(op, err)
	}
	stored, err := storedLeaves(filepath.Join(dir, hashesFile))
	if err != nil {
		return Report{}, fault(op, err)
	}
	defer stored.close() //nolint:errcheck // only read
	v := verifier{checkpoints: checkpoints, stored: stored}
	report, err := audit.Scan(logDir, v.entry)
	if err != nil {
		return Report{}, err
	}
	out := Report{Report: report, Checkpoints: v.passed, Root: v.tree.root()}
	v.end(&out, bad)
	return out, nil
}

// verifier follows the log entry by entry.
type verifier struct {
	checkpoints []Checkpoint // by size
	stored      *leaves
	tree        frontier
	good        uint64 // size of the last checkpoint that the log passes through
	passed      int
	fault       *audit.Fault
}

func (v *verifier) fail(seq uint64, what audit.Damage) {
	if v.fault == nil || seq < v.fault.Seq {
		v.fault = &audit.Fault{Seq: seq, What: what}
	}
}

// entry takes the next entry: its leaf is compared with the stored one, so that
// a rewritten entry is named; a pruned one is its stored leaf.
func (v *verifier) entry(c audit.Canonical) {
	kept, known := v.stored.leaf(c.Seq)
	leaf := kept
	switch {
	case c.JSON != nil:
		if leaf = tlog.RecordHash(c.JSON); known && leaf != kept {
			v.fail(c.Seq, audit.Rewritten)
		}
	case !known:
		v.fail(c.Seq, LostHashes)
	}
	v.tree.add(leaf)
	for len(v.checkpoints) > 0 && v.checkpoints[0].Size <= c.Seq {
		point := v.checkpoints[0]
		v.checkpoints = v.checkpoints[1:]
		switch {
		case point.Size == c.Seq && point.Root == v.tree.root():
			v.good = point.Size
			v.passed++
		case v.fault == nil: // the stored leaves, if there are any, were forged with the entries
			v.fail(v.good+1, audit.Rewritten)
		}
	}
}

// end joins what the chain, the tree and the checkpoints say: the first bad entry
// counts. A checkpoint beyond the end means that entries are gone.
func (v *verifier) end(out *Report, bad bool) {
	next := v.tree.size + 1
	if out.Bad == nil && (len(v.checkpoints) > 0 || v.stored.size > v.tree.size) {
		v.fail(next, audit.Missing)
	}
	if bad && v.fault == nil && out.Bad == nil {
		v.fail(v.good+1, BadCheckpoint)
	}
	if v.fault != nil && (out.Bad == nil || v.fault.Seq < out.Bad.Seq) {
		out.Bad = v.fault
	}
}

// frontier is the right edge of a Merkle tree: a hash for each whole subtree.
type frontier struct {
	size  uint64
	edges []tlog.Hash // largest subtree first, one for each bit of size
}

func (f *frontier) add(leaf tlog.Hash) {
	for bits := f.size; bits&1 == 1; bits >>= 1 {
		leaf = tlog.NodeHash(f.edges[len(f.edges)-1], leaf)
		f.edges = f.edges[:len(f.edges)-1]
	}
	f.edges = append(f.edges, leaf)
	f.size++
}

func (f *frontier) root() tlog.Hash {
	if f.size == 0 {
		root, _ := tlog.TreeHash(0, tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, nil }))
		return root
	}
	root := f.edges[len(f.edges)-1]
	for i := len(f.edges) - 2; i >= 0; i-- {
		root = tlog.NodeHash(f.edges[i], root)
	}
	return root
}

// leaves reads the stored leaf hashes without changing the file.
type leaves struct {
	file *os.File
	size uint64
}

func storedLeaves(path string) (*leaves, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return &leaves{}, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	l := &leaves{file: file}
	for step := uint64(1) << 40; step > 0; step >>= 1 {
		if tlog.StoredHashCount(int64(l.size+step)) <= info.Size()/hashSize {
			l.size += step
		}
	}
	return l, nil
}

func (l *leaves) leaf(seq uint64) (tlog.Hash, bool) {
	var h tlog.Hash
	if seq > l.size {
		return h, false
	}
	_, err := l.file.ReadAt(h[:], tlog.StoredHashIndex(0, int64(seq-1))*hashSize)
	return h, err == nil
}

func (l *leaves) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// allCheckpoints reads the files, by size; bad is true if some checkpoint is not
// of the key. The first file need not be there.
func allCheckpoints(files []string, key string) (all []Checkpoint, bad bool, err error) {
	for i, path := range files {
		list, err := readCheckpoints(path, key)
		var foreign *foreignError
		switch {
		case errors.As(err, &foreign):
			bad = true
		case err != nil:
			return nil, false, err
		}
		if i > 0 && len(list) == 0 && foreign == nil {
			return nil, false, fhir.E("transparency.Verify", fhir.Invalid, "checkpoint", "the file holds no checkpoint")
		}
		all = append(all, list...)
	}
	all = slices.DeleteFunc(all, func(c Checkpoint) bool { return c.Size == 0 }) // says nothing
	slices.SortStableFunc(all, func(a, b Checkpoint) int { return int(min(max(int64(a.Size)-int64(b.Size), -1), 1)) })
	return all, bad, nil
}

// foreignError says that a checkpoint is not signed by the key.
type foreignError struct{ err error }

// Error is that of the signature.
func (e *foreignError) Error() string {
	return "a checkpoint is not of the log's key: " + e.err.Error()
}

// readCheckpoints reads a file of checkpoints, one after the other; an absent one
// holds none. A last one that a crash cut short is left out. Those before one
// that is not of the key come with a *foreignError.
func readCheckpoints(path, key string) ([]Checkpoint, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return nil, &foreignError{err}
	}
	var list []Checkpoint
	parts := strings.SplitAfter(strings.TrimLeft(string(content), "\n"), "\n\n")
	for i := 0; i+1 < len(parts); i += 2 {
		signed := strings.TrimRight(parts[i], "\n") + "\n\n" + strings.TrimRight(parts[i+1], "\n") + "\n"
		point, err := parseCheckpoint([]byte(signed), verifier)
		if err != nil {
			if i+2 >= len(parts) && !bytes.HasSuffix(content, []byte("\n")) {
				return list, nil // torn by a crash
			}
			return list, &foreignError{err}
		}
		list = append(list, point)
	}
	return list, nil
}

var errForm = errors.New("not a checkpoint")

func parseCheckpoint(signed []byte, verifier note.Verifier) (Checkpoint, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != Origin {
		return Checkpoint{}, errForm
	}
	size, err := strconv.ParseUint(lines[1], 10, 62)
	if err != nil {
		return Checkpoint{}, errForm
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, errForm
	}
	c := Checkpoint{Size: size, Note: signed}
	copy(c.Root[:], root)
	return c, nil
}
