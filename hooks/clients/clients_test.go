package clients_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/hooks/clients"
)

const one = `[{"iss":"https://ehr.test","jwks":{"keys":[]},"tenants":["t1"],"fhir_servers":["https://fhir.ehr.test/r4"],
	"origins":["https://app.ehr.test","http://localhost:8080"],"purpose":"TREAT","hooks":["patient-view"],"scopes":["galen/invoke"],
	"options":{"any_public_fhir_server":true,"audiences":["https://galen.test/"],"max_lifetime":300}}]`

func TestParse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(path, []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := clients.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Find("https://ehr.test")
	if c == nil || r.Find("https://other.test") != nil || len(r.All()) != 1 {
		t.Fatal("the client is not found")
	}
	for server, want := range map[string][2]bool{
		"https://fhir.ehr.test/r4/": {true, true}, "https://fhir.ehr.test/r4x/": {false, true}, "http://fhir.ehr.test/r4/": {false, false}, "http://10.0.0.1/": {false, false},
	} {
		if listed, ok := c.Server(server); listed != want[0] || ok != want[1] {
			t.Errorf("%s: %t %t", server, listed, ok)
		}
	}
	for origin, want := range map[string]bool{"https://app.ehr.test": true, "http://localhost:8080": true, "https://app.ehr.test:443": false, "https://evil.test": false, "null": false, "": false} {
		if r.Origin(origin) != want {
			t.Errorf("origin %q: %t", origin, !want)
		}
	}
	if !c.MayCall("patient-view") || c.MayCall("order-sign") {
		t.Error("hooks")
	}
	if c.MaxLifetime() != 5*time.Minute {
		t.Errorf("lifetime %s", c.MaxLifetime())
	}
	p := c.Principal("t1", "j1")
	if p.Subject != "https://ehr.test" || p.Org != "t1" || p.TokenID != "j1" || p.Purpose != "TREAT" || len(p.Scopes) != 1 || p.Roles[0] != clients.Role {
		t.Errorf("principal %+v", p)
	}
}

func TestNobodyIsRegistered(t *testing.T) {
	r, err := clients.Load("")
	if err != nil || r.Find("") != nil || r.Origin("https://x.test") {
		t.Errorf("%v", err)
	}
	var none *clients.Registry
	if none.Find("x") != nil || none.All() != nil || none.Origin("x") {
		t.Error("a nil Registry has clients")
	}
	var nobody *clients.Client
	if _, ok := nobody.Server("https://x.test/"); ok || !nobody.MayCall("patient-view") {
		t.Error("no client: its token's role decides, and no server may be read")
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no array":              `{}`,
		"unknown member":        `[{"iss":"a","jwks":{},"issuer":"b"}]`,
		"null":                  `[null]`,
		"no iss":                `[{"jwks":{"keys":[]}}]`,
		"no keys":               `[{"iss":"a"}]`,
		"two kinds of keys":     `[{"iss":"a","jwks":{"keys":[]},"jwks_file":"f"}]`,
		"two clients of a name": `[{"iss":"a","jwks":{"keys":[]}},{"iss":"a","jwks":{"keys":[]}}]`,
		"jku without TLS":       `[{"iss":"a","jku":"http://ehr.test/jwks"}]`,
		"jku with a user":       `[{"iss":"a","jku":["https://u@ehr.test/jwks"]}]`,
		"relative server":       `[{"iss":"a","jku":"https://ehr.test/jwks","fhir_servers":["/fhir"]}]`,
		"server with a query":   `[{"iss":"a","jku":"https://ehr.test/jwks","fhir_servers":["https://x.test/fhir?a=b"]}]`,
		"origin with a path":    `[{"iss":"a","jku":"https://ehr.test/jwks","origins":["https://x.test/"]}]`,
		"any origin":            `[{"iss":"a","jku":"https://ehr.test/jwks","origins":["*"]}]`,
		"unknown scope":         `[{"iss":"a","jku":"https://ehr.test/jwks","scopes":["everything"]}]`,
		"a week":                `[{"iss":"a","jku":"https://ehr.test/jwks","options":{"max_lifetime":604800}}]`,
		"something behind":      `[] []`,
		"relative audience":     `[{"iss":"a","jku":"https://ehr.test/jwks","options":{"audiences":["galen"]}}]`,
	} {
		var e *fhir.Error
		if _, err := clients.Parse([]byte(text)); !errors.As(err, &e) || e.Kind != fhir.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := clients.Load(filepath.Join(t.TempDir(), "none")); err == nil || strings.Contains(err.Error(), "panic") {
		t.Errorf("a file that is not there: %v", err)
	}
}
