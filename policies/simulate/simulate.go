// Package simulate answers "what if" about policies: which cells of a matrix of
// roles, types, actions and purposes are allowed, what a new revision changes,
// row by row and in effect, how recorded decisions would come out under it, and
// why one request is decided as it is.
//
// It asks the same policies.Engine that decides live requests, so that its
// answers are theirs. It changes nothing and records nothing.
package simulate

import (
	"context"
	"slices"

	"galen/fhir"
	"galen/fhir/spec"
	"galen/policies"
)

// Matrix is what to ask: every combination is a cell. An empty list of roles
// means all that the policy knows, of types all resource types, of actions the
// five interactions, of purposes a token that states none.
type Matrix struct {
	Roles    []string          `json:"roles"`
	Types    []string          `json:"types"`
	Actions  []policies.Action `json:"actions"`
	Purposes []string          `json:"purposes"`
	Patient  string            `json:"patient"` // logical id in the token
	Org      string            `json:"org"`
	Scope    *string           `json:"scope"` // nil for a token without scopes
}

// Cell is the answer for one combination.
type Cell struct {
	Role    string          `json:"role"`
	Type    string          `json:"type,omitempty"`
	Action  policies.Action `json:"action"`
	Purpose string          `json:"purpose,omitempty"`
	Allow   bool            `json:"allow"`
	Limited bool            `json:"limited,omitempty"` // only some resources
	Rule    string          `json:"rule,omitempty"`
	Reason  policies.Reason `json:"reason"`
}

// maxCells bounds one simulation.
const maxCells = 200_000

// Run answers a matrix. The error is of Kind TooCostly for more than 200,000 cells,
// Value for an action that does not exist.
func Run(ctx context.Context, e *policies.Engine, defs *spec.Definitions, m Matrix) ([]Cell, error) {
	const op = "simulate.Run"
	m = m.filled(e, defs)
	if n := len(m.Roles) * len(m.Types) * len(m.Actions) * len(m.Purposes); n > maxCells {
		return nil, fhir.E(op, fhir.TooCostly, "", "the matrix has more than 200,000 cells")
	}
	if slices.ContainsFunc(m.Actions, func(a policies.Action) bool { return !slices.Contains(policies.Actions(), a) }) {
		return nil, fhir.E(op, fhir.Value, "actions", "there is no such action")
	}
	var cells []Cell
	for _, role := range m.Roles {
		for _, purpose := range m.Purposes {
			p := policies.Principal{Subject: "simulation", Roles: []string{role}, Purpose: purpose, Patient: m.Patient, Org: m.Org}
			if m.Scope != nil {
				p.Scopes, _ = policies.ParseScopes(*m.Scope)
				if p.Scopes == nil {
					p.Scopes = []policies.Scope{}
				}
			}
			for _, action := range m.Actions {
				for _, name := range m.typesFor(action) {
					d := e.Decide(ctx, p, policies.Request{Action: action, Type: name})
					cells = append(cells, Cell{role, name, action, purpose, d.Allow, d.Filter != nil, d.Rule, d.Reason})
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, &fhir.Error{Op: op, Kind: fhir.Timeout, Err: err}
		}
	}
	return cells, nil
}

// filled replaces empty lists by what they mean.
func (m Matrix) filled(e *policies.Engine, defs *spec.Definitions) Matrix {
	if len(m.Roles) == 0 {
		m.Roles = e.Roles()
	}
	if len(m.Types) == 0 {
		m.Types = defs.ResourceTypes()
	}
	if len(m.Actions) == 0 {
		m.Actions = []policies.Action{policies.Read, policies.Search, policies.Create, policies.Update, policies.Delete}
	}
	if len(m.Purposes) == 0 {
		m.Purposes = []string{""}
	}
	return m
}

// typed are the actions that are no interactions and have types of their own.
func typed(a policies.Action) bool {
	switch a {
	case policies.Invoke, policies.Feedback, policies.ModelRead, policies.ModelPromote, policies.ModelRetire, policies.ModelInfer:
		return true
	}
	return a.Interaction()
}

// typesFor are the types of an action; one cell for an action without types.
func (m *Matrix) typesFor(a policies.Action) []string {
	if !typed(a) {
		return []string{""}
	}
	return m.Types
}
