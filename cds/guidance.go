package cds

import (
	"encoding/json"
	"time"

	"galen/fhir"
	"galen/store"
)

// Guidance is a card that shows no assessment of its own: one that says why there
// is none, or what a rule makes of one.
type Guidance struct {
	Card   string // its uuid
	Module string // URI of the service or rule that gave it
	Status GuidanceStatus
	At     time.Time
	Texts  []string // what it says
}

// GuidanceStatus is GuidanceResponse.status
// (https://hl7.org/fhir/R4/valueset-guidance-response-status.html).
type GuidanceStatus string

// The statuses that are used.
const (
	GuidanceGiven GuidanceStatus = "success"
	DataRequired  GuidanceStatus = "data-required"
)

// guidanceResponse is what is written of
// https://hl7.org/fhir/R4/guidanceresponse.html.
type guidanceResponse struct {
	ResourceType string       `json:"resourceType"`
	Identifier   []identifier `json:"identifier"`
	ModuleURI    string       `json:"moduleUri"`
	Status       string       `json:"status"`
	Subject      literal      `json:"subject"`
	Encounter    *literal     `json:"encounter,omitempty"`
	Occurrence   string       `json:"occurrenceDateTime"`
	Note         []annotation `json:"note,omitempty"`
}

type identifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type literal struct {
	Reference string `json:"reference"`
}

type annotation struct {
	Text string `json:"text"`
}

// guidance is a GuidanceResponse, so that feedback on the card finds what it is
// about.
func (l *Ledger) guidance(c Context, of *Guidance) (store.Change, error) {
	g := guidanceResponse{
		ResourceType: "GuidanceResponse", Identifier: []identifier{{uriSystem, "urn:uuid:" + of.Card}},
		ModuleURI: of.Module, Status: string(of.Status), Subject: literal{c.Subject},
		Occurrence: fhir.FormatInstant(of.At),
	}
	if c.Encounter != "" {
		g.Encounter = &literal{c.Encounter}
	}
	for _, text := range of.Texts {
		g.Note = append(g.Note, annotation{text})
	}
	body, err := json.Marshal(g)
	if err != nil {
		return store.Change{}, &fhir.Error{Op: "cds.guidance", Err: err}
	}
	return change(store.Post, fhir.Key{Type: "GuidanceResponse", ID: l.store.NewID()}, body)
}
