package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strconv"
	"strings"
)

// table writes the line format that package spec reads (see spec/decode.go):
// one record a line, its fields separated by tabs, the first naming its kind.
// Records that repeat (type lists, bindings, invariants) are written once, where
// first needed, and are numbered from 1 in that order.
type table struct {
	buf    bytes.Buffer
	shared map[string]int // record → number
	count  map[string]int // kind → records so far
	err    error
}

func newTable() *table {
	return &table{shared: map[string]int{}, count: map[string]int{}}
}

// line writes one record.
func (t *table) line(fields ...string) {
	for _, f := range fields {
		if strings.ContainsAny(f, "\t\n\r") && t.err == nil {
			t.err = fmt.Errorf("record %q: a field holds a tab or a line break", fields[:2])
		}
	}
	t.buf.WriteString(strings.TrimRight(strings.Join(fields, "\t"), "\t"))
	t.buf.WriteByte('\n')
}

// share writes a record unless it is there already and returns its number.
func (t *table) share(fields ...string) string {
	key := strings.Join(fields, "\t")
	n, ok := t.shared[key]
	if !ok {
		t.line(fields...)
		t.count[fields[0]]++
		n = t.count[fields[0]]
		t.shared[key] = n
	}
	return strconv.Itoa(n)
}

// pack compresses without a time stamp or name, so that equal tables are equal
// bytes.
func pack(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// build makes the tables of everything in src, with every correction applied.
func build(src *source) ([]byte, error) {
	fixes := corrector{}
	data, err := encode(src, fixes)
	if err != nil {
		return nil, err
	}
	return data, fixes.check()
}

func encode(src *source, fixes corrector) ([]byte, error) {
	t := newTable()
	t.line("R4", "4.0.1", "1") // FHIR version, version of this format
	s := &structures{table: t, fixes: fixes, known: map[string]*typeDef{}}
	if err := s.write(src.structures); err != nil {
		return nil, err
	}
	writeParams(t, fixes, src.params)
	writeCompartments(t, src.compartments)
	if err := writeCodes(t, src, s.required()); err != nil {
		return nil, err
	}
	return t.buf.Bytes(), t.err
}
