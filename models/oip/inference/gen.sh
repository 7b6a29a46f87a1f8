#!/usr/bin/env bash
# Generates open_inference.pb.go and open_inference_grpc.pb.go beside this file.
# protoc comes from PyPI's grpcio-tools, the plugins from the Go module proxy.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install grpcio-tools==1.76.0
GOBIN=$work go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$work go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
PATH=$work:$PATH "$work/venv/bin/python" -m grpc_tools.protoc -I. \
	--go_out=. --go_opt=paths=source_relative \
	--go-grpc_out=. --go-grpc_opt=paths=source_relative open_inference.proto
