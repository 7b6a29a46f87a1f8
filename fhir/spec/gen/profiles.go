package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// profileFiles are what fhir/profile embeds, by SHA-256.
var profileFiles = []struct{ name, sum string }{
	{"profiles-others.json", "37a663a5dabebbda8046092a1403ba3aa16ca39a6e2546ef8ae354877494e9fe"},
	{"extension-definitions.json", "c7d00de1c0efe5c34e704477f0105e9f2d9fff8c162be04aec8e69517936ce61"},
}

// What of a profile and of its elements validation asks for; fixed, pattern, and
// least and greatest values as well.
var (
	profileMembers = []string{"resourceType", "url", "version", "name", "status", "kind", "abstract", "context", "contextInvariant", "type", "baseDefinition", "derivation", "snapshot"}
	elementMembers = []string{"id", "path", "sliceName", "slicing", "min", "max", "type", "binding", "constraint", "contentReference", "maxLength"}
	elementValues  = []string{"fixed", "pattern", "minValue", "maxValue"}
)

// packProfiles writes every profile of R4 as packTerminology writes its
// documents, without what validation does not ask for.
func packProfiles(dir string) ([]byte, error) {
	documents := map[string][]byte{}
	for _, f := range profileFiles {
		text, err := verified(dir, f.name, f.sum)
		if err != nil {
			return nil, err
		}
		if err := addDocuments(documents, text, trimProfile); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return packDocuments(documents)
}

// packDocuments writes lines "type url TAB document", sorted.
func packDocuments(documents map[string][]byte) ([]byte, error) {
	var lines bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(documents)) {
		lines.WriteString(key + "\t")
		lines.Write(documents[key])
		lines.WriteByte('\n')
	}
	return pack(lines.Bytes())
}

// trimProfile keeps what validation asks for; it refuses what is no profile.
func trimProfile(r map[string]any) bool {
	if r["resourceType"] != "StructureDefinition" {
		return false
	}
	maps.DeleteFunc(r, func(name string, _ any) bool { return !slices.Contains(profileMembers, name) })
	snapshot, _ := r["snapshot"].(map[string]any)
	elements, _ := snapshot["element"].([]any)
	for _, e := range elements {
		element, _ := e.(map[string]any)
		maps.DeleteFunc(element, func(name string, _ any) bool {
			return !slices.Contains(elementMembers, name) &&
				!slices.ContainsFunc(elementValues, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		})
		constraints, _ := element["constraint"].([]any)
		for _, c := range constraints {
			constraint, _ := c.(map[string]any)
			delete(constraint, "xpath")
			delete(constraint, "source")
		}
	}
	return true
}

// addDocuments takes the resources of a Bundle that keep says, as it leaves them.
func addDocuments(documents map[string][]byte, text []byte, keep func(map[string]any) bool) error {
	var bundle struct {
		Entry []struct{ Resource map[string]any }
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&bundle); err != nil {
		return err
	}
	for _, e := range bundle.Entry {
		if !keep(e.Resource) {
			continue
		}
		kind, _ := e.Resource["resourceType"].(string)
		url, _ := e.Resource["url"].(string)
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(e.Resource); err != nil {
			return err
		}
		documents[kind+" "+url] = bytes.TrimSpace(out.Bytes())
	}
	return nil
}
