package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"galen/fhir/jsontree"
	"galen/server/auth"
)

// story is one file of testdata/scenarios; README.md there tells how to write one.
type story struct {
	Story string
	// Client is the registration of a CDS client, but for iss and keys: "as: client".
	Client map[string]any
	// EHR is what that client's FHIR server answers, by a part of the URL.
	EHR map[string]farReply
	// Texts are kept under their names from the start; they may hold {{…}} too.
	Texts map[string]string
	// Quiet is --hooks-quiet, Services the text of the file for --hooks-services.
	Quiet    string
	Services string
	Steps    []storyStep
}

// storyStep is one request and what is expected of its answer.
type storyStep struct {
	What    string
	As      string
	Send    string
	Headers map[string]string
	Body    string
	Status  int
	Expect  []string
	Answer  map[string]string // headers of the answer
	JWT     map[string]string // how the client's JWT differs from a good one
	Asked   []string          // what the EHR was asked, in alphabetical order; [] for nothing
	Keep    map[string]string
}

// The stories of testdata/scenarios, against the whole server. No answer but FHIR
// resources themselves, and no line of the log, may hold a patient's name.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../../testdata/scenarios/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var s story
			if err := yaml.UnmarshalWithOptions(text, &s, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			if s.Story == "" || len(s.Steps) == 0 {
				t.Fatal("a story needs a name and steps")
			}
			play(t, s)
		})
	}
}

func play(t *testing.T, s story) {
	dir := t.TempDir()
	p := &player{dir: dir, kept: map[string]string{}, texts: s.Texts, names: []string{"Karl", "Wilma", "Dora"}}
	g, stop := start(t, dir, p.prepare(t, s))
	p.galen = g
	for i, step := range s.Steps {
		p.step(fmt.Sprintf("step %d, %s", i+1, step.What), step)
		if t.Failed() {
			break // what follows builds on it
		}
	}
	stop()
	for line := range strings.Lines(g.logs.String()) {
		p.private("the log", line)
	}
}

// player plays one story.
type player struct {
	*galen
	dir   string // of the data
	kept  map[string]string
	texts map[string]string // of the story
	names []string          // of patients, from the bodies that were sent

	client  *ehr    // of the story, nil for none
	far     *farEHR // its FHIR server, nil for none
	lastJWT string
}

// prepare starts the story's EHR and registers its client.
func (p *player) prepare(t *testing.T, s story) func(*options) {
	t.Helper()
	if s.EHR != nil {
		p.far = startFar(t, s.EHR)
		p.far.p = p
		p.kept["ehr"] = p.far.URL + "/r4"
	}
	return func(o *options) {
		if s.Client != nil {
			registration, err := json.Marshal(s.Client)
			if err != nil {
				t.Fatal(err)
			}
			members := strings.ReplaceAll(string(registration), "{{ehr}}", p.kept["ehr"])
			more := members[1 : len(members)-1]
			if more != "" {
				more = "," + more
			}
			p.client = newEHR(t, more)
			p.client.register(o)
		}
		if s.Quiet != "" {
			d, err := time.ParseDuration(s.Quiet)
			if err != nil {
				t.Fatal(err)
			}
			o.hooks.limits.Quiet = d
		}
		if s.Services != "" {
			o.hooks.services = filepath.Join(t.TempDir(), "services.json")
			if err := os.WriteFile(o.hooks.services, []byte(s.Services), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (p *player) step(at string, s storyStep) {
	p.Helper()
	if s.What == "" || s.As == "" || s.Status == 0 {
		p.Fatalf("%s: needs what, as and status", at)
	}
	method, url, ok := strings.Cut(p.fill(s.Send), " ")
	if !ok {
		p.Fatalf("%s: send needs a method and a URL", at)
	}
	body := p.fill(s.Body)
	for _, m := range nameInBody.FindAllStringSubmatch(body, -1) {
		p.names = append(p.names, m[1])
	}
	token := ""
	if s.As == "client" {
		token = p.jwtOf(url, s.JWT)
	} else {
		token = p.tokenOf(at, s.As)
	}
	answer, text := p.request(method, url, token, body, s.Headers)
	if answer.StatusCode != s.Status {
		p.Errorf("%s: status %d, want %d: %.1000s", at, answer.StatusCode, s.Status, text)
		return
	}
	var root jsontree.Node
	if doc, err := jsontree.Parse(text, jsontree.Limits{}); err == nil {
		root = doc.Root()
	}
	for name, want := range s.Answer {
		if got := answer.Header.Get(name); got != p.fill(want) {
			p.Errorf("%s: %s is %q, want %q", at, name, got, p.fill(want))
		}
	}
	for _, sentence := range s.Expect {
		if wrong := check(root, text, p.fill(sentence)); wrong != "" {
			p.Errorf("%s: %s: %s\n%.1500s", at, sentence, wrong, text)
		}
	}
	if p.far != nil {
		if asked := p.far.take(); s.Asked != nil && !slices.Equal(asked, s.Asked) {
			p.Errorf("%s: the EHR was asked %q, not %q", at, asked, s.Asked)
		}
	}
	for name, path := range s.Keep {
		if p.kept[name] = find(root, path).Text(); p.kept[name] == "" {
			p.Errorf("%s: nothing to keep at %s", at, path)
		}
	}
	kind := root.Get("resourceType").Text()
	if kind == "" || kind == "OperationOutcome" || answer.StatusCode >= 400 {
		p.private(at, string(text))
	}
	for _, values := range answer.Header {
		p.private(at, strings.Join(values, " "))
	}
}

// nameInBody finds family names and single given names of at least four letters.
var nameInBody = regexp.MustCompile(`"(?:family"\s*:\s*|given"\s*:\s*\[\s*)"([^"\\]{4,})"`)

// private reports a patient's name where none may be.
func (p *player) private(where, text string) {
	p.Helper()
	for _, name := range p.names {
		if strings.Contains(text, name) {
			p.Errorf("%s: a patient's name is in %.300s", where, text)
		}
	}
}

// tokenOf mints the token of "clinician", "patient of p1", "researcher for
// HRESCH", "expired clinician" or "forged clinician"; nobody has none.
func (p *player) tokenOf(at, who string) string {
	p.Helper()
	if who == "nobody" {
		return ""
	}
	words := strings.Fields(who)
	expired, forged := words[0] == "expired", words[0] == "forged"
	if expired || forged {
		words = words[1:]
	}
	if len(words) != 1 && len(words) != 3 {
		p.Fatalf("%s: who is %q?", at, who)
	}
	g := *p.galen
	switch {
	case expired: // minted two hours ago, for one
		g.issuer = p.issuerOf(p.dir, func() time.Time { return time.Now().Add(-2 * time.Hour) })
	case forged: // signed with another key
		g.issuer = p.issuerOf(p.TempDir(), time.Now)
	}
	return g.token(words[0], func(c *auth.Claims) {
		if len(words) == 3 && words[1] == "of" {
			c.Patient = words[2]
		}
		if len(words) == 3 && words[1] == "for" {
			c.Purpose = words[2]
		}
	})
}

func (p *player) issuerOf(dir string, now func() time.Time) *auth.Issuer {
	p.Helper()
	issuer, err := auth.OpenIssuer(dir, now)
	if err != nil {
		p.Fatal(err)
	}
	return issuer
}

func (p *player) request(method, url, token, body string, headers map[string]string) (*http.Response, []byte) {
	p.Helper()
	if !strings.HasPrefix(url, "http") {
		url = p.url + url
	}
	req, err := http.NewRequestWithContext(p.Context(), method, url, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range headers {
		req.Header.Set(name, p.fill(value))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.Fatal(err)
	}
	return res, text
}

// macro is {{name}} of something kept, {{3h ago}} as an instant, or {{55y ago}}
// as a date; {{deep 200}} is a nesting of that depth; {{empty prefetch except a,
// b}} are empty Bundles for the other keys that the patient-view service asks for.
var macro = regexp.MustCompile(`\{\{([^{}]+)\}\}`)

func (p *player) fill(text string) string {
	return macro.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-2]
		if value, ok := p.kept[name]; ok {
			return value
		}
		if text, ok := p.texts[name]; ok {
			return p.fill(text)
		}
		if keys, ok := strings.CutPrefix(name, "empty prefetch except "); ok {
			return p.emptyPrefetch(strings.Split(keys, ", "))
		}
		if depth, ok := strings.CutPrefix(name, "deep "); ok {
			n, _ := strconv.Atoi(depth)
			return strings.Repeat(`{"extension":[`, n) + strings.Repeat("]}", n)
		}
		ago, _ := strings.CutSuffix(name, " ago")
		if n, err := strconv.Atoi(strings.TrimSuffix(ago, "y")); err == nil && strings.HasSuffix(ago, "y") {
			return time.Now().AddDate(-n, 0, -1).Format(time.DateOnly)
		}
		d, err := time.ParseDuration(ago)
		if err != nil || ago == name {
			p.Fatalf("nothing is known of %s", m)
		}
		return time.Now().Add(-d).UTC().Format(time.RFC3339)
	})
}

func (p *player) emptyPrefetch(except []string) string {
	p.Helper()
	var members []string
	for service := range p.want(200, "GET", "/cds-services", "", "").Get("services").Items() {
		if service.Get("hook").Text() != "patient-view" {
			continue
		}
		for key := range service.Get("prefetch").Members() {
			if !slices.Contains(except, key) {
				members = append(members, strconv.Quote(key)+`: {"resourceType": "Bundle", "type": "searchset"}`)
			}
		}
	}
	return strings.Join(members, ",\n")
}

// check holds an answer against one sentence: "total is 3", "detail has mg/g",
// "id starts a", "entry count 2", "text present", "text absent". The path "body"
// is the whole text. It returns what is wrong.
func check(root jsontree.Node, body []byte, sentence string) string {
	inside := false
	end := strings.IndexFunc(sentence, func(r rune) bool {
		inside = r == '[' || inside && r != ']'
		return r == ' ' && !inside
	})
	path := sentence[:max(end, 0)]
	verb, want, _ := strings.Cut(sentence[end+1:], " ")
	n := find(root, path)
	got := n.Text()
	if path == "body" {
		got = string(body)
	}
	holds := false
	switch verb {
	case "is":
		holds = got == want
	case "has":
		holds = strings.Contains(got, want)
	case "lacks":
		holds = !strings.Contains(got, want)
	case "starts":
		holds = strings.HasPrefix(got, want)
	case "count":
		holds, got = strconv.Itoa(n.Len()) == want, strconv.Itoa(n.Len())
	case "present":
		holds = n.Exists() || path == "body" && got != ""
	case "absent":
		holds = !n.Exists() && (path != "body" || got == "")
	default:
		return "what does " + strconv.Quote(verb) + " mean?"
	}
	if holds {
		return ""
	}
	return "it is " + strconv.Quote(got)
}

// find goes down a path such as entry[0].resource.id, or
// cards[source.label~Kidney].summary: the first card whose label holds the word
// (= for the whole text). Without an index an array means its first item.
func find(n jsontree.Node, path string) jsontree.Node {
	for path != "" && n.Exists() {
		end := strings.IndexAny(path, ".[")
		switch {
		case end < 0:
			return first(n).Get(path)
		case path[0] == '[':
			inside, rest, _ := strings.Cut(path[1:], "]")
			n, path = pick(n, inside), strings.TrimPrefix(rest, ".")
		default:
			n = first(n).Get(path[:end])
			path = strings.TrimPrefix(path[end:], ".")
		}
	}
	return n
}

func first(n jsontree.Node) jsontree.Node {
	if n.Kind() == jsontree.Array {
		return n.Item(0)
	}
	return n
}

func pick(n jsontree.Node, inside string) jsontree.Node {
	if i, err := strconv.Atoi(inside); err == nil {
		return n.Item(i)
	}
	i := strings.IndexAny(inside, "~=")
	if i < 0 {
		return jsontree.Node{}
	}
	for item := range n.Items() {
		got := find(item, inside[:i]).Text()
		if inside[i] == '=' && got == inside[i+1:] || inside[i] == '~' && strings.Contains(got, inside[i+1:]) {
			return item
		}
	}
	return jsontree.Node{}
}

// The runner itself must be able to fail.
func TestScenarioSentences(t *testing.T) {
	doc, err := jsontree.Parse([]byte(`{"total":2,"entry":[{"a":{"b":"x y"}},{"a":{"b":"z"},"c":"w"}]}`), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for sentence, want := range map[string]bool{
		"total is 2": true, "total is 3": false, "entry count 2": true, "entry count 1": false,
		"entry[0].a.b is x y": true, "entry.a.b starts x": true, "entry[a.b=z].c is w": true, "entry[a.b~ y].c absent": true,
		"entry[7].a present": false, "total absent": false, "body has z": true, "body has q": false, "body lacks q": true, "body lacks z": false, "body absent": false, "total equals 2": false, "total": false,
	} {
		if got := check(doc.Root(), doc.Bytes(), sentence) == ""; got != want {
			t.Errorf("%s: %t", sentence, got)
		}
	}
	names := nameInBody.FindAllStringSubmatch(`{"family":"Meier","given" : [ "Anna" ]}`, -1)
	if len(names) != 2 || !slices.Contains(names[1], "Anna") {
		t.Error(names)
	}
}
