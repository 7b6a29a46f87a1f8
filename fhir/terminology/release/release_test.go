package release_test

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/terminology/release"
)

// folder writes files into a folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func tabs(lines ...string) string {
	return strings.ReplaceAll(strings.Join(lines, "\r\n"), " | ", "\t") + "\r\n"
}

// A few rows of each release format, made up but for the identifiers that the
// formats fix.
var (
	loinc = map[string]string{
		"LoincTable/Loinc.csv": "\ufeff\"LOINC_NUM\",\"COMPONENT\",\"SCALE_TYP\",\"STATUS\",\"SHORTNAME\",\"LONG_COMMON_NAME\",\"VersionLastChanged\"\n" +
			"\"1-8\",\"A, \"\"quoted\"\"\",\"Qn\",\"ACTIVE\",\"A short\",\"A long name\",\"2.70\"\n\"2-6\",\"B\",\"Ord\",\"DEPRECATED\",\"\",\"\",\"2.72\"\n",
		"AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv": "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n" +
			",1,,LP1-1,Root\nLP1-1,1,LP1-1,LP2-2,Group\nLP1-1.LP2-2,1,LP2-2,1-8,A\n",
	}
	snomed = map[string]string{
		"S/Snapshot/Terminology/sct2_Concept_Snapshot_INT_20260101.txt": tabs("id | effectiveTime | active | moduleId | definitionStatusId",
			"138875005 | 20020131 | 1 | 900000000000207008 | 900000000000074008", "10 | 20020131 | 1 | 9 | 900000000000073002", "20 | 20020131 | 0 | 9 | 900000000000074008"),
		"S/Snapshot/Terminology/sct2_Description_Snapshot-en_INT_20260101.txt": tabs("id | effectiveTime | active | moduleId | conceptId | languageCode | typeId | term | caseSignificanceId",
			"1 | 20020131 | 1 | 9 | 10 | en | 900000000000003001 | Heart (organ) (body structure) | 0", "2 | 20020131 | 1 | 9 | 10 | en | 900000000000013009 | Cardiac organ | 0",
			"3 | 20020131 | 0 | 9 | 10 | en | 900000000000013009 | Retired name | 0", "4 | 20020131 | 1 | 9 | 138875005 | en | 900000000000003001 | SNOMED CT Concept (SNOMED RT+CTV3) | 0"),
		"S/Snapshot/Terminology/sct2_Relationship_Snapshot_INT_20260101.txt": tabs("id | effectiveTime | active | moduleId | sourceId | destinationId | relationshipGroup | typeId | characteristicTypeId | modifierId",
			"1 | 20020131 | 1 | 9 | 10 | 138875005 | 0 | 116680003 | 0 | 0", "2 | 20020131 | 0 | 9 | 20 | 138875005 | 0 | 116680003 | 0 | 0", "3 | 20020131 | 1 | 9 | 20 | 10 | 0 | 999 | 0 | 0"),
	}
	rxnorm = map[string]string{
		"rrf/RXNCONSO.RRF": "1|ENG||||||11|11|1||RXNORM|IN|1|aspirin||N|4096|\n2|ENG||||||12|12|2||RXNORM|SCD|2|aspirin 81 MG Oral Tablet||N|4096|\n2|ENG||||||13|13|2||RXNORM|SY|2|ASA 81 MG||N||\n3|ENG||||||14|14|3||MMSL|GN|3|other source||N||\n",
		"rrf/RXNREL.RRF":   "1||CUI|RN|2||CUI|isa|1||RXNORM||||||\n1||CUI|RO|2||CUI|has_ingredient|2||RXNORM||||||\n",
	}
)

func read(t *testing.T, name string) *release.Table {
	t.Helper()
	r, ok, err := release.Detect(name)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer func() { _ = r.Close() }()
	table, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestReadsReleases(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  release.Table
	}{
		"LOINC": {loinc, release.Table{URL: "http://loinc.org", Version: "2.72", Name: "LOINC", Concepts: []release.Concept{
			{Code: "1-8", Display: "A long name", Synonyms: []string{"A short"}, Properties: []release.Property{{"COMPONENT", `A, "quoted"`}, {"SCALE_TYP", "Qn"}, {"STATUS", "ACTIVE"}}, Parents: []int32{3}, Ancestors: []int32{2, 3}},
			{Code: "2-6", Display: "B", Inactive: true, Properties: []release.Property{{"COMPONENT", "B"}, {"SCALE_TYP", "Ord"}, {"STATUS", "DEPRECATED"}}},
			{Code: "LP1-1", Display: "Root"},
			{Code: "LP2-2", Display: "Group", Parents: []int32{2}, Ancestors: []int32{2}},
		}}},
		"SNOMED CT": {snomed, release.Table{URL: "http://snomed.info/sct", Version: "http://snomed.info/sct/900000000000207008/version/20260101", Name: "SNOMED CT", Concepts: []release.Concept{
			{Code: "138875005", Display: "SNOMED CT Concept", Synonyms: []string{"SNOMED CT Concept (SNOMED RT+CTV3)"}, Properties: []release.Property{{"moduleId", "900000000000207008"}, {"sufficientlyDefined", "false"}}},
			{Code: "10", Display: "Cardiac organ", Synonyms: []string{"Heart (organ) (body structure)"}, Properties: []release.Property{{"moduleId", "9"}, {"sufficientlyDefined", "true"}}, Parents: []int32{0}, Ancestors: []int32{0}},
			{Code: "20", Inactive: true, Properties: []release.Property{{"moduleId", "9"}, {"sufficientlyDefined", "false"}}},
		}}},
		"RxNorm": {rxnorm, release.Table{URL: "http://www.nlm.nih.gov/research/umls/rxnorm", Name: "RxNorm", Concepts: []release.Concept{
			{Code: "1", Display: "aspirin", Properties: []release.Property{{"TTY", "IN"}}},
			{Code: "2", Display: "aspirin 81 MG Oral Tablet", Synonyms: []string{"ASA 81 MG"}, Properties: []release.Property{{"TTY", "SCD"}}, Parents: []int32{0}, Ancestors: []int32{0}},
		}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := read(t, folder(t, tt.files))
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
			shelf, err := release.Open(filepath.Join(t.TempDir(), "terminology"))
			if err != nil {
				t.Fatal(err)
			}
			if err := shelf.Put(got); err != nil {
				t.Fatal(err)
			}
			again, ok, err := shelf.Table(tt.want.URL, "")
			if diff := cmp.Diff(&tt.want, again); err != nil || !ok || diff != "" {
				t.Error(ok, err, diff)
			}
		})
	}
}

func TestZipAndReopen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "loinc.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for file, text := range loinc {
		w, err := z.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	shelf, err := release.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := shelf.Put(read(t, name)); err != nil {
		t.Fatal(err)
	}
	if shelf, err = release.Open(dir); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]bool{"": true, "2.72": true, "2.70": false} {
		if _, ok, err := shelf.Table("http://loinc.org", version); ok != want || err != nil {
			t.Errorf("version %q: %v, %v", version, ok, err)
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(names[0], text[:len(text)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	if shelf, err = release.Open(dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := shelf.Table("http://loinc.org", ""); fhir.KindOf(err) != fhir.Unavailable || err == nil {
		t.Errorf("a file cut short: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	if _, ok, err := release.Detect(folder(t, map[string]string{"Patient.json": "{}"})); ok || err != nil {
		t.Error("a folder of resources is a release", err)
	}
	cycle := map[string]string{"rrf/RXNCONSO.RRF": rxnorm["rrf/RXNCONSO.RRF"], "rrf/RXNREL.RRF": "1||CUI|RN|2||CUI|isa|1||RXNORM||||||\n2||CUI|RN|1||CUI|isa|1||RXNORM||||||\n"}
	for name, files := range map[string]map[string]string{
		"a cycle": cycle, "columns": {"Loinc.csv": "A,B\n1,2\n"}, "other columns": {"rrf/RXNCONSO.RRF": "1|2|3\n"},
		"no relationships": {"sct2_Concept_Snapshot_X.txt": snomed["S/Snapshot/Terminology/sct2_Concept_Snapshot_INT_20260101.txt"], "sct2_Description_Snapshot_X.txt": "\t\t\t\t\t\t\t\t\n"},
	} {
		r, ok, err := release.Detect(folder(t, files))
		if err != nil || !ok {
			t.Fatal(name, ok, err)
		}
		if _, err := r.Read(); fhir.KindOf(err) != fhir.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
