package manifest

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	identPattern  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	portPattern   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:/-]{0,127}$`)
	hookPattern   = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
	filePattern   = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)
)

// Lint lists what is wrong in a manifest whose syntax is right. Decode has
// already done it; Lint is for manifests made in code.
func Lint(m *Manifest) Problems {
	l := &linter{m: m}
	l.head()
	l.features()
	l.inputs()
	l.outputs()
	l.conditions()
	l.words()
	l.disclosures()
	return l.problems
}

// linter collects problems under key paths.
type linter struct {
	m        *Manifest
	problems Problems
}

func (l *linter) fail(key, format string, args ...any) {
	l.problems = append(l.problems, Problem{Key: key, Message: fmt.Sprintf(format, args...)})
}

// need fails unless ok.
func (l *linter) need(ok bool, key, format string, args ...any) {
	if !ok {
		l.fail(key, format, args...)
	}
}

// text needs a word at least.
func (l *linter) text(key, value string) {
	l.need(strings.TrimSpace(value) != "", key, "is missing or empty")
}

// oneOf needs a value of a closed set.
func oneOf[T ~string](l *linter, key string, value T, allowed ...T) {
	if slices.Contains(allowed, value) {
		return
	}
	if value == "" {
		l.fail(key, "is missing; want one of %v", allowed)
		return
	}
	l.fail(key, "%s is not one of %v", quote(string(value)), allowed)
}

func at(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

func (l *linter) head() {
	m := l.m
	l.need(ValidName(m.Name), "name", "%s is not a model name: want lower-case letters, digits and single hyphens", quote(m.Name))
	l.need(m.Version.Valid(), "version", "%s is not a semantic version without build metadata", quote(string(m.Version)))
	l.text("title", m.Title)
	l.text("description", m.Description)
	l.text("developer.name", m.Developer.Name)
	oneOf(l, "kind", m.Kind, Diagnosis, Treatment, Prognosis)
	oneOf(l, "runtime", m.Runtime, ONNX, OIP)
	if m.Runtime == OIP {
		l.remote()
		return
	}
	l.need(m.Remote == nil, "remote", "goes with runtime: oip")
	l.need(filePattern.MatchString(m.File), "file", "%s is not a plain file name", quote(m.File))
	l.need(digestPattern.MatchString(m.SHA256), "sha256", "want 64 lower-case hexadecimal digits")
	l.need(m.Runtime != ONNX || m.Opset >= 7 && m.Opset <= 30, "opset", "want an ONNX operator set between 7 and 30")
}

// remotePattern is what goes into a path of the remote server as it is.
var remotePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

func (l *linter) remote() {
	m, r := l.m, l.m.Remote
	l.need(m.File == "" && m.Opset == 0, "file", "a remote model has no file and no opset here")
	l.need(m.SHA256 == "" || digestPattern.MatchString(m.SHA256), "sha256", "want 64 lower-case hexadecimal digits, or nothing")
	if r == nil {
		l.fail("runtime", "oip wants remote: {url: …}")
		return
	}
	u, err := url.Parse(r.URL)
	l.need(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "",
		"remote.url", "want the server's URL without user, query and fragment")
	l.need(r.Model == "" || remotePattern.MatchString(r.Model), "remote.model", "%s is not a model's name", quote(r.Model))
	l.need(r.Version == "" || remotePattern.MatchString(r.Version), "remote.version", "%s is not a version", quote(r.Version))
	l.need(r.Deadline >= 0 && r.Deadline <= 600_000, "remote.deadline_ms", "want at most ten minutes")
	l.need(r.Retries >= 0 && r.Retries <= 10, "remote.retries", "want 0 to 10")
}

// names checks that names match and are told apart.
func (l *linter) names(key string, pattern *regexp.Regexp, names []string) {
	seen := map[string]bool{}
	for i, name := range names {
		l.need(pattern.MatchString(name), at(key, i)+".name", "%s is not a name matching %s", quote(name), pattern)
		l.need(!seen[name], at(key, i)+".name", "%s is used twice", quote(name))
		seen[name] = true
	}
}

func (l *linter) isFeature(key, name string) {
	_, ok := l.m.Feature(name)
	l.need(ok, key, "%s is not among the features", quote(name))
}

func (l *linter) limits(key string, lim Limits, required bool) {
	l.need(!required || !lim.Empty(), key, "want at least one of ge, gt, le, lt")
	l.need(lim.GE == nil || lim.GT == nil, key, "want one of ge and gt, not both")
	l.need(lim.LE == nil || lim.LT == nil, key, "want one of le and lt, not both")
	if ends := lim.ends(); len(ends) == 2 {
		l.need(ends[0] <= ends[1] && (lim.Contains(ends[0]) || lim.Contains((ends[0]+ends[1])/2)), key, "holds no number")
	}
}

func (l *linter) duration(key string, d Duration) {
	l.need(!d.unread, key, "%v", errDuration)
}

func (l *linter) coding(key string, c Coding) {
	l.need(c.System != "" && !strings.ContainsAny(c.System, " |,"), key+".system", "want the code system's URI")
	l.need(c.Code != "" && !strings.ContainsAny(c.Code, "|,"), key+".code", "is missing or malformed")
}

func (l *linter) conditions() {
	m := l.m
	for i, group := range m.Require {
		key := at("require", i)
		l.need(len(group) > 0, key, "is an empty group")
		for j, name := range group {
			l.isFeature(at(key, j), name)
		}
	}
	for i, a := range m.Applicable {
		key := at("applicable", i)
		l.need((a.Feature == "") != (a.Output == ""), key, "want one of feature and output")
		if a.Feature != "" {
			l.isFeature(key+".feature", a.Feature)
		}
		if a.Output != "" {
			l.scalarOutput(key+".output", a.Output)
		}
		l.limits(key, a.Limits, true)
		l.text(key+".reason", a.Reason)
	}
}

// words checks what people read.
func (l *linter) words() {
	m := l.m
	for i, h := range m.Hooks {
		l.need(hookPattern.MatchString(h), at("hooks", i), "%s is not a hook name", quote(h))
		l.need(slices.Index(m.Hooks, h) == i, at("hooks", i), "%s is listed twice", quote(h))
	}
	l.text("use.intended", m.Use.Intended)
	l.text("use.population", m.Use.Population)
	l.text("use.users", m.Use.Users)
	l.need(len(m.Use.Contraindicated) > 0, "use.contraindicated", "want at least one use that is cautioned against")
	l.need(len(m.Limitations) > 0, "limitations", "want at least one")
	l.need(len(m.Citations) > 0, "citations", "want at least one source")
	for i, c := range m.Citations {
		l.text(at("citations", i)+".label", c.Label)
		l.need(strings.HasPrefix(c.URL, "https://"), at("citations", i)+".url", "want an https URL")
	}
	for i, e := range m.Evaluation {
		key := at("evaluation", i)
		l.text(key+".metric", e.Metric)
		l.text(key+".data", e.Data)
		l.text(key+".source", e.Source)
		l.need((e.Low == nil) == (e.High == nil), key, "want both low and high, or neither")
		l.need(e.Low == nil || e.High == nil || *e.Low <= e.Value && e.Value <= *e.High, key, "the value lies outside low to high")
	}
}

func (l *linter) disclosures() {
	known := map[string]bool{}
	for _, a := range Attributes() {
		known[a.Key] = true
		d, ok := l.m.Transparency[a.Key]
		key := "transparency." + a.Key
		switch {
		case !ok:
			l.fail(key, "attribute %d is missing: want a text or {unavailable: reason}", a.Number)
		case (strings.TrimSpace(d.Text) == "") == (strings.TrimSpace(d.Unavailable) == ""):
			l.fail(key, "attribute %d wants a text or {unavailable: reason}, neither empty", a.Number)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.m.Transparency)) {
		l.need(known[key], "transparency", "%s is not one of the 31 attributes", quote(key))
	}
	r := l.m.Regulatory
	l.text("regulatory.class", r.Class)
	l.need(len(r.Criteria) == 4, "regulatory.criteria", "want the answers to all four criteria, in order")
	for i, c := range r.Criteria {
		l.need(c.Number == i+1, at("regulatory.criteria", i)+".number", "want %d", i+1)
		l.text(at("regulatory.criteria", i)+".answer", c.Answer)
	}
	for i, in := range l.m.Inputs {
		l.need(in.Image == nil || r.Device, "regulatory.device", "input %d reads pixels, which is a device function", i)
	}
}
