// Package care knows who cares for whom: the members of a CareTeam that is
// active, those who take part in an Encounter that is under way or planned, the
// manager of an EpisodeOfCare, and the general practitioner of a Patient.
//
// It promises that a relationship that was written counts from the next question
// on. It decides nothing: the condition care-team of policies does.
package care

import (
	"context"
	"slices"
	"sync"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/policies"
	"galen/store"
)

// Relations answers from a store. It is safe for concurrent use.
type Relations struct {
	driver store.Driver

	mu         sync.Mutex
	generation uint64
	known      map[fhir.Key]patients
}

var _ policies.Relations = (*Relations)(nil)

// patients is an answer and the generation it was read in.
type patients struct {
	generation uint64
	ids        []string
}

// maxUsers bounds the memory.
const maxUsers = 10_000

// New answers from that driver.
func New(driver store.Driver) *Relations {
	return &Relations{driver: driver, known: map[fhir.Key]patients{}}
}

// way is one kind of relationship.
type way struct {
	resourceType string
	params       []string // that name the user
	member       string   // element that names the patient; "" for the resource itself
	status       []string // that count; nil for all
}

func ways() []way {
	return []way{
		{"CareTeam", []string{"participant"}, "subject", []string{"active"}},
		{"Encounter", []string{"participant"}, "subject", []string{"planned", "arrived", "triaged", "in-progress", "onleave"}},
		{"EpisodeOfCare", []string{"care-manager"}, "patient", []string{"planned", "active", "onhold"}},
		{"Patient", []string{"general-practitioner"}, "", nil},
	}
}

// Seen forgets what a write may have changed.
func (r *Relations) Seen(writes []store.Write) {
	for i := range writes {
		switch writes[i].Type {
		case "CareTeam", "Encounter", "EpisodeOfCare", "Patient":
			r.mu.Lock()
			r.generation++
			r.mu.Unlock()
			return
		}
	}
}

// Patients implements policies.Relations.
func (r *Relations) Patients(ctx context.Context, user fhir.Key) ([]string, error) {
	if user.ID == "" {
		return nil, nil
	}
	r.mu.Lock()
	generation := r.generation
	known, ok := r.known[user]
	r.mu.Unlock()
	if ok && known.generation == generation {
		return known.ids, nil
	}
	var ids []string
	for _, w := range ways() {
		found, err := r.find(ctx, w, user)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxUsers {
		clear(r.known)
	}
	r.known[user] = patients{generation, ids}
	return ids, nil
}

// find reads the patients of one kind of relationship.
func (r *Relations) find(ctx context.Context, w way, user fhir.Key) ([]string, error) {
	var where search.All
	for _, p := range w.params {
		where = append(where, search.Where{Param: p, Any: []search.Test{search.ReferenceTest{Key: user}}})
	}
	if w.status != nil {
		tests := make([]search.Test, len(w.status))
		for i, s := range w.status {
			tests[i] = search.TokenTest{Code: s, AnySystem: true}
		}
		where = append(where, search.Where{Param: "status", Any: tests})
	}
	var ids []string
	ask := store.Select{Query: &search.Query{Types: []string{w.resourceType}, Where: where}, Limit: 500}
	for {
		page, err := r.driver.Search(ctx, ask)
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Records {
			if id := w.patient(rec); id != "" {
				ids = append(ids, id)
			}
		}
		if page.Next == nil {
			return ids, nil
		}
		ask.After = page.Next
	}
}

func (w way) patient(rec store.Record) string {
	if w.member == "" {
		return rec.ID
	}
	resource, err := fhir.Parse(rec.Body, jsontree.Limits{})
	if err != nil {
		return ""
	}
	key := fhir.ParseReference(resource.Root().Get(w.member).Get("reference").Text()).Key
	if key.Type != "Patient" {
		return ""
	}
	return key.ID
}
