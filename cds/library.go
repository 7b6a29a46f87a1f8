package cds

import (
	"encoding/json"
	"strings"

	"galen/fhir"
	"galen/models"
	"galen/models/card"
)

// LibraryKey is where a model version stands as a Library, with its cards.
func LibraryKey(ref models.Ref) fhir.Key { return fhir.Key{Type: "Library", ID: DeviceKey(ref).ID} }

// libraryURL begins the canonical of a model: its name follows.
const libraryURL = "http://galen.health/fhir/Library/"

// The types are what is written of https://hl7.org/fhir/R4/library.html.
type library struct {
	ResourceType string       `json:"resourceType"`
	URL          string       `json:"url"`
	Identifier   []identifier `json:"identifier"`
	Version      string       `json:"version"`
	Name         string       `json:"name"`
	Title        string       `json:"title"`
	Status       string       `json:"status"`
	Type         concept      `json:"type"`
	Publisher    string       `json:"publisher"`
	Description  string       `json:"description"`
	Purpose      string       `json:"purpose"`
	Usage        string       `json:"usage"`
	Related      []related    `json:"relatedArtifact,omitempty"`
	Content      []attachment `json:"content"`
}

type concept struct {
	Coding []coding `json:"coding"`
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type related struct {
	Type  string `json:"type"`
	Label string `json:"label"`
	URL   string `json:"url"`
}

type attachment struct {
	ContentType string `json:"contentType"`
	Title       string `json:"title"`
	Data        []byte `json:"data"` // base64 in JSON, as FHIR has it
}

// libraryOf is a model version as a Library: who made it for what, its sources,
// the card that its makers wrote, and the cards made from its manifest.
func libraryOf(info *models.Info) ([]byte, error) {
	const op = "cds.library"
	m := info.Manifest
	chai, err := card.CHAI(m)
	if err != nil {
		return nil, &fhir.Error{Op: op, Err: err}
	}
	l := library{
		ResourceType: "Library", URL: libraryURL + m.Name, Version: string(m.Version),
		Identifier: []identifier{{System: ModelSystem, Value: info.Ref.String()}},
		Name:       "Model_" + strings.ReplaceAll(m.Name, "-", "_"), Title: m.Title, Status: "active",
		Type:      concept{[]coding{{"http://terminology.hl7.org/CodeSystem/library-type", "logic-library"}}},
		Publisher: m.Developer.Name, Description: m.Description, Purpose: m.Use.Intended,
		Usage: "Not for: " + strings.Join(m.Use.Contraindicated, "; "),
		Content: []attachment{
			{"text/markdown", "Model card", []byte(info.Card)},
			{"text/markdown", "Source attributes (45 CFR 170.315(b)(11))", []byte(card.Markdown(m))},
			{"application/xml", "CHAI Applied Model Card 0.2", chai},
		},
	}
	for _, c := range m.Citations {
		l.Related = append(l.Related, related{"citation", c.Label, c.URL})
	}
	body, err := json.Marshal(l)
	if err != nil {
		return nil, &fhir.Error{Op: op, Err: err}
	}
	return body, nil
}
