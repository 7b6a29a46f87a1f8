package main

import (
	"fmt"
	"slices"
	"strings"
)

// valueSet and codeSystem are the parts that an expansion needs. The value sets
// of required bindings have no exclude, filter or import in R4; expand refuses
// them rather than misread them.
type valueSet struct {
	URL     string
	Compose struct {
		Include []include
		Exclude []include
	}
}

type include struct {
	System   string
	Concept  []concept
	Filter   []struct{ Property string }
	ValueSet []string
}

type codeSystem struct {
	URL, Content  string
	CaseSensitive bool
	Concept       []concept
}

type concept struct {
	Code    string
	Concept []concept
}

// outside are the required value sets that cannot be listed.
var outside = map[string]string{
	"http://loinc.org/vs/LL379-9": "a LOINC answer list, which R4 names but does not define",
}

// writeCodes writes the codes of each value set: one S record for each system.
func writeCodes(t *table, src *source, urls []string) error {
	for _, url := range urls {
		v, ok := src.valueSets[url]
		if !ok && outside[url] != "" {
			continue
		}
		if !ok {
			return fmt.Errorf("value set %s is not defined", url)
		}
		t.line("V", url)
		if len(v.Compose.Exclude) > 0 {
			return fmt.Errorf("value set %s: exclude", url)
		}
		for _, in := range v.Compose.Include {
			codes, err := expand(src, in)
			if err != nil {
				return fmt.Errorf("value set %s: %w", url, err)
			}
			t.line("S", in.System, strings.Join(codes, " "))
		}
	}
	return nil
}

// expand lists the codes of one include, sorted; none if the code system is not
// FHIR's own, so that any code of it must be let through.
func expand(src *source, in include) ([]string, error) {
	if len(in.Filter) > 0 || len(in.ValueSet) > 0 {
		return nil, fmt.Errorf("include of %s: filter or import", in.System)
	}
	concepts := in.Concept
	if len(concepts) == 0 {
		cs, ok := src.codeSystems[in.System]
		if !ok {
			return nil, nil
		}
		if cs.Content != "complete" || !cs.CaseSensitive {
			return nil, fmt.Errorf("code system %s is %s, case sensitive %t", cs.URL, cs.Content, cs.CaseSensitive)
		}
		concepts = cs.Concept
	}
	codes := flatten(nil, concepts)
	slices.Sort(codes)
	codes = slices.Compact(codes)
	for _, c := range codes {
		if strings.Contains(c, " ") {
			return nil, fmt.Errorf("code system %s: a code holds a space", in.System)
		}
	}
	return codes, nil
}

func flatten(codes []string, concepts []concept) []string {
	for _, c := range concepts {
		codes = flatten(append(codes, c.Code), c.Concept)
	}
	return codes
}
