// Package smart says what this server offers to SMART on FHIR apps: the document
// at .well-known/smart-configuration (SMART App Launch 2.2, "Conformance",
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html).
//
// Galen is a resource server: it publishes the endpoints of the authorization
// server that it trusts and names only capabilities of its own. It issues and
// checks no tokens (server/auth) and knows no scopes (policies).
package smart

import (
	"encoding/json"
	"slices"

	"galen/fhir"
)

// Endpoints are where an authorization server does what, by the names of OpenID
// Connect Discovery 1.0 and RFC 8414; "" for what it does not offer.
type Endpoints struct {
	Issuer        string   `json:"issuer,omitempty"`
	JWKS          string   `json:"jwks_uri,omitempty"`
	Authorization string   `json:"authorization_endpoint,omitempty"`
	Token         string   `json:"token_endpoint,omitempty"`
	Introspection string   `json:"introspection_endpoint,omitempty"`
	Revocation    string   `json:"revocation_endpoint,omitempty"`
	Management    string   `json:"management_endpoint,omitempty"`
	Registration  string   `json:"registration_endpoint,omitempty"`
	Grants        []string `json:"grant_types_supported,omitempty"`
	Methods       []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	Challenges    []string `json:"code_challenge_methods_supported,omitempty"`
}

// document is the smart-configuration.
type document struct {
	Endpoints
	Grants       []string `json:"grant_types_supported"`
	Challenges   []string `json:"code_challenge_methods_supported"`
	Scopes       []string `json:"scopes_supported"`
	Responses    []string `json:"response_types_supported,omitempty"`
	Capabilities []string `json:"capabilities"`
}

// Capabilities of a resource server: what scopes it understands, and how its
// confidential clients prove who they are.
func capabilities() []string {
	return []string{
		"permission-patient", "permission-user", "permission-v1", "permission-v2", "client-confidential-asymmetric",
	}
}

// Configuration is the document for an authorization server; the zero Endpoints
// where there is none but the local issuer. PKCE is announced with S256 alone:
// "plain" must not be supported.
func Configuration(e Endpoints) ([]byte, error) {
	d := document{Endpoints: e, Grants: e.Grants, Challenges: []string{"S256"}, Capabilities: capabilities()}
	if d.Grants == nil {
		d.Grants = []string{}
		if e.Authorization != "" { // the default of RFC 8414, less the implicit grant
			d.Grants = []string{"authorization_code"}
		}
	}
	if e.Authorization != "" {
		d.Responses = []string{"code"}
	}
	if e.Issuer != "" && e.JWKS != "" && slices.Contains(d.Grants, "authorization_code") {
		d.Capabilities = append(d.Capabilities, "sso-openid-connect")
	}
	d.Endpoints.Grants, d.Endpoints.Challenges = nil, nil
	d.Scopes = []string{
		"openid", "fhirUser", "launch", "launch/patient", "patient/*.rs", "patient/*.cruds", "patient/*.read",
		"user/*.rs", "user/*.cruds", "user/*.read", "user/*.write", "system/*.rs", "system/*.cruds",
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, &fhir.Error{Op: "smart.Configuration", Err: err}
	}
	return body, nil
}
