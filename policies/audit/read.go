package audit

import (
	"iter"
	"os"
	"slices"
)

// Read yields the entries from number from on, up to the last one that was
// durable when the call was made; from 0 or 1 is the beginning. After an error,
// an *fhir.Error of Kind Internal, nothing follows. It may run while entries are
// appended.
func (l *Log) Read(from uint64) iter.Seq2[Entry, error] {
	from = max(from, 1)
	// The position first: segments are never fewer than it needs.
	end := l.durable.Load()
	l.files.RLock()
	segments, marks := slices.Clone(l.segments), slices.Clone(l.marks)
	l.files.RUnlock()
	return func(yield func(Entry, error) bool) {
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

// readSegment yields the entries from from to before end of one segment and
// reports whether to go on.
func readSegment(s segment, from, end uint64, at mark, yield func(Entry, error) bool) bool {
	f, err := os.Open(s.path)
	if err != nil {
		return yield(Entry{}, fault("audit.Read", err)) && false
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return yield(Entry{}, fault("audit.Read", err)) && false
	}
	scan := newScanner(f, at.offset, info.Size())
	for seq := at.seq; seq < end; seq++ {
		fr, err := scan.next()
		if err != nil { // io.EOF too: the entries up to end must be here
			return yield(Entry{}, fault("audit.Read", err)) && false
		}
		if seq < from {
			continue
		}
		e, err := fr.open()
		if err == nil && e.Seq != seq {
			err = errFrame
		}
		if err != nil {
			return yield(Entry{}, fault("audit.Read", err)) && false
		}
		if !yield(e, nil) {
			return false
		}
	}
	return true
}
