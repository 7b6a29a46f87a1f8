package govern

import (
	"context"
	"net/http"

	"galen/policies/retention"
)

func (g *API) holds(context.Context, *Call) (Answer, string, error) {
	out, err := says(http.StatusOK, map[string][]retention.Hold{"holds": g.Keeper.Holds()})
	return out, "", err
}

func (g *API) placeHold(_ context.Context, r *Call) (Answer, string, error) {
	var in struct{ Patient, Subject, Reason string }
	if err := r.reads(&in); err != nil {
		return Answer{}, "", err
	}
	h, err := g.Keeper.Place(r.Principal.Subject, retention.Hold{Patient: in.Patient, Subject: in.Subject, Reason: in.Reason})
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusCreated, h)
	return out, h.ID, err
}

func (g *API) releaseHold(_ context.Context, r *Call) (Answer, string, error) {
	h, err := g.Keeper.Release(r.Principal.Subject, r.ID)
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, h)
	return out, h.ID, err
}
