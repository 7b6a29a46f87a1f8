package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// farReply is what the EHR's FHIR server of a story answers.
type farReply struct {
	Status int // 200 if absent
	Body   string
	Move   string // Location of a redirect
	Hang   bool   // says nothing until the caller gives up
}

// farEHR is the FHIR server of the EHR in a story: it answers what the story
// says and remembers what it was asked.
type farEHR struct {
	*httptest.Server
	p       *player
	replies map[string]farReply // by a part of the URL after the base; the longest that fits

	mu    sync.Mutex
	asked []string // "Patient/p1 with secret"
}

// startFar starts the server; its base is {{ehr}}.
func startFar(t *testing.T, replies map[string]farReply) *farEHR {
	t.Helper()
	f := &farEHR{replies: replies}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *farEHR) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, err := url.PathUnescape(strings.TrimPrefix(r.URL.RequestURI(), "/r4/"))
	if err != nil {
		http.Error(w, "bad URL", http.StatusBadRequest)
		return
	}
	line := asked
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		line += " with " + token
	}
	f.mu.Lock()
	f.asked = append(f.asked, line)
	f.mu.Unlock()
	best, found := "", false
	for part := range f.replies {
		if strings.Contains(asked, part) && (!found || len(part) > len(best)) {
			best, found = part, true
		}
	}
	reply := f.replies[best]
	switch {
	case !found:
		reply.Body = `{"resourceType": "Bundle", "type": "searchset"}`
	case reply.Hang:
		<-r.Context().Done()
		return
	case reply.Move != "":
		w.Header().Set("Location", f.p.fill(reply.Move))
		reply.Status = http.StatusFound
	}
	if reply.Status == 0 {
		reply.Status = http.StatusOK
	}
	w.Header().Set("Content-Type", "application/fhir+json")
	w.WriteHeader(reply.Status)
	_, _ = w.Write([]byte(f.p.fill(reply.Body)))
}

// take is what was asked since it was last called, sorted.
func (f *farEHR) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	slices.Sort(asked)
	return asked
}

// jwtOf is the JWT of the story's registered client for one URL, with what the
// step wants otherwise: aud, exp and iat as durations from now, kid, alg, typ,
// jti, tenant, iss; "absent" leaves a claim out. "again" sends the last one once
// more, "broken" one whose payload is not what was signed.
func (p *player) jwtOf(path string, change map[string]string) string {
	p.Helper()
	if p.client == nil {
		p.Fatal("the story registers no client")
	}
	if _, again := change["again"]; again {
		return p.lastJWT
	}
	now := time.Now()
	claims := map[string]any{
		"iss": ehrIssuer, "aud": p.url + path, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": newID(),
	}
	header := map[string]string{"typ": "JWT"}
	for name, value := range change {
		value = p.fill(strings.ReplaceAll(value, "{{url}}", p.url))
		d, err := time.ParseDuration(value)
		switch {
		case name == "typ" || name == "kid" || name == "alg" || name == "jku":
			header[name] = value
		case value == "absent":
			delete(claims, name)
		case err == nil:
			claims[name] = now.Add(d).Unix()
		case strings.HasPrefix(value, "["):
			claims[name] = json.RawMessage(value)
		default:
			claims[name] = value
		}
	}
	token := p.client.sign(claims, header)
	if _, broken := change["broken"]; broken {
		other := p.client.sign(map[string]any{"iss": ehrIssuer, "aud": p.url + path, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": newID()}, header)
		token = token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
	}
	p.lastJWT = token
	return token
}
