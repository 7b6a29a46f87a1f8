package smart_test

import (
	"encoding/json"
	"slices"
	"testing"

	"galen/policies/smart"
)

// SMART App Launch 2.2, Conformance: what SHALL be there, with an authorization
// server and without.
func TestConfiguration(t *testing.T) {
	const idp = "https://idp.test"
	for name, e := range map[string]smart.Endpoints{
		"none": {},
		"full": {
			Issuer: idp, JWKS: idp + "/jwks", Authorization: idp + "/authorize", Token: idp + "/token",
			Introspection: idp + "/introspect", Challenges: []string{"plain", "S256"},
		},
	} {
		body, err := smart.Configuration(e)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v in %s", name, err, body)
		}
		for _, member := range []string{"grant_types_supported", "capabilities", "code_challenge_methods_supported", "scopes_supported"} {
			if list, ok := got[member].([]any); !ok || len(list) == 0 && (member != "grant_types_supported" || e.Token != "") {
				t.Errorf("%s: %s is %v", name, member, got[member])
			}
		}
		if challenges := got["code_challenge_methods_supported"].([]any); len(challenges) != 1 || challenges[0] != "S256" {
			t.Errorf("%s: challenges %v", name, challenges)
		}
		for member, want := range map[string]string{
			"token_endpoint": e.Token, "issuer": e.Issuer, "jwks_uri": e.JWKS, "introspection_endpoint": e.Introspection,
		} {
			if have, _ := got[member].(string); have != want {
				t.Errorf("%s: %s is %q, want %q", name, member, have, want)
			}
		}
		sso := slices.Contains(got["capabilities"].([]any), any("sso-openid-connect"))
		if sso != (e.JWKS != "") {
			t.Errorf("%s: sso-openid-connect is %t", name, sso)
		}
	}
}
