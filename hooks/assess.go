package hooks

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"galen/cds"
	"galen/cds/feature"
	"galen/fhir"
	"galen/hooks/call"
	"galen/models"
)

// result is what became of one model: an assessment, or why there is none.
type result struct {
	*cds.Assessment // nil if it was left
	info            *models.Info
	left            leftReason
	missing         string   // the prefetch key, when left is leftData
	incomplete      []string // prefetch keys of which not all could be had
	evidence        feature.Evidence
}

// leftReason is why a model gave no assessment; it is a code in the audit and
// in metrics.
type leftReason string

const (
	leftTime  leftReason = "budget" // the budget was over first
	leftBusy  leftReason = "busy"
	leftGone  leftReason = "stopped" // it is not served any more
	leftError leftReason = "error"
	leftData  leftReason = "data" // what it needs could not be had
)

// String is the reason as clinicians read it.
func (l leftReason) String() string {
	switch l {
	case leftTime:
		return "not ready in time"
	case leftBusy:
		return "too many requests at the moment"
	case leftGone:
		return "the model is not served at the moment"
	case leftData:
		return "its data could not be had"
	}
	return "an error, which is on record"
}

// assess gathers the evidence and runs every model on it. When no model can be
// run for want of data, the error is of Kind Precondition and names the key.
func (d *Dispatcher) assess(ctx context.Context, in *invocation, s *Service, r call.Request) ([]result, error) {
	g, err := d.gather(ctx, in, s, r)
	if err != nil {
		return nil, err
	}
	out := make([]result, len(s.Models))
	var ready []int
	for i, info := range s.Models {
		out[i] = result{info: info, missing: g.blocked(s.needs[i]), incomplete: g.incomplete(s.needs[i])}
		if out[i].missing != "" {
			out[i].left = leftData
			continue
		}
		out[i].evidence = g.evidence
		out[i].evidence.Unavailable = g.unavailable(s.needs[i])
		ready = append(ready, i)
	}
	if len(ready) == 0 && len(out) > 0 {
		return nil, lacking(out[0].missing)
	}
	return out, d.runAll(ctx, out, ready)
}

// one is the outcome of a model by its position.
type one struct {
	at         int
	assessment *cds.Assessment
	err        error
}

// runAll runs models side by side until all are done or the budget is over. It
// fails only if every model does.
func (d *Dispatcher) runAll(ctx context.Context, out []result, ready []int) error {
	at := d.Now()
	done := make(chan one, len(ready)) // holds all, so that no model waits for a call that has ended
	slots := make(chan struct{}, runtime.GOMAXPROCS(0)+1)
	for _, i := range ready {
		info, ev := out[i].info, out[i].evidence
		out[i].left = leftTime
		d.running.Go(func() {
			select {
			case slots <- struct{}{}:
				a, err := d.safely(ctx, info, ev, at)
				<-slots
				done <- one{i, a, err}
			case <-ctx.Done():
				done <- one{i, nil, ctx.Err()}
			}
		})
	}
	var failure error
	failed := 0
	for range ready {
		select {
		case o := <-done:
			out[o.at].Assessment, out[o.at].left = o.assessment, d.why(ctx, out[o.at].info, o.err)
			if o.err != nil {
				failed, failure = failed+1, o.err
			}
		case <-ctx.Done():
			return nil
		}
	}
	if failed == len(ready) && failed > 0 && fhir.KindOf(failure) != fhir.Timeout {
		return failure
	}
	return nil
}

// why is the reason of an error; what is this server's fault is logged.
func (d *Dispatcher) why(ctx context.Context, info *models.Info, err error) leftReason {
	switch fhir.KindOf(err) {
	case fhir.Timeout:
		return leftTime
	case fhir.Throttled:
		return leftBusy
	case fhir.Unavailable:
		return leftGone
	}
	if err == nil {
		return ""
	}
	if ctx.Err() != nil {
		return leftTime
	}
	d.Log.ErrorContext(ctx, "model failed", slog.String("model", info.Ref.String()), slog.Any("error", err))
	return leftError
}

// safely runs a model. A panic is an error of this model alone: on a goroutine
// of its own it would end the process.
func (d *Dispatcher) safely(ctx context.Context, info *models.Info, ev feature.Evidence, at time.Time) (a *cds.Assessment, err error) {
	defer func() {
		if recover() != nil {
			a, err = nil, fhir.E("hooks.run", fhir.Internal, info.Ref.String(), "panic")
		}
	}()
	return d.run(ctx, info, ev, at)
}

func (d *Dispatcher) run(ctx context.Context, info *models.Info, ev feature.Evidence, at time.Time) (*cds.Assessment, error) {
	model, err := d.Catalog.Acquire(info.Ref)
	if err != nil {
		return nil, &fhir.Error{Op: "hooks.run", Kind: fhir.Unavailable, At: info.Ref.String(), Err: err}
	}
	defer model.Release()
	return d.Engine.Assess(ctx, model, ev, at)
}
