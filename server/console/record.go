package console

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
	"galen/server/console/chart"
)

// concept is a CodeableConcept.
type concept struct {
	Text   string
	Coding []struct{ System, Code, Display string }
}

// name is what people call a concept.
func (c concept) name() string {
	if c.Text != "" {
		return c.Text
	}
	for _, one := range c.Coding {
		if one.Display != "" {
			return one.Display
		}
	}
	for _, one := range c.Coding {
		if one.Code != "" {
			return one.Code
		}
	}
	return "(no code)"
}

// quantity is a Quantity; its value keeps the digits that were sent.
type quantity struct {
	Value json.Number
	Unit  string
	Code  string
}

func (q quantity) unit() string {
	if q.Unit != "" {
		return q.Unit
	}
	return q.Code
}

// observation is the part of an Observation that a timeline shows.
type observation struct {
	Status            string
	Code              concept
	EffectiveDateTime string
	EffectivePeriod   struct{ Start string }
	EffectiveInstant  string
	ValueQuantity     *quantity
	Component         []struct {
		Code          concept
		ValueQuantity *quantity
	}
}

// shownObservations is how many observations a timeline is made of at most.
const shownObservations = 500

func (c *Console) fillObservations(v *visit, id string, into *patientPage) {
	answer := c.get(v, "/fhir/Observation", url.Values{
		"patient": {id}, "_sort": {"-date"}, "_count": {strconv.Itoa(shownObservations)}, "_total": {"none"},
	})
	var found bundle[observation]
	if !answer.into(&found) {
		into.Unread = append(into.Unread, "Observations: "+answer.problem())
		return
	}
	list, more := found.matches()
	into.Shown, into.More = len(list), more
	into.Trends = trends(list)
}

// series collects the points of each name and unit: values in different units
// never share a line.
type series struct {
	order []string
	of    map[string]*group
}

type group struct {
	name, unit, latest string
	points             []chart.Point
}

// add takes a value; the first of a name, which is the newest, is its latest.
func (s *series) add(name string, q quantity, at time.Time) {
	value, err := q.Value.Float64()
	if err != nil {
		return
	}
	key := name + "\x00" + q.unit()
	g := s.of[key]
	if g == nil {
		g = &group{name: name, unit: q.unit(), latest: strings.TrimSpace(q.Value.String() + " " + q.unit())}
		s.of[key], s.order = g, append(s.order, key)
	}
	label := strings.TrimSpace(q.Value.String()+" "+q.unit()) + ", " + at.Format("2 Jan 2006 15:04")
	g.points = append(g.points, chart.Point{Time: at, Value: value, Label: label})
}

func (s *series) trends() []trend {
	var out []trend
	for _, key := range s.order {
		g := s.of[key]
		out = append(out, trend{Name: g.name, Unit: g.unit, Latest: g.latest, Line: chart.Lay(g.points)})
	}
	return out
}

// trends makes a line of each code, from observations that are newest first.
// What was entered in error is no value, and what has no date has no place.
func trends(list []observation) []trend {
	s := series{of: map[string]*group{}}
	for _, o := range list {
		if o.Status == "entered-in-error" || o.Status == "cancelled" {
			continue
		}
		at, ok := moment(o.EffectiveDateTime, o.EffectivePeriod.Start, o.EffectiveInstant)
		if !ok {
			continue
		}
		if o.ValueQuantity != nil {
			s.add(o.Code.name(), *o.ValueQuantity, at)
		}
		for _, part := range o.Component {
			if part.ValueQuantity != nil {
				s.add(part.Code.name(), *part.ValueQuantity, at)
			}
		}
	}
	return s.trends()
}

// moment is the first of some FHIR dates that there is, at its start.
func moment(dates ...string) (time.Time, bool) {
	for _, text := range dates {
		if text == "" {
			continue
		}
		if p, _, err := fhir.ParseDateTime(text, time.UTC); err == nil {
			return p.Low.Time().UTC(), true
		}
	}
	return time.Time{}, false
}

// assessment is a RiskAssessment as Galen writes it. Its probabilities are per
// cent (FHIR R4, ras-2).
type assessment struct {
	Status             string
	Method             concept
	OccurrenceDateTime string
	Basis              []struct{ Reference string }
	Note               []struct{ Text string }
	Prediction         []struct {
		Outcome            concept
		ProbabilityDecimal *json.Number
		ProbabilityRange   *struct{ Low, High quantity }
		QualitativeRisk    *concept
		Rationale          string
	}
}

// prediction is a line of a risk.
type prediction struct{ Outcome, Probability, Range, Level string }

// risk is an assessment for readers.
type risk struct {
	Model, When, Rationale string
	Predictions            []prediction
	Basis, Notes           []string
}

func (c *Console) fillRisks(v *visit, id string, into *patientPage) {
	answer := c.get(v, "/fhir/RiskAssessment", url.Values{
		"subject": {"Patient/" + id}, "_sort": {"-date"}, "_count": {"100"}, "_total": {"none"},
	})
	var found bundle[assessment]
	if !answer.into(&found) {
		into.Unread = append(into.Unread, "Risks: "+answer.problem())
		return
	}
	list, _ := found.matches()
	list = slices.DeleteFunc(list, func(a assessment) bool { return a.Status == "entered-in-error" || a.Status == "cancelled" })
	s := series{of: map[string]*group{}}
	latest := map[string]bool{}
	for _, a := range list {
		at, dated := moment(a.OccurrenceDateTime)
		for _, p := range a.Prediction {
			if dated && p.ProbabilityDecimal != nil {
				s.add(a.Method.name()+": "+p.Outcome.name(), quantity{Value: *p.ProbabilityDecimal, Unit: "%"}, at)
			}
		}
		if name := a.Method.name(); !latest[name] {
			latest[name] = true
			into.Risks = append(into.Risks, a.risk())
		}
	}
	into.RiskTrends = slices.DeleteFunc(s.trends(), func(t trend) bool { return len(t.Line.Dots) < 2 })
}

// risk puts an assessment into words.
func (a assessment) risk() risk {
	out := risk{Model: a.Method.name()}
	if at, ok := moment(a.OccurrenceDateTime); ok {
		out.When = at.Format("2 Jan 2006 15:04 UTC")
	}
	var said []string
	for _, p := range a.Prediction {
		line := prediction{Outcome: p.Outcome.name()}
		if p.ProbabilityDecimal != nil {
			line.Probability = percent(*p.ProbabilityDecimal)
		}
		if r := p.ProbabilityRange; r != nil {
			line.Range = percent(r.Low.Value) + " to " + percent(r.High.Value)
		}
		if p.QualitativeRisk != nil {
			line.Level = p.QualitativeRisk.name()
		}
		out.Predictions = append(out.Predictions, line)
		if p.Rationale != "" && !slices.Contains(said, p.Rationale) {
			said = append(said, p.Rationale)
		}
	}
	out.Rationale = strings.Join(said, " ")
	for _, one := range a.Basis {
		out.Basis = append(out.Basis, one.Reference)
	}
	for _, one := range a.Note {
		out.Notes = append(out.Notes, one.Text)
	}
	return out
}

// percent writes a probability, in per cent, with two digits that count.
func percent(n json.Number) string {
	value, err := n.Float64()
	switch {
	case err != nil:
		return "–"
	case value >= 10:
		return fmt.Sprintf("%.0f %%", value)
	case value >= 1:
		return fmt.Sprintf("%.1f %%", value)
	}
	return fmt.Sprintf("%.2g %%", value)
}

// uuid makes a version 4 UUID (RFC 9562, section 5.4).
func uuid(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", &fhir.Error{Op: "console.uuid", Kind: fhir.Internal, Err: err}
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}
