package report_test

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/policies/audit"
	"galen/policies/report"
)

// A report is opened in spreadsheets: no cell may be a formula.
func TestCellsAreNoFormulas(t *testing.T) {
	yes := true
	body, err := report.Write("accesses", []report.Access{{
		Time: time.Unix(0, 0), Subject: "=HYPERLINK(1)", App: "+1", Purpose: "-1", Role: "@x", Resource: "Patient/1", TPO: &yes, Unusual: []string{"a", "b"},
	}}, report.CSV)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%q %v", rows, err)
	}
	for i, cell := range rows[1] {
		if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
			t.Errorf("%s is %q", rows[0][i], cell)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, c := range []struct {
		param, accept string
		want          report.Format
		kind          fhir.Kind
	}{
		{"", "", report.JSON, 0},
		{"csv", "application/json", report.CSV, 0},
		{"", "text/csv", report.CSV, 0},
		{"", "application/x-ndjson", report.NDJSON, 0},
		{"", "*/*", report.JSON, 0},
		{"pdf", "", "", fhir.Value},
	} {
		got, err := report.ParseFormat(c.param, c.accept)
		if got != c.want || err != nil && fhir.KindOf(err) != c.kind || err == nil && c.want == "" {
			t.Errorf("%+v: %q %v", c, got, err)
		}
	}
}

// A search names a patient in several ways; another patient's id that begins alike
// is another patient.
func TestSearchesThatNameThePatient(t *testing.T) {
	for query, want := range map[string]int{
		"patient=p1": 1, "patient=Patient/p1": 1, "subject=Patient/p1": 1, "subject:Patient=p1": 1, "patient=p9,p1": 1,
		"patient=http://x/fhir/Patient/p1": 1, "patient=p11": 0, "patient=p": 0, "name=p1": 0, "_id=p1": 0, "%zz": 0, "": 0,
	} {
		log, err := audit.Open(t.TempDir(), audit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), audit.Entry{Kind: audit.Search, Object: "Observation", Query: []byte(query)}); err != nil {
			t.Fatal(err)
		}
		list, err := (&report.Reporter{Log: log}).Patient(t.Context(), "p1", report.Period{})
		if err != nil || len(list) != want {
			t.Errorf("%s: %d lines, want %d, %v", query, len(list), want, err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkPatient reads a log of 20,000 entries for one patient's report.
func BenchmarkPatient(b *testing.B) {
	log, err := audit.Open(b.TempDir(), audit.Options{})
	if err != nil {
		b.Fatal(err)
	}
	entries := make([]audit.Entry, 20_000)
	for i := range entries {
		entries[i] = audit.Entry{Kind: audit.Read, Agent: audit.Agent{Subject: "a"}, Patients: []string{"Patient/p" + string(rune('a'+i%26))}}
	}
	if _, err := log.Append(b.Context(), entries...); err != nil {
		b.Fatal(err)
	}
	r := &report.Reporter{Log: log}
	for b.Loop() {
		if _, err := r.Patient(b.Context(), "pa", report.Period{}); err != nil {
			b.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
}
