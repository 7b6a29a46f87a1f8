package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEvaluate(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("age,sex,egfr,acr,outcome\n")
	for i := range 200 {
		fmt.Fprintf(&b, "%d,%d,%d,%d,%d\n", 40+i%40, i%2, 8+i%50, 30+i*7%900, (i*i%7)/5)
	}
	file := filepath.Join(dir, "cohort.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	c := command()
	c.Writer = &said
	if err := c.Run(t.Context(), []string{"galen", "evaluate", "--model", "kfre-4v@1.0.0", "--cohort", file, "--group", "sex", "--resamples", "30", "--out", filepath.Join(dir, "out")}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "kfre-4v@1.0.0 on cohort.csv: 200 of 200 assessed") {
		t.Errorf("said %q", said.String())
	}
	for _, name := range []string{"report.json", "report.html", "MeasureReport.json"} {
		if info, err := os.Stat(filepath.Join(dir, "out", name)); err != nil || info.Size() < 500 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, args := range map[string][]string{"no such model": {"--model", "none", "--cohort", file}, "no cohort": {"--model", "kfre-4v", "--cohort", file + "x"}} {
		if command().Run(t.Context(), append([]string{"galen", "evaluate"}, args...)) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
