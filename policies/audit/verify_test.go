package audit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"galen/fhir"
)

// Acceptance 37: what was changed behind the log's back is found, and where.
func TestVerifyFindsTampering(t *testing.T) {
	type files map[uint64][]byte // by first number of the segment
	cases := map[string]struct {
		tamper func(f files, frames [][2]int64)
		seq    uint64
		what   Damage
	}{
		"edit": {func(f files, fr [][2]int64) { f[1][fr[4][0]+frameSize+30] ^= 1 }, 5, Edited},
		"edit and fix the checksum": {func(f files, fr [][2]int64) {
			remake(f[1][fr[4][0]:fr[4][1]], func(fr *frame) { fr.entry[28] ^= 1 })
		}, 5, Edited},
		"edit and fix hash and checksum": {func(f files, fr [][2]int64) {
			prev := Hash(f[1][fr[3][0]+20 : fr[3][0]+52])
			remake(f[1][fr[4][0]:fr[4][1]], func(fr *frame) {
				fr.entry[28] ^= 1
				fr.hash, _ = link(prev, fr.entry, nil)
			})
		}, 6, Edited},
		"edit the query": {func(f files, fr [][2]int64) { f[1][fr[4][1]-1] ^= 1 }, 5, Uncovered},
		"zero the query without saying so": {func(f files, fr [][2]int64) {
			entry := frameSize + int64(len(entryOf(f[1][fr[4][0]:fr[4][1]])))
			clear(f[1][fr[4][0]+entry : fr[4][1]])
		}, 5, Uncovered},
		"delete one":       {func(f files, fr [][2]int64) { f[1] = slices.Delete(f[1], int(fr[4][0]), int(fr[4][1])) }, 5, OutOfOrder},
		"delete the first": {func(f files, fr [][2]int64) { f[1] = slices.Delete(f[1], int(fr[0][0]), int(fr[0][1])) }, 1, OutOfOrder},
		"swap two": {func(f files, fr [][2]int64) {
			a, b := slices.Clone(f[1][fr[2][0]:fr[2][1]]), slices.Clone(f[1][fr[3][0]:fr[3][1]])
			copy(f[1][fr[2][0]:], append(b, a...))
		}, 3, OutOfOrder},
		"repeat one": {func(f files, fr [][2]int64) {
			f[1] = slices.Insert(f[1], int(fr[3][0]), slices.Clone(f[1][fr[2][0]:fr[2][1]])...)
		}, 4, OutOfOrder},
		"truncate in an entry":           {func(f files, fr [][2]int64) { f[1] = f[1][:fr[4][0]+70] }, 5, Truncated},
		"truncate in a head":             {func(f files, fr [][2]int64) { f[1] = f[1][:fr[4][0]+10] }, 5, Truncated},
		"truncate an earlier segment":    {func(f files, fr [][2]int64) { f[1] = f[1][:fr[4][0]] }, 5, Missing},
		"delete a segment":               {func(f files, _ [][2]int64) { delete(f, 11) }, 11, Missing},
		"delete the first segment":       {func(f files, _ [][2]int64) { delete(f, 1) }, 1, Missing},
		"change a header":                {func(f files, _ [][2]int64) { f[11][20] ^= 1 }, 11, BadHeader},
		"header and checksum":            {func(f files, _ [][2]int64) { copy(f[11], header{11, Hash{1}}.bytes()) }, 11, BadHeader},
		"roll back to an anchored state": {func(f files, _ [][2]int64) { delete(f, 21) }, 21, Missing},
		"write everything anew":          {func(f files, _ [][2]int64) { rewrite(f) }, 30, Rewritten},
		"delete everything":              {func(f files, _ [][2]int64) { clear(f) }, 1, Missing},
	}
	source := t.TempDir()
	l := openLog(t, source, Options{Now: clock(), Random: zeros{}})
	for i := 1; i <= 30; i++ {
		if i%10 == 1 && i > 1 {
			closeLog(t, l) // a new segment every ten entries
			l = openLog(t, source, Options{Now: clock(), Random: zeros{}, SegmentSize: 1})
			fill(t, l, i, 1)
			closeLog(t, l)
			l = openLog(t, source, Options{Now: clock(), Random: zeros{}})
			continue
		}
		fill(t, l, i, 1)
	}
	head := l.Head()
	closeLog(t, l)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir, all := t.TempDir(), files{}
			_, frames := layout(t, segmentPath(source, 1))
			for _, first := range []uint64{1, 11, 21} {
				all[first], _ = layout(t, segmentPath(source, first))
			}
			if len(frames) != 10 {
				t.Fatal(frames)
			}
			c.tamper(all, frames)
			for first, content := range all {
				if err := os.WriteFile(segmentPath(dir, first), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			report, err := Verify(dir, head)
			if err != nil {
				t.Fatal(err)
			}
			if report.Bad == nil || report.Bad.Seq != c.seq || report.Bad.What != c.what {
				t.Errorf("found %+v, want %s at %d", report.Bad, c.what, c.seq)
			}
		})
	}
	report, err := Verify(source, head, Anchor{})
	if err != nil || report.Bad != nil || report.Entries != 30 || report.Segments != 3 || report.Head != head {
		t.Errorf("untouched: %+v %v", report, err)
	}
	if _, err := Verify(source, head, Anchor{30, Hash{}}); fhir.KindOf(err) != fhir.Invalid {
		t.Errorf("contradicting anchors: %v", err)
	}
}

// remake writes a frame again after a change that keeps its length.
func remake(b []byte, change func(*frame)) {
	scan := newScanner(bytes.NewReader(b), 0, int64(len(b)))
	f, err := scan.next()
	if err != nil {
		panic(err)
	}
	change(&f)
	copy(b, f.appendTo(nil, castagnoli()))
}

func entryOf(b []byte) []byte {
	scan := newScanner(bytes.NewReader(b), 0, int64(len(b)))
	f, err := scan.next()
	if err != nil {
		panic(err)
	}
	return f.entry
}

// rewrite changes the first entry and makes the whole chain anew.
func rewrite(all map[uint64][]byte) {
	var head Hash
	for _, first := range []uint64{1, 11, 21} {
		content := all[first]
		out := header{first, head}.bytes()
		scan := newScanner(bytes.NewReader(content), headerSize, int64(len(content)))
		for {
			f, err := scan.next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				panic(err)
			}
			if f.offset == headerSize && first == 1 {
				f.entry = bytes.Replace(f.entry, []byte("dr-a"), []byte("dr-b"), 1)
			}
			head, _ = link(head, f.entry, nil)
			f.hash = head
			out = f.appendTo(out, castagnoli())
		}
		all[first] = out
	}
}

// A query can be erased: the chain still holds, the text is gone.
func TestErasedQuery(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Now: clock()})
	fill(t, l, 1, 3)
	closeLog(t, l)
	path := segmentPath(dir, 1)
	content, frames := layout(t, path)
	at := frames[1][0]
	clear(content[at+frameSize+int64(len(entryOf(content[at:frames[1][1]]))) : frames[1][1]])
	content[at+56] = 1
	if bytes.Contains(content, []byte("Secret2")) {
		t.Fatal("the query is still there")
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(dir)
	if err != nil || report.Bad != nil || report.Erased != 1 {
		t.Errorf("%+v %v", report, err)
	}
	all := readAll(t, openLog(t, dir, Options{}), 1)
	if len(all) != 3 || all[1].Query != nil || all[1].Commitment == "" || all[2].Query == nil {
		t.Errorf("%+v", all)
	}
}

// The frame reader meets any bytes: it neither panics nor runs away, and what it
// accepts it writes back alike.
func FuzzFrames(f *testing.F) {
	dir := f.TempDir()
	l := openLog(f, dir, Options{Random: zeros{}, Now: clock()})
	for i := range 3 {
		if _, err := l.Append(f.Context(), sample(i)); err != nil {
			f.Fatal(err)
		}
	}
	closeLog(f, l)
	whole, frames := layout(f, segmentPath(dir, 1))
	f.Add(whole)
	f.Add(whole[:frames[1][0]+20])
	f.Add(append(slices.Clone(whole), make([]byte, 600)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = scanTail(bytes.NewReader(b), int64(len(b)), segment{first: 1}, func(uint64, int64) {})
		scan := newScanner(bytes.NewReader(b), min(headerSize, int64(len(b))), int64(len(b)))
		for {
			fr, err := scan.next()
			if err != nil {
				return
			}
			again := fr.appendTo(nil, castagnoli())
			again[56] = b[fr.offset+56]
			if !bytes.Equal(again, b[fr.offset:fr.end()]) {
				t.Fatal("a frame does not come back")
			}
			_, _ = fr.open()
		}
	})
}

// Nor is it taken for erased where there never was a query.
func TestErasedNothing(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Now: clock(), Random: zeros{}})
	for range 3 {
		e := sample(1)
		e.Query = nil
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	path := segmentPath(dir, 1)
	content, frames := layout(t, path)
	content[frames[1][0]+56] = 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if report, err := Verify(dir); err != nil || report.Bad == nil || report.Bad.Seq != 2 || report.Bad.What != Uncovered {
		t.Errorf("%+v %v", report, err)
	}
}
