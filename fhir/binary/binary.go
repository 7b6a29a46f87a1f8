// Package binary turns the Binary resource into its content and back
// (https://hl7.org/fhir/R4/binary.html#rest).
package binary

import (
	"encoding/base64"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Type is the resource type.
const Type = "Binary"

// Content is what a Binary holds.
type Content struct {
	Type    string // media type, with its parameters
	Context string // reference of securityContext, "" for none
	Data    []byte
}

// Of reads a Binary's bytes. The error, of Kind Invalid, is for what is no
// Binary or holds no base64.
func Of(resource []byte) (Content, error) {
	const op = "binary.Of"
	doc, err := jsontree.Parse(resource, jsontree.Limits{})
	if err != nil || doc.Root().Get("resourceType").Text() != Type {
		return Content{}, fhir.E(op, fhir.Invalid, "resourceType", "not a Binary")
	}
	root := doc.Root()
	// base64Binary may hold white space.
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(root.Get("data").Text()), ""))
	if err != nil {
		return Content{}, fhir.E(op, fhir.Invalid, "Binary.data", "not base64")
	}
	return Content{root.Get("contentType").Text(), root.Get("securityContext").Get("reference").Text(), data}, nil
}

// Resource makes a Binary of content; id may be "".
func (c Content) Resource(id string) []byte {
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(c.Data))+256)
	out = append(out, `{"resourceType":"Binary"`...)
	if id != "" {
		out = jsontree.AppendString(append(out, `,"id":`...), id)
	}
	out = jsontree.AppendString(append(out, `,"contentType":`...), c.Type)
	if c.Context != "" {
		out = append(jsontree.AppendString(append(out, `,"securityContext":{"reference":`...), c.Context), '}')
	}
	if len(c.Data) > 0 {
		out = append(base64.StdEncoding.AppendEncode(append(out, `,"data":"`...), c.Data), '"')
	}
	return append(out, '}')
}
