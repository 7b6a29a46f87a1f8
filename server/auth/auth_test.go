package auth_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/policies"
	"galen/server/auth"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string, now func() time.Time) (*auth.Issuer, *auth.Verifier) {
	t.Helper()
	issuer, err := auth.OpenIssuer(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(issuer, now)
	if err != nil {
		t.Fatal(err)
	}
	return issuer, verifier
}

func mint(t *testing.T, issuer *auth.Issuer, c auth.Claims) string {
	t.Helper()
	token, err := issuer.Mint(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerifyReadsTheClaims(t *testing.T) {
	issuer, verifier := open(t, t.TempDir(), func() time.Time { return noon })
	token := mint(t, issuer, auth.Claims{
		Subject: "dr-a", Roles: []string{"clinician", "nurse"}, Patient: "p1", Org: "ward",
		Purpose: "TREAT", Client: "app", FHIRUser: "Practitioner/1", TTL: time.Hour,
	})
	for range 2 { // the second time from the cache
		got, err := verifier.Verify(t.Context(), "Bearer "+token)
		if err != nil {
			t.Fatal(err)
		}
		if got.TokenID == "" {
			t.Error("no jti")
		}
		got.TokenID = ""
		want := policies.Principal{
			Purposes: []string{"TREAT"},
			Subject:  "dr-a", Roles: []string{"clinician", "nurse"}, Patient: "p1", Org: "ward",
			Purpose: "TREAT", Client: "app", FHIRUser: "Practitioner/1",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("principal (-want +got):\n%s", diff)
		}
	}
}

func TestScopesThatGrantNothingAreNotTheAbsenceOfScopes(t *testing.T) {
	issuer, verifier := open(t, t.TempDir(), func() time.Time { return noon })
	for scope, want := range map[string]struct {
		count int
		isNil bool
	}{
		"":                    {0, true},
		"openid":              {0, false},
		"user/Patient.dus":    {0, false},
		"user/Patient.rs":     {1, false},
		"user/*.cruds openid": {1, false},
	} {
		p, err := verifier.Verify(t.Context(), "Bearer "+mint(t, issuer, auth.Claims{Subject: "a", Scope: scope, TTL: time.Hour}))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Scopes) != want.count || (p.Scopes == nil) != want.isNil {
			t.Errorf("scope %q: %d scopes, nil %t", scope, len(p.Scopes), p.Scopes == nil)
		}
	}
}

func TestVerifyRefusesWithoutSayingWhy(t *testing.T) {
	now := noon
	issuer, verifier := open(t, t.TempDir(), func() time.Time { return now })
	stranger, _ := open(t, t.TempDir(), func() time.Time { return now })
	good := mint(t, issuer, auth.Claims{Subject: "a", TTL: time.Hour})
	parts := strings.Split(good, ".")
	for name, header := range map[string]string{
		"no header":      "",
		"other scheme":   "Basic " + good,
		"no token":       "Bearer ",
		"not a JWT":      "Bearer x.y",
		"other key":      "Bearer " + mint(t, stranger, auth.Claims{Subject: "a", TTL: time.Hour}),
		"alg none":       "Bearer eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + ".",
		"tampered":       "Bearer " + parts[0] + "." + parts[1][:len(parts[1])-2] + "AA." + parts[2],
		"bad patient id": "Bearer " + mint(t, issuer, auth.Claims{Subject: "a", Patient: "p/1", TTL: time.Hour}),
	} {
		if _, err := verifier.Verify(t.Context(), header); fhir.KindOf(err) != fhir.Unauthorized {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: the error holds the token", name)
		}
	}
	if _, err := verifier.Verify(t.Context(), "Bearer "+good); err != nil {
		t.Errorf("good token: %v", err)
	}
	now = noon.Add(2 * time.Hour)
	if _, err := verifier.Verify(t.Context(), "Bearer "+good); fhir.KindOf(err) != fhir.Unauthorized {
		t.Errorf("expired token, known before: %v", err)
	}
}

func TestIssuerKeepsItsKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, _ := open(t, dir, func() time.Time { return noon })
	_, verifier := open(t, dir, func() time.Time { return noon })
	if _, err := verifier.Verify(t.Context(), "bearer "+mint(t, first, auth.Claims{Subject: "a", TTL: time.Hour})); err != nil {
		t.Errorf("token of the same directory: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "issuer.jwk"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", info.Mode(), err)
	}
}

func TestMintNeedsASubjectAndALifetime(t *testing.T) {
	issuer, _ := open(t, t.TempDir(), func() time.Time { return noon })
	for _, c := range []auth.Claims{{TTL: time.Hour}, {Subject: "a"}, {Subject: "a", TTL: -1}} {
		if _, err := issuer.Mint(c); fhir.KindOf(err) != fhir.Required {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
