package hooks

import (
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/hooks/call"
	"galen/hooks/prefetch"
	"galen/hooks/rules"
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
	// Rules say which cards are shown; nil shows those of the models.
	Rules *rules.Definition

	templates []prefetch.Template
	plan      *prefetch.Plan
	needs     [][]need // of each model
}

// version is the version of the services' behaviour, in discovery.
const version = "1.0.0"

// key identifies a service: the same id may stand under several hooks
// (https://cds-hooks.hl7.org/2.0/#discovery).
type key struct{ id, hook string }

// patientKey is the prefetch key of the Patient.
const patientKey = "patient"

// pageSize is how many resources a prefetch search asks for.
const pageSize = 200

// need is one template that brings features of a model.
type need struct {
	template int
	resource string // the type it searches
	required bool   // without it the model cannot be run
}

// Champions are the versions of a catalog that answer: of each model the one
// that is meant when no version is named. A model that is stopped has none.
func Champions(catalog *models.Catalog) []*models.Info {
	var out []*models.Info
	seen := map[string]bool{}
	for _, info := range catalog.List() {
		name := info.Ref.Name
		if seen[name] {
			continue
		}
		seen[name] = true
		if m, err := catalog.Acquire(models.Ref{Name: name}); err == nil {
			out = append(out, m.Info())
			m.Release()
		}
	}
	return out
}

// Services makes the services of models, one version of each: one for each hook that a model
// names and the standard knows, in the order of the hooks' names.
func Services(catalog []*models.Info) []Service {
	byHook := map[string][]*models.Info{}
	for _, info := range catalog {
		for _, hook := range info.Manifest.Hooks {
			if call.Known(hook) {
				byHook[hook] = append(byHook[hook], info)
			}
		}
	}
	var out []Service
	for hook, infos := range byHook {
		titles := make([]string, len(infos))
		for i, info := range infos {
			titles[i] = info.Manifest.Title
		}
		out = append(out, Service{
			ID: ServiceID, Hook: hook, Title: "Galen risk assessment", Models: infos,
			Description: "Assesses the patient with: " + strings.Join(titles, "; ") + ".",
		})
	}
	slices.SortFunc(out, func(a, b Service) int { return strings.Compare(a.Hook, b.Hook) })
	return out
}

// Defined makes the services of definitions, one for each hook that they name.
// A definition without rules shows the cards of its models.
func Defined(definitions []rules.Definition, catalog []*models.Info) []Service {
	var out []Service
	for i := range definitions {
		d := &definitions[i]
		s := Service{ID: d.ID, Title: d.Title, Description: d.Description}
		if len(d.Rules) > 0 {
			s.Rules = d
		}
		for _, name := range d.Models {
			at := slices.IndexFunc(catalog, func(info *models.Info) bool { return info.Ref.Name == name })
			if at >= 0 { // newest first
				s.Models = append(s.Models, catalog[at])
			}
		}
		for _, hook := range d.Hooks {
			s.Hook = hook
			out = append(out, s)
		}
	}
	return out
}

// prepare makes the service's templates and compiles them.
func (s *Service) prepare(paths *path.Engine) error {
	if !call.Known(s.Hook) {
		return fhir.E("hooks.New", fhir.Invalid, s.ID, "the hook is not one of the standard's")
	}
	s.templates = []prefetch.Template{{Key: patientKey, Query: "Patient/{{context.patientId}}"}}
	s.needs = make([][]need, len(s.Models))
	for i, info := range s.Models {
		for _, d := range demands(info.Manifest) {
			s.needs[i] = append(s.needs[i], need{len(s.templates), d.resource, d.required})
			s.templates = append(s.templates, d.Template)
		}
	}
	rules := call.Rules(s.Hook)
	rules.Paths = paths
	var err error
	s.plan, err = prefetch.NewPlan(rules, s.templates)
	return err
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

// demand is a template that a model asks for.
type demand struct {
	prefetch.Template
	resource string
	required bool
}

// demands are the searches that bring a model's features: one for each type of
// resource, by the codes of its features and of the panels that hold them.
func demands(m *manifest.Manifest) []demand {
	var out []demand
	for _, s := range searches {
		codes := codesOf(m, s.kind)
		if len(codes) == 0 {
			continue
		}
		query := s.resourceType + "?patient={{context.patientId}}&code=" + strings.Join(codes, ",")
		if s.sort != "" {
			query += "&_sort=" + s.sort
		}
		out = append(out, demand{
			prefetch.Template{Key: m.Name + "-" + strings.ToLower(s.resourceType), Query: query + "&_count=" + strconv.Itoa(pageSize)},
			s.resourceType, indispensable(m, s.kind),
		})
	}
	return out
}

// indispensable reports whether a model cannot be run without the features of a
// kind: one of them is required, a group of which one is required has only such,
// or the model takes "none on record" as an input, which must then be known.
func indispensable(m *manifest.Manifest, kind manifest.FeatureKind) bool {
	of := func(name string) bool {
		f, ok := m.Feature(name)
		return ok && f.Kind == kind
	}
	for i := range m.Features {
		if f := &m.Features[i]; f.Kind == kind && f.Missing == manifest.MissingRequired {
			return true
		}
	}
	for _, group := range m.Require {
		if len(group) > 0 && !slices.ContainsFunc(group, func(name string) bool { return !of(name) }) {
			return true
		}
	}
	for i := range m.Inputs {
		if kind.Recorded() && slices.ContainsFunc(m.Inputs[i].Columns, of) {
			return true
		}
	}
	return false
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

// usage tells clients what a service needs besides the hook.
const usage = "Needs the prefetch, or fhirServer with fhirAuthorization of a registered client, or the patient's record on this server."

// discovery is the answer of GET /cds-services
// (https://cds-hooks.hl7.org/2.0/#discovery). Prefetch keys stand in the order
// of the templates, for one may use the result of another before it.
func discovery(services []Service) []byte {
	out := []byte(`{"services":[`)
	for i := range services {
		s := &services[i]
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '{')
		for _, member := range [][2]string{
			{"hook", s.Hook},
			{"title", s.Title},
			{"description", s.Description},
			{"id", s.ID},
			{"version", version},
			{"hookVersion", call.Version(s.Hook)},
			{"usageRequirements", usage},
		} {
			if member[1] != "" {
				out = append(jsontree.AppendString(append(jsontree.AppendString(out, member[0]), ':'), member[1]), ',')
			}
		}
		out = append(out, `"prefetch":{`...)
		for j, t := range s.templates {
			if j > 0 {
				out = append(out, ',')
			}
			out = jsontree.AppendString(append(jsontree.AppendString(out, t.Key), ':'), t.Query)
		}
		out = append(out, `}}`...)
	}
	return append(out, `]}`...)
}
