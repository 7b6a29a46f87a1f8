package console

import (
	"net/http"
	"net/url"
	"strings"

	"galen/fhir"
	"galen/policies"
)

// revision is a policy and what became of it, as /compliance/policies writes it.
type revision struct {
	Digest, Parent, Author, Reason, Approver, State, Policy string
}

// cell is one answer of the simulator.
type cell struct {
	Action, Rule, Reason string
	Allow, Limited       bool
}

// policiesPage is what the page of policies shows.
type policiesPage struct {
	Active                               string
	Revisions                            []revision
	MaySimulate, MayPropose, MayActivate bool
	Purposes                             []string
	Cells                                []cell
	Simulated                            string // why the simulator did not answer
}

func (c *Console) policies(w http.ResponseWriter, v *visit) {
	answer := c.get(v, "/compliance/policies", nil)
	if c.refused(w, v, answer) {
		return
	}
	body := &policiesPage{
		MaySimulate: c.may(v, policies.PolicySimulate, ""), MayPropose: c.may(v, policies.PolicyPropose, ""),
		MayActivate: c.may(v, policies.PolicyActivate, ""),
		Purposes:    []string{"", "TREAT", "ETREAT", "BTG", "HPAYMT", "HOPERAT", "HRESCH", "PATRQT", "PUBHLTH"},
	}
	answer.into(body)
	if v.URL.Query().Has("role") {
		c.simulate(v, body)
	}
	d := c.data(v, "Policies", "/console/policies")
	d.Body = body
	c.render(w, http.StatusOK, "policies", d)
}

// simulate asks what a role may do with a type.
func (c *Console) simulate(v *visit, into *policiesPage) {
	q := v.URL.Query()
	asked := map[string][]string{"roles": {q.Get("role")}, "types": {q.Get("type")}}
	if purpose := q.Get("purpose"); purpose != "" {
		asked["purposes"] = []string{purpose}
	}
	answer := c.post(v, "/compliance/simulate", asked)
	if !answer.into(into) {
		into.Simulated = answer.problem()
	}
}

// difference is what a revision changes.
type difference struct {
	Rows    []struct{ Change, ID, Before, After string }
	Effects []struct{ Text string }
}

func (c *Console) policy(w http.ResponseWriter, v *visit) {
	digest := v.PathValue("digest")
	if !fhir.ValidID(digest) {
		c.absent(w, v)
		return
	}
	answer := c.get(v, "/compliance/policies/"+digest, nil)
	if c.refused(w, v, answer) {
		return
	}
	body := struct {
		Policy                  revision
		Diff                    difference
		Trouble                 string
		MayApprove, MayActivate bool
	}{}
	answer.into(&body.Policy)
	if body.Policy.Parent != "" {
		if changes := c.get(v, "/compliance/policies/"+digest+"/diff", nil); !changes.into(&body.Diff) {
			body.Trouble = changes.problem()
		}
	}
	body.MayApprove = body.Policy.State == "proposed" && body.Policy.Author != v.principal.Subject && c.may(v, policies.PolicyApprove, "")
	body.MayActivate = body.Policy.State == "approved" && c.may(v, policies.PolicyActivate, "")
	d := c.data(v, "Policy", "/console/policies")
	d.Body = body
	c.render(w, http.StatusOK, "policy", d)
}

// lines are the lines of a text area that say something.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

func (c *Console) propose(w http.ResponseWriter, v *visit) {
	answer := c.post(v, "/compliance/policies", map[string]any{
		"add": lines(v.PostFormValue("add")), "remove": lines(v.PostFormValue("remove")), "reason": v.PostFormValue("reason"),
	})
	if !c.refused(w, v, answer) {
		c.done(w, v, "/console/policies", "proposed")
	}
}

// advance takes a policy a step further: approve, activate; or rolls back.
func (c *Console) advance(w http.ResponseWriter, v *visit) {
	digest, step := v.PathValue("digest"), v.PathValue("step")
	var path string
	var said map[string]string
	switch {
	case step == "rollback":
		path, said = "/compliance/policies/rollback", map[string]string{"reason": v.PostFormValue("reason")}
	case step == "approve" && fhir.ValidID(digest):
		path, said = "/compliance/policies/"+url.PathEscape(digest)+"/approve", map[string]string{"comment": v.PostFormValue("comment")}
	case step == "activate" && fhir.ValidID(digest):
		path, said = "/compliance/policies/"+url.PathEscape(digest)+"/activate", map[string]string{"reason": v.PostFormValue("reason")}
	default:
		c.absent(w, v)
		return
	}
	if !c.refused(w, v, c.post(v, path, said)) {
		c.done(w, v, "/console/policies", step)
	}
}
