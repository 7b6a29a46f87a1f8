// Package function is the library of FHIRPath: the functions of N1
// (https://hl7.org/fhirpath/N1/, 5), those of the 2.1 draft that R4's official
// tests use, and R4's own (https://hl7.org/fhir/R4/fhirpath.html#functions).
//
// Promises: no function loops without counting its steps, builds a text beyond
// the limit, or writes a value of the data anywhere. What needs a terminology or
// profiles asks the Env.
package function

import (
	"maps"

	"galen/fhir/path/machine"
)

// Table has all functions by name; is, as and ofType take a type and are
// compiled apart. It must not be changed.
var Table = joined(collectionFunctions, textFunctions, numberFunctions, conversionFunctions(), fhirFunctions)

func joined(tables ...map[string]machine.Function) map[string]machine.Function {
	all := make(map[string]machine.Function, 128)
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}
