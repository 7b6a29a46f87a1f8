package audit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"galen/fhir"
)

func TestAppendAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openLog(t, dir, Options{Now: clock(), SegmentSize: 2000})
	fill(t, l, 1, 20)
	first, err := l.Append(t.Context(), sample(21), sample(22))
	if err != nil || first != 21 {
		t.Fatal(first, err)
	}
	if segments, _ := listSegments(dir); len(segments) < 4 {
		t.Errorf("%d segments", len(segments))
	}
	for _, from := range []uint64{0, 1, 2, 13, 22, 23} {
		all := readAll(t, l, from)
		if len(all) != 23-int(max(from, 1)) {
			t.Fatalf("from %d: %d entries", from, len(all))
		}
		for i, e := range all {
			want := sample(int(max(from, 1)) + i)
			if e.Seq != max(from, 1)+uint64(i) || !bytes.Equal(e.Query, want.Query) || e.Request != want.Request {
				t.Fatalf("from %d: entry %d is %+v", from, i, e)
			}
		}
	}
	closeLog(t, l)
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := l.Append(t.Context(), sample(1)); fhir.KindOf(err) != fhir.Unavailable {
		t.Errorf("after Close: %v", err)
	}
	l = openLog(t, dir, Options{Now: func() time.Time { return noon.Add(-time.Hour) }, SegmentSize: 2000})
	if l.Recovered() != (Recovery{}) {
		t.Errorf("recovered: %+v", l.Recovered())
	}
	fill(t, l, 23, 1)
	all := readAll(t, l, 22)
	if len(all) != 2 || all[1].Time.Before(all[0].Time) {
		t.Errorf("time went back: %v", all)
	}
	report, err := Verify(dir, l.Head())
	if err != nil || report.Bad != nil || report.Entries != 23 || report.Head != l.Head() {
		t.Errorf("report %+v, head %v, %v", report, l.Head(), err)
	}
}

func TestOnlyOneProcessHasTheLog(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	if _, err := Open(dir, Options{}); fhir.KindOf(err) != fhir.Unavailable {
		t.Errorf("second Open: %v", err)
	}
	closeLog(t, l)
	openLog(t, dir, Options{})
}

func TestFilesAreForTheOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	fill(t, openLog(t, dir, Options{SegmentSize: 500}), 1, 5)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, _ := f.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", f.Name(), info.Mode())
		}
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v", info.Mode())
	}
}

// What Append acknowledged was flushed before: the file at the moment of the
// flush holds it.
func TestAppendReturnsAfterTheFlush(t *testing.T) {
	dir := t.TempDir()
	var flushed atomic.Int64
	l := openLog(t, dir, Options{sync: func(f *os.File) error {
		info, err := f.Stat()
		flushed.Store(info.Size())
		return errors.Join(err, flush(f))
	}})
	for i := 1; i < 5; i++ {
		fill(t, l, i, 1)
		content, frames := layout(t, segmentPath(dir, 1))
		if len(frames) != i || flushed.Load() != int64(len(content)) {
			t.Fatalf("%d frames, %d of %d bytes flushed", len(frames), flushed.Load(), len(content))
		}
	}
}

func TestManyAppendersShareAFlush(t *testing.T) {
	dir := t.TempDir()
	var flushes atomic.Int64
	l := openLog(t, dir, Options{SegmentSize: 20_000, sync: func(f *os.File) error { flushes.Add(1); return flush(f) }})
	const appenders, each = 64, 20
	seqs := make([][]uint64, appenders)
	var wg sync.WaitGroup
	for i := range appenders {
		wg.Go(func() {
			for n := range each {
				first, err := l.Append(context.Background(), sample(i), sample(n))
				if err != nil {
					t.Error(err)
					return
				}
				if head := l.Head(); head.Seq < first+1 {
					t.Errorf("entry %d acknowledged, durable up to %d", first+1, head.Seq)
				}
				seqs[i] = append(seqs[i], first, first+1)
			}
		})
	}
	wg.Wait()
	all := slices.Sorted(slices.Values(slices.Concat(seqs...)))
	for i, seq := range all {
		if seq != uint64(i+1) {
			t.Fatalf("number %d at %d", seq, i)
		}
	}
	if n := flushes.Load(); n > appenders*each/2 {
		t.Errorf("%d flushes for %d appends", n, appenders*each)
	}
	closeLog(t, l)
	report, err := Verify(dir)
	if err != nil || report.Bad != nil || report.Entries != appenders*each*2 {
		t.Errorf("%+v %v", report, err)
	}
}

// Fail closed: once the disk has failed, nothing is acknowledged any more, even
// if it seems to work again.
func TestFailingDisk(t *testing.T) {
	dir := t.TempDir()
	broken := errors.New("disk")
	var fail atomic.Bool
	l := openLog(t, dir, Options{sync: func(f *os.File) error {
		if fail.Load() {
			return broken
		}
		return flush(f)
	}})
	fill(t, l, 1, 3)
	fail.Store(true)
	for range 2 {
		if _, err := l.Append(t.Context(), sample(4)); fhir.KindOf(err) != fhir.Unavailable || !errors.Is(err, broken) {
			t.Fatalf("%v", err)
		}
		fail.Store(false)
	}
	if l.Head().Seq != 3 || len(readAll(t, l, 1)) != 3 {
		t.Errorf("head %v", l.Head())
	}
	if err := l.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
	l = openLog(t, dir, Options{})
	fill(t, l, int(l.Head().Seq)+1, 1)
	if report, err := Verify(dir); err != nil || report.Bad != nil {
		t.Errorf("%+v %v", report, err)
	}
}

type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

func TestRefusedEntriesLeaveNoTrace(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	fill(t, l, 1, 1)
	long := Entry{Kind: Read, Object: string(make([]byte, maxEntry))}
	if _, err := l.Append(t.Context(), sample(2), long); fhir.KindOf(err) != fhir.TooLong {
		t.Errorf("long entry: %v", err)
	}
	if _, err := l.Append(t.Context(), Entry{Kind: Search, Query: make([]byte, maxPrivate+1)}); fhir.KindOf(err) != fhir.TooLong {
		t.Errorf("long query: %v", err)
	}
	fill(t, l, 2, 2)
	if _, err := l.Append(t.Context()); err != nil {
		t.Errorf("nothing to append: %v", err)
	}
	closeLog(t, l)
	if report, err := Verify(dir); err != nil || report.Bad != nil || report.Entries != 3 {
		t.Errorf("%+v %v", report, err)
	}
	l = openLog(t, dir, Options{Random: noRandom{}})
	if _, err := l.Append(t.Context(), sample(4)); fhir.KindOf(err) != fhir.Unavailable {
		t.Errorf("without a salt: %v", err)
	}
}

func TestAppendHeedsTheContext(t *testing.T) {
	hold, entered := make(chan struct{}), make(chan struct{}, 8)
	var slow atomic.Bool
	l := openLog(t, t.TempDir(), Options{sync: func(f *os.File) error {
		if slow.Load() {
			entered <- struct{}{}
			<-hold
		}
		return nil
	}})
	slow.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := l.Append(context.Background(), sample(1)); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ctx, sample(2)); fhir.KindOf(err) != fhir.Timeout {
		t.Errorf("cancelled: %v", err)
	}
	slow.Store(false)
	close(hold)
	wg.Wait()
}

// A crash in the middle of a batch: whatever part of it reached the disk, Open
// keeps what was acknowledged, cuts off the rest and goes on.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Random: zeros{}, Now: clock()})
	fill(t, l, 1, 3)
	acknowledged := l.durable.Load().size
	if _, err := l.Append(t.Context(), sample(4), sample(5), sample(6)); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	whole, frames := layout(t, segmentPath(dir, 1))
	if len(frames) != 6 {
		t.Fatal(frames)
	}
	torn := map[string]func() []byte{}
	for cut := acknowledged + 1; cut < int64(len(whole)); cut += 37 {
		torn["cut "+string(rune('a'+cut%26))+time.Duration(cut).String()] = func() []byte { return whole[:cut] }
	}
	for sector := (acknowledged + 511) / 512 * 512; sector+512 < int64(len(whole)); sector += 512 {
		torn["sector "+time.Duration(sector).String()] = func() []byte {
			b := slices.Clone(whole)
			clear(b[sector : sector+512])
			return b
		}
	}
	torn["all zero"] = func() []byte { b := slices.Clone(whole); clear(b[acknowledged:]); return b }
	for name, content := range torn {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(segmentPath(dir, 1), content(), 0o600); err != nil {
				t.Fatal(err)
			}
			l := openLog(t, dir, Options{})
			n := l.Head().Seq
			if n < 3 || n >= 6 {
				t.Fatalf("%d entries", n)
			}
			if r := l.Recovered(); r.Bytes > 0 && r.Seq != n+1 {
				t.Errorf("recovered %+v of %d entries", r, n)
			}
			fill(t, l, int(n)+1, 2)
			closeLog(t, l)
			if report, err := Verify(dir); err != nil || report.Bad != nil || report.Entries != n+2 {
				t.Errorf("%+v %v", report, err)
			}
		})
	}
}

// Damage of what was acknowledged is not a torn tail: the log is not opened.
func TestDamageIsNotRepaired(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Now: clock()})
	fill(t, l, 1, 6)
	closeLog(t, l)
	whole, frames := layout(t, segmentPath(dir, 1))
	for name, damage := range map[string]func(b []byte){
		"edited in the middle":     func(b []byte) { b[frames[2][0]+frameSize+20] ^= 1 },
		"edited last entry":        func(b []byte) { b[frames[5][0]+frameSize+20] ^= 1 },
		"zeroed in the middle":     func(b []byte) { clear(b[frames[1][0]:frames[3][1]]) },
		"length changed":           func(b []byte) { b[frames[1][0]+5] ^= 0xff },
		"private part edited":      func(b []byte) { b[frames[2][1]-1] ^= 1 },
		"last private part edited": func(b []byte) { b[frames[5][1]-1] ^= 1 },
		"header edited":            func(b []byte) { b[30] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := slices.Clone(whole)
			damage(b)
			path := segmentPath(dir, 1)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if l, err := Open(dir, Options{}); err == nil {
				t.Errorf("opened with %d entries", l.Head().Seq)
				closeLog(t, l)
			} else if fhir.KindOf(err) != fhir.Internal {
				t.Error(err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, b) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestStillbornSegmentIsDropped(t *testing.T) {
	for name, content := range map[string][]byte{"empty": {}, "half a header": []byte(segmentMagic), "zero": make([]byte, headerSize)} {
		dir := t.TempDir()
		l := openLog(t, dir, Options{})
		fill(t, l, 1, 3)
		closeLog(t, l)
		if err := os.WriteFile(segmentPath(dir, 4), content, 0o600); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, dir, Options{SegmentSize: 1})
		fill(t, l, 4, 2)
		closeLog(t, l)
		if report, err := Verify(dir); err != nil || report.Bad != nil || report.Entries != 5 {
			t.Errorf("%s: %+v %v", name, report, err)
		}
	}
}

func benchmarkAppend(b *testing.B, appenders int, sync func(*os.File) error) {
	l := openLog(b, b.TempDir(), Options{sync: sync})
	b.ReportAllocs()
	b.SetParallelism(max(appenders/2, 1)) // times GOMAXPROCS, 2 here
	if appenders == 1 {
		for b.Loop() {
			if _, err := l.Append(b.Context(), sample(1)); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	b.RunParallel(func(pb *testing.PB) {
		e := sample(1)
		for pb.Next() {
			if _, err := l.Append(context.Background(), e); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for name, n := range map[string]int{"1": 1, "8": 8, "64": 64} {
		b.Run(name, func(b *testing.B) { benchmarkAppend(b, n, flush) })
		b.Run(name+"/no-flush", func(b *testing.B) { benchmarkAppend(b, n, func(*os.File) error { return nil }) })
	}
}

func BenchmarkRead(b *testing.B) {
	l := openLog(b, b.TempDir(), Options{sync: func(*os.File) error { return nil }})
	fill(b, l, 1, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range l.Read(1) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 10_000 {
			b.Fatal(n)
		}
	}
}
