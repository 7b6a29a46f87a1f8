package auth_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"galen/server/auth"
)

// realProvider starts npm's oidc-provider and returns how to stop it.
func realProvider(t *testing.T, port, format string) (stop func()) {
	t.Helper()
	modules := os.Getenv("GALEN_NODE_MODULES")
	node, err := exec.LookPath("node")
	if modules == "" || err != nil {
		t.Skip("skipped: GALEN_NODE_MODULES names no node_modules with oidc-provider, or there is no node")
	}
	dir := t.TempDir()
	script, err := os.ReadFile("testdata/idp.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "idp.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), node, "idp.mjs", port, format, audience)
	c.Dir = dir
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			t.Fatal("the provider does not start")
		}
		if lines.Text() == "ready" {
			return func() {
				_ = c.Process.Kill()
				_ = c.Wait()
			}
		}
	}
}

// given is a token that the provider gave to an app.
func given(t *testing.T, issuer string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Patient.rs"}, "resource": {audience}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("app", "secret")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || body.Token == "" {
		t.Fatal("no token", err)
	}
	return body.Token
}

// The tokens of a real provider: signed ones through an outage and the change of
// its key, opaque ones by introspection.
func TestRealProvider(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(free.Addr().(*net.TCPAddr).Port)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	issuer, c := "http://127.0.0.1:"+port, &clock{at: time.Now()}
	stop := realProvider(t, port, "jwt")
	p, err := auth.NewProvider(auth.ProviderConfig{
		Issuer: issuer, Audience: []string{audience}, Now: c.now, ClientID: "galen", Secret: "secret",
		Claims: auth.ClaimNames{Map: map[string]string{"doctor": "clinician"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.NewVerifier(nil, c.now, p)
	if err != nil {
		t.Fatal(err)
	}
	old := given(t, issuer)
	who, err := v.Verify(t.Context(), "Bearer "+old)
	if err != nil || who.Client != "app" || len(who.Roles) != 1 || who.Roles[0] != "clinician" || len(who.Scopes) != 1 {
		t.Fatalf("%+v %v", who, err)
	}
	stop()
	if !accepted(t, v, old) {
		t.Error("in an outage the known key is good")
	}
	stop = realProvider(t, port, "jwt")
	c.pass(15 * time.Second)
	if !accepted(t, v, given(t, issuer)) || accepted(t, v, old) {
		t.Error("after a change of the key the new one is good and the old one is not")
	}
	stop()
	stop = realProvider(t, port, "opaque")
	defer stop()
	if !accepted(t, v, given(t, issuer)) || accepted(t, v, "made-up") {
		t.Error("opaque tokens are asked about")
	}
}
