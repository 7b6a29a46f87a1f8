package audit

import (
	"iter"
	"os"
	"slices"
)

// Read yields the entries from number from on, up to the last one that was
// durable when the call was made; from 0 or 1 is the beginning, or the first that
// was not pruned. After an error, an *fhir.Error of Kind Internal, nothing
// follows. It may run while entries are appended.
func (l *Log) Read(from uint64) iter.Seq2[Entry, error] {
	return l.Find(from, func([]byte) bool { return true })
}

// Find is Read for the entries whose canonical form the caller wants: a look at
// the bytes costs a fraction of decoding them. They are valid only during the
// call.
func (l *Log) Find(from uint64, wanted func(canonical []byte) bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for f, err := range l.frames(from) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !wanted(f.entry) {
				continue
			}
			e, err := f.open()
			if err == nil && e.Seq != f.seq {
				err = errFrame
			}
			if l.opt.Veil != nil {
				if text, ok := l.opt.Veil.Open(e.Query); ok {
					e.Query = text // else it is from before there was a key
				}
			}
			if err != nil {
				yield(Entry{}, fault("audit.Read", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Canonical yields the numbers and canonical forms of the entries as Read does.
// The bytes are valid until the next step.
func (l *Log) Canonical(from uint64) iter.Seq2[Canonical, error] {
	return func(yield func(Canonical, error) bool) {
		for f, err := range l.frames(from) {
			if !yield(Canonical{f.seq, f.entry}, err) {
				return
			}
		}
	}
}

// Canonical is an entry as RFC 8785 JSON.
type Canonical struct {
	Seq  uint64
	JSON []byte
}

// numbered is a frame and the number that its entry must have.
type numbered struct {
	frame
	seq uint64
}

func (l *Log) frames(from uint64) iter.Seq2[numbered, error] {
	from = max(from, 1)
	// The position first: segments are never fewer than it needs.
	end := l.durable.Load()
	l.files.RLock()
	segments, marks := slices.Clone(l.segments), slices.Clone(l.marks)
	l.files.RUnlock()
	return func(yield func(numbered, error) bool) {
		for i, s := range segments {
			if s.first >= end.next || (i+1 < len(segments) && segments[i+1].first <= from) {
				continue
			}
			stop := end.next
			if i+1 < len(segments) {
				stop = min(stop, segments[i+1].first)
			}
			if !readSegment(s, from, stop, startIn(marks, s, from), yield) {
				return
			}
		}
	}
}

// startIn is the last known place in the segment that is not after from.
func startIn(marks []mark, s segment, from uint64) mark {
	best := mark{s.first, s.first, headerSize}
	for _, m := range marks {
		if m.segment == s.first && m.seq <= from {
			best = m
		}
	}
	return best
}

// readSegment yields the frames from from to before end of one segment and
// reports whether to go on.
func readSegment(s segment, from, end uint64, at mark, yield func(numbered, error) bool) bool {
	f, err := os.Open(s.path)
	if err != nil {
		return yield(numbered{}, fault("audit.Read", err)) && false
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return yield(numbered{}, fault("audit.Read", err)) && false
	}
	scan := newScanner(f, at.offset, info.Size())
	for seq := at.seq; seq < end; seq++ {
		fr, err := scan.next()
		if err != nil { // io.EOF too: the entries up to end must be here
			return yield(numbered{}, fault("audit.Read", err)) && false
		}
		if seq >= from && !yield(numbered{fr, seq}, nil) {
			return false
		}
	}
	return true
}
