package card

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Check holds a card against the rules of
// https://cds-hooks.hl7.org/2.0/#card-attributes and the invariants cds-resp-1
// to cds-resp-7 of HL7's logical model. The issues' places are within the card;
// none means that the card may leave.
func Check(c *Card) fhir.Issues {
	k := &checker{}
	k.need(uuid.Validate(c.UUID) == nil, "uuid", "must be a UUID")
	k.need(c.Summary != "" && length(c.Summary) <= MaxSummary, "summary", "must have 1 to 139 characters")
	k.need(c.Indicator.Urgency() >= 0, "indicator", "must be info, warning or critical")
	k.need(c.Source.Label != "", "source.label", "must be there")
	k.need(c.Source.URL == "" || absolute(c.Source.URL), "source.url", "must be absolute")
	k.need(c.Source.Icon == "" || absolute(c.Source.Icon), "source.icon", "must be absolute")
	if t := c.Source.Topic; t != nil {
		k.need(t.Code != "" && t.System != "", "source.topic", "must have code and system")
	}
	k.suggestions(c)
	for i, r := range c.OverrideReasons { // cds-resp-4: display is what the user reads
		k.need(r.Code != "" && r.System != "" && r.Display != "", at("overrideReasons", i), "must have code, system and display")
	}
	for i, l := range c.Links {
		k.link(&l, at("links", i))
	}
	k.values(c)
	return k.issues
}

func at(name string, i int) string { return fmt.Sprintf("%s[%d]", name, i) }

type checker struct{ issues fhir.Issues }

func (k *checker) need(ok bool, place, message string) {
	if !ok {
		k.issues = append(k.issues, fhir.Issue{Severity: fhir.SeverityError, Kind: fhir.Invalid, At: place, Diagnostics: message})
	}
}

func (k *checker) suggestions(c *Card) {
	if len(c.Suggestions) == 0 {
		k.need(c.SelectionBehavior == "", "selectionBehavior", "is for cards with suggestions")
		return
	}
	k.need(c.SelectionBehavior == AtMostOne || c.SelectionBehavior == Any, "selectionBehavior", "must be at-most-one or any where there are suggestions")
	recommended := 0
	ids := map[string]bool{}
	for i := range c.Suggestions {
		s := &c.Suggestions[i]
		place := at("suggestions", i)
		k.need(s.Label != "", place+".label", "must be there")
		k.need(uuid.Validate(s.UUID) == nil && !ids[s.UUID], place+".uuid", "must be a UUID of its own")
		ids[s.UUID] = true
		if s.Recommended {
			recommended++
		}
		k.need(s.ActionSelection == "" || s.ActionSelection == "any" || s.ActionSelection == "all" || s.ActionSelection == AtMostOne,
			place+".actionSelectionBehavior", "must be any, all or at-most-one")
		for j := range s.Actions {
			k.action(&s.Actions[j], place+"."+at("actions", j))
		}
	}
	// cds-resp-1
	k.need(c.SelectionBehavior != AtMostOne || recommended <= 1, "suggestions", "at most one may be recommended where at most one may be chosen")
}

// action checks cds-resp-2: create and update carry a whole resource, delete the
// id of one and nothing else.
func (k *checker) action(a *Action, place string) {
	k.need(a.Description != "", place+".description", "must be there")
	switch a.Type {
	case "create", "update":
		k.need(a.ResourceID == "", place+".resourceId", "is for delete")
		r, err := fhir.Parse(a.Resource, jsontree.Limits{})
		k.need(err == nil && r.ID != "", place+".resource", "must be a FHIR resource with an id")
	case "delete":
		k.need(len(a.Resource) == 0, place+".resource", "must be absent where something is deleted")
		ref := fhir.ParseReference(a.ResourceID)
		k.need(ref.Key.Type != "" && ref.Base == "", place+".resourceId", "must be a relative reference")
	default:
		k.need(false, place+".type", "must be create, update or delete")
	}
}

// link checks cds-resp-3: appContext is for SMART apps only.
func (k *checker) link(l *Link, place string) {
	k.need(l.Label != "", place+".label", "must be there")
	k.need(absolute(l.URL), place+".url", "must be absolute")
	k.need(l.Type == "absolute" || l.Type == "smart", place+".type", "must be absolute or smart")
	k.need(l.AppContext == "" || l.Type == "smart", place+".appContext", "is for links of type smart")
}

// absolute reports whether a URL is http or https with a host: a script is
// neither.
func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && !strings.ContainsAny(text, " <>\"")
}

// values checks that nothing in the card is null or empty
// (https://cds-hooks.hl7.org/2.0/#json: elements are never null or empty).
func (k *checker) values(c *Card) {
	text, err := json.Marshal(c)
	if err != nil {
		k.need(false, "", "cannot be written as JSON")
		return
	}
	for _, empty := range [][]byte{[]byte(`:null`), []byte(`:""`), []byte(`:[]`), []byte(`:{}`)} {
		k.need(!bytes.Contains(text, empty) || !emptyMember(text), "", "holds a member that is null or empty")
	}
}

// emptyMember looks for such a member outside of strings.
func emptyMember(text []byte) bool {
	doc, err := jsontree.Parse(text, jsontree.Limits{})
	return err != nil || hasEmpty(doc.Root())
}

func hasEmpty(n jsontree.Node) bool {
	switch n.Kind() {
	case jsontree.Null:
		return true
	case jsontree.String:
		return n.Text() == ""
	case jsontree.Array:
		for item := range n.Items() {
			if hasEmpty(item) {
				return true
			}
		}
		return n.Len() == 0
	case jsontree.Object:
		for _, member := range n.Members() {
			if hasEmpty(member) {
				return true
			}
		}
		return n.Len() == 0
	}
	return false
}
