package serving

import (
	"context"
	"slices"

	"galen/models"
)

// Statistics are the uses of a version in the form of Triton's
// extension_statistics.md, as far as it is counted here, and who the clients were.
type Statistics struct {
	Name           string                `json:"name"`
	Version        string                `json:"version"`
	LastInference  int64                 `json:"last_inference"` // ms since 1970
	InferenceCount uint64                `json:"inference_count"`
	ExecutionCount uint64                `json:"execution_count"`
	InferenceStats map[string]Inferences `json:"inference_stats"`
	Clients        map[string]uint64     `json:"clients"`
}

// Inferences are a number of runs and the time they took together.
type Inferences struct {
	Count uint64 `json:"count"`
	NS    int64  `json:"ns"`
}

// Statistics lists the versions that were used: all for the zero Ref, those of a
// model, or one. Errors: Forbidden.
func (s *Service) Statistics(ctx context.Context, c Caller, ref models.Ref) ([]*Statistics, error) {
	uses, err := s.Usage(ctx, c, ref.Name)
	if err != nil {
		return nil, err
	}
	list := []*Statistics{}
	for _, use := range uses {
		if ref.Version != "" && use.Model.Version != ref.Version {
			continue
		}
		i := slices.IndexFunc(list, func(st *Statistics) bool {
			return st.Name == use.Model.Name && st.Version == string(use.Model.Version)
		})
		if i < 0 {
			list = append(list, &Statistics{Name: use.Model.Name, Version: string(use.Model.Version), InferenceStats: map[string]Inferences{}, Clients: map[string]uint64{}})
			i = len(list) - 1
		}
		list[i].add(use)
	}
	return list, nil
}

func (st *Statistics) add(use Use) {
	st.LastInference = max(st.LastInference, use.Last.UnixMilli())
	st.InferenceCount += use.Success
	st.ExecutionCount += use.Success
	good, bad := st.InferenceStats["success"], st.InferenceStats["fail"]
	st.InferenceStats["success"] = Inferences{good.Count + use.Success, good.NS + use.Took.Nanoseconds()}
	st.InferenceStats["fail"] = Inferences{Count: bad.Count + use.Failure}
	st.Clients[use.Client] += use.Success + use.Failure
}
