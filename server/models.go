package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"galen/fhir"
	"galen/models"
	"galen/models/manifest"
	"galen/models/oip"
	"galen/models/serving"
)

// modelsPath is where the Open Inference Protocol, version 2, is spoken
// (https://github.com/open-inference/open-inference-protocol, inference_rest.md).
const modelsPath = "/v2"

// headerLength tells how much of a body is JSON when binary tensors follow
// (https://github.com/triton-inference-server/server, extension_binary_data.md).
const headerLength = "Inference-Header-Content-Length"

// uploadTime is how long an upload may take with all its checks.
const uploadTime = 10 * time.Minute

func (s *Server) modelRoutes() []route {
	if s.Models == nil {
		return nil
	}
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	repository := modelsPath + "/repository"
	routes := []route{
		{method: get, path: modelsPath, handle: s.inferenceServer, access: open},
		{method: get, path: modelsPath + "/health/live", handle: s.inferenceLive, access: open},
		{method: get, path: modelsPath + "/health/ready", handle: s.inferenceReady, access: open},
		{method: get, path: modelsPath + "/models/stats", handle: s.modelUsage},
		{method: post, path: repository + "/index", handle: s.modelIndex, body: true},
	}
	for _, version := range []string{"", "/versions/:version"} {
		model, stored := modelsPath+"/models/:model"+version, repository+"/models/:model"+version
		routes = append(routes,
			route{method: get, path: model, handle: s.modelMetadata},
			route{method: get, path: model + "/ready", handle: s.modelReady},
			route{method: get, path: model + "/stats", handle: s.modelUsage},
			route{method: post, path: model + "/infer", handle: s.infer, body: true},
			route{method: post, path: stored + "/load", handle: s.change(s.Models.Load), body: true},
			route{method: post, path: stored + "/unload", handle: s.change(s.Models.Unload), body: true},
			route{method: post, path: stored + "/stop", handle: s.stopModel, body: true},
			route{method: post, path: stored + "/resume", handle: s.change(s.Models.Resume), body: true},
		)
	}
	routes = append(routes,
		route{method: post, path: repository + "/models/:model/versions/:version", handle: s.uploadModel, kind: uploadRoute},
		route{method: post, path: repository + "/models/:model/rollback", handle: s.rollbackModel, body: true},
		route{method: put, path: repository + "/models/:model/champion", handle: s.promote(models.Champion), body: true},
		route{method: put, path: repository + "/models/:model/challenger", handle: s.promote(models.Challenger), body: true},
		route{method: del, path: repository + "/models/:model/challenger", handle: s.demote},
	)
	for i := range routes {
		if routes[i].kind != uploadRoute {
			routes[i].kind = inferenceRoute
		}
	}
	return routes
}

func (r *request) modelCaller() serving.Caller {
	return serving.Caller{Principal: r.Principal, RequestID: r.RequestID, Address: r.Address}
}

// model is the model and version in the path; the version may be an alias.
func (r *request) model() (models.Ref, error) {
	ref := models.Ref{Name: r.param("model"), Version: manifest.Version(r.param("version"))}
	if !manifest.ValidName(ref.Name) || ref.Version != "" && !ref.Version.Valid() && !ref.Alias() {
		return ref, fhir.E("server.model", fhir.NotFound, "", "there is no such model or version")
	}
	return ref, nil
}

// jsonOf answers with a document.
func jsonOf(document any) (response, error) {
	body, err := json.Marshal(document)
	if err != nil {
		return response{}, &fhir.Error{Op: "server.json", Err: err}
	}
	return response{kind: plainJSON, body: body}, nil
}

func (s *Server) inferenceServer(context.Context, *request) (response, error) {
	return jsonOf(oip.ServerMetadata{Name: "galen", Version: s.Version, Extensions: []string{"binary_tensor_data", "model_repository", "statistics"}})
}

func (s *Server) inferenceLive(context.Context, *request) (response, error) {
	return jsonOf(map[string]bool{"live": true})
}

func (s *Server) inferenceReady(context.Context, *request) (response, error) {
	out, err := jsonOf(map[string]bool{"ready": s.ready.yes.Load()})
	if !s.ready.yes.Load() {
		out.status = http.StatusBadRequest // the protocol: false is a 4xx
	}
	return out, err
}

// modelReady says whether a version answers now; false is a 4xx with the reason.
func (s *Server) modelReady(ctx context.Context, r *request) (response, error) {
	ref, err := r.model()
	if err != nil {
		return response{}, err
	}
	d, err := s.Models.Describe(ctx, r.modelCaller(), ref)
	if fhir.KindOf(err) == fhir.Unavailable && err != nil {
		out, failed := jsonOf(map[string]any{"name": ref.Name, "ready": false, "error": fhir.IssuesOf(err)[0].Diagnostics})
		out.status = http.StatusBadRequest
		return out, failed
	}
	if err != nil {
		return response{}, err
	}
	return jsonOf(map[string]any{"name": d.Ref.Name, "version": d.Ref.Version, "ready": true})
}

func (s *Server) modelMetadata(ctx context.Context, r *request) (response, error) {
	ref, err := r.model()
	if err != nil {
		return response{}, err
	}
	d, err := s.Models.Describe(ctx, r.modelCaller(), ref)
	if err != nil {
		return response{}, err
	}
	return jsonOf(d.Metadata())
}

// infer answers an inference request.
func (s *Server) infer(ctx context.Context, r *request) (response, error) {
	ref, err := r.model()
	if err != nil {
		return response{}, err
	}
	header := -1
	if text := r.header.Get(headerLength); text != "" {
		if header, err = strconv.Atoi(text); err != nil || header < 0 {
			return response{}, fhir.E("server.infer", fhir.Malformed, headerLength, "want a number of bytes")
		}
	}
	e, err := s.Models.Answer(ctx, r.modelCaller(), ref, r.body, header)
	if err != nil {
		return response{}, err
	}
	if e.Header < 0 {
		return response{kind: plainJSON, body: e.Body}, nil
	}
	return response{
		kind: "application/octet-stream", body: e.Body,
		header: http.Header{headerLength: {strconv.Itoa(e.Header)}},
	}, nil
}

// modelIndex lists versions (Triton's extension_model_repository.md).
func (s *Server) modelIndex(ctx context.Context, r *request) (response, error) {
	var in struct {
		Ready bool `json:"ready"`
	}
	if err := r.json(&in); err != nil {
		return response{}, err
	}
	entries, err := s.Models.Entries(ctx, r.modelCaller(), in.Ready)
	if err != nil {
		return response{}, err
	}
	return jsonOf(entries)
}

// json reads a body that may be absent. Members that are not known are passed
// over, as other servers of the protocol do.
func (r *request) json(into any) error {
	if len(r.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(r.body, into); err != nil {
		return fhir.E("server.json", fhir.Malformed, "", "the body is not the JSON that is wanted here")
	}
	return nil
}

// change makes a handler of a change of one model.
func (s *Server) change(do func(context.Context, serving.Caller, models.Ref) error) handler {
	return func(ctx context.Context, r *request) (response, error) {
		ref, err := r.model()
		if err == nil {
			err = do(ctx, r.modelCaller(), ref)
		}
		return response{}, err
	}
}

func (s *Server) stopModel(ctx context.Context, r *request) (response, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := r.json(&in); err != nil {
		return response{}, err
	}
	return s.change(func(ctx context.Context, c serving.Caller, ref models.Ref) error {
		return s.Models.Stop(ctx, c, ref, in.Reason)
	})(ctx, r)
}

func (s *Server) promote(alias manifest.Version) handler {
	return func(ctx context.Context, r *request) (response, error) {
		var in struct {
			Version manifest.Version `json:"version"`
		}
		if err := r.json(&in); err != nil {
			return response{}, err
		}
		if !in.Version.Valid() {
			return response{}, fhir.E("server.promote", fhir.Value, "version", "want the version, such as 1.0.0")
		}
		return s.change(func(ctx context.Context, c serving.Caller, ref models.Ref) error {
			return s.Models.Promote(ctx, c, models.Ref{Name: ref.Name, Version: in.Version}, alias)
		})(ctx, r)
	}
}

func (s *Server) demote(ctx context.Context, r *request) (response, error) {
	return s.change(func(ctx context.Context, c serving.Caller, ref models.Ref) error {
		return s.Models.Promote(ctx, c, ref, models.Challenger)
	})(ctx, r)
}

func (s *Server) rollbackModel(ctx context.Context, r *request) (response, error) {
	ref, err := r.model()
	if err != nil {
		return response{}, err
	}
	to, err := s.Models.Rollback(ctx, r.modelCaller(), ref.Name)
	if err != nil {
		return response{}, err
	}
	return jsonOf(map[string]any{"name": to.Name, "version": to.Version})
}

// uploadModel takes a version in: a tar, gzipped tar, zip or form of its files.
// X-Model-Signature holds the Ed25519 signature of the files' SHA-256 sums.
func (s *Server) uploadModel(ctx context.Context, r *request) (response, error) {
	ref, err := r.model()
	if err != nil {
		return response{}, err
	}
	upload := serving.Upload{Model: ref, Type: r.header.Get("Content-Type"), Signature: r.header.Get("X-Model-Signature"), Body: r.stream}
	info, err := s.Models.Upload(ctx, r.modelCaller(), upload)
	if err != nil {
		return response{}, err
	}
	out, err := jsonOf(map[string]any{"name": info.Ref.Name, "version": info.Ref.Version, "sha256": info.Digest})
	out.status = http.StatusCreated
	return out, err
}

func (s *Server) modelUsage(ctx context.Context, r *request) (response, error) {
	ref := models.Ref{}
	var err error
	if r.param("model") != "" {
		if ref, err = r.model(); err != nil {
			return response{}, err
		}
	}
	list, err := s.Models.Statistics(ctx, r.modelCaller(), ref)
	if err != nil {
		return response{}, err
	}
	return jsonOf(map[string]any{"model_stats": list})
}
