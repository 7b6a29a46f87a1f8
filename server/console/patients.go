package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies"
	"galen/server/console/chart"
)

// person is the part of a Patient that pages show.
type person struct {
	ID   string
	Name string
	Born string
	Sex  string
}

// patientResource is a Patient as FHIR writes it.
type patientResource struct {
	ID        string
	BirthDate string
	Gender    string
	Name      []struct {
		Text, Family string
		Given        []string
	}
}

func (p patientResource) person() person {
	out := person{ID: p.ID, Born: p.BirthDate, Sex: p.Gender, Name: "(no name)"}
	if len(p.Name) > 0 {
		n := p.Name[0]
		name := n.Text
		if name == "" {
			name = strings.TrimSpace(strings.Join(n.Given, " ") + " " + n.Family)
		}
		if name != "" {
			out.Name = name
		}
	}
	return out
}

// bundle is a searchset of one type.
type bundle[T any] struct {
	Link  []struct{ Relation string }
	Entry []struct {
		Resource T
		Search   struct{ Mode string }
	}
}

// matches are the resources that matched, and whether there are more.
func (b bundle[T]) matches() (list []T, more bool) {
	for _, one := range b.Entry {
		if one.Search.Mode == "match" {
			list = append(list, one.Resource)
		}
	}
	for _, one := range b.Link {
		more = more || one.Relation == "next"
	}
	return list, more
}

func (c *Console) patients(w http.ResponseWriter, v *visit) {
	asks := url.Values{"_count": {"25"}, "_total": {"none"}}
	for _, name := range []string{"name", "identifier"} {
		if text := strings.TrimSpace(v.URL.Query().Get(name)); text != "" {
			asks.Set(name, text)
		}
	}
	answer := c.get(v, "/fhir/Patient", asks)
	if c.refused(w, v, answer) {
		return
	}
	var found bundle[patientResource]
	answer.into(&found)
	list, more := found.matches()
	body := struct {
		List []person
		More bool
	}{More: more}
	for _, one := range list {
		body.List = append(body.List, one.person())
	}
	d := c.data(v, "Patients", "/console/patients")
	d.Body = body
	c.render(w, http.StatusOK, "patients", d)
}

// trend is a series that a chart shows.
type trend struct {
	Name, Unit, Latest string
	Line               chart.Line
}

// service is a CDS service as discovery lists it.
type service struct {
	Hook, ID, Title string
	Prefetch        json.RawMessage
}

// patientPage is what the page of a patient shows.
type patientPage struct {
	Patient    person
	Risks      []risk
	RiskTrends []trend
	Trends     []trend
	Shown      int
	More       bool
	Unread     []string // what could not be read, and why
	MayInvoke  bool
	Services   []service
}

func (c *Console) patient(w http.ResponseWriter, v *visit) {
	id := v.PathValue("id")
	if !fhir.ValidID(id) {
		c.absent(w, v)
		return
	}
	answer := c.get(v, "/fhir/Patient/"+id, nil)
	if c.refused(w, v, answer) {
		return
	}
	var read patientResource
	answer.into(&read)
	body := &patientPage{Patient: read.person(), MayInvoke: c.may(v, policies.Invoke, "galen-risk")}
	c.fillObservations(v, id, body)
	c.fillRisks(v, id, body)
	if body.MayInvoke {
		body.Services = c.services(v)
	}
	d := c.data(v, body.Patient.Name, "/console/patients")
	d.Body = body
	c.render(w, http.StatusOK, "patient", d)
}

func (c *Console) services(v *visit) []service {
	var said struct{ Services []service }
	c.get(v, "/cds-services", nil).into(&said)
	return said.Services
}

func (c *Console) assess(w http.ResponseWriter, v *visit) {
	id, model := v.PathValue("id"), strings.TrimSpace(v.PostFormValue("model"))
	if !fhir.ValidID(id) || !fhir.ValidID(model) {
		c.fail(w, v, http.StatusBadRequest, "Give the name of a model, such as kfre-4v.")
		return
	}
	answer := c.send(v, http.MethodPost, "/fhir/Patient/"+id+"/$assess", url.Values{"model": {model}}, nil)
	if !c.refused(w, v, answer) {
		c.done(w, v, "/console/patients/"+id, "assessed")
	}
}

// card is a card of CDS Hooks.
type card struct {
	Summary, Detail, Indicator string
	Source                     struct{ Label string }
	Suggestions                []struct{ Label string }
	Links                      []struct{ Label, URL string }
}

// hook calls a CDS service as an EHR would and shows all of it.
func (c *Console) hook(w http.ResponseWriter, v *visit) {
	id := v.PathValue("id")
	name, serviceID, _ := strings.Cut(v.PostFormValue("service"), " ")
	if !fhir.ValidID(id) || !fhir.ValidID(serviceID) {
		c.fail(w, v, http.StatusBadRequest, "Choose a patient and a service, then call it again.")
		return
	}
	user := strings.TrimSpace(v.PostFormValue("user"))
	if !strings.Contains(user, "/") {
		user = "Practitioner/" + user
	}
	instance, err := uuid(c.Random)
	if err != nil {
		c.fail(w, v, http.StatusInternalServerError, "The call could not be made. Try again.")
		return
	}
	request := map[string]any{
		"hook": name, "hookInstance": instance, "context": map[string]string{"userId": user, "patientId": id},
	}
	start := c.Now()
	answer := c.post(v, "/cds-services/"+serviceID, request)
	took := c.Now().Sub(start).Round(10 * time.Microsecond)
	d := c.data(v, "Decision support", "/console/patients")
	if !answer.good() {
		d.Problem = answer.problem()
	}
	var said struct{ Cards []card }
	answer.into(&said)
	asked, _ := json.MarshalIndent(request, "", "  ") // strings always encode
	templates := ""
	for _, one := range c.services(v) {
		if one.Hook == name && one.ID == serviceID {
			templates = indented(one.Prefetch)
		}
	}
	d.Body = map[string]any{
		"Service": serviceID, "Status": answer.status, "Took": took.String(), "Patient": id, "Cards": said.Cards, "Good": answer.good(),
		"Request": string(asked), "Response": indented(answer.body), "Prefetch": templates,
	}
	c.render(w, answer.status, "hook", d)
}

// indented is JSON for readers; what is no JSON stays as it is.
func indented(text []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}
