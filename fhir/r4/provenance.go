package r4

import (
	"time"

	samply "github.com/samply/golang-fhir-models/fhir-models/fhir"
)

// Provenance says what made a resource and from what
// (https://hl7.org/fhir/R4/provenance.html).
type Provenance struct {
	Targets  []string // versioned references
	Recorded time.Time
	Policies []string // URIs of the policies in force
	Reason   Concept
	Activity Concept
	Agents   []Agent
	Sources  []string // entities of role source: the inputs, versioned
	Security []Coding
}

// Agent is Provenance.agent.
type Agent struct {
	Type       Concept
	Roles      []Concept
	Who        string
	OnBehalfOf string
}

// JSON writes the resource.
func (p Provenance) JSON() ([]byte, error) {
	out := samply.Provenance{
		Meta: security(p.Security), Target: references(p.Targets), Recorded: *moment(p.Recorded), Policy: p.Policies,
		Activity: concept(p.Activity), Reason: concepts([]Concept{p.Reason}),
	}
	for _, a := range p.Agents {
		out.Agent = append(out.Agent, samply.ProvenanceAgent{
			Type: concept(a.Type), Role: concepts(a.Roles), Who: reference(a.Who), OnBehalfOf: optReference(a.OnBehalfOf),
		})
	}
	for _, s := range p.Sources {
		out.Entity = append(out.Entity, samply.ProvenanceEntity{Role: samply.ProvenanceEntityRoleSource, What: reference(s)})
	}
	return marshal("r4.Provenance", out)
}
