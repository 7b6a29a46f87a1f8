package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The module that carries the definitions files of FHIR R4 4.0.1, unchanged,
// and its checksum as the Go checksum database has it.
const (
	module        = "github.com/gofhir/validator"
	moduleVersion = "v1.0.0"
	moduleSum     = "h1:br8CEB7qQDLUaLgCd5ke1WMGwlohL4kPmln5UPK97Mk="
	moduleFolder  = "specs/r4"
)

// files are the definitions read, by SHA-256.
var files = []struct{ name, sum string }{
	{"profiles-types.json", "13d3b9c75a23dd575b6c9cffa9fb5efce3871a4cc9bd8c92671ce1a50c19c064"},
	{"profiles-resources.json", "d062516a420265da6d248e1d2b5d2a4aa9709c3c637807fe48e278054dffa114"},
	{"search-parameters.json", "dc5927e3781a5aba26c08821904c4091664b3a40171aba9b01e563e9f7ca85df"},
	{"valuesets.json", "8d8fd0894624163296aa84e93c47cbead9b805fd83ec22ac71d45b7e25a86758"},
	{"v3-codesystems.json", "b9e75b6586b61843042e543280a91adc1bdd4d8a2df3427e30fa5f404b004646"},
}

// source is what the definitions say, decoded and sorted out by resource type.
type source struct {
	structures   []*structure
	params       []*searchParam
	compartments []*compartment
	valueSets    map[string]*valueSet
	codeSystems  map[string]*codeSystem
}

// download fetches the module with the go command and returns the folder of the
// definitions. It runs outside any module, so that go.mod stays as it is.
func download(ctx context.Context) (string, error) {
	tmp, err := os.MkdirTemp("", "galen-spec")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+moduleVersion)
	cmd.Dir, cmd.Env, cmd.Stderr = tmp, append(os.Environ(), "GOFLAGS=", "GOWORK=off"), os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	var got struct{ Dir, Sum string }
	if err := json.Unmarshal(text, &got); err != nil {
		return "", err
	}
	if got.Sum != moduleSum {
		return "", fmt.Errorf("%s %s has checksum %s, want %s", module, moduleVersion, got.Sum, moduleSum)
	}
	return filepath.Join(got.Dir, filepath.FromSlash(moduleFolder)), nil
}

// read decodes the files, refusing any whose digest is not the expected one.
func read(dir string) (*source, error) {
	src := &source{valueSets: map[string]*valueSet{}, codeSystems: map[string]*codeSystem{}}
	for _, f := range files {
		text, err := verified(dir, f.name, f.sum)
		if err != nil {
			return nil, err
		}
		if err := src.add(text); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return src, nil
}

// verified reads a file whose SHA-256 is the one expected.
func verified(dir, name, want string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
		return nil, fmt.Errorf("%s: SHA-256 is %x, want %s", name, sum, want)
	}
	return text, nil
}

// add sorts the entries of one Bundle into src. Resource types that the tables
// do not hold (OperationDefinition, CapabilityStatement) are left out.
func (src *source) add(text []byte) error {
	var bundle struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(text, &bundle); err != nil {
		return err
	}
	for _, e := range bundle.Entry {
		var head struct{ ResourceType string }
		if err := json.Unmarshal(e.Resource, &head); err != nil {
			return err
		}
		if err := src.addResource(head.ResourceType, e.Resource); err != nil {
			return err
		}
	}
	return nil
}

func (src *source) addResource(resourceType string, text []byte) error {
	switch resourceType {
	case "StructureDefinition":
		return decode(text, func(s *structure) { src.structures = append(src.structures, s) })
	case "SearchParameter":
		return decode(text, func(p *searchParam) { src.params = append(src.params, p) })
	case "CompartmentDefinition":
		return decode(text, func(c *compartment) { src.compartments = append(src.compartments, c) })
	case "ValueSet":
		return decode(text, func(v *valueSet) { src.valueSets[v.URL] = v })
	case "CodeSystem":
		return decode(text, func(c *codeSystem) { src.codeSystems[c.URL] = c })
	}
	return nil
}

func decode[T any](text []byte, keep func(*T)) error {
	v := new(T)
	if err := json.Unmarshal(text, v); err != nil {
		return err
	}
	keep(v)
	return nil
}

// provenance is the text of SOURCE.md.
func provenance(outputs map[string][]byte) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# Where r4.tsv.gz comes from

Made by `+"`go run ./fhir/spec/gen`"+`; do not edit.

| | |
|---|---|
| definitions | HL7 FHIR R4 4.0.1, build 9346c8cc45 of 2019-11-01 |
| package | Go module %s %s, folder %s, the official definitions files unchanged |
| checksum | %s |
| licence | the FHIR specification is CC0 1.0 (https://hl7.org/fhir/R4/license.html); the module is MIT |
`, module, moduleVersion, moduleFolder, moduleSum)
	for _, name := range []string{tablesFile, terminologyFile, profilesFile} {
		fmt.Fprintf(&b, "| %s | %d bytes, SHA-256 %x |\n", name, len(outputs[name]), sha256.Sum256(outputs[name]))
	}
	b.WriteString("\nFiles read:\n\n| file | SHA-256 |\n|---|---|\n")
	for _, f := range files {
		fmt.Fprintf(&b, "| %s | %s |\n", f.name, f.sum)
	}
	for _, f := range slices.Concat(terminologyFiles[2:], profileFiles) {
		fmt.Fprintf(&b, "| %s | %s |\n", f.name, f.sum)
	}
	b.WriteString("\nCorrections to the official text (gen/corrections.go):\n\n| where | from | to | why |\n|---|---|---|---|\n")
	for _, c := range corrections {
		fmt.Fprintf(&b, "| %s | `%s` | `%s` | %s |\n", c.at, strings.ReplaceAll(c.from, "|", `\|`), strings.ReplaceAll(c.to, "|", `\|`), c.why)
	}
	return []byte(b.String())
}
