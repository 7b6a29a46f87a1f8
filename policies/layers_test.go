package policies_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/search"
	"galen/policies"
)

func ask(t *testing.T, e *policies.Engine, p policies.Principal, kind string) policies.Decision {
	t.Helper()
	return e.Decide(t.Context(), p, policies.Request{Action: policies.Read, Type: kind})
}

func refersTo(ids ...string) []search.Test {
	var tests []search.Test
	for _, id := range ids {
		tests = append(tests, search.ReferenceTest{Key: fhir.Key{Type: "Patient", ID: id}})
	}
	return tests
}

// Acceptance 31: ?category= applies to read and search alike, as a filter.
func TestGranularScopes(t *testing.T) {
	e := shipped(t)
	laboratory := search.Where{Param: "category", Any: []search.Test{search.TokenTest{Code: "laboratory", AnySystem: true}}}
	vital := search.Where{Param: "category", Any: []search.Test{search.TokenTest{Code: "vital-signs", AnySystem: true}}}
	own := search.Any{search.Where{Param: "subject", Any: refersTo("p1")}, search.Where{Param: "performer", Any: refersTo("p1")}}
	for name, c := range map[string]struct {
		scopes string
		want   search.Expr
		own    bool
	}{
		"one":                 {"user/Observation.rs?category=laboratory", laboratory, false},
		"two add up":          {"user/Observation.rs?category=laboratory user/Observation.r?category=vital-signs", search.Any{laboratory, vital}, false},
		"a plain one is more": {"user/Observation.rs?category=laboratory user/Observation.rs", nil, false},
		"of the own record":   {"patient/Observation.rs?category=laboratory", search.All{own, laboratory}, true},
		"own and all of one category": {
			"patient/Observation.rs user/Observation.rs?category=laboratory", search.Any{own, laboratory}, false,
		},
		"an unknown one adds nothing": {"user/Observation.rs?category=laboratory user/Observation.rs?colour=red", laboratory, false},
	} {
		d := ask(t, e, policies.Principal{Roles: []string{"admin"}, Patient: "p1", Scopes: scopes(t, c.scopes)}, "Observation")
		if diff := cmp.Diff(c.want, d.Filter); diff != "" || !d.Allow || d.Own != c.own {
			t.Errorf("%s: allow %t, own %t (-want +got):\n%s", name, d.Allow, d.Own, diff)
		}
	}
}

// Security labels: what bears one is hidden from whoever is not cleared for it.
func TestLabels(t *testing.T) {
	e := layered(t, `
l, R, doctor, *, r
l, V, doctor, ETREAT, v
l, PSY, -, *, psy
g, chief, doctor, *
p, doctor, *, Observation, read, *, always, allow, a
p, nurse, *, Observation, read, *, always, allow, b
p, nurse, *, Condition, read, *, not-restricted, allow, c
`, policies.Layers{})
	without := func(codes ...string) search.Expr {
		var tests []search.Test
		for _, c := range codes {
			tests = append(tests, search.TokenTest{Code: c, AnySystem: true})
		}
		return search.Not{Of: search.Where{Param: "_security", Any: tests}}
	}
	for name, c := range map[string]struct {
		p    policies.Principal
		kind string
		want search.Expr
	}{
		"not cleared":       {policies.Principal{Roles: []string{"nurse"}}, "Observation", without("PSY", "R", "V")},
		"cleared":           {policies.Principal{Roles: []string{"doctor"}}, "Observation", without("PSY", "V")},
		"inherits":          {policies.Principal{Roles: []string{"chief"}}, "Observation", without("PSY", "V")},
		"for the purpose":   {policies.Principal{Roles: []string{"doctor"}, Purpose: "ETREAT"}, "Observation", without("PSY")},
		"one role of two":   {policies.Principal{Roles: []string{"nurse", "doctor"}}, "Observation", without("PSY", "V")},
		"condition and all": {policies.Principal{Roles: []string{"nurse"}}, "Condition", search.All{without("R", "V"), without("PSY", "R", "V")}},
	} {
		d := ask(t, e, c.p, c.kind)
		if diff := cmp.Diff(c.want, d.Filter); diff != "" || !d.Allow {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// layer stands for consents, relations and emergencies.
type layer struct {
	withheld, permitted search.Expr
	refuses             bool
	cared               []string
	err                 error
	emergencies         []string
}

func (l layer) Withheld(*policies.Principal, string) search.Expr     { return l.withheld }
func (l layer) Permitted(*policies.Principal, string) search.Expr    { return l.permitted }
func (l layer) Refuses(*policies.Principal, string) bool             { return l.refuses }
func (l layer) Patients(context.Context, fhir.Key) ([]string, error) { return l.cared, l.err }
func (l layer) Active(string) []string                               { return l.emergencies }

const conditions = `
p, team, *, Encounter, read, *, care-team, allow, a
p, asked, *, Encounter, read, *, consent-permits, allow, b
p, rescue, *, Encounter, read, *, break-glass, allow, c
p, clerk, *, Encounter, read, *, business-hours, allow, d
p, careful, *, Encounter, read, *, mfa, allow, e
p, all, *, Encounter, read, *, always, allow, f
p, patient, *, Encounter, read, *, own-compartment, allow, g
p, team, *, Organization, read, *, care-team, allow, h
`

func TestConditions(t *testing.T) {
	night := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	monday := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	sunday := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	of := func(ids ...string) search.Expr { return search.Where{Param: "patient", Any: refersTo(ids...)} }
	some := search.HasID{IDs: []string{"x"}}
	doctor := func(role string) policies.Principal {
		return policies.Principal{Roles: []string{role}, FHIRUser: "Practitioner/1"}
	}
	many := make([]string, 5001)
	for i := range many {
		many[i] = "p"
	}
	for name, c := range map[string]struct {
		p     policies.Principal
		kind  string
		at    time.Time
		l     layer
		allow bool
		want  search.Expr
	}{
		"care":                   {p: doctor("team"), l: layer{cared: []string{"p1", "p2"}}, allow: true, want: of("p1", "p2")},
		"care of nobody":         {p: doctor("team"), allow: true, want: search.Any{}},
		"care, no user":          {p: policies.Principal{Roles: []string{"team"}}, l: layer{cared: []string{"p1"}}},
		"care, unknown":          {p: doctor("team"), l: layer{err: fhir.E("", fhir.Unavailable, "", "down")}},
		"care, too many":         {p: doctor("team"), l: layer{cared: many}},
		"care, directory":        {p: doctor("team"), kind: "Organization", allow: true},
		"consent permits":        {p: doctor("asked"), l: layer{permitted: some}, allow: true, want: some},
		"consent permits none":   {p: doctor("asked"), l: layer{permitted: search.Any{}}, allow: true, want: search.Any{}},
		"emergency":              {p: doctor("rescue"), l: layer{emergencies: []string{"p1"}}, allow: true, want: search.Any{of("p1"), of("p1")}},
		"no emergency":           {p: doctor("rescue")},
		"by day":                 {p: doctor("clerk"), at: monday, allow: true},
		"by night":               {p: doctor("clerk"), at: night},
		"on Sunday":              {p: doctor("clerk"), at: sunday},
		"two factors":            {p: policies.Principal{Roles: []string{"careful"}, MFA: true}, allow: true},
		"one factor":             {p: doctor("careful")},
		"consent withholds":      {p: doctor("all"), l: layer{withheld: some}, allow: true, want: search.Not{Of: some}},
		"but not in emergency":   {p: doctor("all"), l: layer{withheld: some, emergencies: []string{"p1"}}, allow: true, want: search.Any{search.Not{Of: some}, of("p1")}},
		"emergency, no limit":    {p: doctor("all"), l: layer{emergencies: []string{"p1"}}, allow: true},
		"emergency, still scope": {p: policies.Principal{Roles: []string{"all"}, Scopes: []policies.Scope{}}, l: layer{emergencies: []string{"p1"}}},
		"two that narrow":        {p: policies.Principal{Roles: []string{"team", "patient"}, FHIRUser: "Patient/p9", Patient: "p9"}, l: layer{cared: []string{"p1"}}, allow: true, want: search.Any{of("p9"), of("p1")}},
		"one that does not":      {p: policies.Principal{Roles: []string{"all", "patient"}, Patient: "p9"}, allow: true},
	} {
		if c.kind == "" {
			c.kind = "Encounter"
		}
		e := layered(t, conditions, policies.Layers{
			Consents: c.l, Relations: c.l, Emergencies: c.l, Now: func() time.Time { return c.at },
		})
		d := ask(t, e, c.p, c.kind)
		if diff := cmp.Diff(c.want, d.Filter); d.Allow != c.allow || d.Allow && diff != "" {
			t.Errorf("%s: %+v (-want +got):\n%s", name, d, diff)
		}
	}
	bare := layered(t, conditions, policies.Layers{})
	if d := ask(t, bare, doctor("asked"), "Encounter"); d.Allow {
		t.Errorf("consent-permits without consents: %+v", d)
	}
	if d := ask(t, bare, doctor("team"), "Encounter"); d.Filter == nil {
		t.Errorf("care-team without relations: %+v", d)
	}
}

// Acceptance 32 and 35 for hooks: a token of one patient, and a patient's
// consent, hold for calls about a patient too.
func TestCallsAboutAPatient(t *testing.T) {
	for name, c := range map[string]struct {
		p      policies.Principal
		l      layer
		reason policies.Reason
	}{
		"plain":              {policies.Principal{Roles: []string{"ehr"}}, layer{}, policies.Permitted},
		"consent":            {policies.Principal{Roles: []string{"ehr"}}, layer{refuses: true}, policies.NoConsent},
		"emergency":          {policies.Principal{Roles: []string{"ehr"}}, layer{refuses: true, emergencies: []string{"p1"}}, policies.Permitted},
		"emergency, other":   {policies.Principal{Roles: []string{"ehr"}}, layer{refuses: true, emergencies: []string{"p2"}}, policies.NoConsent},
		"token of this":      {policies.Principal{Roles: []string{"ehr"}, Patient: "p1", Scopes: scopes(t, "patient/*.rs galen/invoke")}, layer{}, policies.Permitted},
		"token of another":   {policies.Principal{Roles: []string{"ehr"}, Patient: "p2", Scopes: scopes(t, "patient/*.rs galen/invoke")}, layer{}, policies.NoCompartment},
		"token of none":      {policies.Principal{Roles: []string{"ehr"}, Scopes: scopes(t, "patient/*.rs galen/invoke")}, layer{}, policies.NoCompartment},
		"token of the user":  {policies.Principal{Roles: []string{"ehr"}, Patient: "p2", Scopes: scopes(t, "patient/*.rs user/*.rs galen/invoke")}, layer{}, policies.Permitted},
		"token without that": {policies.Principal{Roles: []string{"ehr"}, Scopes: scopes(t, "user/*.rs")}, layer{}, policies.NoScope},
	} {
		e := layered(t, policies.Shipped().Policy, policies.Layers{Consents: c.l, Emergencies: c.l})
		d := e.Decide(t.Context(), c.p, policies.Request{Action: policies.Invoke, Type: "galen-risk", Patient: "p1"})
		if d.Reason != c.reason || d.Allow != (c.reason == policies.Permitted) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestProtect(t *testing.T) {
	some := search.HasID{IDs: []string{"x"}}
	e := layered(t, "l, V, -, *, v\np, a, *, Patient, read, *, always, allow, x\n", policies.Layers{Consents: layer{withheld: some}})
	want := search.All{
		search.Not{Of: some},
		search.Not{Of: search.Where{Param: "_security", Any: []search.Test{search.TokenTest{Code: "V", AnySystem: true}}}},
	}
	if diff := cmp.Diff(search.Expr(want), e.Protect(policies.Principal{Roles: []string{"ehr"}}, "Observation")); diff != "" {
		t.Error(diff)
	}
}
