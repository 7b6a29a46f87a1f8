package cds

import (
	"context"
	"time"

	"galen/cds/feature"
	"galen/cds/imaging"
	"galen/models/manifest"
)

// Pictures finds images for models that take one; imaging.Finder does. With a
// zero Picture comes the reason why there is none.
type Pictures interface {
	Find(ctx context.Context, want *manifest.Image, ev feature.Evidence, at time.Time) (imaging.Picture, string, error)
}

// WithPictures returns the Engine that also reads images.
func (e *Engine) WithPictures(p Pictures) *Engine {
	out := *e
	out.pictures = p
	return &out
}

// addPictures reads the image of each input that takes one; the reason says why
// the model cannot be run.
func (e *Engine) addPictures(ctx context.Context, a *Assessment, ev feature.Evidence) (reason string, err error) {
	for i := range a.Model.Manifest.Inputs {
		in := &a.Model.Manifest.Inputs[i]
		if in.Image == nil {
			continue
		}
		if e.pictures == nil {
			return "no image archive is set up on this server", nil
		}
		p, reason, err := e.pictures.Find(ctx, in.Image, ev, a.At)
		if err != nil || reason != "" {
			return reason, err
		}
		if a.pictures == nil {
			a.pictures = map[string]imaging.Picture{}
		}
		a.pictures[in.Name] = p
	}
	return "", nil
}

// scaled are the numbers that an image gives a model: grey values without the
// mean, by the deviation.
func scaled(want *manifest.Image, grey []float64) []float64 {
	out := make([]float64, len(grey))
	for i, x := range grey {
		out[i] = (x - want.Mean) / want.Std
	}
	return out
}
