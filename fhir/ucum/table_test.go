package ucum

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTable: the essence of UCUM 2.2 is whole and its units all work out.
func TestTable(t *testing.T) {
	table, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(table.prefixes) != 24 || len(table.atoms) != 312 {
		t.Errorf("%d prefixes, %d units; want 24, 312", len(table.prefixes), len(table.atoms))
	}
	for code := range table.atoms {
		if u, err := table.Parse(code); err != nil || len(u.Name()) < 3 {
			t.Errorf("%s: %q, %v", code, u.Name(), err)
		}
	}
}

// TestPrefixesUnambiguous: UCUM §11 promises that no symbol reads two ways, as
// a unit and a prefixed one or as two prefixed ones.
func TestPrefixesUnambiguous(t *testing.T) {
	table, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for code := range table.atoms {
		seen[code] = code
	}
	for pre := range table.prefixes {
		for code, a := range table.atoms {
			reading := pre + "-" + code
			if other, ok := seen[pre+code]; ok && a.metric {
				t.Errorf("%s and %s read the same", reading, other)
			}
			if a.metric {
				seen[pre+code] = reading
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	const meter = "base-unit\tm\tmeter\tlength\t\t\t\tm\n"
	tests := []struct {
		name, table string
		want        error // nil for any
	}{
		{"columns", "unit\tx\n", nil},
		{"prefix value", "prefix\tk\tkilo\t\tx\t\t\t\n", nil},
		{"unit value", meter + "unit\tx\tx\t\ty\tm\t\t\n", nil},
		{"unknown function", meter + "unit\tx\tx\t\t1\tm\tsine\t\n", nil},
		{"unknown unit", "unit\tx\tx\t\t1\tm\t\t\n", ErrUnknown},
		{"defined by itself", "unit\tx\tx\t\t1\tx\t\t\n", ErrUnknown},
		{"defined in a circle", "unit\tx\tx\t\t1\ty\t\t\nunit\ty\ty\t\t1\tx\t\t\n", ErrUnknown},
		{"syntax", meter + "unit\tx\tx\t\t1\tm/\t\t\n", ErrSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := load(tt.table); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestSource: the table is the one SOURCE.md describes.
func TestSource(t *testing.T) {
	source, err := os.ReadFile("SOURCE.md")
	if err != nil {
		t.Fatal(err)
	}
	if digest := fmt.Sprintf("%x", sha256.Sum256([]byte(essence))); !strings.Contains(string(source), digest) {
		t.Errorf("ucum.tsv has SHA-256 %s, which SOURCE.md does not name", digest)
	}
}
