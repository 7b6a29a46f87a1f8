package hookjwt

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"galen/fhir"
)

// Replay remembers the tokens that were used until they expire, in memory and in
// a file, so that a restart forgets none. It is safe for concurrent use.
//
// The file is not flushed to disk at each use: after a loss of power a token
// used in the last seconds could be used again while it lives.
type Replay struct {
	path string
	now  func() time.Time

	mu   sync.Mutex
	seen map[tokenID]int64 // expiry, Unix seconds
	file *os.File
	held int // records in the file
	most int // records at which it is rewritten
}

// tokenID is half of the SHA-256 of iss and jti.
type tokenID [16]byte

const (
	recordSize = len(tokenID{}) + 8
	// maxSeen bounds the memory: about 60 bytes an entry.
	maxSeen = 2_000_000
	// minCompact is how many records a file holds before it is worth rewriting.
	minCompact = 10_000
)

// OpenReplay opens or makes the file, dropping what has expired.
func OpenReplay(path string, now func() time.Time) (*Replay, error) {
	r := &Replay{path: path, now: now, seen: map[tokenID]int64{}}
	if err := r.load(); err != nil {
		return nil, &fhir.Error{Op: "hookjwt.OpenReplay", Err: err}
	}
	if err := r.rewrite(); err != nil {
		return nil, &fhir.Error{Op: "hookjwt.OpenReplay", Err: err}
	}
	return r, nil
}

func (r *Replay) load() error {
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return err
	}
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read only
	in := bufio.NewReader(f)
	var record [recordSize]byte
	for {
		_, err := io.ReadFull(in, record[:])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the last record of a crash may be cut
			return nil
		}
		if err != nil {
			return err
		}
		r.seen[tokenID(record[:16])] = int64(binary.BigEndian.Uint64(record[16:]))
	}
}

// rewrite makes a file of what has not expired and goes on with it.
func (r *Replay) rewrite() error {
	temp, err := os.CreateTemp(filepath.Dir(r.path), filepath.Base(r.path)) // mode 0600
	if err != nil {
		return err
	}
	out, now := bufio.NewWriter(temp), r.now().Unix()
	for id, expires := range r.seen {
		if expires <= now {
			delete(r.seen, id)
			continue
		}
		if _, err := out.Write(encode(id, expires)); err != nil {
			return errors.Join(err, temp.Close(), os.Remove(temp.Name()))
		}
	}
	err = errors.Join(out.Flush(), temp.Sync())
	if err == nil {
		err = os.Rename(temp.Name(), r.path)
	}
	if err != nil {
		return errors.Join(err, temp.Close(), os.Remove(temp.Name()))
	}
	if r.file != nil {
		err = r.file.Close()
	}
	r.file, r.held, r.most = temp, len(r.seen), max(minCompact, 2*len(r.seen))
	return err
}

func encode(id tokenID, expires int64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, recordSize), id[:]...), uint64(expires))
}

// Use remembers a token by its name until it expires; false if it was used
// before, or if that cannot be remembered.
func (r *Replay) Use(name string, expires time.Time) bool {
	sum := sha256.Sum256([]byte(name))
	id, until := tokenID(sum[:16]), expires.Unix()+1
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, used := r.seen[id]; used && last > r.now().Unix() {
		return false
	}
	if r.held >= r.most || len(r.seen) >= maxSeen {
		if err := r.rewrite(); err != nil || len(r.seen) >= maxSeen {
			return false
		}
	}
	if _, err := r.file.Write(encode(id, until)); err != nil {
		return false
	}
	r.seen[id] = until
	r.held++
	return true
}

// Close closes the file.
func (r *Replay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.Close()
}
