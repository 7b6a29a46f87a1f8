package serving

import (
	"context"

	"galen/fhir"
	"galen/models"
	"galen/models/oip"
)

// Answer is Infer for a request on the wire: header is the length of its JSON, as
// oip.DecodeRequest has it. Errors: also Malformed.
func (s *Service) Answer(ctx context.Context, c Caller, ref models.Ref, body []byte, header int) (oip.Encoded, error) {
	req, err := oip.DecodeRequest(body, header)
	if err != nil {
		return oip.Encoded{}, &fhir.Error{Op: "serving.Answer", Kind: fhir.Malformed, Err: err}
	}
	answer, err := s.Infer(ctx, c, Call{Model: ref, Inputs: req.Inputs, Outputs: req.Names()})
	if err != nil {
		return oip.Encoded{}, err
	}
	res := oip.Response{
		Model: answer.Model.Ref.Name, Version: string(answer.Model.Ref.Version), ID: req.ID,
		Outputs: answer.Outputs, Refused: answer.Refused,
	}
	return res.Encode(req), nil
}

// Entries is Index in the protocol's form; with ready those only that answer.
func (s *Service) Entries(ctx context.Context, c Caller, ready bool) ([]oip.IndexEntry, error) {
	known, err := s.Index(ctx, c)
	if err != nil {
		return nil, err
	}
	entries := make([]oip.IndexEntry, 0, len(known))
	for _, k := range known {
		state := "READY"
		if !k.Ready {
			state = "UNAVAILABLE"
		}
		if k.Ready || !ready {
			entries = append(entries, oip.IndexEntry{Name: k.Ref.Name, Version: string(k.Ref.Version), State: state, Reason: k.Reason})
		}
	}
	return entries, nil
}
