package audit

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"galen/fhir/jsontree"
)

var errEntry = errors.New("not an audit entry")

// decodeEntry reads a canonical entry. It keeps nothing of b.
func decodeEntry(b []byte) (Entry, error) {
	doc, err := jsontree.Parse(bytes.Clone(b), jsontree.Limits{Bytes: maxEntry, Depth: 8})
	if err != nil {
		return Entry{}, errEntry
	}
	root := doc.Root()
	seq, err1 := strconv.ParseUint(root.Get("seq").Text(), 10, 64)
	outcome, err2 := strconv.ParseUint(root.Get("outcome").Text(), 10, 8)
	at, err3 := time.Parse(timeLayout, root.Get("time").Text())
	if err1 != nil || err2 != nil || err3 != nil {
		return Entry{}, errEntry
	}
	model, decision := root.Get("model"), root.Get("decision")
	return Entry{
		Seq: seq, Time: at, Outcome: Outcome(outcome),
		Kind: Kind(text(root, "kind")), Reason: text(root, "reason"), Request: text(root, "request"),
		Decision:  Decision{decision.Get("allow").Kind() == jsontree.True, text(decision, "rule"), text(decision, "revision")},
		Agent:     decodeAgent(root.Get("agent")),
		Resources: texts(root, "resources"), Patients: texts(root, "patients"),
		Service: text(root, "service"), Call: text(root, "call"), Object: text(root, "object"),
		Model:       Model{text(model, "name"), text(model, "version"), text(model, "digest")},
		Assessments: texts(root, "assessments"), Cards: texts(root, "cards"), Commitment: text(root, "private"),
	}, nil
}

func decodeAgent(n jsontree.Node) Agent {
	return Agent{
		Subject: text(n, "subject"), FHIRUser: text(n, "user"), Client: text(n, "client"), Org: text(n, "org"),
		Roles: texts(n, "roles"), Purpose: text(n, "purpose"), Patient: text(n, "patient"), Address: text(n, "address"), TokenID: text(n, "jti"),
	}
}

func text(n jsontree.Node, name string) string { return n.Get(name).Text() }

func texts(n jsontree.Node, name string) []string {
	var list []string
	for item := range n.Get(name).Items() {
		list = append(list, item.Text())
	}
	return list
}
