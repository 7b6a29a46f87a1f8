package rpc

import (
	"context"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/models"
	"galen/models/manifest"
	"galen/models/oip"
	"galen/models/oip/inference"
	"galen/models/serving"
)

// ServerLive says that the server answers.
func (s *Server) ServerLive(context.Context, *inference.ServerLiveRequest) (*inference.ServerLiveResponse, error) {
	return &inference.ServerLiveResponse{Live: true}, nil
}

// ServerReady says that the server is ready: it starts to listen when it is.
func (s *Server) ServerReady(context.Context, *inference.ServerReadyRequest) (*inference.ServerReadyResponse, error) {
	return &inference.ServerReadyResponse{Ready: true}, nil
}

// ServerMetadata tells of the server.
func (s *Server) ServerMetadata(context.Context, *inference.ServerMetadataRequest) (*inference.ServerMetadataResponse, error) {
	return &inference.ServerMetadataResponse{Name: "galen", Version: s.Version, Extensions: []string{"model_repository"}}, nil
}

// ref is a model and version as the messages have them.
func ref(name, version string) (models.Ref, error) {
	r := models.Ref{Name: name, Version: manifest.Version(version)}
	if !manifest.ValidName(name) || version != "" && !r.Version.Valid() && !r.Alias() {
		return r, fhir.E("rpc.ref", fhir.NotFound, "", "there is no such model or version")
	}
	return r, nil
}

// ModelReady says whether a version answers now.
func (s *Server) ModelReady(ctx context.Context, in *inference.ModelReadyRequest) (*inference.ModelReadyResponse, error) {
	r, err := ref(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	_, err = s.Models.Describe(ctx, caller(ctx), r)
	if kind := fhir.KindOf(err); err != nil && kind != fhir.Unavailable && kind != fhir.NotFound {
		return nil, err
	}
	return &inference.ModelReadyResponse{Ready: err == nil}, nil
}

// ModelMetadata tells of a model.
func (s *Server) ModelMetadata(ctx context.Context, in *inference.ModelMetadataRequest) (*inference.ModelMetadataResponse, error) {
	r, err := ref(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	d, err := s.Models.Describe(ctx, caller(ctx), r)
	if err != nil {
		return nil, err
	}
	m := d.Metadata()
	return &inference.ModelMetadataResponse{
		Name: m.Name, Versions: m.Versions, Platform: m.Platform, Inputs: ports(m.Inputs), Outputs: ports(m.Outputs),
	}, nil
}

func ports(list []oip.TensorMetadata) []*inference.ModelMetadataResponse_TensorMetadata {
	out := make([]*inference.ModelMetadataResponse_TensorMetadata, len(list))
	for i, p := range list {
		out[i] = &inference.ModelMetadataResponse_TensorMetadata{Name: p.Name, Datatype: p.Datatype, Shape: p.Shape}
	}
	return out
}

// ModelInfer runs a model.
func (s *Server) ModelInfer(ctx context.Context, in *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	r, err := ref(in.GetModelName(), in.GetModelVersion())
	if err != nil {
		return nil, err
	}
	inputs, err := tensors(in)
	if err != nil {
		return nil, &fhir.Error{Op: "rpc.ModelInfer", Kind: fhir.Malformed, Err: err}
	}
	var wanted []string
	for _, o := range in.GetOutputs() {
		wanted = append(wanted, o.GetName())
	}
	answer, err := s.Models.Infer(ctx, caller(ctx), serving.Call{Model: r, Inputs: inputs, Outputs: wanted})
	if err != nil {
		return nil, err
	}
	out := &inference.ModelInferResponse{ModelName: answer.Model.Ref.Name, ModelVersion: string(answer.Model.Ref.Version), Id: in.GetId()}
	if len(answer.Refused) > 0 {
		out.Parameters = map[string]*inference.InferParameter{"refused_rows": {
			ParameterChoice: &inference.InferParameter_StringParam{StringParam: rows(answer.Refused)},
		}}
	}
	fill(out, answer.Outputs, len(in.GetRawInputContents()) > 0)
	return out, nil
}

func rows(list []int) string {
	texts := make([]string, len(list))
	for i, row := range list {
		texts[i] = strconv.Itoa(row)
	}
	return strings.Join(texts, ",")
}

// RepositoryIndex lists versions.
func (s *Server) RepositoryIndex(ctx context.Context, in *inference.RepositoryIndexRequest) (*inference.RepositoryIndexResponse, error) {
	entries, err := s.Models.Entries(ctx, caller(ctx), in.GetReady())
	if err != nil {
		return nil, err
	}
	out := &inference.RepositoryIndexResponse{}
	for _, e := range entries {
		out.Models = append(out.Models, &inference.RepositoryIndexResponse_ModelIndex{Name: e.Name, Version: e.Version, State: e.State, Reason: e.Reason})
	}
	return out, nil
}

// RepositoryModelLoad loads the versions of a model.
func (s *Server) RepositoryModelLoad(ctx context.Context, in *inference.RepositoryModelLoadRequest) (*inference.RepositoryModelLoadResponse, error) {
	r, err := ref(in.GetModelName(), "")
	if err == nil {
		err = s.Models.Load(ctx, caller(ctx), r)
	}
	if err != nil {
		return nil, err
	}
	return &inference.RepositoryModelLoadResponse{}, nil
}

// RepositoryModelUnload unloads the versions of a model.
func (s *Server) RepositoryModelUnload(ctx context.Context, in *inference.RepositoryModelUnloadRequest) (*inference.RepositoryModelUnloadResponse, error) {
	r, err := ref(in.GetModelName(), "")
	if err == nil {
		err = s.Models.Unload(ctx, caller(ctx), r)
	}
	if err != nil {
		return nil, err
	}
	return &inference.RepositoryModelUnloadResponse{}, nil
}
