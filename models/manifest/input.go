package manifest

// DType is the element type of a tensor.
type DType string

// The element types.
const (
	Float16 DType = "float16"
	Float32 DType = "float32"
	Float64 DType = "float64"
	Int8    DType = "int8"
	Int16   DType = "int16"
	Int32   DType = "int32"
	Int64   DType = "int64"
	Uint8   DType = "uint8"
	Uint16  DType = "uint16"
	Uint32  DType = "uint32"
	Uint64  DType = "uint64"
	String  DType = "string"
	Bool    DType = "bool"
)

// DTypes lists every element type.
func DTypes() []DType {
	return []DType{Float16, Float32, Float64, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, String, Bool}
}

// Float says whether the type can hold NaN, the mark of a missing value.
func (d DType) Float() bool { return d == Float16 || d == Float32 || d == Float64 }

// Input is one input tensor and how it is filled: by exactly one of Columns,
// Series, Image and Text.
type Input struct {
	Name  string  `yaml:"name"`
	DType DType   `yaml:"dtype"`
	Shape []int64 `yaml:"shape"` // -1 is any size; the first dimension is the batch of patients

	// Columns names the features of a tabular input, in column order: shape
	// [-1, len(Columns)], or [-1] for one feature. A missing value is NaN.
	Columns []string `yaml:"columns"`
	Series  *Series  `yaml:"series"`
	Image   *Image   `yaml:"image"`
	Text    *Text    `yaml:"text"`
}

// Fill is what stands in a series where nothing was recorded in a step.
type Fill string

// The ways to fill a series.
const (
	FillNaN     Fill = "nan"     // leave NaN; the graph imputes
	FillForward Fill = "forward" // the last value before, NaN before the first
	FillZero    Fill = "zero"
)

// Channel is one plane of a series: the values, where they were recorded, or how
// long ago.
type Channel string

// The channels of a series; the last dimension is channels × features, channel by channel.
const (
	ChannelValue Channel = "value"
	ChannelMask  Channel = "mask"  // 1 where the step holds a recorded value, else 0
	ChannelSince Channel = "since" // hours since the last recorded value
)

// Series fills a [-1, Length, len(Channels)×len(Features)] tensor from repeated
// observations in Length steps that end at the time of the assessment or, with
// From, that begin where a stay began. Within a step a feature's own Aggregate
// applies; a step holds what was true from its beginning to before its end, the
// last one to its end.
type Series struct {
	// From names a feature of kind stay. Without such a stay on record the first
	// value of the series stands for its beginning, and the result says so. Age is
	// then that at the beginning.
	From     string    `yaml:"from"`
	Features []string  `yaml:"features"`
	Step     Duration  `yaml:"step"`
	Length   int64     `yaml:"length"`
	Channels []Channel `yaml:"channels"`
	Fill     Fill      `yaml:"fill"`
}

// Series is the first series among the inputs, nil if there is none.
func (m *Manifest) Series() *Series {
	for i := range m.Inputs {
		if s := m.Inputs[i].Series; s != nil {
			return s
		}
	}
	return nil
}

// Image fills a [-1, C, Height, Width] tensor from one frame of an imaging
// study. Which study is chosen by modality and body site.
type Image struct {
	Modality []string `yaml:"modality"` // DICOM (0008,0060), such as DX
	BodySite []Coding `yaml:"body_site"`
	SOPClass []string `yaml:"sop_class"` // DICOM UIDs
	View     []string `yaml:"view"`      // DICOM (0018,5101), such as PA
	Height   int64    `yaml:"height"`
	Width    int64    `yaml:"width"`
	Mean     float64  `yaml:"mean"` // subtracted after scaling to 0–1
	Std      float64  `yaml:"std"`  // divides after the mean is subtracted
	Window   Duration `yaml:"window"`
}

// Text fills a [-1] string tensor, or an [-1, MaxTokens] int64 tensor when a
// Vocabulary is named or Hashes is given, from clinical notes. With Hashes a row is
// a mention of a finding, and its numbers are those of cds/text. A model without a
// Vocabulary or Hashes gets the notes of Types only.
type Text struct {
	Types      []Coding `yaml:"types"`      // document types (LOINC)
	Vocabulary string   `yaml:"vocabulary"` // file beside the manifest, one token per line
	Hashes     int64    `yaml:"hashes"`     // how many numbers the words of a mention have, 0 included
	MaxTokens  int64    `yaml:"max_tokens"`
	Lowercase  bool     `yaml:"lowercase"`
	Window     Duration `yaml:"window"`
}
