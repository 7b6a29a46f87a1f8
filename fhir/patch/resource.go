package patch

import (
	"encoding/base64"
	"mime"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// ReadResource reads a patch that came as a resource in a Bundle's entry
// (https://hl7.org/fhir/R4/http.html#patch): Parameters are a FHIRPath Patch,
// and a Binary holds a patch of its contentType. Errors as Read; Invalid for
// another resource.
func (f Formats) ReadResource(r jsontree.Node) (Patch, error) {
	const op = "patch.ReadResource"
	switch r.Get("resourceType").Text() {
	case "Parameters":
		return f.Read(FHIRPathPatch, r.Raw())
	case "Binary":
		body, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(r.Get("data").Text()), ""))
		if err != nil {
			return nil, fhir.E(op, fhir.Value, "Binary.data", "not base64")
		}
		kind, _, err := mime.ParseMediaType(r.Get("contentType").Text())
		if err != nil {
			return nil, fhir.E(op, fhir.Value, "Binary.contentType", "not a media type")
		}
		return f.Read(kind, body)
	}
	return nil, fhir.E(op, fhir.Invalid, "resourceType", "a patch in a Bundle is a Parameters or a Binary")
}
