package feature

import (
	"math"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/ucum"
	"galen/models/manifest"
)

// candidate is one usable value.
type candidate struct {
	number   float64
	time     time.Time // zero if the resource has none
	code     int       // position of its code in the feature: the first listed is preferred
	citation string
	recorded string
	note     string
}

// gatherer collects the candidates of one feature.
type gatherer struct {
	feature    *manifest.Feature
	units      *ucum.Table
	patient    string
	at         time.Time
	born       time.Time // zero if the birth date is not known
	candidates []candidate
	rejected   []Rejection
}

// source says how resources of one type carry a feature: where the code stands,
// which statuses count, where the time and the patient stand.
type source struct {
	kind     manifest.FeatureKind
	code     string
	usable   func(root jsontree.Node) bool
	times    []string
	patients []string
}

// carries says whether such resources hold features of a kind.
func (s source) carries(kind manifest.FeatureKind) bool {
	return s.kind == kind || s.kind == manifest.Condition && kind == manifest.Onset
}

// sources are the resource types a feature can come from.
var sources = map[string]source{
	"Observation": {
		kind: manifest.Observation, code: "code", usable: statusIn("final", "amended", "corrected", "preliminary"),
		times: []string{"effectiveDateTime", "effectiveInstant", "effectivePeriod", "issued"}, patients: []string{"subject"},
	},
	"Condition": {
		kind: manifest.Condition, code: "code", usable: activeCondition,
		times: []string{"onsetDateTime", "onsetPeriod", "recordedDate"}, patients: []string{"subject"},
	},
	"MedicationRequest": {
		kind: manifest.Medication, code: "medicationCodeableConcept", usable: statusIn("active"),
		times: []string{"authoredOn"}, patients: []string{"subject"},
	},
	"MedicationStatement": {
		kind: manifest.Medication, code: "medicationCodeableConcept", usable: statusIn("active"),
		times: []string{"effectiveDateTime", "effectivePeriod", "dateAsserted"}, patients: []string{"subject"},
	},
	"Procedure": {
		kind: manifest.Procedure, code: "code", usable: statusIn("completed", "in-progress"),
		times: []string{"performedDateTime", "performedPeriod"}, patients: []string{"subject"},
	},
}

func statusIn(allowed ...string) func(jsontree.Node) bool {
	return func(root jsontree.Node) bool {
		status := root.Get("status").Text()
		for _, a := range allowed {
			if status == a {
				return true
			}
		}
		return false
	}
}

// activeCondition follows Condition.clinicalStatus and verificationStatus
// (https://hl7.org/fhir/R4/condition.html#9.2.3.2); absent counts as active.
func activeCondition(root jsontree.Node) bool {
	clinical := root.Get("clinicalStatus")
	return everCondition(root) && (!clinical.Exists() || hasCode(clinical, "active", "recurrence", "relapse"))
}

// everCondition takes what is over as well, but not what never was.
func everCondition(root jsontree.Node) bool {
	return !hasCode(root.Get("verificationStatus"), "refuted", "entered-in-error")
}

func hasCode(concept jsontree.Node, codes ...string) bool {
	for coding := range concept.Get("coding").Items() {
		for _, c := range codes {
			if coding.Get("code").Text() == c {
				return true
			}
		}
	}
	return false
}

func (g *gatherer) item(it *Item) {
	src, known := sources[it.Resource.Type]
	if !known || !src.carries(g.feature.Kind) {
		return
	}
	root := it.Resource.Root()
	holder, code := g.holder(root, root.Get(src.code))
	if code < 0 {
		return
	}
	c := candidate{code: code, citation: it.Citation}
	reason := g.judge(root, src, &c)
	if reason == "" {
		reason = g.read(holder, &c)
	}
	if reason != "" {
		g.rejected = append(g.rejected, Rejection{it.Citation, reason})
		return
	}
	g.candidates = append(g.candidates, c)
}

// holder finds what carries the feature: the resource itself or one component
// of a panel, and the position of the code; -1 for none.
func (g *gatherer) holder(root, concept jsontree.Node) (jsontree.Node, int) {
	for i := range g.feature.Codes {
		c := &g.feature.Codes[i]
		if hasCoding(concept, c.Coding) {
			return root, i
		}
		for _, panel := range c.Panels {
			if !hasCoding(concept, panel) {
				continue
			}
			for component := range root.Get("component").Items() {
				if hasCoding(component.Get("code"), c.Coding) {
					return component, i
				}
			}
		}
	}
	return jsontree.Node{}, -1
}

func hasCoding(concept jsontree.Node, want manifest.Coding) bool {
	for coding := range concept.Get("coding").Items() {
		if coding.Get("code").Text() == want.Code && coding.Get("system").Text() == want.System {
			return true
		}
	}
	return false
}

// judge checks what must hold whatever the value: whose it is, its status and
// its time. It returns why not, or "".
func (g *gatherer) judge(root jsontree.Node, src source, c *candidate) string {
	for _, member := range src.patients {
		ref := fhir.ParseReference(root.Get(member).Get("reference").Text())
		if ref.Key != (fhir.Key{Type: "Patient", ID: g.patient}) {
			return reasonPatient
		}
	}
	if !src.usable(root) && !(g.feature.Past && everCondition(root)) {
		return reasonStatus
	}
	c.time = timeOf(root, src.times)
	window := g.feature.Window
	switch {
	case c.time.IsZero() && !window.IsZero():
		return reasonNoTime
	case c.time.After(g.at):
		return reasonFuture
	case !window.IsZero() && c.time.Before(window.Before(g.at)):
		return reasonOld
	}
	return ""
}

// timeOf is the first time that is there; of a Period its end, or its start
// while it is open. A date without a time of day counts from its beginning.
func timeOf(root jsontree.Node, members []string) time.Time {
	for _, m := range members {
		node := root.Get(m)
		if strings.HasSuffix(m, "Period") {
			if end := node.Get("end"); end.Exists() {
				node = end
			} else {
				node = node.Get("start")
			}
		}
		if p, _, err := fhir.ParseDateTime(node.Text(), time.UTC); err == nil {
			return p.Low.Time()
		}
	}
	return time.Time{}
}

// read takes the value of a resource or component into c, in the feature's
// unit. It returns why not, or "".
func (g *gatherer) read(holder jsontree.Node, c *candidate) string {
	if g.feature.Kind.Recorded() {
		c.number = 1
		return ""
	}
	if g.feature.Kind == manifest.Onset {
		return g.onset(holder, c)
	}
	if q := holder.Get("valueQuantity"); q.Exists() {
		return g.quantity(q, c)
	}
	if concept := holder.Get("valueCodeableConcept"); concept.Exists() {
		return g.category(concept, c)
	}
	if n := holder.Get("valueInteger"); n.Exists() {
		return g.number(n.Text(), "1", c)
	}
	if b := holder.Get("valueBoolean"); b.Exists() {
		c.recorded, c.number = b.Text(), 0
		if b.Kind() == jsontree.True {
			c.number = 1
		}
		return ""
	}
	return reasonNoValue
}

func (g *gatherer) category(concept jsontree.Node, c *candidate) string {
	for coding := range concept.Get("coding").Items() {
		if n, ok := g.feature.Category(coding.Get("system").Text(), coding.Get("code").Text()); ok {
			c.number, c.recorded = n, coding.Get("display").Text()
			return ""
		}
	}
	return reasonCategory
}

// place puts a number that is in the code's target unit into c.
func (g *gatherer) place(number float64, c *candidate) string {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return reasonNoValue
	}
	code := &g.feature.Codes[c.code]
	if len(code.Bins) > 0 {
		binned, ok := code.Bin(number)
		if !ok {
			return reasonImplausible
		}
		number = binned
	}
	if p := g.feature.Plausible; p != nil && !p.Contains(number) {
		return reasonImplausible
	}
	c.number = number
	return ""
}
