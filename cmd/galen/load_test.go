package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"galen/server/auth"
)

// BenchmarkHookLoad calls patient-view over HTTP, with full prefetch, at a fixed
// rate whatever the answers do (an open loop, so that a stall shows), each call
// durably recorded before it is answered (acceptance 23). GALEN_LOAD_RATE sets
// the calls per second, 200 by default.
//
//	go test ./cmd/galen -run xxx -bench HookLoad -benchtime 1000x
func BenchmarkHookLoad(b *testing.B) {
	rate := 200
	if text := os.Getenv("GALEN_LOAD_RATE"); text != "" {
		d, err := time.ParseDuration(text + "s")
		if err != nil {
			b.Fatal(err)
		}
		rate = int(d / time.Second)
	}
	g, stop := start(b, b.TempDir())
	defer stop()
	token, err := g.issuer.Mint(auth.Claims{Subject: "ehr", Roles: []string{"ehr"}, TTL: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	body := fullPrefetch(b, g)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	var mu sync.Mutex
	var took []time.Duration
	failed := 0
	call := func(due time.Time) {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, g.url+hookPath, strings.NewReader(body))
		if err != nil {
			b.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		mu.Lock()
		defer mu.Unlock()
		took = append(took, time.Since(due))
		if res.StatusCode != http.StatusOK {
			failed++
		}
	}
	for range 50 { // connections and caches
		call(time.Now())
	}
	took = took[:0]
	var wg sync.WaitGroup
	b.ResetTimer()
	begin := time.Now()
	for i := range b.N {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		wg.Go(func() { call(due) })
	}
	wg.Wait()
	slices.Sort(took)
	for name, part := range map[string]float64{"p50-ms": 0.5, "p95-ms": 0.95, "p99-ms": 0.99, "max-ms": 1} {
		b.ReportMetric(took[min(len(took)-1, int(float64(len(took))*part))].Seconds()*1000, name)
	}
	b.ReportMetric(float64(failed), "failed")
}

// fullPrefetch is a call with a value for every key that discovery names: the
// demo patient and what the server holds of it.
func fullPrefetch(b *testing.B, g *galen) string {
	b.Helper()
	clinician := g.token("clinician")
	out := `{"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","context":{"userId":"Practitioner/demo","patientId":"demo-kidney"},"prefetch":{`
	n := 0
	for s := range g.want(200, "GET", "/cds-services", "", "").Get("services").Items() {
		if s.Get("hook").Text() != "patient-view" {
			continue
		}
		for key, query := range s.Get("prefetch").Members() {
			query := strings.ReplaceAll(query.Text(), "{{context.patientId}}", "demo-kidney")
			if n++; n > 1 {
				out += ","
			}
			out += `"` + key + `":` + string(g.want(200, "GET", "/fhir/"+strings.ReplaceAll(query, "|", "%7C"), clinician, "").Raw())
		}
	}
	return out + "}}"
}

// BenchmarkPatientView calls patient-view for real patients (Synthea), with the
// evidence from the own store, one call after the other. The p50 goal is 5 ms.
func BenchmarkPatientView(b *testing.B) {
	files, err := filepath.Glob("../../../shared/data/synthea/*.json.bz2")
	if err != nil || len(files) == 0 {
		b.Skip("skipped: ../shared not found")
	}
	data := b.TempDir()
	a, err := open(b.Context(), options{data: data, store: "sqlite"})
	if err != nil {
		b.Fatal(err)
	}
	// Hospitals and practitioners first, then ten patients.
	if err := errors.Join(importFiles(b.Context(), a.rest, files[:12], io.Discard), a.close()); err != nil {
		b.Fatal(err)
	}
	g, stop := start(b, data)
	defer stop()
	token, err := g.issuer.Mint(auth.Claims{Subject: "ehr", Roles: []string{"ehr"}, TTL: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	clinician, err := g.issuer.Mint(auth.Claims{Subject: "doc", Roles: []string{"clinician"}, TTL: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	var patients []string
	for entry := range g.want(200, "GET", "/fhir/Patient", clinician, "").Get("entry").Items() {
		patients = append(patients, entry.Get("resource").Get("id").Text())
	}
	var took []time.Duration
	for b.Loop() {
		id := patients[len(took)%len(patients)]
		body := `{"hook":"patient-view","hookInstance":"` + newID() + `","context":{"userId":"Practitioner/x","patientId":"` + id + `"}}`
		begin := time.Now()
		g.want(200, "POST", hookPath, token, body)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
