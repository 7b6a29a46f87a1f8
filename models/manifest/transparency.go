package manifest

// Attribute is one source attribute of a predictive decision support
// intervention, 45 CFR 170.315(b)(11)(iv)(B) (HTI-1).
type Attribute struct {
	Number int
	Key    string // in manifest.yaml
	Group  string
	Text   string // what must be told
}

// The groups of attributes.
const (
	groupDetails      = "Details and output"
	groupPurpose      = "Purpose"
	groupCautions     = "Cautioned out-of-scope use"
	groupDevelopment  = "Development and input features"
	groupFairness     = "Fairness in development"
	groupExternal     = "External validation"
	groupQuantitative = "Quantitative measures of performance"
	groupMaintenance  = "Ongoing maintenance"
	groupUpdates      = "Updates and continued validation"
)

// Attributes is the list of the 31 attributes in the order of the rule. The list
// is data, so that another year's rule is another list.
func Attributes() []Attribute {
	return []Attribute{
		{1, "developer", groupDetails, "Name and contact information of the developer"},
		{2, "funding", groupDetails, "Funding source of the technical implementation"},
		{3, "output_value", groupDetails, "Value that the intervention produces as output"},
		{4, "output_type", groupDetails, "Prediction, classification, recommendation, evaluation, analysis or other"},
		{5, "intended_use", groupPurpose, "Intended use"},
		{6, "intended_population", groupPurpose, "Intended patient population"},
		{7, "intended_users", groupPurpose, "Intended users"},
		{8, "decision_role", groupPurpose, "Decision-making role: informs, augments or replaces clinical management"},
		{9, "cautioned_uses", groupCautions, "Tasks, situations and populations cautioned against"},
		{10, "known_risks", groupCautions, "Known risks, inappropriate settings and uses, limitations"},
		{11, "training_criteria", groupDevelopment, "Inclusion and exclusion criteria of the training data"},
		{12, "demographic_inputs", groupDevelopment, "Use of race, ethnicity, language, sex, age, social determinants and health status as inputs"},
		{13, "training_representativeness", groupDevelopment, "Demographic representativeness of the training data"},
		{14, "training_relevance", groupDevelopment, "Relevance of the training data to the deployed setting"},
		{15, "fairness_approach", groupFairness, "Approach to ensure that the output is fair"},
		{16, "bias_management", groupFairness, "Approaches to manage, reduce or eliminate bias"},
		{17, "external_data", groupExternal, "Source and setting of the external validation data"},
		{18, "external_party", groupExternal, "Party that conducted the external testing"},
		{19, "external_representativeness", groupExternal, "Demographic representativeness of the external data"},
		{20, "external_process", groupExternal, "External validation process"},
		{21, "validity_internal", groupQuantitative, "Validity in test data from the same source"},
		{22, "fairness_internal", groupQuantitative, "Fairness in test data from the same source"},
		{23, "validity_external", groupQuantitative, "Validity in external data"},
		{24, "fairness_external", groupQuantitative, "Fairness in external data"},
		{25, "outcome_evaluations", groupQuantitative, "References to evaluations of use on outcomes"},
		{26, "validity_monitoring", groupMaintenance, "Process and frequency of validity monitoring"},
		{27, "validity_local", groupMaintenance, "Validity in local data"},
		{28, "fairness_monitoring", groupMaintenance, "Process and frequency of fairness monitoring"},
		{29, "fairness_local", groupMaintenance, "Fairness in local data"},
		{30, "update_process", groupUpdates, "Process and frequency of updates"},
		{31, "correction_frequency", groupUpdates, "Frequency of correction when validity or fairness risks are found"},
	}
}

// Disclosure is what is told for one attribute: a text, or the reason why it is
// not available. In the file: plain text, or a mapping with the one key
// unavailable. Never both, never neither.
type Disclosure struct {
	Text        string `yaml:"text"`
	Unavailable string `yaml:"unavailable"`
}

// UnmarshalYAML reads either form.
func (d *Disclosure) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if unmarshal(&text) == nil {
		*d = Disclosure{Text: text}
		return nil
	}
	var reason struct {
		Unavailable string `yaml:"unavailable"`
	}
	if err := unmarshal(&reason); err != nil {
		return err
	}
	*d = Disclosure{Unavailable: reason.Unavailable}
	return nil
}

// Regulatory is how the makers class the model, criterion by criterion of the
// FDA's guidance on clinical decision support software (January 2026).
type Regulatory struct {
	Class         string      `yaml:"class"`          // such as "non-device CDS (self-assessed)"
	Device        bool        `yaml:"device"`         // a device function: anything that reads pixels or waveforms
	PatientFacing bool        `yaml:"patient_facing"` // may answer patients and their representatives
	UDI           string      `yaml:"udi"`            // unique device identifier, if any
	Criteria      []Criterion `yaml:"criteria"`       // the four, in order
}

// Criterion is the answer to one of the four criteria.
type Criterion struct {
	Number int    `yaml:"number"` // 1–4
	Met    bool   `yaml:"met"`
	Answer string `yaml:"answer"`
}
