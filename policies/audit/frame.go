package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
)

// A segment file is a header and frames. All integers are big-endian.
//
//	header: "galenaud" | version u32 | first seq u64 | chain hash before it [32] | CRC-32C of these u32
//	frame:  "GAF1" | entry length u32 | private length u32 | first seq of its batch u64 |
//	        chain hash [32] | CRC-32C of these and the entry u32 | erased u8 | 3 × 0 | entry | private
//
// The chain hash of an entry is SHA-256(0x02 | chain hash before | entry); 0x00
// and 0x01 are left to the leaves and nodes of an RFC 6962 tree. Private is a
// salt of 16 bytes and the query, all zero once erased. A batch is written and
// flushed at once: a later batch in the file proves that the earlier ones are
// durable.
const (
	headerSize = 56
	frameSize  = 60
	saltSize   = 16
	maxEntry   = 1 << 20 // bytes of an entry
	maxPrivate = 1 << 20 // bytes of a query

	segmentMagic = "galenaud"
	frameMagic   = "GAF1"
	version      = 1
)

// Hash is a value of the chain: it stands for an entry and everything before it.
type Hash [sha256.Size]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// link is the chain hash of an entry after prev. scratch avoids an allocation.
func link(prev Hash, entry, scratch []byte) (Hash, []byte) {
	scratch = append(append(append(scratch[:0], 2), prev[:]...), entry...)
	return sha256.Sum256(scratch), scratch
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// header is the start of a segment.
type header struct {
	first uint64
	prev  Hash
}

func (h header) bytes() []byte {
	b := append(make([]byte, 0, headerSize), segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, version)
	b = binary.BigEndian.AppendUint64(b, h.first)
	b = append(b, h.prev[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

var (
	errShort  = errors.New("the file ends inside a frame")
	errFrame  = errors.New("a frame is damaged")
	errHeader = errors.New("the segment's header is damaged")
)

func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, errShort
	}
	h := header{first: binary.BigEndian.Uint64(b[12:])}
	copy(h.prev[:], b[20:])
	if !bytes.Equal(b[:headerSize], h.bytes()) {
		return header{}, errHeader
	}
	return h, nil
}

// frame is one entry as it lies in a file.
type frame struct {
	offset  int64
	batch   uint64
	hash    Hash
	erased  bool
	entry   []byte
	private []byte
}

func (f *frame) end() int64 { return f.offset + frameSize + int64(len(f.entry)+len(f.private)) }

// appendTo appends the frame's bytes.
func (f *frame) appendTo(dst []byte, table *crc32.Table) []byte {
	from := len(dst)
	dst = append(dst, frameMagic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.entry)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.private)))
	dst = binary.BigEndian.AppendUint64(dst, f.batch)
	dst = append(dst, f.hash[:]...)
	sum := crc32.Update(crc32.Checksum(dst[from:], table), table, f.entry)
	dst = binary.BigEndian.AppendUint32(dst, sum)
	dst = append(dst, 0, 0, 0, 0)
	return append(append(dst, f.entry...), f.private...)
}

// parseFrameHead reads the fixed part; the slices of f get their lengths only.
func parseFrameHead(b []byte, f *frame) (entry, private int, err error) {
	entry, private = int(binary.BigEndian.Uint32(b[4:])), int(binary.BigEndian.Uint32(b[8:]))
	if string(b[:4]) != frameMagic || entry == 0 || entry > maxEntry || private > maxPrivate+saltSize ||
		(private > 0 && private < saltSize) || b[56] > 1 || b[57]|b[58]|b[59] != 0 {
		return 0, 0, errFrame
	}
	f.batch = binary.BigEndian.Uint64(b[12:])
	copy(f.hash[:], b[20:])
	f.erased = b[56] == 1
	return entry, private, nil
}

// scanner reads frames one after the other from a part of a segment.
type scanner struct {
	r    *bufio.Reader
	at   int64 // offset of the next frame in the file
	end  int64
	crc  *crc32.Table
	head [frameSize]byte
	body []byte
}

func newScanner(r io.ReaderAt, from, end int64) *scanner {
	section := io.NewSectionReader(r, from, end-from)
	return &scanner{r: bufio.NewReaderSize(section, 256<<10), at: from, end: end, crc: castagnoli()}
}

// next returns the next frame, valid until the call after: io.EOF at the end,
// errShort if the file ends inside it, errFrame if its bytes are damaged, other
// errors from the disk. Whether it continues the chain the caller checks.
func (s *scanner) next() (frame, error) {
	f := frame{offset: s.at}
	if s.at == s.end {
		return f, io.EOF
	}
	if s.at+frameSize > s.end {
		return f, errShort
	}
	if _, err := io.ReadFull(s.r, s.head[:]); err != nil {
		return f, err
	}
	entry, private, err := parseFrameHead(s.head[:], &f)
	if err != nil {
		return f, err
	}
	if s.at+frameSize+int64(entry+private) > s.end {
		return f, errShort
	}
	if cap(s.body) < entry+private {
		s.body = make([]byte, entry+private)
	}
	s.body = s.body[:entry+private]
	if _, err := io.ReadFull(s.r, s.body); err != nil {
		return f, err
	}
	f.entry, f.private = s.body[:entry], s.body[entry:]
	sum := crc32.Update(crc32.Checksum(s.head[:52], s.crc), s.crc, f.entry)
	if sum != binary.BigEndian.Uint32(s.head[52:]) {
		return f, errFrame
	}
	s.at = f.end()
	return f, nil
}

// wholeFrame reports which batch the frame at the start of b belongs to, if there
// is a whole one.
func wholeFrame(b []byte, table *crc32.Table) (batch uint64, ok bool) {
	var f frame
	if len(b) < frameSize {
		return 0, false
	}
	entry, private, err := parseFrameHead(b, &f)
	if err != nil || len(b) < frameSize+entry+private {
		return 0, false
	}
	sum := crc32.Update(crc32.Checksum(b[:52], table), table, b[frameSize:frameSize+entry])
	return f.batch, sum == binary.BigEndian.Uint32(b[52:])
}

// open checks the private part against the entry's commitment and gives the
// query back to the entry.
func (f *frame) open() (Entry, error) {
	e, err := decodeEntry(f.entry)
	if err != nil {
		return e, err
	}
	switch {
	case len(f.private) == 0 && e.Commitment == "" && !f.erased:
	case f.erased && e.Commitment != "" && allZero(f.private):
	case len(f.private) == 0 || f.erased || commitment(f.private) != e.Commitment:
		return e, errPrivate
	default:
		e.Query = bytes.Clone(f.private[saltSize:])
	}
	return e, nil
}

var errPrivate = errors.New("the private part is not what the entry committed to")

func commitment(private []byte) string {
	sum := sha256.Sum256(private)
	return hex.EncodeToString(sum[:])
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
