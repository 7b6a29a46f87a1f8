package hooks

import (
	"strings"

	"github.com/google/uuid"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// request is a call that passed its checks
// (https://cds-hooks.hl7.org/2.0/#http-request_1).
type request struct {
	hook     string
	instance string
	context  jsontree.Node
	prefetch jsontree.Node
	server   string // fhirServer with a slash at its end, "" if not given
	patient  string // context.patientId
}

// maxDepth is how deep a call may nest: the resources in it and a few levels.
const maxDepth = 120

// parseRequest checks the members that every hook has; those of the context are
// checked once the hook is known. Errors are of Kind Malformed, Required or
// Value and name the member.
func parseRequest(body []byte) (request, error) {
	const op = "hooks.parseRequest"
	doc, err := jsontree.Parse(body, jsontree.Limits{Depth: maxDepth})
	if err != nil {
		return request{}, &fhir.Error{Op: op, Kind: fhir.Malformed, Err: err}
	}
	root := doc.Root()
	if root.Kind() != jsontree.Object {
		return request{}, fhir.E(op, fhir.Malformed, "", "a CDS Hooks call is a JSON object")
	}
	r := request{
		hook: text(root, "hook"), instance: text(root, "hookInstance"),
		context: root.Get("context"), prefetch: root.Get("prefetch"),
		server: text(root, "fhirServer"), patient: text(root.Get("context"), "patientId"),
	}
	if r.hook == "" {
		return r, fhir.E(op, fhir.Required, "hook", "hook is missing")
	}
	if r.instance == "" {
		return r, fhir.E(op, fhir.Required, "hookInstance", "hookInstance is missing")
	}
	if uuid.Validate(r.instance) != nil {
		return r, fhir.E(op, fhir.Value, "hookInstance", "hookInstance must be a UUID")
	}
	if k := r.prefetch.Kind(); k != jsontree.Absent && k != jsontree.Null && k != jsontree.Object {
		return r, fhir.E(op, fhir.Value, "prefetch", "prefetch must be an object")
	}
	return r, r.checkServer(root)
}

// checkServer holds fhirServer and fhirAuthorization against
// https://cds-hooks.hl7.org/2.0/#passing-the-access-token-to-the-cds-service.
// The token itself is neither kept nor looked at.
func (r *request) checkServer(root jsontree.Node) error {
	const op = "hooks.checkServer"
	if node := root.Get("fhirServer"); node.Exists() {
		if !strings.HasPrefix(r.server, "https://") && !strings.HasPrefix(r.server, "http://") {
			return fhir.E(op, fhir.Value, "fhirServer", "fhirServer must be an absolute URL")
		}
		r.server = strings.TrimRight(r.server, "/") + "/"
	}
	authorization := root.Get("fhirAuthorization")
	if !authorization.Exists() {
		return nil
	}
	if r.server == "" {
		return fhir.E(op, fhir.Required, "fhirServer", "fhirAuthorization needs fhirServer")
	}
	for _, name := range []string{"access_token", "token_type", "scope", "subject"} {
		if text(authorization, name) == "" {
			return fhir.E(op, fhir.Required, "fhirAuthorization."+name, "fhirAuthorization."+name+" is missing")
		}
	}
	if authorization.Get("expires_in").Kind() != jsontree.Number {
		return fhir.E(op, fhir.Required, "fhirAuthorization.expires_in", "fhirAuthorization.expires_in must be an integer")
	}
	return nil
}

// text is a member that is a string; "" for any other.
func text(object jsontree.Node, name string) string {
	if n := object.Get(name); n.Kind() == jsontree.String {
		return n.Text()
	}
	return ""
}
