package manifest

import "math"

// Meaning is what the numbers of an output are.
type Meaning string

// The meanings of an output.
const (
	Probability  Meaning = "probability"  // 0–1 (a fraction, not percent)
	Points       Meaning = "points"       // a score; not a probability
	Quantity     Meaning = "quantity"     // a number with a Unit
	Class        Meaning = "class"        // index into Classes
	Contribution Meaning = "contribution" // one column per feature; explains the output Of
	Auxiliary    Meaning = "auxiliary"    // an intermediate result, used by Applicable, Also or the text
	Trajectory   Meaning = "trajectory"   // the output Of as of each step of the series, one column a step
)

// Report says where an output appears.
type Report string

// Where an output is reported.
const (
	ReportHeadline Report = "headline" // decides summary and indicator; exactly one
	ReportList     Report = "list"     // a further prediction
	ReportHide     Report = "hide"     // not a prediction (contributions and auxiliaries)
)

// Risk is a code of http://terminology.hl7.org/CodeSystem/risk-probability.
type Risk string

// The qualitative risks.
const (
	RiskNegligible Risk = "negligible"
	RiskLow        Risk = "low"
	RiskModerate   Risk = "moderate"
	RiskHigh       Risk = "high"
	RiskCertain    Risk = "certain"
)

// RiskSystem is the code system of Risk.
const RiskSystem = "http://terminology.hl7.org/CodeSystem/risk-probability"

// Indicator is a CDS Hooks card indicator,
// https://cds-hooks.hl7.org/2.0/#card-attributes.
type Indicator string

// The indicators.
const (
	Info     Indicator = "info"
	Warning  Indicator = "warning"
	Critical Indicator = "critical"
)

// Output is one output tensor and what it means.
type Output struct {
	Name    string  `yaml:"name"`
	DType   DType   `yaml:"dtype"`
	Shape   []int64 `yaml:"shape"` // -1 is any size; the first dimension is the batch of patients
	Label   string  `yaml:"label"` // for people
	Meaning Meaning `yaml:"meaning"`
	Report  Report  `yaml:"report"` // empty in the file is list for predictions, hide for the rest

	Code        *Coding  `yaml:"code"`    // of the score or quantity itself, if it has one
	Outcome     *Coding  `yaml:"outcome"` // what is predicted (SNOMED CT)
	Horizon     Duration `yaml:"horizon"` // within which the outcome is predicted; zero is now
	Unit        string   `yaml:"unit"`    // UCUM, of a quantity or of points ({score})
	Calibration string   `yaml:"calibration"`
	Classes     []Coding `yaml:"classes"`
	Bands       []Band   `yaml:"bands"` // first match wins; together they hold every value

	// A trajectory is output Of as of each step. A contribution explains output Of: column i is the part of feature
	// Columns[i], in Scale (such as log-hazard or points), against Baseline.
	Of       string   `yaml:"of"`
	Columns  []string `yaml:"columns"`
	Scale    string   `yaml:"scale"`
	Baseline string   `yaml:"baseline"`

	MayBeNaN bool `yaml:"may_be_nan"` // NaN is an answer; otherwise a non-finite value is refused
}

// Prediction says whether the output is an answer about the patient rather than
// an explanation or an intermediate result.
func (o *Output) Prediction() bool {
	return o.Meaning != Contribution && o.Meaning != Auxiliary && o.Meaning != Trajectory
}

// Band is a range of an output with its reading. Limits are in the output's own
// scale (0–1 for a probability).
type Band struct {
	Limits    `yaml:",inline"`
	Also      *Also     `yaml:"also"` // a second condition on another output
	Label     string    `yaml:"label"`
	Risk      Risk      `yaml:"risk"` // empty where none is meant
	Indicator Indicator `yaml:"indicator"`
	Advice    string    `yaml:"advice"`
}

// Also is a condition on another output.
type Also struct {
	Output string `yaml:"output"`
	Limits `yaml:",inline"`
}

// Band reads a value of this output; other gives the values of other outputs of
// the same patient by name. False means that no band holds it.
func (o *Output) Band(value float64, other func(output string) (float64, bool)) (*Band, bool) {
	for i := range o.Bands {
		if b := &o.Bands[i]; b.Contains(value) && b.alsoHolds(other) {
			return b, true
		}
	}
	return nil, false
}

func (b *Band) alsoHolds(other func(string) (float64, bool)) bool {
	if b.Also == nil {
		return true
	}
	v, ok := other(b.Also.Output)
	return ok && b.Also.Contains(v)
}

// Limits is a range of numbers; an absent end is open. The zero value holds
// every number. NaN lies in no Limits.
type Limits struct {
	GE *float64 `yaml:"ge"`
	GT *float64 `yaml:"gt"`
	LE *float64 `yaml:"le"`
	LT *float64 `yaml:"lt"`
}

// Contains says whether x lies within.
func (l Limits) Contains(x float64) bool {
	return !math.IsNaN(x) &&
		(l.GE == nil || x >= *l.GE) && (l.GT == nil || x > *l.GT) &&
		(l.LE == nil || x <= *l.LE) && (l.LT == nil || x < *l.LT)
}

// Empty says whether no end is set.
func (l Limits) Empty() bool { return l.GE == nil && l.GT == nil && l.LE == nil && l.LT == nil }

// ends lists the ends that are set.
func (l Limits) ends() []float64 {
	var ends []float64
	for _, p := range []*float64{l.GE, l.GT, l.LE, l.LT} {
		if p != nil {
			ends = append(ends, *p)
		}
	}
	return ends
}
