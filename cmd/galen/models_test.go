package main

import (
	"encoding/binary"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/server/auth"
)

const kfreInput = `{"id":"42","inputs":[{"name":"features","shape":[1,5],"datatype":"FP64","data":[[55,1,45,null,120]]}],"outputs":[{"name":"risk_2y"}]}`

// The Open Inference Protocol over REST, as KServe's and Triton's clients speak it.
func TestInference(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	ehr, owner := g.token("ehr"), g.token("model-owner")
	g.want(200, "GET", "/v2/health/live", "", "")
	g.want(200, "GET", "/v2/health/ready", "", "")
	if name := g.want(200, "GET", "/v2", "", "").Get("name").Text(); name != "galen" {
		t.Errorf("the server is called %q", name)
	}
	meta := g.want(200, "GET", "/v2/models/kfre-4v", ehr, "")
	if in := meta.Get("inputs").Item(0); in.Get("datatype").Text() != "FP64" || in.Get("shape").Item(1).Text() != "5" {
		t.Errorf("metadata %s", meta.Raw())
	}
	if p := meta.Get("parameters").Get("execution_provider").Text(); p != "cpu" {
		t.Errorf("execution provider %q", p)
	}
	g.want(200, "GET", "/v2/models/kfre-4v/versions/1.0.0/ready", ehr, "")
	for _, path := range []string{"/v2/models/kfre-4v/infer", "/v2/models/kfre-4v/versions/1.0.0/infer", "/v2/models/kfre-4v/versions/champion/infer"} {
		out := g.want(200, "POST", path, ehr, kfreInput)
		if out.Get("id").Text() != "42" || out.Get("model_version").Text() != "1.0.0" || out.Get("outputs").Len() != 1 {
			t.Errorf("%s: %s", path, out.Raw())
		}
		if risk := out.Get("outputs").Item(0).Get("data").Item(0).Text(); !strings.HasPrefix(risk, "0.012470") {
			t.Errorf("%s: risk %s, want 0.0124707", path, risk)
		}
	}
	uses := g.want(200, "GET", "/v2/models/kfre-4v/stats", owner, "").Get("model_stats").Item(0)
	if uses.Get("inference_count").Text() != "3" || uses.Get("clients").Get("test-ehr").Text() != "3" {
		t.Errorf("statistics %s", uses.Raw())
	}
	g.want(403, "POST", "/v2/models/kfre-4v/infer", g.token("researcher"), kfreInput) // durable, and so is all before it
	officer := g.token("compliance")
	audits := g.want(200, "GET", "/fhir/AuditEvent?_count=100", officer, "")
	if n := strings.Count(string(audits.Raw()), "kfre-4v"); n < 3 {
		t.Errorf("the runs are not on record: %.600s", audits.Raw())
	}
}

// One bad row does not fail the others; its place holds null.
func TestInferenceRefusesRows(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	ehr := g.token("ehr")
	rows := `{"inputs":[{"name":"features","shape":[3,5],"datatype":"FP64","data":[55,1,45,null,120, null,null,null,null,null, 18,0,10,null,30]}],"outputs":[{"name":"risk_2y"}]}`
	out := g.want(200, "POST", "/v2/models/kfre-4v/infer", ehr, rows)
	if got := out.Get("parameters").Get("refused_rows").Text(); got != "1" {
		t.Fatalf("refused rows %q: %s", got, out.Raw())
	}
	data := out.Get("outputs").Item(0).Get("data")
	if data.Item(1).Kind() != jsontree.Null || data.Item(0).Kind() != jsontree.Number || data.Item(2).Kind() != jsontree.Number {
		t.Errorf("data %s", data.Raw())
	}
}

func TestInferenceBinary(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	head := `{"inputs":[{"name":"features","shape":[1,5],"datatype":"FP64","parameters":{"binary_data_size":40}}],"outputs":[{"name":"risk_2y","parameters":{"binary_data":true}},{"name":"egfr"}]}`
	body := []byte(head)
	for _, x := range []float64{55, 1, 45, math.NaN(), 120} {
		body = binary.LittleEndian.AppendUint64(body, math.Float64bits(x))
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", g.url+"/v2/models/kfre-4v/infer", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.token("clinician"))
	req.Header.Set("Inference-Header-Content-Length", strconv.Itoa(len(head)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/octet-stream" {
		t.Fatalf("%d %s: %v: %s", res.StatusCode, res.Header.Get("Content-Type"), err, answer)
	}
	n, err := strconv.Atoi(res.Header.Get("Inference-Header-Content-Length"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsontree.Parse(answer[:n], jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if egfr := doc.Root().Get("outputs").Item(1).Get("data").Item(0).Text(); egfr != "45" {
		t.Errorf("egfr %s in %s", egfr, answer[:n])
	}
	if risk := math.Float64frombits(binary.LittleEndian.Uint64(answer[n:])); len(answer) != n+8 || math.Abs(risk-0.0124707) > 5e-8 {
		t.Errorf("risk %v in %d bytes", risk, len(answer)-n)
	}
}

func TestInferenceErrors(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	ehr, admin := g.token("ehr"), g.token("admin")
	infer := "/v2/models/kfre-4v/infer"
	for _, tt := range []struct {
		name                      string
		status                    int
		method, path, token, body string
		reason                    string
	}{
		{"no token", 401, "POST", infer, "", kfreInput, "token"},
		{"researcher", 403, "POST", infer, g.token("researcher"), kfreInput, "permit"},
		{"administrator runs no model", 403, "POST", infer, admin, kfreInput, "permit"},
		{"token for other things", 403, "POST", infer, g.token("ehr", func(c *auth.Claims) { c.Scope = "user/Observation.rs" }), kfreInput, "permit"},
		{"no such model", 404, "POST", "/v2/models/none/infer", ehr, kfreInput, "no such model"},
		{"no such version", 404, "POST", "/v2/models/kfre-4v/versions/9.9.9/infer", ehr, kfreInput, "no such model"},
		{"version that is none", 404, "POST", "/v2/models/kfre-4v/versions/latest/infer", ehr, kfreInput, "no such model"},
		{"no challenger", 404, "POST", "/v2/models/kfre-4v/versions/challenger/infer", ehr, kfreInput, "no such model"},
		{"no JSON", 400, "POST", infer, ehr, "{", "want"},
		{"other type", 400, "POST", infer, ehr, strings.Replace(kfreInput, "FP64", "FP32", 1), "wants FP64"},
		{"other width", 400, "POST", infer, ehr, `{"inputs":[{"name":"features","shape":[1,4],"datatype":"FP64","data":[1,2,3,4]}]}`, "shape"},
		{"no rows", 400, "POST", infer, ehr, `{"inputs":[{"name":"features","shape":[0,5],"datatype":"FP64","data":[]}]}`, "no rows"},
		{"no such input", 400, "POST", infer, ehr, strings.Replace(kfreInput, `"features"`, `"x"`, 1), "no input"},
		{"no input", 400, "POST", infer, ehr, `{"inputs":[]}`, "missing"},
		{"no such output", 400, "POST", infer, ehr, strings.Replace(kfreInput, "risk_2y", "risk_9y", 1), "no output"},
		{"no answer", 422, "POST", infer, ehr, strings.Replace(kfreInput, "55,1,45,null,120", "null,null,null,null,null", 1), "not finite"},
		{"index", 403, "POST", "/v2/repository/index", ehr, "", "permit"},
		{"load", 403, "POST", "/v2/repository/models/kfre-4v/load", ehr, "", "permit"},
		{"stop", 403, "POST", "/v2/repository/models/kfre-4v/stop", ehr, `{"reason":"x"}`, "permit"},
		{"stop without a reason", 400, "POST", "/v2/repository/models/kfre-4v/stop", admin, `{}`, "reason"},
		{"load nothing", 404, "POST", "/v2/repository/models/none/load", admin, "", "no source"},
		{"unload nothing", 404, "POST", "/v2/repository/models/none/unload", admin, "", "no such model"},
		{"champion of nothing", 404, "PUT", "/v2/repository/models/kfre-4v/champion", admin, `{"version":"9.9.9"}`, "no such model"},
		{"champion", 400, "PUT", "/v2/repository/models/kfre-4v/champion", admin, `{"version":"best"}`, "version"},
		{"first champion", 404, "POST", "/v2/repository/models/kfre-4v/rollback", admin, ``, "earlier"},
	} {
		root := g.want(tt.status, tt.method, tt.path, tt.token, tt.body)
		if text := root.Get("error").Text(); !strings.Contains(text, tt.reason) {
			t.Errorf("%s: %q, want %q", tt.name, text, tt.reason)
		}
	}
}

// The life of a version through the repository extension.
func TestRepository(t *testing.T) {
	dir := t.TempDir()
	g, stop := start(t, dir)
	owner, ehr := g.token("model-owner"), g.token("ehr")
	state := func() string {
		for entry := range g.want(200, "POST", "/v2/repository/index", owner, "{}").Items() {
			if entry.Get("name").Text() == "kfre-4v" {
				return entry.Get("state").Text() + " " + entry.Get("reason").Text()
			}
		}
		return ""
	}
	const repository, infer = "/v2/repository/models/kfre-4v", "/v2/models/kfre-4v/infer"
	g.want(200, "POST", repository+"/versions/1.0.0/unload", owner, "{}")
	if got := state(); got != "UNAVAILABLE not loaded" {
		t.Errorf("unloaded: %q", got)
	}
	g.want(404, "POST", infer, ehr, kfreInput)
	g.want(200, "POST", repository+"/load", owner, "{}")
	g.want(200, "POST", infer, ehr, kfreInput)
	g.want(200, "PUT", repository+"/champion", owner, `{"version":"1.0.0"}`)
	g.want(200, "PUT", repository+"/challenger", owner, `{"version":"1.0.0"}`)
	g.want(200, "POST", "/v2/models/kfre-4v/versions/challenger/infer", ehr, kfreInput)
	g.want(200, "DELETE", repository+"/challenger", owner, "")
	g.want(200, "POST", repository+"/stop", owner, `{"reason":"recall"}`)
	if got := state(); got != "UNAVAILABLE recall" {
		t.Errorf("stopped: %q", got)
	}
	stop()
	g, stop = start(t, dir) // over a restart
	defer stop()
	out := g.want(503, "POST", infer, g.token("ehr"), kfreInput)
	if !strings.Contains(out.Get("error").Text(), "recall") {
		t.Errorf("stopped: %s", out.Raw())
	}
	g.want(400, "GET", "/v2/models/kfre-4v/ready", g.token("ehr"), "")
	g.want(200, "POST", repository+"/resume", g.token("model-owner"), "")
	g.want(200, "POST", infer, g.token("ehr"), kfreInput)
}
