package bundle_test

import "galen/fhir/rest"

// limitEntries sets how many entries a Bundle may have.
func limitEntries(n int) func(*rest.Config) {
	return func(c *rest.Config) { c.Limits.Entries = n }
}
