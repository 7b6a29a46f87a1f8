package feedback

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/store"
)

// Book keeps feedback in a store. It is safe for concurrent use.
type Book struct{ store *store.Store }

// NewBook returns a Book over the store in which the assessments are.
func NewBook(s *store.Store) *Book { return &Book{s} }

// About is what a card showed: one or more RiskAssessments, or the
// GuidanceResponse that says why there was none.
type About struct {
	Subject   string   // reference to the patient
	Encounter string   // reference, "" for none
	Results   []string // versioned references
	Models    []string // references to the Devices that made them
	Methods   []string // name@version of the models, or "rule:" and the name of a rule
}

// uris is the system of an identifier that is a URI.
const uris = "urn:ietf:rfc:3986"

// maxResults is how many results one card can show.
const maxResults = 100

// Find tells what a card showed. The error is of Kind NotFound for a card that
// this server never gave.
func (b *Book) Find(ctx context.Context, card string) (About, error) {
	keys, err := b.store.Match(ctx, &search.Query{
		Types: []string{"RiskAssessment", "GuidanceResponse"},
		Where: search.Where{Param: "identifier", Any: []search.Test{search.TokenTest{System: uris, Code: "urn:uuid:" + card}}},
	}, maxResults)
	if err != nil {
		return About{}, err
	}
	records, err := b.store.ReadMany(ctx, keys...)
	if err != nil {
		return About{}, err
	}
	var a About
	for _, rec := range records {
		if !rec.Exists() || rec.Deleted {
			continue
		}
		r, err := fhir.Parse(rec.Body, jsontree.Limits{})
		if err != nil {
			return About{}, err
		}
		a.add(rec, r.Root())
	}
	if len(a.Results) == 0 {
		return a, fhir.E("feedback.Find", fhir.NotFound, "", "no such card was given")
	}
	return a, nil
}

func (a *About) add(rec store.Record, root jsontree.Node) {
	a.Subject = root.Get("subject").Get("reference").Text()
	a.Encounter = root.Get("encounter").Get("reference").Text()
	a.Results = append(a.Results, fhir.VersionedReference(rec.Key, rec.Version))
	if device := root.Get("performer").Get("reference").Text(); device != "" {
		a.Models = append(a.Models, device)
	}
	if rule, ok := strings.CutPrefix(root.Get("moduleUri").Text(), "urn:galen:rule:"); ok {
		_, name, _ := strings.Cut(rule, "/")
		a.Methods = append(a.Methods, "rule:"+name)
	}
	for coding := range root.Get("method").Get("coding").Items() {
		if code := coding.Get("code").Text(); strings.Contains(code, "@") {
			a.Methods = append(a.Methods, code)
		}
	}
}

// Entry is one piece of feedback with what it is about and who gave it.
type Entry struct {
	Feedback
	About
	Service string // id of the service that gave the card
	Sender  string // reference to the user, "" if it is not known
}

// Kept is the Communication of an Entry.
type Kept struct {
	fhir.Header
	New bool // it was not there before
}

// Keep stores the entries, all or none, and returns the Communications by
// position. What was stored before stays as it is.
func (b *Book) Keep(ctx context.Context, entries []Entry) ([]Kept, error) {
	var changes []store.Change
	at := map[fhir.Key]int{}
	position := make([]int, len(entries))
	for i := range entries {
		key := entries[i].key()
		n, twice := at[key]
		if !twice {
			c, err := entries[i].change(key)
			if err != nil {
				return nil, err
			}
			n = len(changes)
			at[key], changes = n, append(changes, c)
		}
		position[i] = n
	}
	results, err := b.store.Each(ctx, changes)
	if err != nil {
		return nil, err
	}
	out := make([]Kept, len(entries))
	counted := map[int]bool{}
	for i, n := range position {
		out[i] = Kept{results[n].Header, results[n].Outcome == store.Created && !counted[n]}
		counted[n] = true
	}
	return out, nil
}

// key is the same for the same feedback, so that it is stored once.
func (e *Entry) key() fhir.Key {
	parts := append([]string{
		e.Service, e.Card, string(e.Outcome), e.At.Format("2006-01-02T15:04:05.999999999Z"),
		e.Reason.System, e.Reason.Code, e.Comment,
	}, e.Suggestions...)
	name := strings.Join(parts, "\x00")
	return fhir.Key{Type: "Communication", ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:galen:feedback:"+name)).String()}
}

// Code systems of the Communications.
const (
	CategorySystem = "http://galen.health/fhir/CodeSystem/communication-category"
	OutcomeSystem  = "http://galen.health/fhir/CodeSystem/card-outcome"
)

// The parts of https://hl7.org/fhir/R4/communication.html that are written.
type (
	communication struct {
		ResourceType string       `json:"resourceType"`
		ID           string       `json:"id"`
		Identifier   []identifier `json:"identifier"`
		Status       string       `json:"status"`
		Category     []concept    `json:"category"`
		Subject      *reference   `json:"subject,omitempty"`
		Topic        concept      `json:"topic"`
		About        []reference  `json:"about"`
		Encounter    *reference   `json:"encounter,omitempty"`
		Sent         string       `json:"sent"`
		Recipient    []reference  `json:"recipient,omitempty"`
		Sender       *reference   `json:"sender,omitempty"`
		ReasonCode   []concept    `json:"reasonCode,omitempty"`
		Payload      []payload    `json:"payload,omitempty"`
		Note         []annotation `json:"note,omitempty"`
	}
	identifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	}
	coding struct {
		System  string `json:"system,omitempty"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	concept struct {
		Coding []coding `json:"coding"`
	}
	reference struct {
		Reference string `json:"reference"`
	}
	payload struct {
		Content string `json:"contentString"`
	}
	annotation struct {
		Text string `json:"text"`
	}
)

func (e *Entry) change(key fhir.Key) (store.Change, error) {
	c := communication{
		ResourceType: key.Type, ID: key.ID, Identifier: []identifier{{uris, "urn:uuid:" + e.Card}}, Status: "completed",
		Category: []concept{{[]coding{{CategorySystem, "cds-feedback", "Feedback on a CDS card"}}}},
		Topic:    concept{[]coding{{OutcomeSystem, string(e.Outcome), string(e.Outcome)}}},
		Subject:  optional(e.Subject), Encounter: optional(e.Encounter), Sender: optional(e.Sender),
		About: references(e.Results), Recipient: references(e.Models), Sent: fhir.FormatInstant(e.At),
	}
	if e.Reason.Code != "" {
		c.ReasonCode = []concept{{[]coding{{e.Reason.System, e.Reason.Code, e.Reason.Display}}}}
	}
	if e.Comment != "" {
		c.Payload = []payload{{e.Comment}}
	}
	if len(e.Suggestions) > 0 {
		c.Note = []annotation{{"Accepted suggestions: " + strings.Join(e.Suggestions, " ")}}
	}
	body, err := json.Marshal(c)
	if err != nil {
		return store.Change{}, &fhir.Error{Op: "feedback.Keep", Err: err}
	}
	r, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return store.Change{}, &fhir.Error{Op: "feedback.Keep", Err: err}
	}
	return store.Change{Method: store.Put, Key: key, Resource: r}, nil
}

func optional(text string) *reference {
	if text == "" {
		return nil
	}
	return &reference{text}
}

func references(texts []string) []reference {
	var out []reference
	for _, t := range texts {
		out = append(out, reference{t})
	}
	return out
}
