package consent

import (
	"context"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/store"
)

// reader is where Groups, CareTeams and PractitionerRoles are looked up.
type reader interface {
	Read(ctx context.Context, keys ...fhir.Key) ([]store.Record, error)
}

const (
	// maxNesting is how deep groups of groups are followed.
	maxNesting = 4
	// lookupTime is how long one look-up may take; then its members are not known.
	lookupTime = 2 * time.Second
)

// collective reports whether the type of an actor stands for others, and so changes
// who is meant when it is written.
func collective(resourceType string) bool {
	return resourceType == "Group" || resourceType == "CareTeam" || resourceType == "PractitionerRole"
}

// belongs reports whether the principal is among those for whom an actor stands;
// known is false if that cannot be told: it is not here, is nested too deep, is
// described by characteristics, or the team is not active any more.
func (q *question) belongs(key fhir.Key, depth int) (in, known bool) {
	root, ok := q.look(key)
	if !ok || depth == 0 {
		return false, false
	}
	switch key.Type {
	case "PractitionerRole":
		active := root.Get("active").Kind() != jsontree.False && q.within(period(root.Get("period")))
		in, known = q.among(root.Get("practitioner"), depth)
		return in && active, known
	case "Group":
		in, known = q.listed(root.Get("member"), "entity", depth)
		return in, known && (in || root.Get("actual").Kind() == jsontree.True)
	}
	in, known = q.listed(root.Get("participant"), "member", depth)
	return in, known && (!in || root.Get("status").Text() == "active" && q.within(period(root.Get("period"))))
}

// listed goes through the members of a group or team.
func (q *question) listed(members jsontree.Node, element string, depth int) (in, known bool) {
	known = true
	for m := range members.Items() {
		if m.Get("inactive").Kind() == jsontree.True || !q.within(period(m.Get("period"))) {
			continue
		}
		one, sure := q.among(m.Get(element), depth)
		if one && sure {
			return true, true
		}
		known = known && sure
	}
	return false, known
}

// among reports whether a reference means the principal, directly or by way of
// another group.
func (q *question) among(reference jsontree.Node, depth int) (in, known bool) {
	a := actor{fhir.ParseReference(reference.Get("reference").Text()).Key, reference.Get("identifier").Get("value").Text()}
	if collective(a.key.Type) && q.principal.FHIRUser != a.key.String() {
		return q.belongs(a.key, depth-1)
	}
	yes, no := q.isActor(a, true), q.isActor(a, false)
	return yes, yes == no
}

// look reads a resource. One that cannot be read now is asked for again at the
// next question.
func (q *question) look(key fhir.Key) (jsontree.Node, bool) {
	if q.reader == nil || key.ID == "" {
		return jsontree.Node{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	records, err := q.reader.Read(ctx, key)
	if err != nil {
		q.until = q.now
		return jsontree.Node{}, false
	}
	if len(records) != 1 || !records[0].Exists() || records[0].Deleted {
		return jsontree.Node{}, false
	}
	r, err := fhir.Parse(records[0].Body, jsontree.Limits{})
	return r.Root(), err == nil
}
