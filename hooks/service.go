package hooks

import (
	"encoding/json"
	"slices"
	"strings"

	"galen/fhir"
	"galen/hooks/prefetch"
	"galen/models"
	"galen/models/manifest"
)

// ServiceID is the id of the service that answers with every model of the
// catalog that serves the hook; the same id stands under each such hook.
const ServiceID = "galen-risk"

// Service is one CDS service: an id under one hook, and the models it runs.
type Service struct {
	ID          string
	Hook        string
	Title       string
	Description string
	Models      []*models.Info
	Prefetch    []prefetch.Template
}

// key identifies a service: the same id may stand under several hooks
// (https://cds-hooks.hl7.org/2.0/#discovery).
type key struct{ id, hook string }

// patientKey is the prefetch key of the Patient.
const patientKey = "patient"

// pageSize is how many resources a prefetch search asks for.
const pageSize = "200"

// Services makes the services of a catalog: one for each hook that a model
// names and the standard knows, in the order of the hooks' names.
func Services(catalog []*models.Info) []Service {
	byHook := map[string][]*models.Info{}
	for _, info := range catalog {
		for _, hook := range info.Manifest.Hooks {
			if _, known := hookTable[hook]; known {
				byHook[hook] = append(byHook[hook], info)
			}
		}
	}
	var out []Service
	for hook, infos := range byHook {
		out = append(out, newService(hook, infos))
	}
	slices.SortFunc(out, func(a, b Service) int { return strings.Compare(a.Hook, b.Hook) })
	return out
}

func newService(hook string, infos []*models.Info) Service {
	titles := make([]string, len(infos))
	for i, info := range infos {
		titles[i] = info.Manifest.Title
	}
	s := Service{
		ID: ServiceID, Hook: hook, Title: "Galen risk assessment", Models: infos,
		Description: "Assesses the patient with: " + strings.Join(titles, "; ") + ".",
		Prefetch:    []prefetch.Template{{Key: patientKey, Query: "Patient/{{context.patientId}}", Required: true}},
	}
	for _, info := range infos {
		s.Prefetch = append(s.Prefetch, templates(info.Manifest)...)
	}
	return s
}

// searches says where the resources of each kind of feature are searched. Only
// the portable subset of queries is used
// (https://cds-hooks.hl7.org/2.0/#prefetch-query-restrictions).
var searches = []struct {
	kind         manifest.FeatureKind
	resourceType string
	sort         string
}{
	{manifest.Observation, "Observation", "-date"},
	{manifest.Condition, "Condition", ""},
	{manifest.Medication, "MedicationRequest", ""},
	{manifest.Procedure, "Procedure", "-date"},
}

// templates are the searches that bring a model's features: one for each type
// of resource, by the codes of its features and of the panels that hold them.
func templates(m *manifest.Manifest) []prefetch.Template {
	var out []prefetch.Template
	for _, s := range searches {
		codes := codesOf(m, s.kind)
		if len(codes) == 0 {
			continue
		}
		query := s.resourceType + "?patient={{context.patientId}}&code=" + strings.Join(codes, ",")
		if s.sort != "" {
			query += "&_sort=" + s.sort
		}
		out = append(out, prefetch.Template{
			Key: m.Name + "-" + strings.ToLower(s.resourceType), Query: query + "&_count=" + pageSize,
		})
	}
	return out
}

func codesOf(m *manifest.Manifest, kind manifest.FeatureKind) []string {
	var codes []string
	add := func(c manifest.Coding) {
		if code := c.System + "|" + c.Code; !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	for i := range m.Features {
		if m.Features[i].Kind != kind {
			continue
		}
		for _, c := range m.Features[i].Codes {
			add(c.Coding)
			for _, panel := range c.Panels {
				add(panel)
			}
		}
	}
	return codes
}

// discovery is the answer of GET /cds-services.
func discovery(services []Service) ([]byte, error) {
	type entry struct {
		Hook        string            `json:"hook"`
		Title       string            `json:"title"`
		Description string            `json:"description"`
		ID          string            `json:"id"`
		Prefetch    map[string]string `json:"prefetch,omitempty"`
	}
	list := make([]entry, len(services))
	for i, s := range services {
		list[i] = entry{s.Hook, s.Title, s.Description, s.ID, map[string]string{}}
		for _, t := range s.Prefetch {
			list[i].Prefetch[t.Key] = t.Query
		}
	}
	body, err := json.Marshal(map[string]any{"services": list})
	if err != nil {
		return nil, &fhir.Error{Op: "hooks.discovery", Err: err}
	}
	return body, nil
}
