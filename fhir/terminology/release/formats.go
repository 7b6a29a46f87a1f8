package release

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

var errColumns = errors.New("the file does not have the columns of its format")

// lines calls f for each line, its fields cut at a separator.
func lines(files fs.FS, name, separator string, f func(fields []string) error) error {
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	s := bufio.NewScanner(file)
	s.Buffer(make([]byte, 64<<10), 16<<20)
	for s.Scan() {
		if err := f(strings.Split(strings.TrimSuffix(s.Text(), "\r"), separator)); err != nil {
			return fmt.Errorf("%s: %w", path.Base(name), err)
		}
	}
	return s.Err()
}

// rows calls f for each row of a CSV file with a getter by column name.
func rows(files fs.FS, name string, f func(column func(string) string)) error {
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	text := bufio.NewReaderSize(file, 1<<20)
	if mark, err := text.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = text.Discard(3)
	}
	r := csv.NewReader(text)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return err
	}
	place := map[string]int{}
	for i, h := range header {
		place[h] = i
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f(func(column string) string {
			if i, ok := place[column]; ok && i < len(record) {
				return strings.Clone(record[i])
			}
			return ""
		})
	}
}

// loincProperties are the columns that are properties of the code system
// (https://terminology.hl7.org/LOINC.html).
var loincProperties = []string{"COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS", "STATUS", "CLASSTYPE", "ORDER_OBS"}

// readLOINC reads LoincTable/Loinc.csv and, if it is there, the hierarchy of
// parts.
func readLOINC(files fs.FS, marked string) (*Table, error) {
	t := &Table{URL: "http://loinc.org", Name: "LOINC"}
	b := newBuilder(t)
	err := rows(files, marked, func(column func(string) string) {
		code := column("LOINC_NUM")
		if code == "" {
			return
		}
		c := b.concept(code)
		c.Display, c.Inactive = column("LONG_COMMON_NAME"), column("STATUS") == "DEPRECATED"
		if c.Display == "" {
			c.Display = column("COMPONENT")
		}
		if short := column("SHORTNAME"); short != "" {
			c.Synonyms = append(c.Synonyms, short)
		}
		for _, name := range loincProperties {
			if v := column(name); v != "" {
				c.Properties = append(c.Properties, Property{name, v})
			}
		}
		t.Version = max(t.Version, column("VersionLastChanged"))
	})
	if err != nil {
		return nil, err
	}
	if len(t.Concepts) == 0 {
		return nil, errColumns
	}
	hierarchy := find(files, "ComponentHierarchyBySystem.csv")
	if hierarchy == "" {
		return t, nil
	}
	type link struct{ child, parent string }
	var links []link
	err = rows(files, hierarchy, func(column func(string) string) {
		c := b.concept(column("CODE"))
		if c.Display == "" {
			c.Display = column("CODE_TEXT")
		}
		links = append(links, link{column("CODE"), column("IMMEDIATE_PARENT")})
	})
	for _, l := range links {
		b.parent(l.child, l.parent)
	}
	return t, err
}

// The SNOMED CT identifiers that the format needs (RF2, section 4.2).
const (
	isA       = "116680003"
	fullName  = "900000000000003001"
	synonym   = "900000000000013009"
	primitive = "900000000000074008"
)

var rf2Date = regexp.MustCompile(`_(\d{8})\.txt$`)

// readSNOMED reads the snapshot files of an RF2 release.
func readSNOMED(files fs.FS, marked string) (*Table, error) {
	t := &Table{URL: "http://snomed.info/sct", Name: "SNOMED CT"}
	if m := rf2Date.FindStringSubmatch(marked); m != nil {
		t.Version = "http://snomed.info/sct/900000000000207008/version/" + m[1]
	}
	b := newBuilder(t)
	err := lines(files, marked, "\t", func(f []string) error {
		if len(f) != 5 {
			return errColumns
		}
		if f[0] == "id" {
			return nil
		}
		c := b.concept(f[0])
		c.Inactive = f[2] != "1"
		c.Properties = []Property{{"moduleId", f[3]}, {"sufficientlyDefined", fmt.Sprint(f[4] != primitive)}}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := b.descriptions(files, marked); err != nil {
		return nil, err
	}
	relationships := sibling(files, marked, "Relationship")
	if relationships == "" {
		return nil, errors.New("the relationship snapshot is missing")
	}
	return t, lines(files, relationships, "\t", func(f []string) error {
		if len(f) != 10 {
			return errColumns
		}
		if f[2] == "1" && f[7] == isA {
			b.parent(f[4], f[5])
		}
		return nil
	})
}

// descriptions gives concepts their names: the fully specified one without its
// tag as display where no synonym is there, else the first synonym.
func (b *builder) descriptions(files fs.FS, marked string) error {
	name := sibling(files, marked, "Description")
	if name == "" {
		return errors.New("the description snapshot is missing")
	}
	full := map[string]string{}
	err := lines(files, name, "\t", func(f []string) error {
		if len(f) != 9 {
			return errColumns
		}
		if _, known := b.place[f[4]]; !known || f[2] != "1" {
			return nil
		}
		switch f[6] {
		case fullName:
			full[f[4]] = f[7]
		case synonym:
			c := b.concept(f[4])
			c.Synonyms = append(c.Synonyms, f[7])
		}
		return nil
	})
	for code, text := range full {
		c := b.concept(code)
		c.Display = text
		if i := strings.LastIndex(text, " ("); i > 0 {
			c.Display = text[:i]
		}
		if c.Synonyms != nil && !slices.Contains(c.Synonyms, c.Display) {
			c.Display = c.Synonyms[0]
		}
		c.Synonyms = append(slices.DeleteFunc(c.Synonyms, func(s string) bool { return s == c.Display }), text)
	}
	return err
}

// sibling is the file of another kind in the folder of the concepts.
func sibling(files fs.FS, marked, kind string) string {
	folder := path.Dir(marked)
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if strings.HasPrefix(strings.TrimLeft(e.Name(), "x"), "sct2_"+kind+"_Snapshot") {
			return path.Join(folder, e.Name())
		}
	}
	return ""
}

// notNames are the term types of RxNorm that are no concept's own name.
var notNames = []string{"SY", "TMSY", "PSN", "ET"}

// readRxNorm reads RXNCONSO.RRF and RXNREL.RRF
// (https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html).
func readRxNorm(files fs.FS, marked string) (*Table, error) {
	t := &Table{URL: "http://www.nlm.nih.gov/research/umls/rxnorm", Name: "RxNorm"}
	b := newBuilder(t)
	err := lines(files, marked, "|", func(f []string) error {
		if len(f) < 18 {
			return errColumns
		}
		if f[11] != "RXNORM" {
			return nil
		}
		c := b.concept(f[0])
		if slices.Contains(notNames, f[12]) || c.Display != "" {
			c.Synonyms = append(c.Synonyms, f[14])
			return nil
		}
		c.Display, c.Inactive = f[14], f[16] == "O"
		c.Properties = []Property{{"TTY", f[12]}}
		return nil
	})
	if err != nil {
		return nil, err
	}
	relations := path.Join(path.Dir(marked), "RXNREL.RRF")
	if _, err := fs.Stat(files, relations); err != nil {
		return t, nil
	}
	// The relation is the one that the second concept has to the first.
	return t, lines(files, relations, "|", func(f []string) error {
		if len(f) < 11 {
			return errColumns
		}
		if f[7] == "isa" {
			b.parent(f[4], f[0])
		}
		return nil
	})
}
