package simulate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"galen/fhir/spec"
	"galen/policies"
)

// RowChange is a row that one revision has and the other has not, or not so.
type RowChange struct {
	Change string `json:"change"` // added, removed, changed
	ID     string `json:"id"`
	Before string `json:"before,omitempty"` // the row as policy.csv writes it
	After  string `json:"after,omitempty"`
}

// Rows compares the lines of two policies: rows and clearances by their id, other
// lines as they are.
func Rows(before, after string) []RowChange {
	a, b := lines(before), lines(after)
	var out []RowChange
	for id, text := range a {
		if other, ok := b[id]; !ok {
			out = append(out, RowChange{"removed", id, text, ""})
		} else if other != text {
			out = append(out, RowChange{"changed", id, text, other})
		}
	}
	for id, text := range b {
		if _, ok := a[id]; !ok {
			out = append(out, RowChange{"added", id, "", text})
		}
	}
	slices.SortFunc(out, func(x, y RowChange) int { return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Change, y.Change)) })
	return out
}

// lines are the lines of a policy by what identifies them, white space made even.
func lines(policy string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(policy) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		text := strings.Join(fields, ", ")
		switch fields[0] {
		case "p", "l":
			all[fields[len(fields)-1]] = text
		case "t":
			all["t "+fields[min(1, len(fields)-1)]] = text
		case "g":
			all[text] = text
		}
	}
	return all
}

// Effect is what a role gains or loses: one action for one purpose, and the types.
type Effect struct {
	Role    string          `json:"role"`
	Change  string          `json:"change"` // gains, loses, is limited in, is no longer limited in
	Action  policies.Action `json:"action"`
	Types   []string        `json:"types,omitempty"`
	Purpose string          `json:"purpose,omitempty"` // "" for a token that states none or any other
	Text    string          `json:"text"`              // "nurse gains read RiskAssessment for HPAYMT"
}

// Effects compares what two engines decide for every role, type, action and
// purpose that either of them tells apart.
func Effects(ctx context.Context, before, after *policies.Engine, defs *spec.Definitions) ([]Effect, error) {
	interactions := func(a policies.Action) bool { return a.Interaction() }
	m := Matrix{
		Roles: union(before.Roles(), after.Roles()), Patient: "simulated",
		Purposes: union([]string{""}, purposes(before), purposes(after)), Types: append([]string{""}, defs.ResourceTypes()...),
	}
	var a, b []Cell
	for _, part := range []struct {
		actions []policies.Action
		types   []string
	}{
		{slices.DeleteFunc(policies.Actions(), func(a policies.Action) bool { return !interactions(a) }), m.Types},
		{slices.DeleteFunc(policies.Actions(), interactions), union(services(before), services(after))},
	} {
		m.Actions, m.Types = part.actions, part.types
		for into, engine := range map[*[]Cell]*policies.Engine{&a: before, &b: after} {
			cells, err := Run(ctx, engine, defs, m)
			if err != nil {
				return nil, err
			}
			*into = append(*into, cells...)
		}
	}
	at := map[[4]string]int{} // all but the types → place in out
	var out []Effect
	for i := range a {
		change := difference(a[i], b[i])
		if change == "" {
			continue
		}
		e := Effect{Role: a[i].Role, Change: change, Action: a[i].Action, Purpose: a[i].Purpose}
		k := [4]string{e.Role, e.Change, string(e.Action), e.Purpose}
		n, ok := at[k]
		if !ok {
			n = len(out)
			out = append(out, e)
			at[k] = n
		}
		if a[i].Type != "" {
			out[n].Types = append(out[n].Types, a[i].Type)
		}
	}
	for i := range out {
		out[i].Text = out[i].String()
	}
	return out, nil
}

// String says the effect as a person would.
func (e Effect) String() string {
	text := e.Role + " " + e.Change + " " + string(e.Action)
	if len(e.Types) > 0 {
		text += " " + strings.Join(e.Types, ", ")
	}
	if e.Purpose != "" {
		text += " for " + e.Purpose
	}
	return text
}

func difference(before, after Cell) string {
	switch {
	case !before.Allow && after.Allow:
		return "gains"
	case before.Allow && !after.Allow:
		return "loses"
	case before.Allow && !before.Limited && after.Limited:
		return "is limited in"
	case before.Allow && before.Limited && !after.Limited:
		return "is no longer limited in"
	}
	return ""
}

// purposes are those that some row names.
func purposes(e *policies.Engine) []string {
	var list []string
	for _, r := range e.Rows() {
		list = append(list, r.Purposes...)
	}
	return list
}

// services are the types of rows that are no resource types.
func services(e *policies.Engine) []string {
	list := []string{"a-service"} // stands for any that no row names
	for _, r := range e.Rows() {
		if !r.Actions[0].Interaction() && r.Type != "*" {
			list = append(list, r.Type)
		}
	}
	return list
}

func union(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}
