package rest

import "galen/fhir/capability"

// Capabilities is the CapabilityStatement for a base URL, made of the tables
// that the parser and this package use.
func (s *Service) Capabilities(base string) []byte {
	return capability.Statement{
		Version: s.Version, URL: base, Date: s.Started,
		Formats: []string{"application/fhir+json", "application/fhir+xml", "json", "xml"}, Patches: s.Patches.MediaTypes(),
		Interactions: []string{"transaction", "batch", "search-system", "history-system"},
		Resources: capability.Resources(s.Defs, capability.Options{
			Patch: len(s.Patches) > 0, Multiple: s.Limits.Deletes > 1, AppendOnly: []string{auditType},
		}),
	}.JSON()
}
