package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"galen/fhir"
	"galen/policies/journal"
)

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "j")
	open := func() (*journal.File, []string) {
		t.Helper()
		var lines []string
		f, err := journal.Open(path, func(line []byte) error {
			lines = append(lines, string(line))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return f, lines
	}
	f, lines := open()
	if len(lines) != 0 {
		t.Errorf("a new journal holds %q", lines)
	}
	for _, v := range []string{"a", "b\nc"} {
		if err := f.Append(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Append("late"); fhir.KindOf(err) != fhir.Unavailable {
		t.Errorf("after Close: %v", err)
	}
	torn, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := torn.WriteString(`"tor`); err != nil || torn.Close() != nil {
		t.Fatal(err)
	}
	f, lines = open()
	if want := []string{`"a"`, `"b\nc"`}; !slices.Equal(lines, want) {
		t.Errorf("read %q, want %q", lines, want)
	}
	if err := f.Append("d"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, lines = open()
	if len(lines) != 3 || lines[2] != `"d"` {
		t.Errorf("after the torn line: %q", lines)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	refuse := errors.New("no")
	if _, err := journal.Open(path, func([]byte) error { return refuse }); !errors.Is(err, refuse) {
		t.Errorf("what read returns: %v", err)
	}
}
