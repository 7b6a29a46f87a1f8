package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log/slog"
	"math"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"galen/fhir"
	"galen/fhir/spec"
	"galen/models"
	"galen/models/catalog"
	"galen/models/manifest"
	"galen/models/oip/inference"
	"galen/models/onnx"
	"galen/models/serving"
	"galen/policies"
	"galen/policies/audit"
	"galen/server/rpc"
)

// roles is an Authenticator whose tokens are the names of roles.
type roles struct{}

func (roles) Verify(_ context.Context, authorization string) (policies.Principal, error) {
	role, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return policies.Principal{}, fhir.E("test", fhir.Unauthorized, "", "a token is needed")
	}
	p := policies.Principal{Subject: "test-" + role, Roles: []string{role}}
	if bound, ok := strings.CutPrefix(role, "bound-"); ok {
		p.Roles, p.Certificate = []string{bound}, "thumbprint-of-another"
	}
	return p, nil
}

// start serves the shipped models and connects to them.
func start(t *testing.T, config *tls.Config) inference.GRPCInferenceServiceClient {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path, err := onnx.DefaultPath(os.Getenv)
	check(err)
	rt, err := onnx.Open(path)
	check(err)
	c, err := models.Load(t.Context(), models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: rt}},
		models.Source{Name: "built in", FS: catalog.FS()})
	check(err)
	defs, err := spec.Load()
	check(err)
	engine, err := policies.New(policies.Shipped(), defs)
	check(err)
	log, err := audit.Open(t.TempDir(), audit.Options{})
	check(err)
	s := rpc.New(rpc.Config{
		Models: serving.New(serving.Config{Catalog: c, Policies: engine, Audit: log, Now: time.Now}),
		Auth:   roles{}, Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), TLS: config,
		MaxMessage: 1 << 20, Timeout: 10 * time.Second, NewID: func() string { return "request" }, Version: "test",
	})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(err)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, listener, time.Second) }()
	creds := insecure.NewCredentials()
	if config != nil {
		pool := x509.NewCertPool()
		pool.AddCert(config.Certificates[0].Leaf)
		creds = credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: "galen.test"})
	}
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(creds))
	check(err)
	t.Cleanup(func() {
		check(conn.Close())
		stop()
		check(<-served)
		check(c.Close())
		check(log.Close())
	})
	return inference.NewGRPCInferenceServiceClient(conn)
}

func as(t *testing.T, role string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+role)
}

func request(x ...float64) *inference.ModelInferRequest {
	return &inference.ModelInferRequest{
		ModelName: "kfre-4v", Id: "42",
		Inputs: []*inference.ModelInferRequest_InferInputTensor{{
			Name: "features", Datatype: "FP64", Shape: []int64{int64(len(x) / 5), 5}, Contents: &inference.InferTensorContents{Fp64Contents: x},
		}},
		Outputs: []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "risk_2y"}},
	}
}

var man = []float64{55, 1, 45, math.NaN(), 120}

const risk = 0.0124707 // Tangri 2011 and 2016

// https://github.com/kserve/open-inference-protocol, inference_grpc.md.
func TestService(t *testing.T) {
	client := start(t, nil)
	if live, err := client.ServerLive(t.Context(), &inference.ServerLiveRequest{}); err != nil || !live.GetLive() {
		t.Errorf("ServerLive = %v, %v", live, err)
	}
	if ready, err := client.ServerReady(t.Context(), &inference.ServerReadyRequest{}); err != nil || !ready.GetReady() {
		t.Errorf("ServerReady = %v, %v", ready, err)
	}
	if m, err := client.ServerMetadata(t.Context(), &inference.ServerMetadataRequest{}); err != nil || m.GetName() != "galen" {
		t.Errorf("ServerMetadata = %v, %v", m, err)
	}
	ehr := as(t, "ehr")
	m, err := client.ModelMetadata(ehr, &inference.ModelMetadataRequest{Name: "kfre-4v", Version: "1.0.0"})
	if err != nil || m.GetPlatform() != "onnxruntime_onnx" || m.GetInputs()[0].GetDatatype() != "FP64" || m.GetVersions()[0] != "1.0.0" {
		t.Errorf("ModelMetadata = %v, %v", m, err)
	}
	for name, want := range map[string]bool{"kfre-4v": true, "none": false} {
		if ready, err := client.ModelReady(ehr, &inference.ModelReadyRequest{Name: name}); err != nil || ready.GetReady() != want {
			t.Errorf("ModelReady(%s) = %v, %v", name, ready, err)
		}
	}
	out, err := client.ModelInfer(ehr, request(man...))
	if err != nil || out.GetId() != "42" || out.GetModelVersion() != "1.0.0" || len(out.GetOutputs()) != 1 {
		t.Fatalf("ModelInfer = %v, %v", out, err)
	}
	if got := out.GetOutputs()[0].GetContents().GetFp64Contents()[0]; math.Abs(got-risk) > 5e-8 {
		t.Errorf("risk %v, want %v", got, risk)
	}
	raw := request(man...)
	raw.Inputs[0].Contents = nil
	var body []byte
	for _, x := range man {
		body = binary.LittleEndian.AppendUint64(body, math.Float64bits(x))
	}
	raw.RawInputContents = [][]byte{body}
	if out, err = client.ModelInfer(ehr, raw); err != nil || len(out.GetRawOutputContents()) != 1 {
		t.Fatalf("raw ModelInfer = %v, %v", out, err)
	}
	if got := math.Float64frombits(binary.LittleEndian.Uint64(out.GetRawOutputContents()[0])); math.Abs(got-risk) > 5e-8 {
		t.Errorf("raw risk %v, want %v", got, risk)
	}
	two := append(append([]float64{}, man...), math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN())
	if out, err = client.ModelInfer(ehr, request(two...)); err != nil || out.GetParameters()["refused_rows"].GetStringParam() != "1" {
		t.Errorf("a batch with a bad row = %v, %v", out, err)
	}
}

func TestRefusals(t *testing.T) {
	client := start(t, nil)
	spoil := func(f func(*inference.ModelInferRequest)) *inference.ModelInferRequest {
		r := request(man...)
		f(r)
		return r
	}
	for _, c := range []struct {
		name, role string
		in         *inference.ModelInferRequest
		code       codes.Code
	}{
		{"no token", "", request(man...), codes.Unauthenticated},
		{"token of another certificate (RFC 8705)", "bound-ehr", request(man...), codes.Unauthenticated},
		{"may not", "researcher", request(man...), codes.PermissionDenied},
		{"no such model", "ehr", spoil(func(r *inference.ModelInferRequest) { r.ModelName = "none" }), codes.NotFound},
		{"name that is none", "ehr", spoil(func(r *inference.ModelInferRequest) { r.ModelName = "../x" }), codes.NotFound},
		{"no such datatype", "ehr", spoil(func(r *inference.ModelInferRequest) { r.Inputs[0].Datatype = "FP8" }), codes.InvalidArgument},
		{"other datatype", "ehr", spoil(func(r *inference.ModelInferRequest) {
			r.Inputs[0].Datatype, r.Inputs[0].Contents = "INT64", &inference.InferTensorContents{Int64Contents: []int64{1, 2, 3, 4, 5}}
		}), codes.InvalidArgument},
		{"other shape", "ehr", spoil(func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{2, 5} }), codes.InvalidArgument},
		{"negative shape", "ehr", spoil(func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{-1, -5} }), codes.InvalidArgument},
		{"no contents", "ehr", spoil(func(r *inference.ModelInferRequest) { r.Inputs[0].Contents = nil }), codes.InvalidArgument},
		{"raw and contents", "ehr", spoil(func(r *inference.ModelInferRequest) { r.RawInputContents = [][]byte{make([]byte, 40)} }), codes.InvalidArgument},
		{"raw too short", "ehr", spoil(func(r *inference.ModelInferRequest) {
			r.Inputs[0].Contents, r.RawInputContents = nil, [][]byte{make([]byte, 39)}
		}), codes.InvalidArgument},
		{"int8 out of range", "ehr", spoil(func(r *inference.ModelInferRequest) {
			r.Inputs[0].Datatype, r.Inputs[0].Contents = "INT8", &inference.InferTensorContents{IntContents: []int32{1, 2, 3, 4, 500}}
		}), codes.InvalidArgument},
		{"no answer", "ehr", request(math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()), codes.FailedPrecondition},
		{"too large", "ehr", request(make([]float64, 200_000)...), codes.ResourceExhausted},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			if c.role != "" {
				ctx = as(t, c.role)
			}
			out, err := client.ModelInfer(ctx, c.in)
			if status.Code(err) != c.code {
				t.Errorf("ModelInfer = %v, %v; want %v", out, err, c.code)
			}
			if err != nil && strings.Contains(err.Error(), "500") {
				t.Errorf("%v tells an element", err)
			}
		})
	}
}

// Triton's extension_model_repository.md.
func TestRepository(t *testing.T) {
	client := start(t, nil)
	owner := as(t, "model-owner")
	ready := func() bool {
		index, err := client.RepositoryIndex(owner, &inference.RepositoryIndexRequest{Ready: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range index.GetModels() {
			if m.GetName() == "kfre-4v" && m.GetState() == "READY" {
				return true
			}
		}
		return false
	}
	if _, err := client.RepositoryModelUnload(owner, &inference.RepositoryModelUnloadRequest{ModelName: "kfre-4v"}); err != nil || ready() {
		t.Errorf("unload: %v, ready %v", err, ready())
	}
	if _, err := client.RepositoryModelLoad(owner, &inference.RepositoryModelLoadRequest{ModelName: "kfre-4v"}); err != nil || !ready() {
		t.Errorf("load: %v, ready %v", err, ready())
	}
	if _, err := client.RepositoryModelLoad(as(t, "ehr"), &inference.RepositoryModelLoadRequest{ModelName: "kfre-4v"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("load by an EHR: %v", err)
	}
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"galen.test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	client := start(t, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}})
	if out, err := client.ModelInfer(as(t, "clinician"), request(man...)); err != nil || len(out.GetOutputs()) != 1 {
		t.Errorf("ModelInfer over TLS = %v, %v", out, err)
	}
}
