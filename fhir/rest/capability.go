package rest

import (
	"strings"

	"galen/fhir/capability"
)

// Capabilities is what this package offers at a base URL, by the tables that it
// and the parser go by. Operations and where tokens come from are the server's
// to add.
func (s *Service) Capabilities(base string) capability.Statement {
	// https://hl7.org/fhir/R4/valueset-system-restful-interaction.html
	interactions := []string{"batch", "search-system", "history-system"}
	if s.Store.Caps().Transactions {
		interactions = append(interactions, "transaction")
	}
	return capability.Statement{
		Version: s.Version, URL: base, Date: s.Started, Interactions: interactions,
		Formats: []string{"application/fhir+json", "application/fhir+xml", "json", "xml"}, Patches: s.Patches.MediaTypes(),
		Notes:  "Every search takes " + strings.Join(s.Parser.Controls(), ", ") + "; chains and _has of any depth; modifiers by R4's table. Unknown parameters are passed over with a warning, or refused with Prefer: handling=strict.",
		Params: s.Parser.Offers(""),
		Resources: capability.Resources(s.Defs, capability.Options{
			Patch: len(s.Patches) > 0, Multiple: s.Limits.Deletes > 1, AppendOnly: []string{auditType}, Search: s.Parser,
		}),
	}
}
