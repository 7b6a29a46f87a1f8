package console

import (
	"net/http"
	"slices"
	"time"

	"galen/fhir"
	"galen/policies"
)

// modelState is a line of the index of the Open Inference Protocol.
type modelState struct{ Name, Version, State, Reason string }

// tensor is an input or output.
type tensor struct {
	Name, Datatype string
	Shape          []int64
}

// modelMeta is the metadata of a model.
type modelMeta struct {
	Name, Platform  string
	Inputs, Outputs []tensor
	Parameters      struct{ Title, Kind, Version, SHA256 string }
}

// modelStats is how often a version was run.
type modelStats struct {
	Version        string
	InferenceStats struct {
		Success, Fail struct{ Count, NS uint64 }
	} `json:"inference_stats"`
	Clients map[string]uint64 // runs by client
}

// Mean is how long a run that succeeded took, on average; "–" without any.
func (m modelStats) Mean() string {
	if m.InferenceStats.Success.Count == 0 {
		return "–"
	}
	return time.Duration(m.InferenceStats.Success.NS / m.InferenceStats.Success.Count).Round(time.Microsecond).String()
}

// device is the record of a version that assessments name as their performer.
type device struct {
	Manufacturer string
	Note         []struct{ Text string }
	Property     []struct {
		Type      concept
		ValueCode []concept
	}
}

// fact is one thing that the record of a version says.
type fact struct{ Name, Text string }

// facts are what a device says of its version.
func (d device) facts() []fact {
	var out []fact
	for _, one := range d.Note {
		out = append(out, fact{"Intended use", one.Text})
	}
	if d.Manufacturer != "" {
		out = append(out, fact{"Made by", d.Manufacturer})
	}
	for _, one := range d.Property {
		for _, value := range one.ValueCode {
			out = append(out, fact{one.Type.name(), value.name()})
		}
	}
	return out
}

func (c *Console) models(w http.ResponseWriter, v *visit) {
	answer := c.post(v, "/v2/repository/index", map[string]any{})
	if c.refused(w, v, answer) {
		return
	}
	var body struct{ List []modelState }
	answer.into(&body.List)
	d := c.data(v, "Models", "/console/models")
	d.Body = body
	c.render(w, http.StatusOK, "models", d)
}

func (c *Console) model(w http.ResponseWriter, v *visit) {
	name := v.PathValue("name")
	if !fhir.ValidID(name) {
		c.absent(w, v)
		return
	}
	index := c.post(v, "/v2/repository/index", map[string]any{})
	if c.refused(w, v, index) {
		return
	}
	body := struct {
		Meta                  modelMeta
		Versions              []modelState
		Stats                 []modelStats
		Facts                 []fact
		MayPromote, MayRetire bool
	}{MayPromote: c.may(v, policies.ModelPromote, name), MayRetire: c.may(v, policies.ModelRetire, name)}
	index.into(&body.Versions)
	body.Versions = slices.DeleteFunc(body.Versions, func(one modelState) bool { return one.Name != name })
	if len(body.Versions) == 0 {
		c.absent(w, v)
		return
	}
	d := c.data(v, name, "/console/models")
	// A model that is stopped has no metadata: the page then says why and still
	// offers to resume it.
	if meta := c.get(v, "/v2/models/"+name, nil); !meta.into(&body.Meta) {
		body.Meta.Name, d.Problem = name, meta.problem()
	}
	var stats struct {
		List []modelStats `json:"model_stats"`
	}
	c.get(v, "/v2/models/"+name+"/stats", nil).into(&stats)
	body.Stats = stats.List
	if version := body.Meta.Parameters.Version; fhir.ValidID(version) && c.may(v, policies.Read, "Device") {
		var record device
		c.get(v, "/fhir/Device/model-"+name+"-"+version, nil).into(&record)
		body.Facts = record.facts()
	}
	d.Body = body
	c.render(w, http.StatusOK, "model", d)
}

// changeModel stops, resumes or promotes a version, or takes a promotion back.
func (c *Console) changeModel(w http.ResponseWriter, v *visit) {
	name, version, do := v.PathValue("name"), v.PathValue("version"), v.PathValue("do")
	if !fhir.ValidID(name) || !fhir.ValidID(version) {
		c.absent(w, v)
		return
	}
	stored := "/v2/repository/models/" + name
	var answer reply
	switch do {
	case "stop":
		answer = c.post(v, stored+"/versions/"+version+"/stop", map[string]string{"reason": v.PostFormValue("reason")})
	case "resume":
		answer = c.post(v, stored+"/versions/"+version+"/resume", map[string]string{})
	case "champion":
		answer = c.send(v, http.MethodPut, stored+"/champion", nil, map[string]string{"version": version})
	case "model-rollback":
		answer = c.post(v, stored+"/rollback", map[string]string{})
	default:
		c.absent(w, v)
		return
	}
	if !c.refused(w, v, answer) {
		c.done(w, v, "/console/models/"+name, do)
	}
}
