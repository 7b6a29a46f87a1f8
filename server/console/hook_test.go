package console_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"galen/policies"
	"galen/server/console"
)

// anyone lets every token in and permits everything.
type anyone struct{}

func (anyone) Verify(context.Context, string) (policies.Principal, error) {
	return policies.Principal{Subject: "dr", Roles: []string{"clinician"}}, nil
}

func (anyone) Decide(context.Context, policies.Principal, policies.Request) policies.Decision {
	return policies.Decision{Allow: true}
}

// A service is called as an EHR would call it, with the visitor's token, and the
// page shows its cards, the request and the response, all of it as text.
func TestHook(t *testing.T) {
	var asked struct {
		Hook, HookInstance string
		Context            map[string]string
	}
	var token string
	api := http.NewServeMux()
	api.HandleFunc("GET /cds-services", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"services":[{"hook":"patient-view","id":"risk","title":"Risk","prefetch":{"p":"Patient/{{context.patientId}}"}}]}`)
	})
	api.HandleFunc("POST /cds-services/risk", func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"cards":[{"summary":"High <script>risk</script>","indicator":"critical","source":{"label":"Galen"},"links":[{"label":"more","url":"javascript:alert(1)"}]}]}`)
	})
	pages, err := console.New(console.Config{API: api, Auth: anyone{}, Decider: anyone{}, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(pages)
	defer front.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t, front.URL, http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	b.signIn("good")
	a := b.do(http.MethodPost, "/console/patients/p1/hook", url.Values{
		"csrf": {b.get("/console").csrf(t)}, "service": {"patient-view risk"}, "user": {"dr"},
	}, nil)
	if a.status != http.StatusOK || asked.Hook != "patient-view" || asked.Context["patientId"] != "p1" || asked.Context["userId"] != "Practitioner/dr" ||
		len(asked.HookInstance) != 36 || token != "Bearer good" {
		t.Errorf("%d, asked %+v", a.status, asked)
	}
	for _, want := range []string{"High &lt;script&gt;risk", "critical", "Patient/{{context.patientId}}"} {
		if !strings.Contains(a.text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(a.text, "<script") || strings.Contains(a.text, `href="javascript`) {
		t.Error("a card's text is markup on the page")
	}
}
