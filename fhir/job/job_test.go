package job_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"galen/fhir/job"
)

func open(t *testing.T, dir string, work job.Runner) *job.Room {
	t.Helper()
	n := 0
	r, err := job.Open(job.Options{
		Dir: dir, Now: time.Now, NewID: func() string { n++; return "job-" + string(rune('a'+n)) }, Kinds: map[string]job.Runner{"count": work},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ended waits until a job does not run.
func ended(t *testing.T, r *job.Room, id string) job.State {
	t.Helper()
	if err := r.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s, _ := r.Find(id)
	return s
}

func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want job.Status
	}{"well": {nil, job.Completed}, "badly": {errors.New("no disk"), job.Failed}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := open(t, dir, func(_ context.Context, run *job.Run) error {
				run.Note("one")
				return errors.Join(run.Save(func(s *job.State) { s.Total, s.Done = 2, 1 }), c.err)
			})
			s, err := r.Start("count", "me", 1)
			if err != nil {
				t.Fatal(err)
			}
			if got := ended(t, r, s.ID); got.Status != c.want || got.Done != 1 || got.Failed != 1 || got.Ended.IsZero() {
				t.Errorf("ended as %+v", got)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = open(t, dir, nil)
			defer r.Close()
			if got, ok := r.Find(s.ID); !ok || got.Status != c.want || len(r.List("count")) != 1 {
				t.Errorf("after a restart: %+v, %v", got, ok)
			}
			if ok, err := r.Cancel(s.ID); !ok || err != nil {
				t.Errorf("forgetting: %v, %v", ok, err)
			}
			if _, ok := r.Find(s.ID); ok {
				t.Error("it is still there")
			}
		})
	}
}

// A job that runs when the process ends goes on from what it saved.
func TestGoesOnAfterRestart(t *testing.T) {
	dir, saved := t.TempDir(), make(chan struct{})
	r := open(t, dir, func(ctx context.Context, run *job.Run) error {
		if err := run.Save(func(s *job.State) { s.Cursor = []byte("7") }); err != nil {
			return err
		}
		close(saved)
		<-ctx.Done()
		return ctx.Err()
	})
	s, err := r.Start("count", "me", 1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Start("count", "me", 1); err != nil || again.ID != s.ID {
		t.Errorf("the same started twice: %s and %s, %v", s.ID, again.ID, err)
	}
	<-saved
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, dir, func(_ context.Context, run *job.Run) error {
		if got := string(run.State().Cursor); got != "7" {
			t.Errorf("goes on from %s", got)
		}
		return nil
	})
	defer r.Close()
	if got := ended(t, r, s.ID); got.Status != job.Completed {
		t.Errorf("ended as %+v", got)
	}
}

// reversed is a Sealer for tests.
type reversed struct{}

func (reversed) Seal(text []byte) ([]byte, error) {
	text = slices.Clone(text)
	slices.Reverse(text)
	return append([]byte("sealed "), text...), nil
}

func (reversed) Open(sealed []byte) ([]byte, bool) {
	text, ok := bytes.CutPrefix(sealed, []byte("sealed "))
	text = slices.Clone(text)
	slices.Reverse(text)
	return text, ok
}

// What a job was asked may name a patient: under a key it is not in the file.
func TestSealed(t *testing.T) {
	o := job.Options{
		Dir: t.TempDir(), Now: time.Now, NewID: func() string { return "a" }, Seal: reversed{},
		Kinds: map[string]job.Runner{"count": func(context.Context, *job.Run) error { return nil }},
	}
	r, err := job.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start("count", "me", "name=Nierenstein"); err != nil {
		t.Fatal(err)
	}
	ended(t, r, "a")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(o.Dir, "a.json")); err != nil || bytes.Contains(text, []byte("Nierenstein")) {
		t.Errorf("the file holds %s, %v", text, err)
	}
	if r, err = job.Open(o); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if s, ok := r.Find("a"); !ok || string(s.Input) != `"name=Nierenstein"` {
		t.Errorf("read back as %+v", s)
	}
	o.Seal = nil
	if _, err := job.Open(o); err == nil {
		t.Error("opens without the key")
	}
}

func TestCancel(t *testing.T) {
	dir, begun := t.TempDir(), make(chan struct{})
	r := open(t, dir, func(ctx context.Context, run *job.Run) error {
		close(begun)
		<-ctx.Done()
		return run.Save(func(s *job.State) { s.Done = 1 })
	})
	s, err := r.Start("count", "me", 1)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if ok, err := r.Cancel(s.ID); !ok || err != nil {
		t.Fatalf("Cancel = %v, %v", ok, err)
	}
	if ok, _ := r.Cancel("none"); ok {
		t.Error("a job that is not there was cancelled")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, dir, nil)
	defer r.Close()
	if got, _ := r.Find(s.ID); got.Status != job.Cancelled || got.Done != 0 {
		t.Errorf("after a restart: %+v", got)
	}
}
