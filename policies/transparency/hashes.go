package transparency

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// hashFile keeps the hashes of a growing tree, 32 bytes each, in the order of
// tlog.StoredHashIndex: a hash is written when its subtree is whole and never
// again. The last ones wait in memory for flush.
type hashFile struct {
	mu      sync.RWMutex
	file    *os.File
	written int64 // hashes in the file
	waiting []tlog.Hash
}

const hashSize = tlog.HashSize

// maxWaiting is how many hashes wait before they are written.
const maxWaiting = 4096

// openHashes opens the file and says how many entries its tree has; what a crash
// left of a further one is cut off.
func openHashes(path string) (*hashFile, uint64, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	count := info.Size() / hashSize
	entries := int64(0)
	for step := int64(1) << 40; step > 0; step >>= 1 {
		if tlog.StoredHashCount(entries+step) <= count {
			entries += step
		}
	}
	whole := tlog.StoredHashCount(entries)
	if err := file.Truncate(whole * hashSize); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return &hashFile{file: file, written: whole}, uint64(entries), nil
}

// ReadHashes implements tlog.HashReader.
func (h *hashFile) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= h.written {
			if at-h.written >= int64(len(h.waiting)) {
				return nil, errors.New("the tree has no such hash")
			}
			out[i] = h.waiting[at-h.written]
			continue
		}
		if _, err := h.file.ReadAt(out[i][:], at*hashSize); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// add appends what the tree stores for entry n, counted from 0.
func (h *hashFile) add(n uint64, leaf tlog.Hash) error {
	stored, err := tlog.StoredHashesForRecordHash(int64(n), leaf, h)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.waiting = append(h.waiting, stored...)
	full := len(h.waiting) >= maxWaiting
	h.mu.Unlock()
	if full {
		return h.flush()
	}
	return nil
}

// flush writes what waits.
func (h *hashFile) flush() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return nil
	}
	b := make([]byte, 0, len(h.waiting)*hashSize)
	for i := range h.waiting {
		b = append(b, h.waiting[i][:]...)
	}
	if _, err := h.file.WriteAt(b, h.written*hashSize); err != nil {
		return err
	}
	h.written += int64(len(h.waiting))
	h.waiting = h.waiting[:0]
	return nil
}

func (h *hashFile) sync() error { return errors.Join(h.flush(), h.file.Sync()) }

func (h *hashFile) close() error { return errors.Join(h.flush(), h.file.Sync(), h.file.Close()) }
