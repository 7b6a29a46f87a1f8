package consent_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/search/index"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/policies"
	"galen/policies/consent"
	"galen/store"
	"galen/store/mem"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type tools struct {
	defs  *spec.Definitions
	index *index.Indexer
}

var load = sync.OnceValues(func() (tools, error) {
	defs, err := spec.Load()
	if err != nil {
		return tools{}, err
	}
	units, err := ucum.Load()
	if err != nil {
		return tools{}, err
	}
	indexer, err := index.New(defs, path.New(defs, units), units, index.Options{})
	return tools{defs, indexer}, err
})

func kit(t testing.TB) tools {
	t.Helper()
	k, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func resource(t testing.TB, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return r
}

// write is a commit of one resource.
func write(r fhir.Resource) []store.Write {
	h := r.Header
	h.Version = 1
	return []store.Write{{Record: store.Record{Header: h, Body: r.Bytes(), Method: store.Put}}}
}

// agreed is a Consent of Patient/p1 with that provision and policy rule.
func agreed(id, provision, rule string) string {
	text := `{"resourceType":"Consent","id":"` + id + `","status":"active","patient":{"reference":"Patient/p1"},"scope":{"coding":[{"code":"patient-privacy"}]}`
	if rule != "" {
		text += `,"policyRule":{"coding":[{"code":"` + rule + `"}]}`
	}
	if provision != "" {
		text += `,"provision":` + provision
	}
	return text + "}"
}

// holds evaluates a condition on one resource.
func holds(t testing.TB, e search.Expr, r fhir.Resource) bool {
	t.Helper()
	if e == nil {
		return false
	}
	entries, err := kit(t).index.Index(r)
	if err != nil {
		t.Fatal(err)
	}
	corpus := map[fhir.Key][]search.Entry{r.Key: entries}
	return search.Match(e, r.Key, one(corpus))
}

const (
	laboratory = `{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-1"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-05-01"}`
	psychiatry = `{"resourceType":"Observation","id":"o2","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]},"status":"final","code":{"coding":[{"code":"2-2"}]},"subject":{"reference":"Patient/p1"}}`
	others     = `{"resourceType":"Observation","id":"o3","status":"final","code":{"coding":[{"code":"1-1"}]},"subject":{"reference":"Patient/p2"}}`
	encounter  = `{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"}}`
	within     = `{"resourceType":"Observation","id":"o4","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"}}`
	person     = `{"resourceType":"Patient","id":"p1"}`
)

// https://hl7.org/fhir/R4/consent.html: each part of a provision, and how they
// nest. hidden lists what is kept from Practitioner/1 of Organization/ward.
func TestProvisions(t *testing.T) {
	for name, c := range map[string]struct {
		consents []string
		purpose  string
		hidden   string // letters of l, p, o, e, w, P as below
	}{
		"none":                        {nil, "", ""},
		"opt-out":                     {[]string{agreed("a", "", "OPTOUT")}, "", "lpewP"},
		"opt-in":                      {[]string{agreed("a", "", "OPTIN")}, "", ""},
		"deny all":                    {[]string{agreed("a", `{"type":"deny"}`, "")}, "", "lpewP"},
		"withdrawn":                   {[]string{strings.Replace(agreed("a", `{"type":"deny"}`, ""), "active", "inactive", 1)}, "", ""},
		"draft":                       {[]string{strings.Replace(agreed("a", `{"type":"deny"}`, ""), "active", "draft", 1)}, "", ""},
		"consent to treatment":        {[]string{strings.Replace(agreed("a", `{"type":"deny"}`, ""), "patient-privacy", "treatment", 1)}, "", ""},
		"this actor":                  {[]string{agreed("a", `{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Practitioner/1"}}]}`, "")}, "", "lpewP"},
		"another actor":               {[]string{agreed("a", `{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Practitioner/2"}}]}`, "")}, "", ""},
		"the organization":            {[]string{agreed("a", `{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Organization/ward"}}]}`, "")}, "", "lpewP"},
		"an unknown group":            {[]string{agreed("a", `{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Group/1"}}]}`, "")}, "", "lpewP"},
		"by identifier":               {[]string{agreed("a", `{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"identifier":{"value":"app"}}}]}`, "")}, "", "lpewP"},
		"this purpose":                {[]string{agreed("a", `{"type":"deny","purpose":[{"code":"HRESCH"}]}`, "")}, "HRESCH", "lpewP"},
		"another purpose":             {[]string{agreed("a", `{"type":"deny","purpose":[{"code":"HRESCH"}]}`, "")}, "TREAT", ""},
		"no purpose is treatment":     {[]string{agreed("a", `{"type":"deny","purpose":[{"code":"TREAT"}]}`, "")}, "", "lpewP"},
		"a kind of treatment":         {[]string{agreed("a", `{"type":"deny","purpose":[{"code":"TREAT"}]}`, "")}, "ETREAT", "lpewP"},
		"a class":                     {[]string{agreed("a", `{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]}`, "")}, "", "lpw"},
		"two classes":                 {[]string{agreed("a", `{"type":"deny","class":[{"code":"Encounter"},{"code":"Patient"}]}`, "")}, "", "eP"},
		"a label":                     {[]string{agreed("a", `{"type":"deny","securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}`, "")}, "", "p"},
		"a code":                      {[]string{agreed("a", `{"type":"deny","class":[{"code":"Observation"}],"code":[{"coding":[{"system":"http://loinc.org","code":"1-1"}]}]}`, "")}, "", "l"},
		"in force":                    {[]string{agreed("a", `{"type":"deny","period":{"start":"2026-01-01","end":"2026-11-24"}}`, "")}, "", "lpewP"},
		"past":                        {[]string{agreed("a", `{"type":"deny","period":{"end":"2026-11-23"}}`, "")}, "", ""},
		"not yet":                     {[]string{agreed("a", `{"type":"deny","period":{"start":"2026-11-25"}}`, "")}, "", ""},
		"data of a time":              {[]string{agreed("a", `{"type":"deny","class":[{"code":"Observation"}],"dataPeriod":{"start":"2026-04-01","end":"2026-06-01"}}`, "")}, "", "l"},
		"one resource":                {[]string{agreed("a", `{"type":"deny","data":[{"meaning":"instance","reference":{"reference":"Encounter/e1"}}]}`, "")}, "", "e"},
		"and what depends on it":      {[]string{agreed("a", `{"type":"deny","data":[{"meaning":"dependents","reference":{"reference":"Encounter/e1"}}]}`, "")}, "", "ew"},
		"only to correct":             {[]string{agreed("a", `{"type":"deny","action":[{"coding":[{"code":"correct"}]}]}`, "")}, "", ""},
		"to disclose":                 {[]string{agreed("a", `{"type":"deny","action":[{"coding":[{"code":"disclose"}]}]}`, "")}, "", "lpewP"},
		"all but a class":             {[]string{agreed("a", `{"type":"deny","provision":[{"type":"permit","class":[{"code":"Encounter"}]}]}`, "")}, "", "lpwP"},
		"all but for this actor":      {[]string{agreed("a", `{"type":"deny","provision":[{"type":"permit","actor":[{"role":{"text":"x"},"reference":{"reference":"Practitioner/1"}}]}]}`, "")}, "", ""},
		"all but for an unknown one":  {[]string{agreed("a", `{"type":"deny","provision":[{"type":"permit","actor":[{"role":{"text":"x"},"reference":{"reference":"Group/1"}}]}]}`, "")}, "", "lpewP"},
		"exception to the exception":  {[]string{agreed("a", `{"type":"permit","provision":[{"type":"deny","class":[{"code":"Observation"}],"provision":[{"type":"permit","securityLabel":[{"code":"PSY"}]}]}]}`, "")}, "", "lw"},
		"deny wins among equals":      {[]string{agreed("a", `{"type":"deny","provision":[{"type":"permit","class":[{"code":"Encounter"}]},{"type":"deny","class":[{"code":"Encounter"}]}]}`, "")}, "", "lpewP"},
		"deny wins between consents":  {[]string{agreed("a", `{"type":"permit"}`, ""), agreed("b", `{"type":"deny","class":[{"code":"Encounter"}]}`, "")}, "", "e"},
		"opt-out with an exception":   {[]string{agreed("a", `{"provision":[{"type":"permit","class":[{"code":"Encounter"},{"code":"Patient"}]}]}`, "OPTOUT")}, "", "lpw"},
		"opt-in with a withheld part": {[]string{agreed("a", `{"provision":[{"type":"deny","securityLabel":[{"code":"PSY"}]}]}`, "OPTIN")}, "", "p"},
	} {
		r := consent.New(kit(t).defs, func() time.Time { return noon })
		for _, text := range c.consents {
			r.Seen(write(resource(t, text)))
		}
		p := &policies.Principal{Subject: "dr-a", FHIRUser: "Practitioner/1", Org: "ward", Client: "app", Purpose: c.purpose}
		got := ""
		for _, o := range []struct{ letter, text string }{
			{"l", laboratory}, {"p", psychiatry}, {"o", others}, {"e", encounter}, {"w", within}, {"P", person},
		} {
			res := resource(t, o.text)
			if holds(t, r.Withheld(p, res.Type), res) {
				got += o.letter
			}
		}
		if got != c.hidden {
			t.Errorf("%s: hidden %q, want %q", name, got, c.hidden)
		}
		// A patient who withholds every prediction, as the opt-out does, cannot be assessed.
		if got, want := r.Refuses(p, "p1"), strings.Contains(c.hidden, "P") || name == "opt-out with an exception"; got != want {
			t.Errorf("%s: refuses %t", name, got)
		}
	}
}

// The patient sees the own record whatever is withheld from others; the consent
// itself and the audit are never hidden.
func TestWhatConsentsDoNotHide(t *testing.T) {
	r := consent.New(kit(t).defs, func() time.Time { return noon })
	all := resource(t, agreed("a", `{"type":"deny"}`, ""))
	r.Seen(write(all))
	for name, p := range map[string]*policies.Principal{
		"by fhirUser": {FHIRUser: "Patient/p1"}, "by role": {Roles: []string{"patient"}, Patient: "p1"},
	} {
		if e := r.Withheld(p, "Observation"); holds(t, e, resource(t, laboratory)) || r.Refuses(p, "p1") {
			t.Errorf("%s: %v", name, e)
		}
	}
	doctor := &policies.Principal{Roles: []string{"clinician"}, Patient: "p1", FHIRUser: "Practitioner/1"}
	if !holds(t, r.Withheld(doctor, "Observation"), resource(t, laboratory)) {
		t.Error("a clinician in the patient's context passes for the patient")
	}
	for _, kind := range []string{"Consent", "AuditEvent", "ValueSet"} {
		if e := r.Withheld(doctor, kind); e != nil {
			t.Errorf("%s: %v", kind, e)
		}
	}
}

func TestPermitted(t *testing.T) {
	r := consent.New(kit(t).defs, func() time.Time { return noon })
	p := &policies.Principal{FHIRUser: "Practitioner/1"}
	if holds(t, r.Permitted(p, "Observation"), resource(t, laboratory)) {
		t.Error("permitted without a consent")
	}
	r.Seen(write(resource(t, agreed("a", `{"type":"permit","class":[{"code":"Observation"}],"provision":[{"type":"deny","securityLabel":[{"code":"PSY"}]}]}`, ""))))
	for text, want := range map[string]bool{laboratory: true, psychiatry: false, others: false, encounter: false} {
		res := resource(t, text)
		if got := holds(t, r.Permitted(p, res.Type), res); got != want {
			t.Errorf("%s: permitted %t", res.Key, got)
		}
	}
}

// Acceptance 35: a withdrawal counts at the next question, and so does a period
// that ends.
func TestChangesCountAtOnce(t *testing.T) {
	now := noon
	r := consent.New(kit(t).defs, func() time.Time { return now })
	p := &policies.Principal{FHIRUser: "Practitioner/1"}
	hidden := func() bool { return holds(t, r.Withheld(p, "Observation"), resource(t, laboratory)) }
	active := agreed("a", `{"type":"deny","period":{"end":"2026-11-24T13:00:00Z"}}`, "")
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"before", func() {}, false},
		{"given", func() { r.Seen(write(resource(t, active))) }, true},
		{"withdrawn", func() { r.Seen(write(resource(t, strings.Replace(active, `"active"`, `"inactive"`, 1)))) }, false},
		{"given again", func() { r.Seen(write(resource(t, active))) }, true},
		{"of another patient now", func() { r.Seen(write(resource(t, strings.Replace(active, "p1", "p2", 1)))) }, false},
		{"and back", func() { r.Seen(write(resource(t, active))) }, true},
		{"deleted", func() {
			w := write(resource(t, active))
			w[0].Deleted, w[0].Body = true, nil
			r.Seen(w)
		}, false},
		{"restored", func() { r.Seen(write(resource(t, active))) }, true},
		{"its period over", func() { now = now.Add(2 * time.Hour) }, false},
	} {
		step.do()
		if got := hidden(); got != step.want {
			t.Errorf("%s: hidden %t", step.name, got)
		}
	}
}

func TestLoad(t *testing.T) {
	db := mem.New()
	if err := db.Commit(t.Context(), write(resource(t, agreed("a", `{"type":"deny"}`, "")))); err != nil {
		t.Fatal(err)
	}
	r := consent.New(kit(t).defs, func() time.Time { return noon })
	if err := r.Load(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if !r.Refuses(&policies.Principal{FHIRUser: "Practitioner/1"}, "p1") {
		t.Error("the stored consent is not loaded")
	}
}

// FuzzConsent feeds whatever may stand in a provision.
func FuzzConsent(f *testing.F) {
	for _, s := range []string{`{"type":"deny"}`, `{"provision":[{"provision":[{}]}]}`, `[]`, `{"period":{"start":"x"},"actor":[{}],"data":[{}],"code":[{}]}`} {
		f.Add(s)
	}
	defs := kit(f).defs
	f.Fuzz(func(t *testing.T, provision string) {
		r, err := fhir.Parse([]byte(agreed("a", provision, "OPTOUT")), jsontree.Limits{})
		if err != nil {
			return
		}
		registry := consent.New(defs, func() time.Time { return noon })
		registry.Seen(write(r))
		p := &policies.Principal{FHIRUser: "Practitioner/1"}
		for _, kind := range []string{"Patient", "Observation", "Binary"} {
			registry.Withheld(p, kind)
			registry.Permitted(p, kind)
		}
		registry.Refuses(p, "p1")
	})
}

// BenchmarkWithheld asks again and again where 10,000 patients have consents.
func BenchmarkWithheld(b *testing.B) {
	r := consent.New(kit(b).defs, func() time.Time { return noon })
	for i := range 10_000 {
		text := strings.ReplaceAll(agreed("c"+id(i), `{"type":"deny","purpose":[{"code":"HRESCH"}]}`, ""), "Patient/p1", "Patient/"+id(i))
		r.Seen(write(resource(b, text)))
	}
	p := &policies.Principal{FHIRUser: "Practitioner/1", Purpose: "HRESCH"}
	if r.Withheld(p, "Observation") == nil {
		b.Fatal("nothing is withheld")
	}
	for b.Loop() {
		r.Withheld(p, "Observation")
	}
}

// shelf is a store for look-ups.
type shelf map[string]string

func (s shelf) Read(_ context.Context, keys ...fhir.Key) ([]store.Record, error) {
	text, ok := s[keys[0].String()]
	if text == "broken" {
		return nil, errors.New("the disk is gone")
	}
	if !ok {
		return make([]store.Record, 1), nil
	}
	return []store.Record{{Header: fhir.Header{Key: keys[0], Version: 1}, Body: []byte(text), Method: store.Put}}, nil
}

// shelved is a driver that holds no consent and can be asked for the rest.
type shelved struct {
	store.Driver
	shelf
}

func (s shelved) Read(ctx context.Context, keys ...fhir.Key) ([]store.Record, error) {
	return s.shelf.Read(ctx, keys...)
}

// The members of a group or team and who has a role are meant when they are
// named; who cannot be told is meant by a deny and not by a permit.
func TestMembers(t *testing.T) {
	group := func(members string) string {
		return `{"resourceType":"Group","type":"practitioner","actual":true,"member":[` + members + `]}`
	}
	team := func(status string, members string) string {
		return `{"resourceType":"CareTeam","status":"` + status + `","participant":[` + members + `]}`
	}
	for name, c := range map[string]struct {
		actor          string
		shelf          shelf
		denied, allows bool
	}{
		"member":               {"Group/g", shelf{"Group/g": group(`{"entity":{"reference":"Practitioner/1"}}`)}, true, true},
		"not a member":         {"Group/g", shelf{"Group/g": group(`{"entity":{"reference":"Practitioner/2"}}`)}, false, false},
		"no members":           {"Group/g", shelf{"Group/g": group("")}, false, false},
		"inactive":             {"Group/g", shelf{"Group/g": group(`{"entity":{"reference":"Practitioner/1"},"inactive":true}`)}, false, false},
		"no longer":            {"Group/g", shelf{"Group/g": group(`{"entity":{"reference":"Practitioner/1"},"period":{"end":"2026-11-01"}}`)}, false, false},
		"by characteristics":   {"Group/g", shelf{"Group/g": `{"resourceType":"Group","type":"practitioner","actual":false}`}, true, false},
		"not here":             {"Group/g", nil, true, false},
		"cannot be read":       {"Group/g", shelf{"Group/g": "broken"}, true, false},
		"group in a group":     {"Group/g", shelf{"Group/g": group(`{"entity":{"reference":"Group/h"}}`), "Group/h": group(`{"entity":{"reference":"Practitioner/1"}}`)}, true, true},
		"unknown in a group":   {"Group/g", shelf{"Group/g": group(`{"entity":{"reference":"Group/h"}}`)}, true, false},
		"a group in itself":    {"Group/g", shelf{"Group/g": group(`{"entity":{"reference":"Group/g"}}`)}, true, false},
		"team":                 {"CareTeam/t", shelf{"CareTeam/t": team("active", `{"member":{"reference":"Practitioner/1"}}`)}, true, true},
		"of the organization":  {"CareTeam/t", shelf{"CareTeam/t": team("active", `{"member":{"reference":"Organization/ward"}}`)}, true, true},
		"team that is no more": {"CareTeam/t", shelf{"CareTeam/t": team("inactive", `{"member":{"reference":"Practitioner/1"}}`)}, true, false},
		"another team":         {"CareTeam/t", shelf{"CareTeam/t": team("active", `{"member":{"reference":"Practitioner/9"}}`)}, false, false},
		"role":                 {"PractitionerRole/r", shelf{"PractitionerRole/r": `{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/1"}}`}, true, true},
		"another's role":       {"PractitionerRole/r", shelf{"PractitionerRole/r": `{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/2"}}`}, false, false},
		"given up":             {"PractitionerRole/r", shelf{"PractitionerRole/r": `{"resourceType":"PractitionerRole","active":false,"practitioner":{"reference":"Practitioner/1"}}`}, false, false},
		"role in a team":       {"CareTeam/t", shelf{"CareTeam/t": team("active", `{"member":{"reference":"PractitionerRole/r"}}`), "PractitionerRole/r": `{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/1"}}`}, true, true},
	} {
		r := consent.New(kit(t).defs, func() time.Time { return noon })
		if err := r.Load(t.Context(), shelved{mem.New(), c.shelf}); err != nil {
			t.Fatal(err)
		}
		p := &policies.Principal{Subject: "dr-a", FHIRUser: "Practitioner/1", Org: "ward", Client: "app"}
		actors := `"actor":[{"role":{"text":"x"},"reference":{"reference":"` + c.actor + `"}}]`
		r.Seen(write(resource(t, agreed("a", `{"type":"deny",`+actors+`}`, ""))))
		if got := holds(t, r.Withheld(p, "Observation"), resource(t, laboratory)); got != c.denied {
			t.Errorf("%s: denied %t", name, got)
		}
		r.Seen(write(resource(t, agreed("a", `{"type":"deny","provision":[{"type":"permit",`+actors+`}]}`, ""))))
		if got := !holds(t, r.Withheld(p, "Observation"), resource(t, laboratory)); got != c.allows {
			t.Errorf("%s: permitted %t", name, got)
		}
	}
}

// Who joins a group, or leaves it, is meant or not from the next question on.
func TestMembersChange(t *testing.T) {
	here := shelf{}
	r := consent.New(kit(t).defs, func() time.Time { return noon })
	if err := r.Load(t.Context(), shelved{mem.New(), here}); err != nil {
		t.Fatal(err)
	}
	r.Seen(write(resource(t, agreed("a", `{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Group/g"}}]}`, ""))))
	p := &policies.Principal{FHIRUser: "Practitioner/1"}
	for _, step := range []struct {
		members string
		want    bool
	}{
		{"", false}, {`{"entity":{"reference":"Practitioner/1"}}`, true}, {`{"entity":{"reference":"Practitioner/2"}}`, false},
	} {
		text := `{"resourceType":"Group","id":"g","type":"practitioner","actual":true,"member":[` + step.members + `]}`
		here["Group/g"] = text
		r.Seen(write(resource(t, text)))
		if got := holds(t, r.Withheld(p, "Observation"), resource(t, laboratory)); got != step.want {
			t.Errorf("with %q: hidden %t", step.members, got)
		}
	}
}
