// Package manifest is the schema of a model's manifest.yaml: what the model is,
// which tensors it takes and gives, how each input is gathered from a record,
// what each output means, and what its makers disclose about it.
//
// Decode is strict: an unknown key, a wrong type, a name that points nowhere or
// a disclosure that is neither filled nor declared unavailable is refused, with
// the key and the line. A decoded Manifest is complete and consistent, so its
// readers need no checks of their own. It is immutable by convention: it is
// shared between goroutines and must not be changed.
//
// It is not a loader (see galen/models) and knows neither tensors nor FHIR
// resources; codes and units are plain text here.
package manifest

import "strings"

// Kind is what a model is for.
type Kind string

// The kinds of model.
const (
	Diagnosis Kind = "diagnosis" // is the condition there now?
	Treatment Kind = "treatment" // which of several actions helps this patient?
	Prognosis Kind = "prognosis" // how likely is an event within a horizon?
)

// Runtime names what executes the model file.
type Runtime string

// The runtimes.
const (
	ONNX Runtime = "onnx" // ONNX Runtime in this process
	OIP  Runtime = "oip"  // a remote server that speaks the Open Inference Protocol v2
)

// Manifest is one manifest.yaml.
type Manifest struct {
	Name        string  `yaml:"name"`        // [a-z][a-z0-9-]*, at most 63 bytes; the folder's name
	Version     Version `yaml:"version"`     // semantic version; the sub-folder's name
	Title       string  `yaml:"title"`       // for people, one line
	Description string  `yaml:"description"` // for people, a paragraph
	Developer   Party   `yaml:"developer"`
	Kind        Kind    `yaml:"kind"`

	File    string  `yaml:"file"`   // the model file beside the manifest, a plain file name
	SHA256  string  `yaml:"sha256"` // of that file, 64 lower-case hex digits
	Runtime Runtime `yaml:"runtime"`
	Opset   int     `yaml:"opset"` // ONNX operator set of the default domain

	// Remote is where a model of Runtime OIP runs; it then has no File, and SHA256
	// is empty or what its owner says of it.
	Remote *Remote `yaml:"remote"`

	Inputs     []Input      `yaml:"inputs"`     // the model's input tensors, in the order Predict takes them
	Features   []Feature    `yaml:"features"`   // what the inputs are filled from
	Require    [][]string   `yaml:"require"`    // groups of features: of each group one must be present
	Applicable []Applicable `yaml:"applicable"` // where the model may be used at all
	Outputs    []Output     `yaml:"outputs"`    // the model's output tensors, in the order Predict gives them

	Hooks       []string     `yaml:"hooks"` // CDS Hooks hooks this model answers, such as patient-view
	Use         Use          `yaml:"use"`
	Limitations []string     `yaml:"limitations"`
	Evaluation  []Evaluation `yaml:"evaluation"`
	Citations   []Citation   `yaml:"citations"`

	// Transparency is keyed by Attribute.Key; after Decode every one of the 31
	// attributes is there.
	Transparency map[string]Disclosure `yaml:"transparency"`
	Regulatory   Regulatory            `yaml:"regulatory"`
}

// Remote is a model on a server of the Open Inference Protocol. The server must be
// on the operator's list, which also holds its token and certificates: a manifest
// cannot make this process send anything elsewhere.
type Remote struct {
	URL      string `yaml:"url"`         // of the server, without /v2: https://triton.example:8000
	Model    string `yaml:"model"`       // its name there; empty is the manifest's name
	Version  string `yaml:"version"`     // its version there; empty leaves it to that server
	Deadline int64  `yaml:"deadline_ms"` // of one run with its retries; 0 is 5,000
	Retries  int    `yaml:"retries"`     // of a run that did not reach the model
}

// Party is who made or answers for a model.
type Party struct {
	Name    string `yaml:"name"`
	Contact string `yaml:"contact"`
}

// Use says what the model is for and what it must not be used for.
type Use struct {
	Intended        string   `yaml:"intended"`
	Population      string   `yaml:"population"`
	Users           string   `yaml:"users"`
	Contraindicated []string `yaml:"contraindicated"`
}

// Citation is a source a clinician can read.
type Citation struct {
	Label string `yaml:"label"`
	URL   string `yaml:"url"`
}

// Evaluation is one published or measured figure and the data it came from.
type Evaluation struct {
	Metric string   `yaml:"metric"`
	Value  float64  `yaml:"value"`
	Low    *float64 `yaml:"low"`  // 95% interval, when known
	High   *float64 `yaml:"high"` // 95% interval, when known
	Data   string   `yaml:"data"` // on which patients
	Source string   `yaml:"source"`
}

// Coding is a code in a code system.
type Coding struct {
	System  string `yaml:"system"`
	Code    string `yaml:"code"`
	Display string `yaml:"display"`
}

// Applicable limits where a model may be used: the named feature or output must
// lie within the limits, otherwise the answer is "not applicable" with Reason.
// Exactly one of Feature and Output is set; a missing feature is not judged here
// (see Manifest.Lacking).
type Applicable struct {
	Feature string `yaml:"feature"`
	Output  string `yaml:"output"`
	Limits  `yaml:",inline"`
	Reason  string `yaml:"reason"` // why the model does not apply outside; holds no patient value
}

// Feature finds a feature by name.
func (m *Manifest) Feature(name string) (*Feature, bool) {
	for i := range m.Features {
		if m.Features[i].Name == name {
			return &m.Features[i], true
		}
	}
	return nil, false
}

// Output finds an output by name and gives its position in Predict's result.
func (m *Manifest) Output(name string) (*Output, int, bool) {
	for i := range m.Outputs {
		if m.Outputs[i].Name == name {
			return &m.Outputs[i], i, true
		}
	}
	return nil, 0, false
}

// Headline is the output that decides the card's summary and indicator, and its
// position in Predict's result. Every decoded manifest has exactly one.
func (m *Manifest) Headline() (*Output, int) {
	for i := range m.Outputs {
		if m.Outputs[i].Report == ReportHeadline {
			return &m.Outputs[i], i
		}
	}
	return nil, -1
}

// Lacking lists, for people, what must be present and is not: the label of each
// missing feature of rule required, and for each group of Require with no
// present member the members' labels joined by "or". Nil means assessable.
func (m *Manifest) Lacking(present func(feature string) bool) []string {
	var lacking []string
	for i := range m.Features {
		if f := &m.Features[i]; f.Missing == MissingRequired && !present(f.Name) {
			lacking = append(lacking, f.Label)
		}
	}
	for _, group := range m.Require {
		if text, ok := m.lackingGroup(group, present); !ok {
			lacking = append(lacking, text)
		}
	}
	return lacking
}

func (m *Manifest) lackingGroup(group []string, present func(string) bool) (string, bool) {
	labels := make([]string, 0, len(group))
	for _, name := range group {
		if present(name) {
			return "", true
		}
		if f, ok := m.Feature(name); ok {
			labels = append(labels, f.Label)
		}
	}
	return strings.Join(labels, " or "), false
}
