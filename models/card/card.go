// Package card writes a model's card from its manifest: as Markdown, and as an
// Applied Model Card of the Coalition for Health AI, version 0.2
// (https://mc.chai.org/v0.2/schema.xsd).
//
// It promises that all 31 source attributes of 45 CFR 170.315(b)(11)(iv)(B) are
// there, each with its text or with why it is not available, and that nothing is
// said which the manifest does not say.
package card

import (
	"fmt"
	"strconv"
	"strings"

	"galen/models/manifest"
)

// told is a disclosure in words.
func told(d manifest.Disclosure) string {
	if d.Unavailable != "" {
		return "Not available: " + d.Unavailable
	}
	return d.Text
}

// attribute is the disclosure of one attribute in words.
func attribute(m *manifest.Manifest, key string) string { return told(m.Transparency[key]) }

// figure is one evaluation's number with its interval.
func figure(e manifest.Evaluation) string {
	text := number(e.Value)
	if e.Low != nil && e.High != nil {
		text += " (" + number(*e.Low) + "–" + number(*e.High) + ")"
	}
	return text
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// Markdown is the card for people.
func Markdown(m *manifest.Manifest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s (%s %s)\n\n%s\n\n", m.Title, m.Name, m.Version, strings.TrimSpace(m.Description))
	fmt.Fprintf(&b, "- Kind: %s\n- Developer: %s\n- Model file: SHA-256 `%s`\n- Regulatory class: %s\n\n", m.Kind, party(m.Developer), m.SHA256, m.Regulatory.Class)
	fmt.Fprintf(&b, "## Use\n\n%s\n\nPopulation: %s\n\nUsers: %s\n\nMust not be used for:\n\n", m.Use.Intended, m.Use.Population, m.Use.Users)
	items(&b, m.Use.Contraindicated)
	b.WriteString("## Limitations\n\n")
	items(&b, m.Limitations)
	b.WriteString("## Inputs\n\n| input | unit | if missing |\n|---|---|---|\n")
	for i := range m.Features {
		f := &m.Features[i]
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(f.Label), cell(f.Unit), cell(string(f.Missing)))
	}
	b.WriteString("\n## Outputs\n\n| output | meaning | horizon |\n|---|---|---|\n")
	for i := range m.Outputs {
		if o := &m.Outputs[i]; o.Prediction() {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(o.Label), cell(string(o.Meaning)), cell(o.Horizon.String()))
		}
	}
	if len(m.Evaluation) > 0 {
		b.WriteString("\n## Evaluation\n\n| figure | value (95 %) | data | source |\n|---|---|---|---|\n")
		for _, e := range m.Evaluation {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(e.Metric), figure(e), cell(e.Data), cell(e.Source))
		}
	}
	sourceAttributes(&b, m)
	b.WriteString("## FDA criteria for clinical decision support\n\n")
	for _, c := range m.Regulatory.Criteria {
		fmt.Fprintf(&b, "%d. %s %s\n", c.Number, map[bool]string{true: "Met.", false: "Not met."}[c.Met], c.Answer)
	}
	b.WriteString("\n## Sources\n\n")
	for _, c := range m.Citations {
		fmt.Fprintf(&b, "- [%s](%s)\n", c.Label, c.URL)
	}
	return b.String()
}

// sourceAttributes lists the 31 attributes in the order of the rule.
func sourceAttributes(b *strings.Builder, m *manifest.Manifest) {
	b.WriteString("\n## Source attributes (45 CFR 170.315(b)(11)(iv)(B))\n")
	group := ""
	for _, a := range manifest.Attributes() {
		if a.Group != group {
			group = a.Group
			fmt.Fprintf(b, "\n### %s\n\n", group)
		}
		fmt.Fprintf(b, "%d. **%s** %s\n", a.Number, a.Text+".", attribute(m, a.Key))
	}
	b.WriteString("\n")
}

func party(p manifest.Party) string {
	if p.Contact == "" {
		return p.Name
	}
	return p.Name + ", " + p.Contact
}

func items(b *strings.Builder, list []string) {
	for _, text := range list {
		fmt.Fprintf(b, "- %s\n", text)
	}
	b.WriteString("\n")
}

// cell keeps a text within its cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
