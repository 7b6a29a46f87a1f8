package server_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"galen/fhir/rest"
	"galen/fhir/spec"
	"galen/models"
	"galen/models/catalog"
	"galen/models/manifest"
	"galen/models/onnx"
	"galen/models/serving"
	"galen/policies"
	"galen/policies/audit"
	"galen/server"
	"galen/server/auth"
)

const inferBody = `{"inputs":[{"name":"features","shape":[1,5],"datatype":"FP64","data":[55,1,45,3,120]}]}`

// bench is what the benchmarks need, wired as cmd/galen does.
type bench struct {
	catalog *models.Catalog
	server  http.Handler
	token   string
}

func newBench(b *testing.B) *bench {
	b.Helper()
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	path, err := onnx.DefaultPath(os.Getenv)
	check(err)
	rt, err := onnx.Open(path)
	check(err)
	c, err := models.Load(b.Context(), models.Options{Queue: 1024, Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: rt}},
		models.Source{Name: "built in", FS: catalog.FS()})
	check(err)
	defs, err := spec.Load()
	check(err)
	engine, err := policies.New(policies.Shipped(), defs)
	check(err)
	log, err := audit.Open(b.TempDir(), audit.Options{})
	check(err)
	issuer, err := auth.OpenIssuer(b.TempDir(), time.Now)
	check(err)
	verifier, err := auth.NewVerifier(issuer, time.Now)
	check(err)
	token, err := issuer.Mint(auth.Claims{Subject: "bench", Roles: []string{"ehr"}, TTL: time.Hour})
	check(err)
	s := server.New(server.Config{
		REST: rest.New(rest.Config{Defs: defs}), Auth: verifier, Log: slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo})),
		Models:  serving.New(serving.Config{Catalog: c, Policies: engine, Audit: log, Now: time.Now}),
		MaxBody: 8 << 20, Timeout: 30 * time.Second, NewID: uuid.NewString, Version: "bench",
	})
	b.Cleanup(func() {
		check(c.Close())
		check(log.Close())
	})
	return &bench{c, s, token}
}

// bare is the least that a Gin server does to run the model: bind, run, answer.
func (x *bench) bare(b *testing.B) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	model, err := x.catalog.Acquire(models.Ref{Name: "kfre-4v"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(model.Release)
	type tensor struct {
		Name     string    `json:"name"`
		Shape    []int64   `json:"shape"`
		Datatype string    `json:"datatype"`
		Data     []float64 `json:"data"`
	}
	engine := gin.New()
	engine.POST("/v2/models/kfre-4v/infer", func(c *gin.Context) {
		var in struct {
			Inputs []tensor `json:"inputs"`
		}
		if err := c.ShouldBindJSON(&in); err != nil {
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		t, err := models.NewTensor(in.Inputs[0].Shape, in.Inputs[0].Data)
		if err != nil {
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		out, err := model.Predict(c.Request.Context(), []models.Tensor{t})
		if err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
			return
		}
		answer := make([]tensor, len(out))
		for i := range out {
			data, _ := models.Data[float64](out[i])
			answer[i] = tensor{model.Info().Manifest.Outputs[i].Name, out[i].Shape(), "FP64", data}
		}
		c.JSON(http.StatusOK, gin.H{"model_name": "kfre-4v", "outputs": answer})
	})
	return engine
}

// ask is a client that costs as little as it can: the same bytes again and again
// on one connection.
func ask(b *testing.B, conn net.Conn, in *bufio.Reader, request []byte) {
	if _, err := conn.Write(request); err != nil {
		b.Error(err)
		return
	}
	line, err := in.ReadSlice('\n')
	if err != nil || len(line) < 12 || string(line[9:12]) != "200" {
		b.Errorf("%q, %v", line, err)
		return
	}
	length := 0
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			b.Error(err)
			return
		}
		if len(line) <= 2 {
			break
		}
		if text, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(text))
		}
	}
	if _, err := in.Discard(length); err != nil {
		b.Error(err)
	}
}

// BenchmarkInfer compares /v2/…/infer (token, policy, audit on disk, usage) with
// the bare handler over the same session, at 32 connections a processor.
func BenchmarkInfer(b *testing.B) {
	x := newBench(b)
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{{"bare", x.bare(b)}, {"galen", x.server}, {"bare again", x.bare(b)}, {"galen again", x.server}} {
		b.Run(c.name, func(b *testing.B) {
			front := httptest.NewServer(c.handler)
			defer front.Close()
			request := []byte(fmt.Sprintf("POST /v2/models/kfre-4v/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", x.token, len(inferBody), inferBody))
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", front.Listener.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for pb.Next() {
					ask(b, conn, in, request)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
		})
	}
}
