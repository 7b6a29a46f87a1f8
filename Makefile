# Galen's commands. `make run` and `make test` are all a newcomer needs.

DATA ?= data
ADDR ?= 127.0.0.1:8080

.PHONY: run build test test-mongo check bench gen train onnxruntime axe

build: onnxruntime ## bin/galen
	go build -trimpath -o bin/galen ./cmd/galen

run: build ## start with demo data and print the next thing to try
	bin/galen serve --addr $(ADDR) --data $(DATA) --demo

test: check onnxruntime axe ## every test, with the race detector
	go test -race -timeout 20m ./...

test-mongo: ## the MongoDB driver on the server of GALEN_TEST_MONGODB_URI, or FerretDB
	go test -race -count=1 ./store/mongo/...

check: ## vet, format and lint; the module files are tidy
	go vet ./...
	@test -z "$$(go tool gofumpt -l . | tee /dev/stderr)"
	go tool staticcheck ./...

bench: onnxruntime ## a short form of the benchmarks
	go test -run '^$$' -bench . -benchtime 0.3s ./...

gen: ## the embedded tables from their sources
	go run ./fhir/spec/gen
	go run ./fhir/ucum/gen
	models/oip/inference/gen.sh

train: ## make one model: make train MODEL=kfre-4v
	models/training/train.sh $(MODEL)

onnxruntime: ## the inference library, verified, in the user's cache
	@scripts/fetch-onnxruntime.sh >/dev/null

axe: ## what the browser tests check pages with, verified, in the user's cache
	@scripts/fetch-axe.sh >/dev/null
