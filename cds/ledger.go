package cds

import (
	"context"
	"strings"

	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/r4"
	"galen/models"
	"galen/models/manifest"
	"galen/store"
)

// ModelSystem is the code system of RiskAssessment.method: a model's name, and
// its name@version.
const ModelSystem = "http://galen.health/fhir/CodeSystem/model"

// Ledger keeps assessments as FHIR resources. It is safe for concurrent use.
type Ledger struct{ store *store.Store }

// NewLedger returns a Ledger over a store.
func NewLedger(s *store.Store) *Ledger { return &Ledger{s} }

// Context is what an assessment's resources say besides the assessment.
type Context struct {
	Subject   string   // reference to the patient
	Encounter string   // reference, "" for none
	Policy    string   // digest of the policy revision in force
	Cards     []string // uuid of the card of each assessment, "" for none
	Guidance  []Guidance
}

// DeviceKey is where a model version stands as a Device.
func DeviceKey(ref models.Ref) fhir.Key {
	id := "model-" + strings.NewReplacer("@", "-", "+", "-").Replace(ref.String())
	return fhir.Key{Type: "Device", ID: id}
}

// Devices writes a Device for each model version, the performer of its
// assessments, and a Library that holds its cards. What has not changed makes no
// new version.
func (l *Ledger) Devices(ctx context.Context, infos []*models.Info) error {
	var changes []store.Change
	for _, info := range infos {
		body, err := device(info).JSON()
		if err != nil {
			return err
		}
		performer, err := change(store.Put, DeviceKey(info.Ref), body)
		if err != nil {
			return err
		}
		if body, err = libraryOf(info); err != nil {
			return err
		}
		cards, err := change(store.Put, LibraryKey(info.Ref), body)
		if err != nil {
			return err
		}
		changes = append(changes, performer, cards)
	}
	_, err := l.store.Each(ctx, changes)
	return err
}

func device(info *models.Info) r4.Device {
	m := info.Manifest
	return r4.Device{
		Identifiers: []r4.Identifier{{System: ModelSystem, Value: info.Ref.String()}},
		Name:        m.Title, Version: string(m.Version), Manufacturer: m.Developer.Name,
		Type: r4.Concept{Text: "Prediction model"},
		Properties: []r4.Property{
			{Type: r4.Concept{Text: "SHA-256 of the model file"}, Value: r4.Concept{Text: info.Digest}},
			{Type: r4.Concept{Text: "SHA-256 of the manifest"}, Value: r4.Concept{Text: info.ManifestDigest}},
		},
		Notes: []string{m.Use.Intended},
	}
}

// Record stores a RiskAssessment and its Provenance for each assessment that was
// Assessed, and a GuidanceResponse for each Guidance, all in one commit, and returns the
// RiskAssessments by position, zero records for the others.
func (l *Ledger) Record(ctx context.Context, c Context, assessments []*Assessment) ([]store.Record, error) {
	out := make([]store.Record, len(assessments))
	var changes []store.Change
	var origin []int
	for i, a := range assessments {
		if a.Status != Assessed {
			continue
		}
		card := ""
		if i < len(c.Cards) {
			card = c.Cards[i]
		}
		pair, err := l.pair(c, a, card)
		if err != nil {
			return nil, err
		}
		changes, origin = append(changes, pair...), append(origin, i)
	}
	for i := range c.Guidance {
		g, err := l.guidance(c, &c.Guidance[i])
		if err != nil {
			return nil, err
		}
		changes = append(changes, g)
	}
	if len(changes) == 0 {
		return out, nil
	}
	results, err := l.store.Each(ctx, changes)
	if err != nil {
		return nil, err
	}
	for n, i := range origin {
		out[i] = results[2*n].Record
	}
	return out, nil
}

// pair makes the RiskAssessment and the Provenance of one assessment. Both ids
// are new, so the version that Provenance targets is the first.
func (l *Ledger) pair(c Context, a *Assessment, card string) ([]store.Change, error) {
	risk := fhir.Key{Type: "RiskAssessment", ID: l.store.NewID()}
	body, err := a.risk(c, card).JSON()
	if err != nil {
		return nil, err
	}
	first, err := change(store.Post, risk, body)
	if err != nil {
		return nil, err
	}
	if body, err = a.provenance(c, risk).JSON(); err != nil {
		return nil, err
	}
	second, err := change(store.Post, fhir.Key{Type: "Provenance", ID: l.store.NewID()}, body)
	return []store.Change{first, second}, err
}

func change(method store.Method, key fhir.Key, body []byte) (store.Change, error) {
	r, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return store.Change{}, &fhir.Error{Op: "cds.change", Err: err}
	}
	return store.Change{Method: method, Key: key, Resource: r}, nil
}

// risk is the assessment as a RiskAssessment.
func (a *Assessment) risk(c Context, card string) r4.RiskAssessment {
	m := a.Model.Manifest
	ids := []r4.Identifier{{System: uriSystem, Value: "urn:uuid:" + a.ID}}
	if card != "" {
		ids = append(ids, r4.Identifier{System: uriSystem, Value: "urn:uuid:" + card})
	}
	out := r4.RiskAssessment{
		Identifiers: ids,
		Method: r4.Concept{Text: m.Title + " " + string(m.Version), Codings: []r4.Coding{
			{System: ModelSystem, Code: m.Name, Display: m.Title}, {System: ModelSystem, Code: a.Model.Ref.String()},
		}},
		Code: r4.Concept{Text: string(m.Kind)}, Subject: c.Subject, Encounter: c.Encounter, Occurrence: a.At,
		Performer: DeviceKey(a.Model.Ref).String(), Basis: a.Citations(), Notes: a.remarks(),
	}
	for i := range a.Predictions {
		out.Predictions = append(out.Predictions, a.prediction(&a.Predictions[i]))
	}
	if h := a.Headline(); h != nil && h.Band != nil {
		out.Mitigation = h.Band.Advice
	}
	return out
}

const uriSystem = "urn:ietf:rfc:3986" // the system of an identifier that is a URI

// stored is how many significant digits a prediction keeps: more than any model
// means, few enough to hide the noise of floating point.
const stored = 12

func (a *Assessment) prediction(p *Prediction) r4.Prediction {
	o := p.Output
	out := r4.Prediction{Outcome: r4.Concept{Text: o.Label}, Rationale: a.Rationale()}
	if o.Outcome != nil {
		out.Outcome.Codings = []r4.Coding{{System: o.Outcome.System, Code: o.Outcome.Code, Display: o.Outcome.Display}}
	}
	if f := p.Finding; f != nil {
		out.Outcome = r4.Concept{Text: f.Text}
		if f.Code != "" {
			out.Outcome.Codings = []r4.Coding{{System: "http://snomed.info/sct", Code: f.Code, Display: f.Display}}
		}
		out.Finding = &r4.Finding{
			Source: f.Citation, Part: f.Part, Start: f.Start, End: f.End,
			Negated: p.Value < 0.5, Historical: f.Historical, Relative: f.Relative,
		}
	}
	switch o.Meaning {
	case manifest.Probability:
		out.Percent = Digits(p.Value*100, stored)
	default:
		out.Score, out.Unit = Digits(p.Value, stored), o.Unit
	}
	for _, step := range p.Trajectory {
		out.Trajectory = append(out.Trajectory, r4.Step{At: step.At, Percent: Digits(step.Value*100, stored)})
	}
	if p.Band != nil && p.Band.Risk != "" {
		out.Risk = r4.Coding{System: manifest.RiskSystem, Code: string(p.Band.Risk)}
	}
	out.When = r4.Period{Start: a.At, End: a.At}
	if !o.Horizon.IsZero() {
		out.When.End = o.Horizon.After(a.At)
	}
	return out
}

// remarks tell what the numbers alone do not: how to read them, what was missing
// or assumed, where the model ends.
func (a *Assessment) remarks() []string {
	out := []string{"probabilityDecimal is a percentage from 0 to 100 (FHIR R4, ras-2)."}
	for i := range a.Features {
		v := &a.Features[i]
		switch {
		case v.Status == feature.Missing:
			out = append(out, v.Feature.Label+": missing.")
		case v.Note != "":
			out = append(out, v.Feature.Label+": "+v.Note+".")
		}
	}
	for i := range a.Model.Manifest.Inputs {
		out = append(out, a.pictures[a.Model.Manifest.Inputs[i].Name].Notes...)
	}
	return append(out, a.Model.Manifest.Limitations...)
}

// provenance says which model made the RiskAssessment from which inputs under
// which policy.
func (a *Assessment) provenance(c Context, risk fhir.Key) r4.Provenance {
	author := r4.Concept{Codings: []r4.Coding{{System: "http://terminology.hl7.org/CodeSystem/provenance-participant-type", Code: "author"}}}
	out := r4.Provenance{
		Targets: []string{fhir.VersionedReference(risk, 1)}, Recorded: a.At,
		Reason:  r4.Concept{Codings: []r4.Coding{r4.AIAST}},
		Agents:  []r4.Agent{{Type: author, Who: DeviceKey(a.Model.Ref).String()}},
		Sources: a.Citations(), Security: []r4.Coding{r4.AIAST},
	}
	if c.Policy != "" {
		out.Policies = []string{"urn:galen:policy:" + c.Policy}
	}
	return out
}
