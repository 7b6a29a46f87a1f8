package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"galen/fhir"
)

// Whole sealed segments go, and what is left is still verified from the place
// where they ended; entries can be appended and read as before.
func TestPrune(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Now: clock(), SegmentSize: 1500})
	fill(t, l, 1, 20)
	sealed := l.Sealed()
	if len(sealed) < 3 {
		t.Fatalf("%d sealed segments", len(sealed))
	}
	if err := l.Prune(sealed[1]); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("a segment in the middle: %v", err)
	}
	for _, s := range sealed[:2] {
		if err := l.Prune(s); err != nil {
			t.Fatal(err)
		}
	}
	gone := sealed[1].Last
	fill(t, l, 21, 3)
	all := readAll(t, l, 1)
	if len(all) != 23-int(gone) || all[0].Seq != gone+1 {
		t.Errorf("%d entries from %d on", len(all), all[0].Seq)
	}
	last := l.Head()
	closeLog(t, l)
	l = openLog(t, dir, Options{Now: clock()})
	closeLog(t, l)
	var seen []uint64
	report, err := Scan(dir, func(c Canonical) {
		if (c.JSON == nil) != (c.Seq <= gone) {
			t.Errorf("entry %d: %q", c.Seq, c.JSON)
		}
		seen = append(seen, c.Seq)
	}, last)
	if err != nil || report.Bad != nil || report.Pruned != gone || report.Entries != 23-gone || len(seen) != 23 {
		t.Errorf("%+v, %d seen, %v", report, len(seen), err)
	}
	path := filepath.Join(dir, prunedFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a record is gone":   string(content[:strings.Index(string(content), "\n")+1]),
		"a record is edited": strings.Replace(string(content), `"head":"`, `"head":"00`, 1),
		"all is gone":        "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if report, err := Verify(dir); err != nil || report.Bad == nil {
			t.Errorf("%s: %+v %v", name, report, err)
		}
	}
}

func TestAnnotate(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{Now: clock(), Annotate: func(e *Entry) { e.Agent.Purpose = "ETREAT" }})
	fill(t, l, 1, 1)
	if e := readAll(t, l, 1)[0]; e.Agent.Purpose != "ETREAT" {
		t.Errorf("%+v", e)
	}
}

func TestFind(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{Now: clock(), SegmentSize: 1500})
	fill(t, l, 1, 20)
	var found []uint64
	for e, err := range l.Find(3, func(b []byte) bool { return strings.Contains(string(b), `"request":"req-1`) }) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e.Seq)
	}
	if len(found) != 10 || found[0] != 10 {
		t.Errorf("found %v", found)
	}
}
