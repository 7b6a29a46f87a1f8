package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// capability is the part of a CapabilityStatement that people read.
type capability struct {
	FHIRVersion string `json:"fhirVersion"`
	Rest        []struct{ Resource []capabilityType }
}

type capabilityType struct {
	Type        string
	Interaction []struct{ Code string }
	SearchParam []struct{ Name string }
}

// result is a resource that a query found.
type result struct {
	ResourceType string
	ID           string
	Meta         struct{ VersionID, LastUpdated string }
}

// systemPage is what the page of the system shows.
type systemPage struct {
	Ready      bool
	Capability capability
	Types      []capabilityType
	Rows       []result
	JSON       string
	Trouble    string
}

func (c *Console) system(w http.ResponseWriter, v *visit) {
	body := &systemPage{Ready: c.get(v, "/readyz", nil).good()}
	c.get(v, "/fhir/metadata", nil).into(&body.Capability)
	if len(body.Capability.Rest) > 0 {
		body.Types = body.Capability.Rest[0].Resource
	}
	if q := strings.TrimSpace(v.URL.Query().Get("q")); q != "" {
		c.query(v, q, body)
	}
	d := c.data(v, "System", "/console/system")
	d.Body = body
	c.render(w, http.StatusOK, "system", d)
}

// query reads or searches as the visitor.
func (c *Console) query(v *visit, text string, into *systemPage) {
	path, raw, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(text, "/"), "fhir/"), "?")
	values, err := url.ParseQuery(raw)
	if err != nil || strings.Contains(path, "..") {
		into.Trouble = "This is no query. Write a type and its parameters: Patient?name=smith"
		return
	}
	answer := c.get(v, "/fhir/"+path, values)
	if !answer.good() {
		into.Trouble = answer.problem()
		return
	}
	var found struct {
		Entry []struct{ Resource result }
	}
	answer.into(&found)
	for _, one := range found.Entry {
		into.Rows = append(into.Rows, one.Resource)
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, answer.body, "", "  ") == nil {
		into.JSON = pretty.String()
	}
}
