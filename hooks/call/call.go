// Package call reads the request of a CDS Hooks call
// (https://cds-hooks.hl7.org/2.0/#http-request_1) and holds its context against
// the table of hooks (https://cds-hooks.hl7.org/hooks/).
//
// Every refusal names the member. What the standard's own samples spell in
// another way is taken as what it means; members that nobody knows are ignored.
// A Request never shows its token or patient when it is printed.
//
// It does not read the prefetch (hooks/prefetch).
package call

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Request is the body of a call.
type Request struct {
	Hook     string
	Instance string // hookInstance, a UUID
	Context  Context
	Prefetch jsontree.Node // an object, null or absent
	Server   string        // fhirServer with a slash at its end, "" if not given
	Token    string        // of fhirAuthorization, "" if there is none or it has expired
	Patient  string        // context.patientId, "" if it is none
	User     string        // context.userId, "" if not given
}

// String hides the token and the patient.
func (r Request) String() string { return "call.Request" }

// GoString is String.
func (r Request) GoString() string { return r.String() }

// maxDepth is how deep a call may nest: the resources in it and a few levels.
const maxDepth = 120

// Parse reads a call; its Context is still to be checked. Whatever it can make
// out of a bad one is in the Request all the same, for the record. Errors are of
// Kind Malformed, Required or Value and name the member.
func Parse(body []byte) (Request, error) {
	const op = "call.Parse"
	doc, err := jsontree.Parse(body, jsontree.Limits{Depth: maxDepth})
	if err != nil {
		return Request{}, &fhir.Error{Op: op, Kind: fhir.Malformed, Err: err}
	}
	root := doc.Root()
	if root.Kind() != jsontree.Object {
		return Request{}, fhir.E(op, fhir.Malformed, "", "a CDS Hooks call is a JSON object")
	}
	r := Request{
		Hook: text(root, "hook"), Instance: text(root, "hookInstance"),
		Context: Context{root.Get("context"), text(root, "hook")}, Prefetch: root.Get("prefetch"),
		Server: text(root, "fhirServer"), Patient: text(root.Get("context"), "patientId"), User: text(root.Get("context"), "userId"),
	}
	if !fhir.ValidID(r.Patient) {
		r.Patient = "" // the check of the context will say so
	}
	if r.Instance != "" && (len(r.Instance) != 36 || uuid.Validate(r.Instance) != nil) {
		r.Instance = ""
		return r, fhir.E(op, fhir.Value, "hookInstance", "hookInstance must be a UUID")
	}
	switch {
	case r.Hook == "":
		return r, fhir.E(op, fhir.Required, "hook", "hook is missing")
	case r.Instance == "":
		return r, fhir.E(op, fhir.Required, "hookInstance", "hookInstance is missing")
	}
	if k := r.Prefetch.Kind(); k != jsontree.Absent && k != jsontree.Null && k != jsontree.Object {
		return r, fhir.E(op, fhir.Value, "prefetch", "prefetch must be an object")
	}
	return r, r.checkServer(root)
}

// checkServer holds fhirServer and fhirAuthorization against
// https://cds-hooks.hl7.org/2.0/#passing-the-access-token-to-the-cds-service.
func (r *Request) checkServer(root jsontree.Node) error {
	const op = "call.checkServer"
	if given(root.Get("fhirServer")) {
		if !strings.HasPrefix(r.Server, "https://") && !strings.HasPrefix(r.Server, "http://") {
			r.Server = ""
			return fhir.E(op, fhir.Value, "fhirServer", "fhirServer must be an absolute URL")
		}
		r.Server = strings.TrimRight(r.Server, "/") + "/"
	}
	authorization := root.Get("fhirAuthorization")
	if !given(authorization) {
		return nil
	}
	if r.Server == "" {
		return fhir.E(op, fhir.Required, "fhirServer", "fhirAuthorization needs fhirServer")
	}
	for _, name := range []string{"access_token", "token_type", "scope", "subject"} {
		if text(authorization, name) == "" {
			return fhir.E(op, fhir.Required, "fhirAuthorization."+name, "fhirAuthorization."+name+" is missing")
		}
	}
	if !strings.EqualFold(text(authorization, "token_type"), "Bearer") {
		return fhir.E(op, fhir.Value, "fhirAuthorization.token_type", "fhirAuthorization.token_type must be Bearer")
	}
	seconds, err := strconv.ParseInt(authorization.Get("expires_in").Text(), 10, 64)
	if err != nil || authorization.Get("expires_in").Kind() != jsontree.Number {
		return fhir.E(op, fhir.Required, "fhirAuthorization.expires_in", "fhirAuthorization.expires_in must be an integer")
	}
	if p := authorization.Get("patient"); given(p) && r.Patient != "" && p.Text() != r.Patient {
		return fhir.E(op, fhir.Value, "fhirAuthorization.patient", "the access token is for another patient than context.patientId")
	}
	if seconds > 0 && validToken(text(authorization, "access_token")) {
		r.Token = text(authorization, "access_token")
	}
	return nil
}

// validToken reports whether a token can stand in a header (RFC 6750, b64token
// and what servers are seen to use).
func validToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// given reports whether a member is there and not null.
func given(n jsontree.Node) bool { return n.Exists() && n.Kind() != jsontree.Null }

// text is a member that is a string; "" for any other.
func text(object jsontree.Node, name string) string {
	if n := object.Get(name); n.Kind() == jsontree.String {
		return n.Text()
	}
	return ""
}
