// Package govern is the API of those who govern: /compliance. It opens and
// reviews emergency accesses, leads policies through their life, answers what
// they would decide and why, proves the audit log and reports from it.
//
// Every call is decided by the policies and on record, durably, before it is
// answered; the record names what was done and never a patient's data. Errors are
// *fhir.Error, which the server shows as OperationOutcomes.
//
// It knows no HTTP server: server gives it calls and sends its answers.
package govern

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies"
	"galen/policies/audit"
	"galen/policies/breakglass"
	"galen/policies/compliance"
	"galen/policies/proposal"
	"galen/policies/simulate"
)

// Call is what a handler sees of an HTTP request.
type Call struct {
	Principal policies.Principal
	RequestID string
	Address   string // of the network peer
	Path      string // below Prefix, as it came
	ID        string // the part of the path that names something
	Query     string // raw
	Header    http.Header
	Body      []byte
}

// Answer is what is sent.
type Answer struct {
	Status    int // 0 means 200
	MediaType string
	Header    http.Header
	Body      []byte
}

// Route is one line of the API. In Path, :id stands for Call.ID.
type Route struct {
	Method, Path string
	Do           func(ctx context.Context, r *Call) (Answer, error)
}

// Prefix stands before the path of every route.
const Prefix = "/compliance"

// API answers for an office. Its zero value is of no use.
type API struct{ *compliance.Office }

// Routes are the API of an office.
func Routes(o *compliance.Office) []Route {
	g := &API{o}
	get, post, del := http.MethodGet, http.MethodPost, http.MethodDelete
	at := func(method, path string, d duty) Route { return Route{method, path, g.govern(d)} }
	change := func(action policies.Action, what string, do act) duty {
		return duty{action, audit.PolicyChange, what, do}
	}
	look := func(action policies.Action, what string, do act) duty { return duty{action, audit.AuditUse, what, do} }
	return []Route{
		at(post, "/break-glass", duty{policies.BreakGlass, audit.BreakGlass, "break-glass", g.breakGlass}),
		at(get, "/break-glass", look(policies.BreakGlassReview, "break-glass queue", g.glassQueue)),
		at(post, "/break-glass/:id/review", look(policies.BreakGlassReview, "break-glass review", g.glassReview)),
		at(del, "/break-glass/:id", duty{policies.BreakGlass, audit.BreakGlassStop, "break-glass", g.glassStop}),

		at(get, "/holds", look(policies.AuditHold, "holds", g.holds)),
		at(post, "/holds", look(policies.AuditHold, "place hold", g.placeHold)),
		at(del, "/holds/:id", look(policies.AuditHold, "release hold", g.releaseHold)),

		at(get, "/audit/checkpoint", look(policies.AuditVerify, "checkpoint", g.checkpoint)),
		at(get, "/audit/key", look(policies.AuditVerify, "checkpoint key", g.checkpointKey)),
		at(get, "/audit/proof", look(policies.AuditVerify, "proof", g.proof)),

		at(get, "/policies", look(policies.PolicyRead, "policies", g.listPolicies)),
		at(post, "/policies", change(policies.PolicyPropose, "propose", g.propose)),
		at(get, "/policies/:id", look(policies.PolicyRead, "policy", g.showPolicy)),
		at(get, "/policies/:id/diff", look(policies.PolicyRead, "policy diff", g.diffPolicy)),
		at(post, "/policies/:id/approve", change(policies.PolicyApprove, "approve", g.approve)),
		at(post, "/policies/:id/activate", change(policies.PolicyActivate, "activate", g.activate)),
		at(post, "/policies/rollback", change(policies.PolicyActivate, "roll back", g.rollback)),
		at(post, "/simulate", look(policies.PolicySimulate, "simulation", g.simulate)),
		at(post, "/replay", look(policies.PolicySimulate, "replay", g.replay)),
		at(post, "/explain", look(policies.PolicySimulate, "explanation", g.explain)),

		at(get, "/access-report", look(policies.AuditRead, "access-report", g.reported(g.accessReport))),
		at(get, "/user-report", look(policies.AuditRead, "user-report", g.reported(g.userReport))),
		at(get, "/disclosures", look(policies.AuditRead, "disclosures", g.reported(g.disclosures))),
		at(get, "/denials", look(policies.AuditRead, "denials", g.reported(g.denials))),
		at(get, "/unusual", look(policies.AuditRead, "unusual", g.reported(g.unusual))),
		at(get, "/break-glass-report", look(policies.AuditRead, "break-glass-report", g.reported(g.emergencies))),
		at(get, "/models", look(policies.AuditRead, "models", g.modelUse)),
	}
}

// BreakGlass opens an emergency access for a request that brings its reason
// along, decided and on record like POST /compliance/break-glass.
func BreakGlass(ctx context.Context, o *compliance.Office, r *Call) error {
	g := &API{o}
	_, err := g.govern(duty{policies.BreakGlass, audit.BreakGlass, "break-glass", g.breakGlass})(ctx, r)
	return err
}

// act does one duty. It returns what the record names beside the duty: a digest,
// an id, a patient, never a patient's data.
type act func(ctx context.Context, r *Call) (out Answer, about string, err error)

// duty is one thing of compliance that a caller may be permitted to do.
type duty struct {
	action policies.Action
	kind   audit.Kind
	what   string
	do     act
}

// govern asks the policies, does a duty and puts it on record, before anything
// is answered.
func (g *API) govern(d duty) func(context.Context, *Call) (Answer, error) {
	return func(ctx context.Context, r *Call) (Answer, error) {
		decision := g.Engine.Decide(ctx, r.Principal, policies.Request{Action: d.action})
		entry := audit.Entry{
			Kind: d.kind, Agent: audit.AgentOf(r.Principal, r.Address), Decision: audit.DecisionOf(decision), Request: r.RequestID, Object: d.what,
		}
		var out Answer
		var err error
		if decision.Allow {
			var about string
			out, about, err = d.do(ctx, r)
			entry.Object = strings.TrimSpace(d.what + " " + about)
			if d.kind == audit.BreakGlass || d.kind == audit.BreakGlassStop {
				entry.Patients = glassPatient(about)
			}
		} else {
			err, entry.Reason = decision.Refusal("govern.govern"), string(decision.Reason)
		}
		if err != nil {
			entry.Outcome = audit.Minor
			if fhir.KindOf(err).Status() >= http.StatusInternalServerError {
				entry.Outcome = audit.Serious
			}
			if entry.Reason == "" {
				entry.Reason = fhir.KindOf(err).Code()
			}
		}
		if _, failed := g.Log.Append(context.WithoutCancel(ctx), entry); failed != nil {
			return Answer{}, failed
		}
		return out, err
	}
}

const plainJSON = "application/json; charset=utf-8"

// reads decodes a body of JSON; an empty one leaves the zero value. Unknown
// members are refused, lest a typing error widens what was meant.
func (r *Call) reads(into any) error {
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fhir.E("govern.reads", fhir.Malformed, "body", "the body is not the JSON object that this takes")
	}
	return nil
}

// says is a response of JSON.
func says(status int, value any) (Answer, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return Answer{}, &fhir.Error{Op: "govern.says", Err: err}
	}
	return Answer{Status: status, MediaType: plainJSON, Body: body}, nil
}

func (g *API) breakGlass(_ context.Context, r *Call) (Answer, string, error) {
	var in struct {
		Patient, Reason, Purpose string
		Minutes                  int
	}
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	patient := strings.TrimPrefix(in.Patient, "Patient/")
	a, fresh, err := g.Glass.Start(r.Principal, patient, in.Purpose, in.Reason, time.Duration(in.Minutes)*time.Minute)
	if err != nil {
		return Answer{}, glassAbout("", patient), err
	}
	status := http.StatusOK
	if fresh {
		status = http.StatusCreated
	}
	out, err := says(status, a)
	return out, glassAbout(a.ID, patient), err
}

// glassAbout names an access and its patient for the record.
func glassAbout(id, patient string) string {
	if !fhir.ValidID(patient) {
		return id
	}
	return strings.TrimSpace(id + " Patient/" + patient)
}

func glassPatient(about string) []string {
	_, patient, ok := strings.Cut(about, "Patient/")
	if !ok {
		return nil
	}
	return []string{"Patient/" + patient}
}

func (g *API) glassQueue(_ context.Context, r *Call) (Answer, string, error) {
	list := g.Glass.List(!strings.Contains(r.Query, "all=true"))
	out, err := says(http.StatusOK, map[string][]breakglass.Access{"accesses": list})
	return out, "", err
}

func (g *API) glassReview(_ context.Context, r *Call) (Answer, string, error) {
	var in struct{ Verdict, Comment string }
	id := r.ID
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	a, err := g.Glass.Review(r.Principal, id, in.Verdict, in.Comment)
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, a)
	return out, glassAbout(a.ID, a.Patient), err
}

func (g *API) glassStop(_ context.Context, r *Call) (Answer, string, error) {
	a, err := g.Glass.Stop(r.Principal, r.ID)
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, a)
	return out, glassAbout(a.ID, a.Patient), err
}

func (g *API) checkpoint(ctx context.Context, _ *Call) (Answer, string, error) {
	c, err := g.Tree.Checkpoint(ctx)
	return Answer{MediaType: "text/plain; charset=utf-8", Body: c.Note}, strconv.FormatUint(c.Size, 10), err
}

func (g *API) checkpointKey(context.Context, *Call) (Answer, string, error) {
	return Answer{MediaType: "text/plain; charset=utf-8", Body: []byte(g.Tree.Key() + "\n")}, "", nil
}

// proof answers ?entry=N[&size=M] with an inclusion proof, ?from=M[&to=N] with a
// consistency proof.
func (g *API) proof(ctx context.Context, r *Call) (Answer, string, error) {
	q, err := numbers(r.Query, "entry", "size", "from", "to")
	if err != nil {
		return Answer{}, "", err
	}
	var answer any
	if q["from"] != 0 {
		answer, err = g.Tree.Consistency(ctx, q["from"], q["to"])
	} else {
		answer, err = g.Tree.Inclusion(ctx, q["entry"], q["size"])
	}
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, answer)
	return out, "", err
}

// numbers reads parameters that are whole numbers; 0 for an absent one.
func numbers(query string, names ...string) (map[string]uint64, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fhir.E("govern.numbers", fhir.Malformed, "", "the query is not URL-encoded")
	}
	out := map[string]uint64{}
	for _, name := range names {
		if text := values.Get(name); text != "" {
			if out[name], err = strconv.ParseUint(text, 10, 62); err != nil {
				return nil, fhir.E("govern.numbers", fhir.Value, name, "must be a whole number")
			}
		}
	}
	return out, nil
}

func (g *API) listPolicies(context.Context, *Call) (Answer, string, error) {
	out, err := says(http.StatusOK, map[string]any{"active": g.Engine.Revision(), "revisions": g.Book.List()})
	return out, "", err
}

func (g *API) showPolicy(_ context.Context, r *Call) (Answer, string, error) {
	p, err := g.Book.Find(r.ID)
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, p)
	return out, p.Digest, err
}

// answered is the response to a change of policies.
func answered(status int, p proposal.Proposal, err error) (Answer, string, error) {
	if err != nil {
		return Answer{}, p.Digest, err
	}
	p.Policy, p.Model, p.Cases = "", "", ""
	out, err := says(status, p)
	return out, p.Digest, err
}

func (g *API) propose(ctx context.Context, r *Call) (Answer, string, error) {
	var in proposal.Draft
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	p, err := g.Book.Propose(ctx, r.Principal.Subject, in)
	return answered(http.StatusCreated, p, err)
}

func (g *API) approve(_ context.Context, r *Call) (Answer, string, error) {
	var in struct{ Comment string }
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	p, err := g.Book.Approve(r.Principal.Subject, r.ID, in.Comment)
	return answered(http.StatusOK, p, err)
}

func (g *API) activate(_ context.Context, r *Call) (Answer, string, error) {
	var in struct{ Reason string }
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	p, err := g.Book.Activate(r.Principal.Subject, r.ID, in.Reason)
	return answered(http.StatusOK, p, err)
}

func (g *API) rollback(_ context.Context, r *Call) (Answer, string, error) {
	var in struct{ Reason string }
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	p, err := g.Book.Rollback(r.Principal.Subject, in.Reason)
	return answered(http.StatusOK, p, err)
}

// diffPolicy compares a revision with ?against=, by default its parent.
func (g *API) diffPolicy(ctx context.Context, r *Call) (Answer, string, error) {
	after, err := g.Book.Find(r.ID)
	if err != nil {
		return Answer{}, "", err
	}
	against := after.Parent
	if values, err := url.ParseQuery(r.Query); err == nil && values.Get("against") != "" {
		against = values.Get("against")
	}
	before, err := g.Book.Find(against)
	if err != nil {
		return Answer{}, after.Digest, err
	}
	engines := [2]*policies.Engine{}
	for i, digest := range []string{before.Digest, after.Digest} {
		if engines[i], err = g.Book.Engine(digest); err != nil {
			return Answer{}, after.Digest, err
		}
	}
	effects, err := simulate.Effects(ctx, engines[0], engines[1], g.Defs)
	if err != nil {
		return Answer{}, after.Digest, err
	}
	out, err := says(http.StatusOK, map[string]any{
		"before": before.Digest, "after": after.Digest, "rows": simulate.Rows(before.Policy, after.Policy), "effects": effects,
	})
	return out, after.Digest, err
}

// under is the engine that a simulation asks: a known revision, a draft, or the
// active one.
func (g *API) under(revision string, d proposal.Draft) (*policies.Engine, error) {
	switch {
	case revision != "":
		return g.Book.Engine(revision)
	case d.Policy == "" && d.Model == "" && len(d.Add)+len(d.Remove) == 0:
		return g.Engine, nil
	}
	rev, err := g.Book.Revision(d)
	if err != nil {
		return nil, err
	}
	return g.Engine.Try(rev)
}

func (g *API) simulate(ctx context.Context, r *Call) (Answer, string, error) {
	var in struct {
		proposal.Draft
		simulate.Matrix
		Revision string
	}
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	e, err := g.under(in.Revision, in.Draft)
	if err != nil {
		return Answer{}, "", err
	}
	cells, err := simulate.Run(ctx, e, g.Defs, in.Matrix)
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, map[string]any{"revision": e.Revision(), "cells": cells})
	return out, e.Revision(), err
}

// maxReplay bounds one replay.
const maxReplay = 100_000

func (g *API) replay(ctx context.Context, r *Call) (Answer, string, error) {
	var in struct {
		proposal.Draft
		Revision string
		Last     int
	}
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	if in.Last == 0 {
		in.Last = 1000
	}
	if in.Last < 0 || in.Last > maxReplay {
		return Answer{}, "", fhir.E("govern.replay", fhir.Value, "last", "must be 1 to 100,000")
	}
	e, err := g.under(in.Revision, in.Draft)
	if err != nil {
		return Answer{}, "", err
	}
	replayed, err := simulate.Replay(ctx, e, g.Log, in.Last)
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, replayed)
	return out, e.Revision(), err
}

func (g *API) explain(ctx context.Context, r *Call) (Answer, string, error) {
	var in simulate.Question
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	in.Patient, in.About = strings.TrimPrefix(in.Patient, "Patient/"), strings.TrimPrefix(in.About, "Patient/")
	answer, err := g.Explainer.Explain(ctx, in)
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, answer)
	return out, "", err
}
