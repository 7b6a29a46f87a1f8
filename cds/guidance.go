package cds

import (
	"encoding/json"
	"time"

	"galen/fhir"
	"galen/store"
)

// Notes is a card that shows no assessment but says why there is none.
type Notes struct {
	Card   string // its uuid, "" for no such card
	Module string // URI of the service that gave it
	At     time.Time
	Texts  []string // why there is none; no values of a patient
}

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

// guidance is the notes as a GuidanceResponse that asks for more data, so that
// feedback on the card finds what it is about.
func (l *Ledger) guidance(c Context) (store.Change, error) {
	g := guidanceResponse{
		ResourceType: "GuidanceResponse", Identifier: []identifier{{uriSystem, "urn:uuid:" + c.Notes.Card}},
		ModuleURI: c.Notes.Module, Status: "data-required", Subject: literal{c.Subject},
		Occurrence: fhir.FormatInstant(c.Notes.At),
	}
	if c.Encounter != "" {
		g.Encounter = &literal{c.Encounter}
	}
	for _, text := range c.Notes.Texts {
		g.Note = append(g.Note, annotation{text})
	}
	body, err := json.Marshal(g)
	if err != nil {
		return store.Change{}, &fhir.Error{Op: "cds.guidance", Err: err}
	}
	return change(store.Post, fhir.Key{Type: "GuidanceResponse", ID: l.store.NewID()}, body)
}
