// Package search is the query language of FHIR R4
// (https://hl7.org/fhir/R4/search.html): what a search asks (Request, Query),
// what resources are found by (Entry), and which resources a query means
// (Match). search/parse makes Requests from URLs, search/index makes Entries
// from resources.
//
// Promises: a Query holds meaning, not text (dates are half-open intervals,
// numbers exact decimals, tokens system and code); Match, Passes and SortKey are
// the truth that every store driver must agree with; a Request prints back what
// was applied, and parsing that gives it again.
//
// It does not store, page or include.
package search
