package audit

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 123456000, time.UTC)

// clock goes on by a second at each look.
func clock() func() time.Time {
	t := noon.Add(-time.Second)
	return func() time.Time {
		t = t.Add(time.Second)
		return t
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func openLog(t testing.TB, dir string, opt Options) *Log {
	t.Helper()
	l, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// sample is the entry of a search by a clinician.
func sample(i int) Entry {
	return Entry{
		Kind: Search, Decision: Decision{true, "staff-read", "d1"}, Request: fmt.Sprintf("req-%d", i),
		Agent: Agent{
			Subject: "dr-a", FHIRUser: "Practitioner/1", Client: "app", Org: "ward", Roles: []string{"clinician"},
			Purpose: "TREAT", Address: "10.0.0.1", TokenID: "jti-1",
		},
		Patients: []string{"Patient/p1"}, Query: []byte(fmt.Sprintf("GET /fhir/Patient?name=Secret%d", i)),
	}
}

func fill(t testing.TB, l *Log, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		first, err := l.Append(t.Context(), sample(i))
		if err != nil || first != uint64(i) {
			t.Fatalf("append %d: %d %v", i, first, err)
		}
	}
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func readAll(t testing.TB, l *Log, from uint64) []Entry {
	t.Helper()
	var all []Entry
	for e, err := range l.Read(from) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// layout is where the frames of a segment are.
func layout(t testing.TB, path string) (content []byte, frames [][2]int64) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	scan := newScanner(bytes.NewReader(content), headerSize, int64(len(content)))
	for {
		f, err := scan.next()
		if err != nil {
			return content, frames
		}
		frames = append(frames, [2]int64{f.offset, f.end()})
	}
}
