// Package view cuts a resource down to the part a client asked for by _summary
// or _elements (https://hl7.org/fhir/R4/search.html#summary, #elements).
//
// Promises: what is kept is kept byte by byte; mandatory and modifier elements
// always are, and contained resources as long as something kept refers to one;
// what comes out bears the tag SUBSETTED, so that nobody stores it for the
// whole.
//
// It does not choose resources and reads nothing but the one it is given.
package view

import (
	"net/url"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// View says what of a resource is wanted. The zero View is all of it.
type View struct {
	Summary  search.Summary // SummaryCount is no view of a resource and counts as unset
	Elements []string       // names at the root of the resource, "name", or below: "name.family"
}

// Of is the view that a search asks for.
func Of(r *search.Request) View { return View{r.Summary, r.Elements} }

// Whole reports whether nothing is to be left out.
func (v View) Whole() bool {
	switch v.Summary {
	case search.SummaryTrue, search.SummaryText, search.SummaryData:
		return false
	}
	return len(v.Elements) == 0
}

// Parse reads _summary and _elements from the query of a read
// (https://hl7.org/fhir/R4/http.html#read). An error is of Kind Malformed or
// Value and names the parameter.
func Parse(rawQuery string) (View, error) {
	const op = "view.Parse"
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return View{}, fhir.E(op, fhir.Malformed, "", "the query is not URL-encoded")
	}
	var v View
	if text := values.Get("_summary"); text != "" {
		all := []search.Summary{search.SummaryTrue, search.SummaryText, search.SummaryData, search.SummaryFalse}
		i := slices.IndexFunc(all, func(s search.Summary) bool { return s.String() == text })
		if i < 0 {
			return View{}, fhir.E(op, fhir.Value, "_summary", "one of true, text, data and false is needed")
		}
		v.Summary = all[i]
	}
	for _, list := range values["_elements"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				v.Elements = append(v.Elements, name)
			}
		}
	}
	return v, v.Check()
}

// Check refuses a view that asks for two things at once (Kind Invalid).
func (v View) Check() error {
	if len(v.Elements) > 0 && !(View{Summary: v.Summary}).Whole() {
		return fhir.E("view.Check", fhir.Invalid, "_elements", "_summary and _elements ask for different parts")
	}
	return nil
}

// kept is what of an object is wanted: whole, or these elements of it.
type kept map[string]kept

// tree makes "name.family" and "Patient.name" into one tree, without the type.
func tree(resourceType string, elements []string) kept {
	root := kept{}
	for _, path := range elements {
		steps := strings.Split(strings.TrimPrefix(path, resourceType+"."), ".")
		at := root
		for i, step := range steps {
			below, known := at[step]
			if known && below == nil { // wanted whole already
				break
			}
			if i == len(steps)-1 {
				at[step] = nil
				break
			}
			if !known {
				below = kept{}
				at[step] = below
			}
			at = below
		}
	}
	return root
}

// wants reports whether an element at the root of the resource is part of the
// view.
func (v View) wants(e *spec.Element, want kept) bool {
	if e.Min > 0 || e.Modifier || e.Name == "id" || e.Name == "meta" {
		return true
	}
	switch v.Summary {
	case search.SummaryTrue:
		return e.Summary
	case search.SummaryText:
		return e.Name == "text"
	case search.SummaryData:
		return e.Name != "text"
	}
	_, ok := want[e.Name]
	return ok
}

// whole reports whether a wanted element is wanted with all that is in it: only
// a summary goes deeper, and not below what it takes against its own marks.
func (v View) whole(e *spec.Element) bool {
	return v.Summary != search.SummaryTrue || !e.Summary
}
