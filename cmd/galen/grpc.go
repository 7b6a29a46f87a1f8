package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"github.com/urfave/cli/v3"

	"galen/models/serving"
	"galen/server/rpc"
)

func grpcFlags() []cli.Flag {
	return []cli.Flag{
		text("grpc-addr", "", "address for the Open Inference Protocol over gRPC; default: off"),
		text("grpc-cert", "", "PEM file of the certificate for gRPC; without it there is no TLS"),
		text("grpc-key", "", "PEM file of its key"),
	}
}

// alongside serves gRPC beside HTTP, if --grpc-addr is given, until ctx ends or
// either of them fails.
func alongside(ctx context.Context, c *cli.Command, m *serving.Service, auth rpc.Authenticator, log *slog.Logger, http func(context.Context) error) error {
	addr := c.String("grpc-addr")
	if addr == "" {
		return http(ctx)
	}
	listener, config, err := listenGRPC(ctx, c, addr)
	if err != nil {
		return err
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); c.String("auth") == "off" && !(ok && tcp.IP.IsLoopback()) {
		return errors.Join(errors.New("--auth=off is for loopback addresses only"), listener.Close())
	}
	s := rpc.New(rpc.Config{
		Models: m, Auth: auth, Log: log, TLS: config, MaxMessage: int(c.Int64("max-body")), Timeout: c.Duration("timeout"), NewID: newID, Version: version,
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- s.Serve(ctx, listener, c.Duration("drain"))
	}()
	log.InfoContext(ctx, "serving gRPC", slog.String("addr", listener.Addr().String()), slog.Bool("tls", config != nil))
	err = http(ctx)
	stop()
	return errors.Join(err, <-ended)
}

func listenGRPC(ctx context.Context, c *cli.Command, addr string) (net.Listener, *tls.Config, error) {
	var config *tls.Config
	if cert, key := c.String("grpc-cert"), c.String("grpc-key"); cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, nil, errors.Join(errors.New("--grpc-cert and --grpc-key are no pair of PEM files"), err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	return listener, config, err
}
