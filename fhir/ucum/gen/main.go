// Command gen turns ucum-essence.xml into the table that package ucum embeds:
//
//	go run ./fhir/ucum/gen ucum-essence.xml > fhir/ucum/ucum.tsv
//
// One tab-separated row for each prefix, base unit and unit, in the order of
// the source: kind, code, name, property, value, unit, function, flags. It
// copies facts and adds nothing, but for the one correction in define.
package main

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// entry is a prefix, base-unit or unit element of the essence.
type entry struct {
	XMLName   xml.Name
	Code      string `xml:"Code,attr"`
	Metric    string `xml:"isMetric,attr"`
	Arbitrary string `xml:"isArbitrary,attr"`
	Name      string `xml:"name"`
	Property  string `xml:"property"`
	Value     struct {
		Unit     string    `xml:"Unit,attr"`
		Value    string    `xml:"value,attr"`
		Function *function `xml:"function"`
	} `xml:"value"`
}

type function struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
	Unit  string `xml:"Unit,attr"`
}

type essence struct {
	Version string  `xml:"version,attr"`
	Date    string  `xml:"revision-date,attr"`
	Entries []entry `xml:",any"`
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("one argument: the path of ucum-essence.xml")
	}
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := xml.NewDecoder(file)
	decoder.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if charset != "ascii" { // a subset of UTF-8
			return nil, fmt.Errorf("charset %q", charset)
		}
		return in, nil
	}
	var source essence
	if err := decoder.Decode(&source); err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "# UCUM %s, %s; see SOURCE.md\n", source.Version, source.Date)
	for _, e := range source.Entries {
		row := e.row()
		for i, field := range row {
			if row[i] = strings.Join(strings.Fields(field), " "); strings.ContainsAny(row[i], "\t\n") {
				return fmt.Errorf("%s: a field holds a separator", e.Code)
			}
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func (e entry) row() []string {
	var flags string
	if e.Metric == "yes" || e.XMLName.Local == "base-unit" {
		flags = "m"
	}
	if e.Arbitrary == "yes" {
		flags += "a"
	}
	value, unit, name := e.define()
	return []string{e.XMLName.Local, e.Code, e.Name, e.Property, value, unit, name, flags}
}

// define returns the definition: value × unit, or for a special unit the
// function over value × unit. The source gives %[slope] two arguments that
// disagree, 100tan(1 rad) in text and deg in the function element, and calls
// the same function by two names; a tangent is of an angle, so rad serves both.
func (e entry) define() (value, unit, name string) {
	f := e.Value.Function
	switch {
	case f == nil:
		return e.Value.Value, e.Value.Unit, ""
	case f.Name == "100tan":
		return f.Value, "rad", "tanTimes100"
	}
	return f.Value, f.Unit, f.Name
}
