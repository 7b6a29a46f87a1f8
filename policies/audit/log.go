package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"galen/fhir"
)

// Options are what a Log may be told.
type Options struct {
	Now         func() time.Time // clock; time.Now if nil
	Random      io.Reader        // for salts; crypto/rand if nil
	SegmentSize int64            // bytes after which a new segment begins; 64 MiB if 0
	// Veil encrypts the queries, the only part of an entry that can hold what a
	// patient is called; nil leaves them as they are. Verification needs no key.
	Veil Veil
	// Annotate may add to an entry what its maker does not know; nil adds nothing.
	// It must be fast: all that is recorded waits for it.
	Annotate func(*Entry)

	sync func(*os.File) error // tests break the disk with it
}

// Veil is encryption at rest, as *atrest.Sealer. Open is false for what it did
// not seal.
type Veil interface {
	Seal(text []byte) ([]byte, error)
	Open(sealed []byte) (text []byte, ok bool)
}

const defaultSegmentSize = 64 << 20

// Log is the append-only log in one directory, which it locks. It is safe for
// concurrent use.
type Log struct {
	dir       string
	opt       Options
	lock      *os.File
	crc       *crc32.Table
	recovered Recovery

	mu      sync.Mutex // what is not written yet
	next    uint64     // seq of the next entry
	head    Hash       // chain hash of the last entry
	last    time.Time  // its time
	batch   *batch     // what the next flush writes
	spare   []byte     // a buffer to use again
	entry   []byte     // scratch: canonical entry
	scratch []byte     // scratch: hash input
	err     error      // sticky: why nothing is accepted any more

	baton chan struct{} // held by the one who flushes; guards what follows
	file  *os.File
	size  int64

	files    sync.RWMutex // guards what follows
	segments []segment
	marks    []mark // places to start reading from, in order

	durable atomic.Pointer[position]

	wake    chan struct{} // something was submitted
	stop    chan struct{} // closed by Close
	stopped chan struct{} // closed when nothing is flushed in the background any more
}

// batch is what one flush makes durable.
type batch struct {
	first uint64
	prev  Hash // chain hash before first
	data  []byte
	next  uint64 // seq after its last entry
	head  Hash
	done  chan struct{} // closed when it is durable or has failed
	err   error
}

// mark is where an entry begins.
type mark struct {
	seq, segment uint64
	offset       int64
}

// markEvery is how many bytes lie between marks.
const markEvery = 256 << 10

// position is how far the log is durable.
type position struct {
	next uint64
	head Hash
	size int64 // of the last segment
}

// Open opens or makes the log in dir. What a crash left of a batch that was
// never acknowledged is cut off (see Recovered); a log that is damaged otherwise
// is not opened: an *fhir.Error of Kind Internal. Unavailable if another process
// has it open.
func Open(dir string, opt Options) (*Log, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Random == nil {
		opt.Random = rand.Reader
	}
	if opt.SegmentSize <= 0 {
		opt.SegmentSize = defaultSegmentSize
	}
	if opt.sync == nil {
		opt.sync = flush
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault("audit.Open", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{
		dir: dir, opt: opt, lock: lock, crc: castagnoli(), baton: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := l.load(); err != nil {
		return nil, errors.Join(fault("audit.Open", err), lock.Close())
	}
	go l.flushSubmitted()
	return l, nil
}

func fault(op string, err error) error { return &fhir.Error{Op: op, Err: err} }

// load finds the end of the log.
func (l *Log) load() error {
	segments, err := listSegments(l.dir)
	if err != nil {
		return err
	}
	segments, err = l.dropStillborn(segments)
	if err != nil {
		return err
	}
	if len(segments) == 0 {
		l.file, err = createSegment(l.dir, header{first: 1}, l.opt.sync)
		if err != nil {
			return err
		}
		l.segments = []segment{{segmentPath(l.dir, 1), 1}}
		l.start(tail{seq: 1, size: headerSize})
		return nil
	}
	l.segments = segments
	last := segments[len(segments)-1]
	l.file, err = os.OpenFile(last.path, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := l.file.Stat()
	if err != nil {
		return errors.Join(err, l.file.Close())
	}
	t, err := scanTail(l.file, info.Size(), last, l.mark)
	if err == nil && t.torn > 0 {
		l.recovered = Recovery{t.seq, t.torn}
		err = errors.Join(l.file.Truncate(t.size), l.opt.sync(l.file))
	}
	if err != nil {
		return errors.Join(err, l.file.Close())
	}
	l.start(t)
	return nil
}

// dropStillborn removes a last segment that a crash left before its header was
// durable: no entry was ever acknowledged in it.
func (l *Log) dropStillborn(segments []segment) ([]segment, error) {
	if len(segments) == 0 {
		return segments, nil
	}
	last := segments[len(segments)-1]
	info, err := os.Stat(last.path)
	if err != nil || info.Size() > headerSize {
		return segments, err
	}
	content, err := os.ReadFile(last.path)
	if err != nil || (len(content) == headerSize && !allZero(content)) {
		return segments, err
	}
	if err := errors.Join(os.Remove(last.path), syncDir(l.dir)); err != nil {
		return nil, err
	}
	l.recovered = Recovery{last.first, int64(len(content))}
	return segments[:len(segments)-1], nil
}

func (l *Log) start(t tail) {
	l.next, l.head, l.size = t.seq, t.head, t.size
	if t.time != 0 {
		l.last = time.UnixMicro(t.time).UTC()
	}
	l.batch = &batch{first: t.seq, prev: t.head, next: t.seq, head: t.head, done: make(chan struct{})}
	l.durable.Store(&position{t.seq, t.head, t.size})
}

// Recovered tells what Open cut off.
func (l *Log) Recovered() Recovery { return l.recovered }

// Head is the number of durable entries and the chain hash over them.
func (l *Log) Head() Anchor {
	p := l.durable.Load()
	return Anchor{p.next - 1, p.head}
}

// Append adds the entries in this order, numbered one after the other, and
// returns the first one's number once all are on disk. After an error the caller
// must not do or answer what it wanted to record: the error is an *fhir.Error of
// Kind TooLong for an entry over 1 MiB, Timeout if ctx ended first (the entries
// may be there), else Unavailable, and then nothing is accepted until the log is
// opened anew.
func (l *Log) Append(ctx context.Context, entries ...Entry) (uint64, error) {
	b, first, err := l.add(entries)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	select {
	case <-b.done:
	case l.baton <- struct{}{}:
		select {
		case <-b.done:
		default:
			l.flush()
		}
		<-l.baton
	case <-ctx.Done():
		return 0, &fhir.Error{Op: "audit.Append", Kind: fhir.Timeout, Err: ctx.Err()}
	}
	<-b.done
	return first, b.err
}

// add numbers the entries and puts them into the batch that is flushed next.
func (l *Log) add(entries []Entry) (*batch, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, 0, l.err
	}
	b, size, first, head := l.batch, len(l.batch.data), l.next, l.head
	for i := range entries {
		if err := l.addOne(b, entries[i]); err != nil {
			b.data, l.next, l.head = b.data[:size], first, head // all or nothing
			return nil, 0, err
		}
	}
	b.next, b.head = l.next, l.head
	return b, first, nil
}

var errTooLong = errors.New("an audit entry is longer than 1 MiB")

func (l *Log) addOne(b *batch, e Entry) error {
	var private []byte
	e.Commitment = ""
	if l.opt.Annotate != nil {
		l.opt.Annotate(&e)
	}
	if len(e.Query) > 0 && l.opt.Veil != nil {
		var err error
		if e.Query, err = l.opt.Veil.Seal(e.Query); err != nil {
			return &fhir.Error{Op: "audit.Append", Kind: fhir.Unavailable, Err: err}
		}
	}
	if len(e.Query) > 0 {
		private = make([]byte, saltSize+len(e.Query))
		if _, err := io.ReadFull(l.opt.Random, private[:saltSize]); err != nil {
			return &fhir.Error{Op: "audit.Append", Kind: fhir.Unavailable, Err: err}
		}
		copy(private[saltSize:], e.Query)
		e.Commitment = commitment(private)
	}
	if now := stamp(l.opt.Now()); now.After(l.last) {
		l.last = now
	}
	e.Seq, e.Time = l.next, l.last
	l.entry = e.appendCanonical(l.entry[:0])
	if len(l.entry) > maxEntry || len(private) > maxPrivate+saltSize {
		return &fhir.Error{Op: "audit.Append", Kind: fhir.TooLong, Err: errTooLong}
	}
	l.head, l.scratch = link(l.head, l.entry, l.scratch)
	f := frame{batch: b.first, hash: l.head, entry: l.entry, private: private}
	b.data = f.appendTo(b.data, l.crc)
	l.next++
	return nil
}

// flush writes what is waiting. The caller holds the baton.
func (l *Log) flush() {
	l.mu.Lock()
	b, failed := l.batch, l.err
	l.batch = &batch{first: l.next, prev: l.head, next: l.next, head: l.head, data: l.spare[:0], done: make(chan struct{})}
	l.spare = nil
	l.mu.Unlock()

	if failed == nil && len(b.data) > 0 {
		failed = l.write(b)
	}
	b.err = failed
	l.mu.Lock()
	if l.err == nil && failed != nil {
		l.err = failed
	}
	if l.spare == nil && cap(b.data) <= 4<<20 {
		l.spare = b.data
	}
	l.mu.Unlock()
	close(b.done)
}

// write makes one batch durable.
func (l *Log) write(b *batch) error {
	if l.size >= l.opt.SegmentSize && l.size > headerSize {
		if err := l.rotate(b); err != nil {
			return unavailable(err)
		}
	}
	if _, err := l.file.WriteAt(b.data, l.size); err != nil {
		return unavailable(err)
	}
	if err := l.opt.sync(l.file); err != nil {
		return unavailable(err)
	}
	l.mark(b.first, l.size)
	l.size += int64(len(b.data))
	l.durable.Store(&position{b.next, b.head, l.size})
	return nil
}

func unavailable(err error) error {
	return &fhir.Error{Op: "audit.Append", Kind: fhir.Unavailable, Err: err}
}

// rotate begins a new segment with the batch.
func (l *Log) rotate(b *batch) error {
	f, err := createSegment(l.dir, header{b.first, b.prev}, l.opt.sync)
	if err != nil {
		return err
	}
	old := l.file
	l.files.Lock()
	l.file, l.size = f, headerSize
	l.segments = append(l.segments, segment{segmentPath(l.dir, b.first), b.first})
	l.files.Unlock()
	return old.Close()
}

// mark remembers where an entry begins, if the last mark is far enough away.
func (l *Log) mark(seq uint64, offset int64) {
	l.files.Lock()
	defer l.files.Unlock()
	first := l.segments[len(l.segments)-1].first
	if n := len(l.marks); n > 0 && l.marks[n-1].segment == first && offset-l.marks[n-1].offset < markEvery {
		return
	}
	l.marks = append(l.marks, mark{seq, first, offset})
}

// Close flushes what is waiting and gives the directory back. Later calls of
// Append fail with Kind Unavailable.
func (l *Log) Close() error {
	defer func() { <-l.stopped }()
	l.baton <- struct{}{}
	defer func() { <-l.baton }()
	l.mu.Lock()
	closed := errors.Is(l.err, errClosed)
	l.mu.Unlock()
	if closed {
		return nil
	}
	close(l.stop)
	l.flush()
	l.mu.Lock()
	failed := l.err
	l.err = unavailable(errClosed)
	l.mu.Unlock()
	return errors.Join(failed, l.file.Close(), l.lock.Close())
}

var errClosed = errors.New("the audit log is closed")
