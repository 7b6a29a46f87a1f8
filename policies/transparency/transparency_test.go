package transparency_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"galen/fhir"
	"galen/policies/audit"
	"galen/policies/transparency"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// place is where one test's log and tree live.
type place struct{ log, tree, copy string }

func newPlace(t testing.TB) place {
	dir := t.TempDir()
	return place{filepath.Join(dir, "log"), filepath.Join(dir, "tree"), filepath.Join(dir, "elsewhere")}
}

// clock goes on by a second at each look, so that equal runs make equal logs.
func clock() func() time.Time {
	at := noon
	return func() time.Time { at = at.Add(time.Second); return at }
}

func (p place) openLog(t testing.TB, now func() time.Time) *audit.Log {
	t.Helper()
	l, err := audit.Open(p.log, audit.Options{Now: now, SegmentSize: 2000})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (p place) openTree(t testing.TB, log *audit.Log) *transparency.Log {
	t.Helper()
	l, err := transparency.Open(p.tree, log, transparency.Options{Random: rand.Reader, Copy: p.copy})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// record appends one entry for each name.
func record(t testing.TB, l *audit.Log, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := l.Append(context.Background(), audit.Entry{Kind: audit.Read, Request: name, Patients: []string{"Patient/p1"}}); err != nil {
			t.Fatal(err)
		}
	}
}

func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("r%d", i+1)
	}
	return list
}

func closeAll(t testing.TB, list ...interface{ Close() error }) {
	t.Helper()
	for _, c := range list {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// written is a log of n entries with a checkpoint after each step.
func written(t *testing.T, steps ...int) (p place, points [][]byte) {
	t.Helper()
	p = newPlace(t)
	log := p.openLog(t, clock())
	tree := p.openTree(t, log)
	done := 0
	for _, n := range steps {
		record(t, log, names(n)[done:]...)
		done = n
		point, err := tree.Checkpoint(t.Context())
		if err != nil || point.Size != uint64(n) {
			t.Fatalf("checkpoint of %d: %+v %v", n, point, err)
		}
		points = append(points, point.Note)
	}
	closeAll(t, tree, log)
	return p, points
}

// Acceptance 37: inclusion and consistency proofs of every entry and every size
// hold for an independent implementation of RFC 6962.
func TestProofsHoldElsewhere(t *testing.T) {
	p := newPlace(t)
	log := p.openLog(t, clock())
	tree := p.openTree(t, log)
	record(t, log, names(37)...)
	leaves := map[uint64][]byte{}
	for c, err := range log.Canonical(1) {
		if err != nil {
			t.Fatal(err)
		}
		leaves[c.Seq] = rfc6962.DefaultHasher.HashLeaf(c.JSON)
	}
	for size := uint64(1); size <= 37; size++ {
		for seq := uint64(1); seq <= size; seq++ {
			in, err := tree.Inclusion(t.Context(), seq, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, in.Index, in.Size, leaves[seq], in.Path, in.Root); err != nil {
				t.Errorf("entry %d of %d: %v", seq, size, err)
			}
			c, err := tree.Consistency(t.Context(), seq, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, c.From, c.To, c.Path, c.FromRoot, c.ToRoot); err != nil {
				t.Errorf("from %d to %d: %v", seq, size, err)
			}
		}
	}
	for _, bad := range [][2]uint64{{0, 5}, {6, 5}, {38, 0}, {1, 38}} {
		if _, err := tree.Inclusion(t.Context(), bad[0], bad[1]); fhir.KindOf(err) != fhir.Value {
			t.Errorf("inclusion %v: %v", bad, err)
		}
		if _, err := tree.Consistency(t.Context(), bad[0], bad[1]); fhir.KindOf(err) != fhir.Value {
			t.Errorf("consistency %v: %v", bad, err)
		}
	}
	closeAll(t, tree, log)
}

func TestWholeLogVerifies(t *testing.T) {
	p, points := written(t, 5, 12, 12, 30)
	report, err := transparency.Verify(p.log, p.tree, "", p.copy)
	if err != nil || report.Bad != nil || report.Entries != 30 || report.Checkpoints < 4 {
		t.Fatalf("%+v %v", report, err)
	}
	if len(points) != 4 || string(points[1]) != string(points[2]) {
		t.Error("a checkpoint of nothing new")
	}
	log := p.openLog(t, clock())
	tree := p.openTree(t, log)
	record(t, log, "more")
	if point, err := tree.Checkpoint(t.Context()); err != nil || point.Size != 31 {
		t.Errorf("after a restart: %+v %v", point, err)
	}
	closeAll(t, tree, log)
}

// forge replaces the log by one that was written anew, whole chain and all, as
// somebody can who rules the machine.
func forge(t *testing.T, p place, entries ...string) {
	t.Helper()
	if err := os.RemoveAll(p.log); err != nil {
		t.Fatal(err)
	}
	log := p.openLog(t, clock())
	record(t, log, entries...)
	closeAll(t, log)
	if report, err := audit.Verify(p.log); err != nil || report.Bad != nil {
		t.Fatalf("the forgery's own chain: %+v %v", report, err)
	}
}

// Acceptance 37: edits, deletions, reordering, truncation and rollback, each with
// the chain written anew, are reported with the first bad entry; with the tree
// gone as well, from the first one that no checkpoint vouches for.
func TestForgeries(t *testing.T) {
	for name, c := range map[string]struct {
		entries func([]string) []string
		first   uint64 // bad entry
		after   uint64 // the last checkpoint before it
		what    audit.Damage
	}{
		"edited":    {func(n []string) []string { n[16] = "x"; return n }, 17, 12, audit.Rewritten},
		"deleted":   {func(n []string) []string { return slices.Delete(n, 7, 8) }, 8, 5, audit.Rewritten},
		"inserted":  {func(n []string) []string { return slices.Insert(n, 20, "x") }, 21, 12, audit.Rewritten},
		"reordered": {func(n []string) []string { n[1], n[2] = n[2], n[1]; return n }, 2, 0, audit.Rewritten},
		"truncated": {func(n []string) []string { return n[:25] }, 26, 25, audit.Missing},
		"emptied":   {func([]string) []string { return nil }, 1, 0, audit.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			p, points := written(t, 5, 12, 30)
			key, err := os.ReadFile(filepath.Join(p.tree, "checkpoint.pub"))
			if err != nil {
				t.Fatal(err)
			}
			forge(t, p, c.entries(names(30))...)
			report, err := transparency.Verify(p.log, p.tree, "")
			if err != nil || report.Bad == nil || report.Bad.Seq != c.first || report.Bad.What != c.what {
				t.Errorf("with the tree: %+v %v", report.Bad, err)
			}
			if err := os.RemoveAll(p.tree); err != nil {
				t.Fatal(err)
			}
			report, err = transparency.Verify(p.log, p.tree, string(key), p.copy)
			if err != nil || report.Bad == nil || report.Bad.Seq != c.after+1 {
				t.Errorf("with the copy of the checkpoints: %+v %v", report.Bad, err)
			}
			kept := filepath.Join(t.TempDir(), "kept")
			if err := os.WriteFile(kept, points[2], 0o600); err != nil {
				t.Fatal(err)
			}
			report, err = transparency.Verify(p.log, p.tree, string(key), kept)
			if err != nil || report.Bad == nil {
				t.Errorf("with one checkpoint that was kept: %+v %v", report.Bad, err)
			}
		})
	}
}

// A rollback of the whole directory to an earlier backup is whole in itself: only
// what was kept elsewhere shows it.
func TestRollback(t *testing.T) {
	p, points := written(t, 5, 12)
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(filepath.Dir(p.log))); err != nil {
		t.Fatal(err)
	}
	log := p.openLog(t, clock())
	tree := p.openTree(t, log)
	record(t, log, "later", "still later")
	if _, err := tree.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeAll(t, tree, log)
	old := place{filepath.Join(backup, "log"), filepath.Join(backup, "tree"), p.copy}
	if report, err := transparency.Verify(old.log, old.tree, ""); err != nil || report.Bad != nil {
		t.Fatalf("the backup is not whole: %+v %v", report.Bad, err)
	}
	report, err := transparency.Verify(old.log, old.tree, "", p.copy)
	if err != nil || report.Bad == nil || report.Bad.Seq != 13 || report.Bad.What != audit.Missing {
		t.Errorf("rolled back: %+v %v", report.Bad, err)
	}
	_ = points
	log = place{old.log, p.tree, ""}.openLog(t, clock())
	if _, err := transparency.Open(p.tree, log, transparency.Options{Random: rand.Reader}); err == nil || !strings.Contains(err.Error(), "ends at entry 12") {
		t.Errorf("a server that starts on a log that lost entries: %v", err)
	}
	closeAll(t, log)
}

func TestCheckpointsMustBeOfTheKey(t *testing.T) {
	p, points := written(t, 5, 12)
	foreign, _ := written(t, 5, 12)
	text, err := os.ReadFile(filepath.Join(p.tree, "checkpoints"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"edited":          strings.Replace(string(text), "\n5\n", "\n6\n", 1),
		"of another log":  read(t, filepath.Join(foreign.tree, "checkpoints")),
		"not even a note": "hello\n\nworld\n\n",
	} {
		kept := filepath.Join(t.TempDir(), "kept")
		if err := os.WriteFile(kept, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := transparency.Verify(p.log, p.tree, "", kept)
		if err != nil || report.Bad == nil || report.Bad.What != transparency.BadCheckpoint {
			t.Errorf("%s: %+v %v", name, report.Bad, err)
		}
	}
	empty := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := transparency.Verify(p.log, p.tree, "", empty); fhir.KindOf(err) != fhir.Invalid && err == nil {
		t.Error("an empty file counts as a checkpoint")
	}
	if err := os.WriteFile(filepath.Join(p.tree, "checkpoints"), append(text, points[0][:20]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if report, err := transparency.Verify(p.log, p.tree, ""); err != nil || report.Bad != nil {
		t.Errorf("a checkpoint that a crash cut short: %+v %v", report.Bad, err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Pruned entries are vouched for by their hashes in the tree.
func TestPrunedLogVerifies(t *testing.T) {
	p, _ := written(t, 40)
	log := p.openLog(t, clock())
	tree := p.openTree(t, log)
	sealed := log.Sealed()
	if err := log.Prune(sealed[0]); err != nil {
		t.Fatal(err)
	}
	closeAll(t, tree, log)
	report, err := transparency.Verify(p.log, p.tree, "", p.copy)
	if err != nil || report.Bad != nil || report.Pruned != sealed[0].Last {
		t.Fatalf("%+v %v", report, err)
	}
	if err := os.Remove(filepath.Join(p.tree, "hashes")); err != nil {
		t.Fatal(err)
	}
	report, err = transparency.Verify(p.log, p.tree, "", p.copy)
	if err != nil || report.Bad == nil || report.Bad.What != transparency.LostHashes {
		t.Errorf("without the hashes of what was pruned: %+v %v", report.Bad, err)
	}
}

func TestRunSignsWhenDue(t *testing.T) {
	p := newPlace(t)
	log := p.openLog(t, clock())
	tree, err := transparency.Open(p.tree, log, transparency.Options{Random: rand.Reader, Every: 3, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ticks, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		tree.Run(ctx, ticks, func(err error) { t.Error(err) })
	}()
	file := filepath.Join(p.tree, "checkpoints")
	size := func(at time.Time) int {
		ticks <- at
		ticks <- at // the one before has been dealt with
		text, _ := os.ReadFile(file)
		return strings.Count(string(text), transparency.Origin+"\n")
	}
	if got := size(noon); got != 0 {
		t.Errorf("nothing is new: %d", got)
	}
	record(t, log, "a")
	if got := size(noon.Add(time.Minute)); got != 0 {
		t.Errorf("one entry: %d", got)
	}
	record(t, log, "b", "c")
	if got := size(noon.Add(2 * time.Minute)); got != 1 {
		t.Errorf("three entries: %d", got)
	}
	record(t, log, "d")
	if got := size(noon.Add(2 * time.Hour)); got != 2 {
		t.Errorf("after the interval: %d", got)
	}
	cancel()
	<-done
	closeAll(t, tree, log)
}

// BenchmarkFollow measures what an entry costs the tree, in the background.
func BenchmarkFollow(b *testing.B) {
	p := newPlace(b)
	log := p.openLog(b, clock())
	tree := p.openTree(b, log)
	entries := make([]audit.Entry, 1000)
	for i := range entries {
		entries[i] = audit.Entry{Kind: audit.Read, Request: "r", Patients: []string{"Patient/p1"}}
	}
	n := 0
	for b.Loop() {
		b.StopTimer()
		if _, err := log.Append(context.Background(), entries...); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := tree.Inclusion(context.Background(), 1, 0); err != nil {
			b.Fatal(err)
		}
		n += 1000
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/entry")
	closeAll(b, tree, log)
}
