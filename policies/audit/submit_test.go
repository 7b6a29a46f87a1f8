package audit

import (
	"errors"
	"os"
	"sync"
	"testing"

	"galen/fhir"
)

// What is submitted keeps its place among what is appended, and is whole after
// the next Append or Close.
func TestSubmit(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	if first, err := l.Submit(sample(1), sample(2)); err != nil || first != 1 {
		t.Fatal(first, err)
	}
	if first, err := l.Append(t.Context(), sample(3)); err != nil || first != 3 {
		t.Fatal(first, err)
	}
	if n := len(readAll(t, l, 1)); n != 3 {
		t.Errorf("%d entries are durable after an Append, want 3", n)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				if _, err := l.Submit(sample(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	closeLog(t, l)
	report, err := Verify(dir)
	if err != nil || report.Bad != nil || report.Entries != 803 {
		t.Errorf("report %+v, %v", report, err)
	}
	if _, err := l.Submit(sample(1)); fhir.KindOf(err) != fhir.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

// Without anyone else the entry reaches the disk by itself.
func TestSubmitFlushesByItself(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{})
	synced := make(chan struct{}, 8)
	l.opt.sync = func(f *os.File) error {
		err := flush(f)
		synced <- struct{}{}
		return err
	}
	if _, err := l.Submit(sample(1)); err != nil {
		t.Fatal(err)
	}
	<-synced
}

// A disk that fails refuses what comes after, so nothing goes on unrecorded for
// longer than the delay.
func TestSubmitFailsWithTheDisk(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{})
	broken := errors.New("no disk")
	failed := make(chan struct{}, 8)
	l.opt.sync = func(*os.File) error {
		failed <- struct{}{}
		return broken
	}
	if _, err := l.Submit(sample(1)); err != nil {
		t.Fatal(err)
	}
	<-failed
	if _, err := l.Append(t.Context(), sample(2)); fhir.KindOf(err) != fhir.Unavailable {
		t.Errorf("Append after a failed flush: %v", err)
	}
	if _, err := l.Submit(sample(3)); fhir.KindOf(err) != fhir.Unavailable {
		t.Errorf("Submit after a failed flush: %v", err)
	}
}

// More than the backlog waits for the disk.
func TestSubmitIsBounded(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{})
	big := sample(1)
	big.Query = make([]byte, maxPrivate-saltSize)
	most := 0
	for range 3 * maxBacklog / len(big.Query) {
		if _, err := l.Submit(big); err != nil {
			t.Fatal(err)
		}
		most = max(most, l.backlog())
	}
	if most > maxBacklog {
		t.Errorf("%d bytes wait, more than %d", most, maxBacklog)
	}
}
