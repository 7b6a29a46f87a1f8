package card

import (
	"encoding/json"
	"encoding/xml"
	"strings"

	"galen/models/manifest"
)

// The types are those of https://mc.chai.org/v0.2/schema.xsd, in its order.
type appliedModelCard struct {
	XMLName           xml.Name          `xml:"https://mc.chai.org/v0.2/schema.xsd AppliedModelCard"`
	BasicInfo         basicInfo         `xml:"BasicInfo"`
	ReleaseInfo       releaseInfo       `xml:"ReleaseInfo"`
	ModelSummary      modelSummary      `xml:"ModelSummary"`
	UsesAndDirections usesAndDirections `xml:"UsesAndDirections"`
	Warnings          warnings          `xml:"Warnings"`
	TrustIngredients  trustIngredients  `xml:"TrustIngredients"`
	KeyMetrics        keyMetrics        `xml:"KeyMetrics"`
	Resources         resources         `xml:"Resources"`
	Bibliography      string            `xml:"Bibliography"`
}

type basicInfo struct {
	ModelName, ModelDeveloper, DeveloperContact string
}

type releaseInfo struct {
	ReleaseStage, ReleaseDate, ReleaseVersion, GlobalAvailability, RegulatoryApproval string
}

type modelSummary struct {
	Summary  string
	Keywords []string `xml:"Keywords>Keyword"`
}

type usesAndDirections struct {
	IntendedUseAndWorkflow, PrimaryIntendedUsers, HowToUse, TargetedPatientPopulation, CautionedOutOfScopeSettings string
}

type warnings struct {
	KnownRisksAndLimitations, KnownBiasesOrEthicalConsiderations, ClinicalRiskLevel string
}

type trustIngredients struct {
	AISystemFacts           systemFacts
	TransparencyInformation struct {
		FundingSource, ThirdPartyInformation, StakeholdersConsulted string
	}
}

type systemFacts struct {
	OutcomesAndOutputs, ModelType, InputDataSource, OutputAndInputDataTypes, DevelopmentDataCharacterization string
	BiasMitigationApproaches, OngoingMaintenance, Transparency                                               string
}

type keyMetrics struct {
	UsefulnessUsabilityEfficacy, FairnessEquity, SafetyReliability keyMetric
}

type keyMetric struct {
	MetricGoal                                                                          string
	Results                                                                             []metricResult `xml:"Results>MetricResult"`
	Interpretation, TestType, TestingDataDescription, ValidationProcessAndJustification string
}

type metricResult struct {
	Label     string
	ValueJSON string `xml:"ValueJson"`
}

type resources struct {
	EvaluationReferences, PeerReviewedPublications, PatientConsentOrDisclosure string
}

// unsaid stands where the schema wants a text and a manifest has none.
const unsaid = "Not available: not part of the model's manifest."

// CHAI is the Applied Model Card as XML.
func CHAI(m *manifest.Manifest) ([]byte, error) {
	c := appliedModelCard{
		BasicInfo: basicInfo{m.Title, m.Developer.Name, orElse(m.Developer.Contact, unsaid)},
		ReleaseInfo: releaseInfo{
			ReleaseStage: unsaid, ReleaseDate: unsaid, ReleaseVersion: string(m.Version), GlobalAvailability: unsaid, RegulatoryApproval: m.Regulatory.Class,
		},
		ModelSummary: modelSummary{Summary: m.Description, Keywords: []string{string(m.Kind), m.Name}},
		UsesAndDirections: usesAndDirections{
			attribute(m, "intended_use"), attribute(m, "intended_users"), attribute(m, "decision_role"),
			attribute(m, "intended_population"), attribute(m, "cautioned_uses"),
		},
		Warnings: warnings{
			KnownRisksAndLimitations:           attribute(m, "known_risks") + "\n" + strings.Join(m.Limitations, "\n"),
			KnownBiasesOrEthicalConsiderations: attribute(m, "bias_management"), ClinicalRiskLevel: unsaid,
		},
		TrustIngredients: trustIngredients{AISystemFacts: facts(m)},
		KeyMetrics: keyMetrics{
			metric(m, "Validity", "validity_internal", "validity_external"),
			metric(m, "Fairness", "fairness_internal", "fairness_external"),
			metric(m, "Validity and fairness in local use", "validity_local", "fairness_local"),
		},
		Resources: resources{attribute(m, "outcome_evaluations"), citations(m), unsaid}, Bibliography: citations(m),
	}
	c.TrustIngredients.TransparencyInformation.FundingSource = attribute(m, "funding")
	c.TrustIngredients.TransparencyInformation.ThirdPartyInformation = attribute(m, "external_party")
	c.TrustIngredients.TransparencyInformation.StakeholdersConsulted = unsaid
	body, err := xml.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(body, '\n')...), nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func facts(m *manifest.Manifest) systemFacts {
	var inputs, types []string
	for i := range m.Features {
		inputs = append(inputs, m.Features[i].Label)
	}
	for _, p := range m.Inputs {
		types = append(types, "input "+p.Name+": "+string(p.DType))
	}
	for i := range m.Outputs {
		types = append(types, "output "+m.Outputs[i].Name+": "+string(m.Outputs[i].DType))
	}
	return systemFacts{
		OutcomesAndOutputs: attribute(m, "output_value"), ModelType: attribute(m, "output_type"), InputDataSource: strings.Join(inputs, "; "),
		OutputAndInputDataTypes: strings.Join(types, "; "),
		DevelopmentDataCharacterization: strings.Join([]string{
			attribute(m, "training_criteria"), attribute(m, "demographic_inputs"), attribute(m, "training_representativeness"), attribute(m, "training_relevance"),
		}, "\n"),
		BiasMitigationApproaches: attribute(m, "fairness_approach") + "\n" + attribute(m, "bias_management"),
		OngoingMaintenance: strings.Join([]string{
			attribute(m, "validity_monitoring"), attribute(m, "fairness_monitoring"), attribute(m, "update_process"), attribute(m, "correction_frequency"),
		}, "\n"),
		Transparency: "All 31 source attributes of 45 CFR 170.315(b)(11)(iv)(B) are told or declared not available.",
	}
}

// metric is the figures under two attributes; those of the manifest's evaluation
// go with validity.
func metric(m *manifest.Manifest, goal, inside, outside string) keyMetric {
	k := keyMetric{
		MetricGoal: goal, Interpretation: attribute(m, outside), TestType: attribute(m, "external_process"),
		TestingDataDescription: attribute(m, "external_data"), ValidationProcessAndJustification: attribute(m, "external_representativeness"),
		Results: []metricResult{{inside, quoted(attribute(m, inside))}, {outside, quoted(attribute(m, outside))}},
	}
	if goal == "Validity" {
		for _, e := range m.Evaluation {
			k.Results = append(k.Results, metricResult{e.Metric + ", " + e.Data, quoted(figure(e))})
		}
	}
	return k
}

// quoted is a text as the JSON that the schema wants of a value.
func quoted(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		return `""` // cannot be: a string is always JSON
	}
	return string(out)
}

func citations(m *manifest.Manifest) string {
	var lines []string
	for _, c := range m.Citations {
		lines = append(lines, c.Label+", "+c.URL)
	}
	return strings.Join(lines, "\n")
}
