// Package balp shows audit entries as FHIR R4 AuditEvents after IHE Basic Audit
// Log Patterns 1.1 (https://profiles.ihe.net/ITI/BALP/).
//
// It promises valid R4, ids that follow from the entry's number, one AuditEvent
// for each patient, and that meta.profile names only what the event meets. What
// BALP has no pattern for uses the codes of DICOM PS3.16, and urn:galen codes
// where no standard has one.
//
// It stores nothing and adds nothing that the entry does not say.
package balp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/policies/audit"
)

// Renderer shows entries as AuditEvents.
type Renderer struct {
	Site string // who recorded it: the name of this server
	Base string // the server's FHIR base URL
}

var _ audit.Renderer = Renderer{}

// Render is the AuditEvents of an entry, stamped as version 1: one for each
// patient, and one if there is none. The ids follow from the number of the
// entry: "a12", or "a12-1", "a12-2" for several. meta.profile names the BALP
// profiles that the event meets: those are for successes only.
func (r Renderer) Render(e audit.Entry) ([]fhir.Resource, error) {
	if e.Kind == audit.Received {
		return received(e)
	}
	patients := slices.Compact(slices.Sorted(slices.Values(e.Patients)))
	if len(patients) == 0 {
		patients = []string{""}
	}
	id := audit.EventID(e.Seq)
	all := make([]fhir.Resource, 0, len(patients))
	for i, patient := range patients {
		name := id
		if len(patients) > 1 {
			name = id + "-" + strconv.Itoa(i+1)
		}
		one, err := r.event(&e, name, patient)
		if err != nil {
			return nil, &fhir.Error{Op: "balp.Render", Err: err}
		}
		all = append(all, one)
	}
	return all, nil
}

// received is an AuditEvent of another system as it came, none once it is
// erased.
func received(e audit.Entry) ([]fhir.Resource, error) {
	if len(e.Query) == 0 {
		return nil, nil
	}
	sent, err := fhir.Parse(e.Query, jsontree.Limits{})
	if err != nil {
		return nil, &fhir.Error{Op: "balp.Render", Err: err}
	}
	id := cmp.Or(e.Object, audit.EventID(e.Seq))
	stamped := sent.Stamp(fhir.Header{Key: fhir.Key{Type: "AuditEvent", ID: id}, Version: 1, LastUpdated: e.Time})
	one, err := fhir.Parse(stamped, jsontree.Limits{})
	if err != nil {
		return nil, &fhir.Error{Op: "balp.Render", Err: err}
	}
	return []fhir.Resource{one}, nil
}

func (r Renderer) event(e *audit.Entry, id, patient string) (fhir.Resource, error) {
	s := shapeOf(e.Kind)
	at := fhir.FormatInstant(e.Time)
	event := auditEvent{
		ResourceType: "AuditEvent", ID: id,
		Meta: meta{VersionID: "1", LastUpdated: at, Profile: profiles(e, s, patient)},
		Type: s.event, Subtype: []coding{s.subtype}, Action: s.action,
		Recorded: at, Outcome: strconv.Itoa(int(e.Outcome)), OutcomeDesc: e.Reason,
		PurposeOfEvent: purpose(e), Agent: r.agents(e, s),
		Source: observer{r.Site, r.self(), []coding{{systemSource, "4", "Application Server"}}},
		Entity: entities(e, s, patient),
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(event); err != nil {
		return fhir.Resource{}, err
	}
	return fhir.Parse(bytes.TrimSpace(b.Bytes()), jsontree.Limits{})
}

// profiles are the BALP profiles that the event meets.
func profiles(e *audit.Entry, s shape, patient string) []string {
	query := s.profile == "Query"
	switch {
	case e.Outcome != audit.Success || s.profile == "" || e.Agent.Address == "":
		return nil // BALP: successes only, network 1..1
	case query && len(e.Query) == 0, !query && len(e.Resources) != 1:
		return nil // entity[query] 1..1, entity[data] 1..1
	}
	name := s.profile
	if patient != "" {
		name = "Patient" + name
	}
	list := []string{profileBase + name}
	if e.Agent.TokenID != "" {
		list = append(list, profileToken)
	}
	return list
}

func purpose(e *audit.Entry) []concept {
	if e.Agent.Purpose == "" {
		return nil
	}
	return []concept{{Coding: []coding{{System: systemPurpose, Code: e.Agent.Purpose}}}}
}

func (r Renderer) self() reference {
	return reference{Identifier: &identifier{Value: r.Base}, Display: r.Site}
}

// agents are the client, the server, the user, and the use of the token.
func (r Renderer) agents(e *audit.Entry, s shape) []agent {
	destination := concept{Coding: []coding{{systemDCM, "110152", "Destination Role ID"}}}
	source := concept{Coding: []coding{{systemDCM, "110153", "Source Role ID"}}}
	client := agent{Type: &source, Who: clientOf(e)}
	self := r.self()
	server := agent{Type: &destination, Who: &self, Network: &network{r.Base, "5"}} // 5: URI
	if s.reads {
		client.Type, server.Type = server.Type, client.Type
	}
	if e.Agent.Address != "" {
		client.Network = &network{e.Agent.Address, "2"} // 2: IP address
	}
	list := []agent{client, server}
	if e.Agent.Subject != "" || e.Agent.FHIRUser != "" {
		list = append(list, user(e, s))
	}
	if e.Agent.TokenID != "" {
		list = append(list, agent{
			Type:      &concept{Coding: []coding{{systemBALPAgent, "UserOauthAgent", "User OAuth Agent participant"}}},
			Requestor: true, Policy: []string{"urn:ietf:params:oauth:jti:" + url.PathEscape(e.Agent.TokenID)},
		})
	}
	return list
}

func clientOf(e *audit.Entry) *reference {
	switch {
	case e.Agent.Client != "":
		return &reference{Identifier: &identifier{Value: e.Agent.Client}}
	case e.Agent.Address != "":
		return &reference{Display: e.Agent.Address}
	}
	return &reference{Display: "unknown"}
}

// user is the human or system in whose name it was done, with the rule that
// allowed or denied it.
func user(e *audit.Entry, s shape) agent {
	a := agent{
		Type:  &concept{Coding: []coding{{System: systemPart, Code: s.user}}},
		AltID: e.Agent.Subject, Requestor: true, PurposeOfUse: purpose(e), Who: who(e),
	}
	for _, role := range e.Agent.Roles {
		a.Role = append(a.Role, concept{Text: role})
	}
	if e.Decision.Revision != "" {
		policy := "urn:galen:policy:" + e.Decision.Revision
		if e.Decision.Rule != "" {
			policy += ":" + e.Decision.Rule
		}
		a.Policy = []string{policy}
	}
	return a
}

// who is the user as a resource where R4 allows its type here, else by name.
func who(e *audit.Entry) *reference {
	key := fhir.ParseReference(e.Agent.FHIRUser).Key
	switch key.Type {
	case "Practitioner", "PractitionerRole", "Organization", "Device", "Patient", "RelatedPerson":
		return &reference{Reference: key.String()}
	}
	if e.Agent.Subject == "" {
		return &reference{Display: "unknown"}
	}
	return &reference{Identifier: &identifier{Value: e.Agent.Subject}}
}

// entities are what it was done to. A query does not list what it found (BALP).
func entities(e *audit.Entry, s shape, patient string) []entity {
	var list []entity
	object := coding{systemEntityType, "2", "System Object"}
	if s.profile == "Query" {
		query := entity{Type: &object, Role: &coding{systemObjectRole, "24", "Query"}, Query: e.Query}
		if len(e.Query) == 0 {
			query.Name = "erased" // R4 sev-1 allows one of name and query
		}
		list = append(list, query)
	} else {
		for _, ref := range slices.Concat(e.Resources, e.Assessments) {
			list = append(list, entity{
				What: &reference{Reference: ref}, Type: &object, Role: &coding{systemObjectRole, "4", "Domain Resource"},
			})
		}
	}
	if patient != "" {
		list = append(list, entity{
			What: &reference{Reference: patient},
			Type: &coding{systemEntityType, "1", "Person"}, Role: &coding{systemObjectRole, "1", "Patient"},
		})
	}
	if e.Request != "" {
		list = append(list, entity{
			What: &reference{Identifier: &identifier{Value: e.Request}}, Type: &coding{System: systemBALPEntity, Code: "XrequestId"},
		})
	}
	return append(list, activity(e)...)
}

// activity is the service, model and objects that are no resources.
func activity(e *audit.Entry) []entity {
	var list []entity
	add := func(kind, name string, details ...detail) {
		if name != "" {
			details = slices.DeleteFunc(details, func(d detail) bool { return d.Value == "" })
			list = append(list, entity{
				What: &reference{Identifier: &identifier{systemOwn + ":" + kind, name}},
				Type: &coding{systemEntityType, "4", "Other"}, Role: &coding{systemObjectRole, "20", "Job"}, Detail: details,
			})
		}
	}
	add("service", e.Service, detail{"hookInstance", e.Call}, detail{"cards", strings.Join(e.Cards, " ")})
	add("model", e.Model.Name, detail{"version", e.Model.Version}, detail{"sha256", e.Model.Digest})
	add("object", e.Object)
	return list
}
