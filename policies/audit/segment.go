package audit

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// segment is one file of the log.
type segment struct {
	path  string
	first uint64 // seq of its first entry
}

const segmentSuffix = ".seg"

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", first, segmentSuffix))
}

// listSegments finds the segments of a directory in order.
func listSegments(dir string) ([]segment, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []segment
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), segmentSuffix)
		if !ok {
			continue
		}
		first, err := strconv.ParseUint(name, 10, 64)
		if err != nil || first == 0 || len(name) != 20 {
			return nil, fmt.Errorf("%s is not the name of a segment", f.Name())
		}
		list = append(list, segment{filepath.Join(dir, f.Name()), first})
	}
	slices.SortFunc(list, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	return list, nil
}

// readHeader reads the header of an open segment.
func readHeader(f io.ReaderAt) (header, error) {
	b := make([]byte, headerSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return header{}, err
	}
	return parseHeader(b[:n])
}

// createSegment makes the file of the next segment, header and name durable.
func createSegment(dir string, h header, sync func(*os.File) error) (*os.File, error) {
	f, err := os.OpenFile(segmentPath(dir, h.first), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(h.bytes()); err == nil {
		err = cmp.Or(sync(f), syncDir(dir))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Recovery is what Open found after a crash: the remains of a batch that was
// never acknowledged, cut off.
type Recovery struct {
	Seq   uint64 // of the entry that was torn, 0 if nothing was
	Bytes int64  // cut off
}

// tail is the state of the last segment after its last good frame.
type tail struct {
	seq  uint64 // of the next entry
	head Hash
	time int64 // of the last entry, Unix microseconds
	size int64
	torn int64 // bytes after it that a crash left
}

// sectorSize is what a disk writes at once: where a crash kept a write from the
// disk, a whole sector reads as zero.
const sectorSize = 512

// scanTail reads the last segment, checks its chain and tells a torn tail from
// damage. Damage is errFrame, errHeader or errPrivate: such a log is not opened.
func scanTail(f io.ReaderAt, size int64, s segment, mark func(seq uint64, offset int64)) (tail, error) {
	h, err := readHeader(f)
	if err != nil {
		return tail{}, err
	}
	if h.first != s.first {
		return tail{}, errHeader
	}
	t := tail{seq: h.first, head: h.prev, size: headerSize}
	scan := newScanner(f, headerSize, size)
	var scratch []byte
	for {
		fr, err := scan.next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if errors.Is(err, errShort) || errors.Is(err, errFrame) {
			return t.tornOr(f, size, err)
		} else if err != nil {
			return t, err
		}
		var sum Hash
		sum, scratch = link(t.head, fr.entry, scratch)
		e, err := fr.open()
		switch {
		case sum != fr.hash || (err == nil && e.Seq != t.seq):
			return t, errFrame
		case errors.Is(err, errPrivate):
			return t.tornOr(f, size, err)
		case err != nil:
			return t, err
		}
		mark(t.seq, fr.offset)
		t = tail{seq: t.seq + 1, head: sum, time: e.Time.UnixMicro(), size: fr.end()}
	}
}

// tornOr decides what follows the last good frame: torn if it ends too early or
// lacks a sector, and nothing of a later batch, whose existence would prove that
// the bad frame was durable. Anything else is damage.
func (t tail) tornOr(f io.ReaderAt, size int64, damage error) (tail, error) {
	rest := make([]byte, size-t.size)
	if _, err := f.ReadAt(rest, t.size); err != nil && !errors.Is(err, io.EOF) {
		return t, err
	}
	if laterBatch(rest, t.seq) || (!errors.Is(damage, errShort) && !missesSector(rest, t.size)) {
		return t, errFrame
	}
	t.torn = int64(len(rest))
	return t, nil
}

// laterBatch reports whether a whole frame of a batch that began after seq lies
// anywhere in the bytes.
func laterBatch(rest []byte, seq uint64) bool {
	for at := 0; ; at++ {
		i := bytes.Index(rest[at:], []byte(frameMagic))
		if i < 0 {
			return false
		}
		at += i
		if batch, ok := wholeFrame(rest[at:], castagnoli()); ok && batch > seq {
			return true
		}
	}
}

// missesSector reports whether a whole sector of the file, or all that is left
// of one, is zero.
func missesSector(rest []byte, offset int64) bool {
	for len(rest) > 0 {
		n := min(int(sectorSize-offset%sectorSize), len(rest))
		if n >= 8 && binary.BigEndian.Uint64(rest) == 0 && allZero(rest[:n]) {
			return true
		}
		rest, offset = rest[n:], offset+int64(n)
	}
	return false
}
