package evaluate

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"galen/models/manifest"
)

// Cohort is patients with known outcomes, by columns.
type Cohort struct {
	Name     string
	SHA256   string               // of the file
	Features map[string][]float64 // by the manifest's names, in its units; NaN is missing
	Outcome  []bool
	Groups   []Grouping
}

// Grouping is a column that parts the cohort.
type Grouping struct {
	Name   string
	Values []string
}

// Table names the columns of a cohort file that are not features.
type Table struct {
	Name    string   // of the file, for the report
	Outcome string   // column that is 1 or 0; "" is "outcome"
	Groups  []string // columns that part the cohort; may be features
}

// maxGroups bounds the values of a grouping: more are no groups.
const maxGroups = 24

// ReadCSV reads a cohort: a header, then a patient a line; columns named as the
// manifest's features, in its units, are its inputs. An empty cell, NA or NaN is
// missing; a patient without an outcome is left out. Errors name line and column,
// never a value.
func ReadCSV(file io.Reader, m *manifest.Manifest, t Table) (*Cohort, error) {
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	c := &Cohort{Name: t.Name, SHA256: hex.EncodeToString(sum[:]), Features: map[string][]float64{}}
	r := csv.NewReader(bytes.NewReader(data))
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return nil, errors.New("the file has no header")
	}
	p, err := planOf(slices.Clone(head), m, t)
	if err != nil {
		return nil, err
	}
	for _, g := range p.groups {
		c.Groups = append(c.Groups, Grouping{Name: p.head[g]})
	}
	for line := 2; ; line++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return c, c.checkGroups()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d is not CSV like the header", line)
		}
		if err := c.add(p, record); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// plan says what each column is.
type plan struct {
	head     []string
	features []int
	outcome  int
	groups   []int
}

func planOf(head []string, m *manifest.Manifest, t Table) (plan, error) {
	for i := range head {
		head[i] = strings.TrimSpace(strings.TrimPrefix(head[i], "\ufeff"))
	}
	p := plan{head: head, outcome: slices.Index(head, orElse(t.Outcome, "outcome"))}
	if p.outcome < 0 {
		return p, fmt.Errorf("there is no column %q", orElse(t.Outcome, "outcome"))
	}
	for i, name := range head {
		if _, ok := m.Feature(name); ok && i != p.outcome {
			p.features = append(p.features, i)
		}
	}
	if len(p.features) == 0 {
		return p, errors.New("no column is named as a feature of the model")
	}
	for _, name := range t.Groups {
		i := slices.Index(head, name)
		if i < 0 {
			return p, fmt.Errorf("there is no column %q", name)
		}
		p.groups = append(p.groups, i)
	}
	return p, nil
}

func missing(cell string) bool {
	switch strings.ToLower(cell) {
	case "", "na", "nan", "null":
		return true
	}
	return false
}

func (c *Cohort) add(p plan, record []string) error {
	cell := func(i int) string { return strings.TrimSpace(record[i]) }
	outcome := cell(p.outcome)
	if missing(outcome) {
		return nil
	}
	if outcome != "0" && outcome != "1" {
		return fmt.Errorf("column %q is neither 0 nor 1", p.head[p.outcome])
	}
	for _, i := range p.features {
		x := math.NaN()
		if !missing(cell(i)) {
			var err error
			if x, err = strconv.ParseFloat(cell(i), 64); err != nil || math.IsInf(x, 0) {
				return fmt.Errorf("column %q is not a number", p.head[i])
			}
		}
		c.Features[p.head[i]] = append(c.Features[p.head[i]], x)
	}
	for n, i := range p.groups {
		c.Groups[n].Values = append(c.Groups[n].Values, cell(i))
	}
	c.Outcome = append(c.Outcome, outcome == "1")
	return nil
}

func (c *Cohort) checkGroups() error {
	if len(c.Outcome) == 0 {
		return errors.New("the cohort is empty")
	}
	for _, g := range c.Groups {
		distinct := map[string]bool{}
		for _, v := range g.Values {
			distinct[v] = true
		}
		if len(distinct) > maxGroups {
			return fmt.Errorf("column %q has more than %d values: it is no grouping", g.Name, maxGroups)
		}
	}
	return nil
}
