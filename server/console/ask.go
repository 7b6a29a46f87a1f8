package console

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"galen/policies"
	"galen/server/console/page"
)

// reply is what the API answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (a reply) good() bool { return a.status < http.StatusBadRequest }

// into decodes the answer; what cannot be decoded leaves the zero value, which
// pages show as missing.
func (a reply) into(value any) bool { return a.good() && json.Unmarshal(a.body, value) == nil }

// problem is what an answer says went wrong.
func (a reply) problem() string {
	var said struct {
		Error string
		Issue []struct{ Diagnostics string }
	}
	text := ""
	if json.Unmarshal(a.body, &said) == nil {
		text = said.Error
		if len(said.Issue) > 0 {
			text = said.Issue[0].Diagnostics
		}
	}
	switch {
	case a.status == http.StatusForbidden:
		return "Your role does not permit this. If you need it, ask your compliance officer."
	case a.status == http.StatusTooManyRequests:
		return "Too many requests. Wait a moment, then reload."
	case text == "":
		return "The server could not answer (" + http.StatusText(a.status) + "). Reload the page; if that does not help, tell your administrator."
	}
	return "The server says: " + text + "."
}

// recorder keeps an answer of the API.
type recorder struct {
	reply
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// send asks the API as the visitor, from the visitor's address. A body is sent
// as JSON.
func (c *Console) send(v *visit, method, path string, query url.Values, body any) reply {
	content := []byte{}
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return reply{status: http.StatusInternalServerError}
		}
	}
	target := url.URL{Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(v.Context(), method, target.String(), bytes.NewReader(content))
	if err != nil {
		return reply{status: http.StatusBadRequest}
	}
	r.RemoteAddr, r.TLS, r.Host, r.RequestURI = v.RemoteAddr, v.TLS, v.Host, target.RequestURI()
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For", "Forwarded"} {
		if values := v.Header.Values(name); values != nil {
			r.Header[name] = values
		}
	}
	r.Header.Set("Authorization", "Bearer "+v.session.Token)
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	w := &recorder{reply{header: http.Header{}}}
	c.API.ServeHTTP(w, r)
	_, _ = io.Copy(io.Discard, r.Body) // the API may leave a body unread
	return w.reply
}

func (c *Console) get(v *visit, path string, query url.Values) reply {
	return c.send(v, http.MethodGet, path, query, nil)
}

func (c *Console) post(v *visit, path string, body any) reply {
	return c.send(v, http.MethodPost, path, nil, body)
}

// may says whether to offer something.
func (c *Console) may(v *visit, action policies.Action, of string) bool {
	return c.Decider.Decide(v.Context(), v.principal, policies.Request{Action: action, Type: of}).Allow
}

// places are the pages, each with what one must be permitted to find it.
func (c *Console) places(v *visit) []page.Place {
	all := []struct {
		page.Place
		action policies.Action
		of     string
	}{
		{page.Place{Path: "/console/patients", Name: "Patients", About: "Timelines, risks with their uncertainty, and cards as an EHR gets them."}, policies.Search, "Patient"},
		{page.Place{Path: "/console/audit", Name: "Audit", About: "Who saw a patient, what a user did, denials, emergencies, and whether the record is whole."}, policies.AuditRead, ""},
		{page.Place{Path: "/console/policies", Name: "Policies", About: "What is in force, what is proposed, and what the rules would decide."}, policies.PolicyRead, ""},
		{page.Place{Path: "/console/models", Name: "Models", About: "The catalog: versions, state, use, and the switch that stops one."}, policies.ModelRead, ""},
	}
	var list []page.Place
	for _, one := range all {
		if c.may(v, one.action, one.of) {
			list = append(list, one.Place)
		}
	}
	return append(list, page.Place{Path: "/console/system", Name: "System", About: "Health, capabilities, and a box for FHIR queries."})
}

// data is what every page needs.
func (c *Console) data(v *visit, title, place string) *page.Data {
	return &page.Data{
		Title: title, Here: place, CSRF: v.session.CSRF, User: v.principal.Subject, Roles: v.principal.Roles, Places: c.places(v),
		Query: v.URL.Query(), Notice: notices[v.URL.Query().Get("done")],
	}
}

// notices are what a page says after a form was done: a word in the URL, never a
// text of it.
var notices = map[string]string{
	"reviewed": "The emergency access is signed off.", "proposed": "The policy is proposed. Somebody else must approve it.",
	"approve": "The policy is approved.", "activate": "The policy is in force.", "rollback": "The previous policy is in force again.",
	"stop": "The version is stopped: no client can run it.", "resume": "The version runs again.",
	"champion": "The version is the champion now.", "assessed": "The model has run; its assessment is below.",
	"model-rollback": "The previous champion serves again.",
}

// fail shows what went wrong and what to do next.
func (c *Console) fail(w http.ResponseWriter, v *visit, status int, problem string) {
	d := c.data(v, http.StatusText(status), "")
	d.Problem = problem
	c.render(w, status, "error", d)
}

// refused shows the API's refusal, if it is one.
func (c *Console) refused(w http.ResponseWriter, v *visit, a reply) bool {
	if !a.good() {
		c.fail(w, v, a.status, a.problem())
	}
	return !a.good()
}

// done sends the browser from a form to a page that says so.
func (c *Console) done(w http.ResponseWriter, v *visit, path, notice string) {
	http.Redirect(w, v.Request, path+"?done="+notice, http.StatusSeeOther)
}

func (c *Console) home(w http.ResponseWriter, v *visit) {
	c.render(w, http.StatusOK, "home", c.data(v, "Home", Prefix))
}

func (c *Console) absent(w http.ResponseWriter, v *visit) {
	c.fail(w, v, http.StatusNotFound, "There is no such page. Choose one from the navigation.")
}
