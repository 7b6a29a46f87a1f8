package console_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"galen/server/servertest"
)

// chromium starts a browser that talks to nobody but the test's server. The
// screenshots are build output, in bin/console.
func chromium(t *testing.T) context.Context {
	t.Helper()
	binary, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("skipped: chromium not installed")
	}
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	)...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	ctx, late := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(late)
	return ctx
}

// axe is the source of axe-core; "" where it was not fetched.
func axe(t *testing.T) string {
	t.Helper()
	file := os.Getenv("GALEN_AXE")
	if file == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		file = filepath.Join(cache, "galen", "axe-core-4.10.3", "axe.min.js")
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Log("skipped: axe-core not fetched, run scripts/fetch-axe.sh")
	}
	return string(source)
}

const findings = `axe.run().then(r => r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical')
	.map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).join(', ')))`

// look is one width in one scheme.
type look struct {
	width  int64
	scheme string
}

// inspect opens a page as it looks to somebody, keeps a screenshot, and reports
// what keeps people from using it.
func inspect(ctx context.Context, t *testing.T, url, shot string, as look, axe string) {
	t.Helper()
	var image []byte
	var wrong []string
	var wider, hostileRan bool
	actions := []chromedp.Action{
		emulation.SetDeviceMetricsOverride(as.width, 900, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: as.scheme}}),
		chromedp.Navigate(url),
		chromedp.WaitReady("main"),
		chromedp.FullScreenshot(&image, 100),
		chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &wider),
		chromedp.Evaluate(`window.alerted === true || document.scripts.length > 0`, &hostileRan),
	}
	if axe != "" {
		actions = append(actions, chromedp.Evaluate(axe+";true", nil), chromedp.Evaluate(findings, &wrong,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	}
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
	for _, one := range wrong {
		t.Error("axe-core: " + one)
	}
	if wider {
		t.Error("the page is wider than the window")
	}
	if hostileRan {
		t.Error("a name ran as a script")
	}
	folder := filepath.Join("..", "..", "bin", "console")
	name := fmt.Sprintf("%s-%d-%s.png", shot, as.width, as.scheme)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), image, 0o644); err != nil {
		t.Fatal(err)
	}
}

// enter signs in by hand, as people do.
func enter(ctx context.Context, t *testing.T, base, token string) {
	t.Helper()
	if err := chromedp.Run(ctx,
		chromedp.Navigate(base+"/console"),
		chromedp.SetValue("#token", token),
		chromedp.Click(".card button"),
		chromedp.WaitVisible(".who"),
	); err != nil {
		t.Fatal(err)
	}
}

// leave signs out by hand.
func leave(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := chromedp.Run(ctx, chromedp.Click(".who button"), chromedp.WaitVisible("#token")); err != nil {
		t.Fatal(err)
	}
}

// Each page can be used at both widths in both schemes: axe-core finds nothing
// serious, nothing is cut off, and no name runs as a script.
func TestInBrowser(t *testing.T) {
	ctx := chromium(t)
	s := withPatient(t)
	source := axe(t)
	looks := []look{{1280, "light"}, {390, "dark"}, {1280, "dark"}, {390, "light"}}
	if err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument("window.alert = () => { window.alerted = true }").Do(ctx)
		return err
	})); err != nil {
		t.Fatal(err)
	}
	for _, as := range looks {
		t.Run(fmt.Sprintf("nobody at %d %s", as.width, as.scheme), func(t *testing.T) {
			inspect(ctx, t, s.URL+"/console", "sign-in", as, source)
		})
	}
	for role, pages := range browsed() {
		enter(ctx, t, s.URL, s.As(role).Token)
		for path, shot := range pages {
			for _, as := range looks {
				t.Run(fmt.Sprintf("%s %s at %d %s", role, shot, as.width, as.scheme), func(t *testing.T) {
					inspect(ctx, t, s.URL+path, shot, as, source)
				})
			}
		}
		leave(ctx, t)
	}
}

// browsed are the pages to look at, by role.
func browsed() map[string]map[string]string {
	return map[string]map[string]string{
		"clinician": {
			"/console": "home", "/console/patients": "patients", "/console/patients/p1": "patient",
			"/console/system?q=Patient": "system", "/console/audit": "refused",
		},
		"compliance": {
			"/console/audit?report=patient&patient=p1": "audit", "/console/audit?report=integrity": "integrity",
			"/console/audit?report=queue": "queue", "/console/policies?role=nurse&type=RiskAssessment&purpose=HPAYMT": "policies",
		},
	}
}

// An officer proposes a policy by hand and is told that it was taken.
func TestProposeInBrowser(t *testing.T) {
	ctx := chromium(t)
	s := servertest.Start(t, servertest.Options{})
	enter(ctx, t, s.URL, s.As("compliance").Token)
	var text string
	if err := chromedp.Run(ctx,
		chromedp.Navigate(s.URL+"/console/policies"),
		chromedp.SetValue("#add", "p, nurse, *, RiskAssessment, read, HPAYMT, always, deny, nurse-no-payment"),
		chromedp.SetValue("#reason", hostile),
		chromedp.Click("form.card button"),
		chromedp.WaitVisible(".notice"),
		chromedp.Text("main", &text),
	); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "is proposed") || !strings.Contains(text, hostile) {
		t.Error("the page does not list the proposal with its reason")
	}
}
