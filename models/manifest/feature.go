package manifest

// FeatureKind is where a feature's value comes from.
type FeatureKind string

// The kinds of feature.
const (
	Age         FeatureKind = "age"         // Patient.birthDate at the time of assessment, in Unit (a, mo or d)
	Sex         FeatureKind = "sex"         // Patient.gender through Categories
	Observation FeatureKind = "observation" // Observation.value[x], or a component's
	Condition   FeatureKind = "condition"   // active Conditions
	Medication  FeatureKind = "medication"  // active MedicationRequests and MedicationStatements
	Procedure   FeatureKind = "procedure"   // completed or ongoing Procedures
	Race        FeatureKind = "race"        // US Core race of the Patient through Categories
	Onset       FeatureKind = "onset"       // age in years at the onset of active Conditions
	Stay        FeatureKind = "stay"        // hours since the current or last stay in hospital began (Encounter.period.start)
)

// Recorded says whether the kind is a plain "is it on record": with the
// aggregates any and count such a feature is 0 when nothing is found, never
// missing.
func (k FeatureKind) Recorded() bool {
	return k == Condition || k == Medication || k == Procedure
}

// Aggregate makes one value out of the usable ones in the window.
type Aggregate string

// The aggregates. The newest value wins under latest; of values at the same
// time, the one whose code is listed first.
const (
	Latest   Aggregate = "latest"
	Earliest Aggregate = "earliest"
	Mean     Aggregate = "mean"
	Min      Aggregate = "min"
	Max      Aggregate = "max"
	Sum      Aggregate = "sum" // of a series: what a step adds up to, such as urine
	Count    Aggregate = "count"
	Any      Aggregate = "any" // 1 if there is one, else 0
)

// MissingRule says what happens when a feature has no usable value.
type MissingRule string

// The missing rules.
const (
	MissingRequired MissingRule = "required" // no assessment; the result says what is missing
	MissingOptional MissingRule = "optional" // NaN goes into the tensor; the graph or Require decides
	MissingDefault  MissingRule = "default"  // Default goes in, and the result says so with DefaultNote
)

// Comparator says what to do with a value such as "< 3".
type Comparator string

// The comparator rules.
const (
	ComparatorReject Comparator = "reject" // not usable; the rule when none is named
	ComparatorUse    Comparator = "use"    // the limit itself is used, and the result says so
)

// Feature is one thing known of a patient: which record items carry it, in which
// unit, how fresh, how plausible, and what to do without it.
type Feature struct {
	Name  string      `yaml:"name"`  // [a-z][a-z0-9_]*
	Label string      `yaml:"label"` // for people
	Kind  FeatureKind `yaml:"kind"`
	Codes []Code      `yaml:"codes"` // any of them; see Aggregate for which wins
	Unit  string      `yaml:"unit"`  // UCUM; what the model gets ("1" for a number without unit)

	// Conversions to Unit that UCUM cannot know, such as mass to substance. Units
	// that UCUM can convert need no line. A Code's own come first.
	Conversions []Conversion `yaml:"conversions"`

	// Past lets Conditions count that are no longer active: a history of stroke is
	// one though the stroke is over.
	Past bool `yaml:"past"`

	Window     Duration   `yaml:"window"`     // how far back from the assessment; zero is no limit
	Aggregate  Aggregate  `yaml:"aggregate"`  // empty only for age and sex
	Plausible  *Limits    `yaml:"plausible"`  // in Unit; a value outside is rejected, and the result says so
	Comparator Comparator `yaml:"comparator"` // empty is reject

	// Categories give coded values (gender, answers) a number. A coded value
	// without a line is rejected, and the result says so.
	Categories []Category `yaml:"categories"`

	Missing     MissingRule `yaml:"missing"`
	Default     *float64    `yaml:"default"`      // only and always with MissingDefault
	DefaultNote string      `yaml:"default_note"` // what is assumed, for people
}

// Code is one code that carries the feature.
type Code struct {
	Coding `yaml:",inline"`

	// Panels are codes of Observations whose component carries this code, such
	// as 85354-9 for 8480-6. The code alone as Observation.code counts as well.
	Panels []Coding `yaml:"panels"`

	// Unit and Bins turn a number into a category: the value is converted to
	// Unit and becomes the Value of the first bin that holds it. Unit is empty,
	// and the feature's Unit holds, when there are no Bins.
	Unit string `yaml:"unit"`
	Bins []Bin  `yaml:"bins"`

	Conversions []Conversion `yaml:"conversions"` // for this code only
}

// Bin gives a range of a measured number a category's value.
type Bin struct {
	Limits `yaml:",inline"`
	Value  float64 `yaml:"value"`
	Label  string  `yaml:"label"`
}

// Category gives a coded value a number.
type Category struct {
	Coding `yaml:",inline"`
	Value  float64 `yaml:"value"`
}

// Conversion takes a value in Unit to the target unit:
// (value + Offset) × Multiply ÷ Divide; a factor of 0 counts as 1.
type Conversion struct {
	Unit     string  `yaml:"unit"` // UCUM
	Offset   float64 `yaml:"offset"`
	Multiply float64 `yaml:"multiply"`
	Divide   float64 `yaml:"divide"`
}

// Apply converts one value.
func (c Conversion) Apply(value float64) float64 {
	value += c.Offset
	if c.Multiply != 0 {
		value *= c.Multiply
	}
	if c.Divide != 0 {
		value /= c.Divide
	}
	return value
}

// Target is the unit that values of code c are converted to.
func (f *Feature) Target(c *Code) string {
	if c.Unit != "" {
		return c.Unit
	}
	return f.Unit
}

// Conversion finds the conversion declared for values of code c in a unit. None
// found means: equal units, or what UCUM can convert.
func (f *Feature) Conversion(c *Code, unit string) (Conversion, bool) {
	for _, list := range [][]Conversion{c.Conversions, f.Conversions} {
		for _, conv := range list {
			if conv.Unit == unit {
				return conv, true
			}
		}
	}
	return Conversion{}, false
}

// Category finds the number of a coded value.
func (f *Feature) Category(system, code string) (float64, bool) {
	for _, c := range f.Categories {
		if c.System == system && c.Code == code {
			return c.Value, true
		}
	}
	return 0, false
}

// Bin finds the category of a number in the code's Unit.
func (c *Code) Bin(value float64) (float64, bool) {
	for _, b := range c.Bins {
		if b.Contains(value) {
			return b.Value, true
		}
	}
	return 0, false
}
