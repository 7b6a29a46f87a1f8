package console

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies"
)

// report is one of the reports of compliance, and what its form asks for.
type report struct {
	Name, Title       string
	path              string
	OfPatient, OfUser bool
	Filter            bool
}

func reports() []report {
	return []report{
		{Name: "denials", Title: "Denials", path: "/compliance/denials", Filter: true},
		{Name: "patient", Title: "Who saw a patient", path: "/compliance/access-report", OfPatient: true, Filter: true},
		{Name: "disclosures", Title: "Disclosures", path: "/compliance/disclosures", OfPatient: true, Filter: true},
		{Name: "user", Title: "What a user did", path: "/compliance/user-report", OfUser: true, Filter: true},
		{Name: "unusual", Title: "Unusual access", path: "/compliance/unusual", Filter: true},
		{Name: "emergencies", Title: "Emergencies", path: "/compliance/break-glass-report", Filter: true},
		{Name: "queue", Title: "To sign off", path: "/compliance/break-glass"},
		{Name: "models", Title: "Use of models", path: "/compliance/models", Filter: true},
		{Name: "integrity", Title: "Integrity", path: "/compliance/audit/checkpoint"},
	}
}

// access is a line of a report, as /compliance writes it.
type access struct {
	Time     time.Time
	Subject  string
	Role     string
	App      string
	Purpose  string
	Action   string
	Resource string
	Patient  string
	Allowed  bool
	Reason   string
	Rule     string
	Seq      uint64
	Unusual  []string
}

// emergency is an access under break-glass.
type emergency struct {
	ID, Subject, User, Patient, Purpose, Reason string
	Started, Expires                            time.Time
}

// modelUse is how one version of a model was used.
type modelUse struct {
	Model, Version              string
	Runs, Assessments, Patients int
	First, Last                 time.Time
}

// auditPage is what the page of the audit shows.
type auditPage struct {
	Reports    []report
	Report     string
	Filter     bool
	OfPatient  bool
	OfUser     bool
	Asked      bool
	List       []access
	Count      int
	Export     template.URL
	MayExplain bool
	Queue      []emergency
	Models     []modelUse
	Checkpoint string
	Key        string
	Since      string // the size of a checkpoint that was kept
	Proof      string // that the log of now begins with the log of then
	Trouble    string // why there is none
}

// shownEntries is how many entries a page shows at most.
const shownEntries = 200

// chosen is the report that the URL names, denials if it names none.
func chosen(name string) report {
	all := reports()
	if i := slices.IndexFunc(all, func(one report) bool { return one.Name == name }); i >= 0 {
		return all[i]
	}
	return all[0]
}

// filter is the part of a URL's query that a report takes.
func filter(v *visit) url.Values {
	out := url.Values{}
	for _, name := range []string{"patient", "user", "from", "to"} {
		if text := strings.TrimSpace(v.URL.Query().Get(name)); text != "" {
			out.Set(name, text)
		}
	}
	return out
}

func (c *Console) audit(w http.ResponseWriter, v *visit) {
	one := chosen(v.URL.Query().Get("report"))
	asks := filter(v)
	body := &auditPage{
		Reports: reports(), Report: one.Name, Filter: one.Filter, OfPatient: one.OfPatient, OfUser: one.OfUser,
		MayExplain: c.may(v, policies.PolicySimulate, ""),
	}
	d := c.data(v, "Audit", "/console/audit")
	d.Body = body
	waits := one.OfPatient && !asks.Has("patient") || one.OfUser && !asks.Has("user")
	if waits {
		if !c.may(v, policies.AuditRead, "") {
			c.refused(w, v, c.get(v, "/compliance/denials", nil))
			return
		}
		c.render(w, http.StatusOK, "audit", d)
		return
	}
	answer := c.get(v, one.path, asks)
	if answer.status == http.StatusForbidden {
		c.refused(w, v, answer)
		return
	}
	status := http.StatusOK
	if answer.good() {
		c.fillAudit(v, body, one, asks, answer)
	} else {
		status, d.Problem = answer.status, answer.problem()
	}
	c.render(w, status, "audit", d)
}

// fillAudit puts what a report says into the page.
func (c *Console) fillAudit(v *visit, body *auditPage, one report, asks url.Values, answer reply) {
	switch one.Name {
	case "queue":
		var said struct{ Accesses []emergency }
		answer.into(&said)
		body.Queue = said.Accesses
	case "models":
		var said struct{ Models []modelUse }
		answer.into(&said)
		body.Models = said.Models
	case "integrity":
		body.Checkpoint = string(answer.body)
		body.Key = string(c.get(v, "/compliance/audit/key", nil).body)
		if since := strings.TrimSpace(v.URL.Query().Get("since")); since != "" {
			body.Since = since
			proof := c.get(v, "/compliance/audit/proof", url.Values{"from": {since}})
			if body.Proof = indented(proof.body); !proof.good() {
				body.Proof, body.Trouble = "", proof.problem()
			}
		}
	default:
		var said struct{ Accesses []access }
		body.Asked = answer.into(&said)
		slices.Reverse(said.Accesses) // the log is oldest first
		body.Count, body.List = len(said.Accesses), said.Accesses[:min(len(said.Accesses), shownEntries)]
		asks.Set("report", one.Name)
		body.Export = template.URL(asks.Encode()) // encoded: no text of the visitor's is left as it came
	}
}

// auditExport passes a report on as a file, with its signed manifest.
func (c *Console) auditExport(w http.ResponseWriter, v *visit) {
	one := chosen(v.URL.Query().Get("report"))
	asks := filter(v)
	kind := "csv"
	if v.URL.Query().Get("format") == "json" {
		kind = "json"
	}
	asks.Set("format", kind)
	answer := c.get(v, one.path, asks)
	if c.refused(w, v, answer) {
		return
	}
	w.Header().Set("Content-Type", answer.header.Get("Content-Type"))
	w.Header().Set("Content-Disposition", `attachment; filename="galen-`+one.Name+"."+kind+`"`)
	w.Header().Set("X-Report-Manifest", answer.header.Get("X-Report-Manifest"))
	_, _ = w.Write(answer.body)
}

func (c *Console) review(w http.ResponseWriter, v *visit) {
	id := v.PostFormValue("id")
	if !fhir.ValidID(id) {
		c.fail(w, v, http.StatusBadRequest, "There is no such emergency access. Go back to the queue.")
		return
	}
	answer := c.post(v, "/compliance/break-glass/"+id+"/review", map[string]string{
		"verdict": v.PostFormValue("verdict"), "comment": v.PostFormValue("comment"),
	})
	if !c.refused(w, v, answer) {
		http.Redirect(w, v.Request, "/console/audit?report=queue&done=reviewed", http.StatusSeeOther)
	}
}

// explained is what /compliance/explain answers.
type explained struct {
	Allow    bool
	Rule     string
	Reason   string
	Missing  string
	Revision string
	Layers   []struct{ Layer string }
}

// explain asks why the policy decides on an entry of the audit as it does.
func (c *Console) explain(w http.ResponseWriter, v *visit) {
	kind, rest, _ := strings.Cut(v.PostFormValue("resource"), "/")
	id, _, _ := strings.Cut(rest, "/")
	asked := map[string]string{
		"sub": v.PostFormValue("sub"), "action": v.PostFormValue("action"), "purpose": v.PostFormValue("purpose"), "type": kind, "id": id,
	}
	answer := c.post(v, "/compliance/explain", asked)
	if c.refused(w, v, answer) {
		return
	}
	var said explained
	answer.into(&said)
	d := c.data(v, "Explain a decision", "/console/audit")
	d.Body = map[string]any{"Answer": said, "Asked": asked["sub"] + ": " + asked["action"] + " " + v.PostFormValue("resource")}
	c.render(w, http.StatusOK, "explain", d)
}
