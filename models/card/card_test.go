package card_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/models/card"
	"galen/models/catalog"
	"galen/models/manifest"
)

// shipped is every manifest of the catalog.
func shipped(t *testing.T) []*manifest.Manifest {
	t.Helper()
	files, err := fs.Glob(catalog.FS(), "*/*/manifest.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var out []*manifest.Manifest
	for _, file := range files {
		text, err := fs.ReadFile(catalog.FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := manifest.Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, m)
	}
	return out
}

// 45 CFR 170.315(b)(11)(iv)(B): 31 attributes, each told or declared not available.
func TestMarkdownTellsEveryAttribute(t *testing.T) {
	for _, m := range shipped(t) {
		text := card.Markdown(m)
		for _, a := range manifest.Attributes() {
			d := m.Transparency[a.Key]
			want := d.Text
			if d.Unavailable != "" {
				want = "Not available: " + d.Unavailable
			}
			if !strings.Contains(text, a.Text+".** "+want) {
				t.Errorf("%s: attribute %d is not told", m.Name, a.Number)
			}
		}
		for _, want := range append(append([]string{m.Title, m.SHA256, m.Use.Intended}, m.Use.Contraindicated...), m.Limitations...) {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not told", m.Name, want)
			}
		}
	}
}

// elements of https://mc.chai.org/v0.2/schema.xsd that must be there, in order.
var elements = []string{
	"AppliedModelCard",
	"BasicInfo", "ModelName", "ModelDeveloper", "DeveloperContact",
	"ReleaseInfo", "ReleaseStage", "ReleaseDate", "ReleaseVersion", "GlobalAvailability", "RegulatoryApproval",
	"ModelSummary", "Summary", "Keywords",
	"UsesAndDirections", "IntendedUseAndWorkflow", "PrimaryIntendedUsers", "HowToUse", "TargetedPatientPopulation", "CautionedOutOfScopeSettings",
	"Warnings", "KnownRisksAndLimitations", "KnownBiasesOrEthicalConsiderations", "ClinicalRiskLevel",
	"TrustIngredients",
	"AISystemFacts", "OutcomesAndOutputs", "ModelType", "InputDataSource", "OutputAndInputDataTypes", "DevelopmentDataCharacterization", "BiasMitigationApproaches", "OngoingMaintenance", "Transparency",
	"TransparencyInformation", "FundingSource", "ThirdPartyInformation", "StakeholdersConsulted",
	"KeyMetrics",
	"UsefulnessUsabilityEfficacy", "MetricGoal", "Results", "Interpretation", "TestType", "TestingDataDescription", "ValidationProcessAndJustification",
	"FairnessEquity", "MetricGoal", "Results", "Interpretation", "TestType", "TestingDataDescription", "ValidationProcessAndJustification",
	"SafetyReliability", "MetricGoal", "Results", "Interpretation", "TestType", "TestingDataDescription", "ValidationProcessAndJustification",
	"Resources", "EvaluationReferences", "PeerReviewedPublications", "PatientConsentOrDisclosure",
	"Bibliography",
}

func TestCHAI(t *testing.T) {
	for _, m := range shipped(t) {
		body, err := card.CHAI(m)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		inValue := false
		for d := xml.NewDecoder(strings.NewReader(string(body))); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", m.Name, err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				if token.Name.Space != "https://mc.chai.org/v0.2/schema.xsd" {
					t.Errorf("%s is in namespace %q", token.Name.Local, token.Name.Space)
				}
				inValue = token.Name.Local == "ValueJson"
				switch token.Name.Local {
				case "Keyword", "MetricResult", "Label", "ValueJson": // any number of them
				default:
					got = append(got, token.Name.Local)
				}
			case xml.CharData:
				if inValue && !json.Valid(token) {
					t.Errorf("%s: ValueJson is no JSON: %s", m.Name, token)
				}
			case xml.EndElement:
				inValue = false
			}
		}
		if diff := cmp.Diff(elements, got); diff != "" {
			t.Errorf("%s (-schema +card):\n%s", m.Name, diff)
		}
	}
}
