// Package rpc is the gRPC face of models as a service: the Open Inference
// Protocol's GRPCInferenceService, so that clients of KServe and Triton work
// unchanged.
//
// It takes the same way as /v2 over HTTP: the bearer token is in the metadata
// "authorization", the policies decide, the audit records (models/serving). Every
// error becomes a gRPC status by its Kind, in one table; none holds an element of
// a tensor. It is the only importer of grpc besides the generated code.
package rpc

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"galen/fhir"
	"galen/models/oip/inference"
	"galen/models/serving"
	"galen/policies"
)

// Authenticator turns an Authorization header into who calls. The error is of
// Kind Unauthorized.
type Authenticator interface {
	Verify(ctx context.Context, authorization string) (policies.Principal, error)
}

// Config is all a Server needs.
type Config struct {
	Models *serving.Service
	Auth   Authenticator
	Log    *slog.Logger
	TLS    *tls.Config // nil for none: then only behind a proxy that has it

	// MaxMessage is the longest message in bytes, in and out.
	MaxMessage int
	// Timeout is how long one call may take; a shorter one of the client holds.
	Timeout time.Duration
	// NewID makes request ids.
	NewID func() string
	// Version is told in the server's metadata.
	Version string
}

// Server answers GRPCInferenceService. It is safe for concurrent use.
type Server struct {
	Config
	inference.UnimplementedGRPCInferenceServiceServer
	grpc *grpc.Server
}

var _ inference.GRPCInferenceServiceServer = (*Server)(nil)

// New builds a Server; it starts nothing.
func New(cfg Config) *Server {
	s := &Server{Config: cfg}
	options := []grpc.ServerOption{
		grpc.UnaryInterceptor(s.intercept),
		grpc.MaxRecvMsgSize(cfg.MaxMessage), grpc.MaxSendMsgSize(cfg.MaxMessage),
		grpc.ConnectionTimeout(10 * time.Second),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.grpc = grpc.NewServer(options...)
	inference.RegisterGRPCInferenceServiceServer(s.grpc, s)
	return s
}

// Serve answers on the listener until ctx ends, then lets running calls finish
// for at most the drain time.
func (s *Server) Serve(ctx context.Context, listener net.Listener, drain time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- s.grpc.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
	case <-time.After(drain):
		s.grpc.Stop()
		<-done
	}
	return <-failed
}

type callerKey struct{}

// caller is who makes the call, put there by intercept.
func caller(ctx context.Context) serving.Caller {
	c, _ := ctx.Value(callerKey{}).(serving.Caller)
	return c
}

// open are the methods that need no token, as their paths under /v2 need none.
var open = map[string]bool{
	inference.GRPCInferenceService_ServerLive_FullMethodName:     true,
	inference.GRPCInferenceService_ServerReady_FullMethodName:    true,
	inference.GRPCInferenceService_ServerMetadata_FullMethodName: true,
}

// intercept authenticates, bounds the time, and maps errors. A panic is an
// internal error, logged without its value.
func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (res any, err error) {
	start := time.Now()
	c := serving.Caller{RequestID: s.NewID(), Address: address(ctx)}
	defer func() {
		if recover() != nil {
			s.Log.ErrorContext(ctx, "handler panicked", slog.String("request_id", c.RequestID),
				slog.String("route", info.FullMethod), slog.String("stack", string(debug.Stack())))
			res, err = nil, status.Error(codes.Internal, "internal error")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if !open[info.FullMethod] {
		if c.Principal, err = s.Auth.Verify(ctx, authorization(ctx)); err != nil {
			return nil, toStatus(s.Models.Refused(ctx, c))
		}
		if c.Principal.Certificate != "" && c.Principal.Certificate != thumbprint(ctx) {
			return nil, toStatus(s.Models.Refused(ctx, c))
		}
	}
	res, err = handle(context.WithValue(ctx, callerKey{}, c), req)
	level := slog.LevelDebug
	if fhir.KindOf(err).Status() >= 500 && err != nil {
		level = slog.LevelError
	}
	s.Log.LogAttrs(ctx, level, "request", slog.String("request_id", c.RequestID), slog.String("route", info.FullMethod),
		slog.Duration("took", time.Since(start)), slog.Any("error", err))
	if err != nil {
		return nil, toStatus(err)
	}
	return res, nil
}

func authorization(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get("authorization"); len(values) == 1 {
		return values[0]
	}
	return ""
}

// thumbprint is the x5t#S256 of the certificate that the client showed: a token
// may be bound to it (RFC 8705).
func thumbprint(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(info.State.PeerCertificates[0].Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func address(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return ""
	}
	return host
}

// statuses is the one table from Kind to gRPC status; the rest is
// InvalidArgument below 500 and Internal above.
var statuses = map[fhir.Kind]codes.Code{
	fhir.NotFound: codes.NotFound, fhir.Forbidden: codes.PermissionDenied, fhir.Unauthorized: codes.Unauthenticated,
	fhir.Conflict: codes.AlreadyExists, fhir.Throttled: codes.ResourceExhausted, fhir.Unavailable: codes.Unavailable,
	fhir.Timeout: codes.DeadlineExceeded, fhir.Unprocessable: codes.FailedPrecondition, fhir.Internal: codes.Internal,
	fhir.NotSupported: codes.Unimplemented,
}

func toStatus(err error) error {
	kind := fhir.KindOf(err)
	code, ok := statuses[kind]
	switch {
	case ok:
	case kind.Status() < 500:
		code = codes.InvalidArgument
	default:
		code = codes.Internal
	}
	return status.Error(code, fhir.IssuesOf(err).Error())
}
