package upkeep

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/operation"
	"galen/fhir/search"
	"galen/fhir/search/custom"
	"galen/policies"
)

// Kind is that of the jobs of $reindex.
const Kind = "reindex"

// batch is how many resources are indexed in one commit.
const batch = 200

// order is what a reindex is to do: index what is not marked by parameters, or
// everything of some types.
type order struct {
	Marks map[string][]string `json:",omitempty"`
	Types []string            `json:",omitempty"` // with Everything; none are all
	// Everything indexes what is marked too: after a change of the rules.
	Everything bool
}

// reindex answers $reindex: 202 with the URL of the status in Content-Location.
func (s *Service) reindex(ctx context.Context, r operation.Request, arguments map[string][]string) (operation.Result, error) {
	d, err := s.permit(ctx, r, policies.Reindex)
	if err != nil {
		return operation.Result{}, err
	}
	o, err := s.order(r, arguments)
	if err == nil {
		var state job.State
		if state, err = s.Jobs.Start(Kind, r.Principal.Subject, o); err == nil {
			out := answer(state)
			out.Status = http.StatusAccepted
			out.Header = http.Header{"Content-Location": {r.Base + "/" + StatusPath + "/" + state.ID}, "Retry-After": {"1"}}
			return out, s.record(ctx, s.entry(r, d), nil)
		}
	}
	return operation.Result{}, s.record(ctx, s.entry(r, d), err)
}

// order reads what is asked for.
func (s *Service) order(r operation.Request, arguments map[string][]string) (o order, err error) {
	const op = "upkeep.reindex"
	if r.ID != "" {
		mark, ok := s.Registry.Mark(r.ID)
		if !ok {
			return o, fhir.E(op, fhir.NotFound, "SearchParameter", "there is no active search parameter with this id that is not R4's own")
		}
		o.Marks = map[string][]string{mark: s.Registry.Types(mark)}
		return o, nil
	}
	for i, name := range arguments["type"] {
		if !s.REST.Defs.IsResource(name) || name == "AuditEvent" {
			return o, fhir.E(op, fhir.Value, fmt.Sprintf("type[%d]", i), "no resource type that can be reindexed")
		}
	}
	if o.Everything, err = flag(arguments, "everything"); err != nil {
		return o, err
	}
	if o.Everything {
		o.Types = arguments["type"]
		return o, nil
	}
	o.Marks = s.Registry.Pending()
	if only := arguments["type"]; len(only) > 0 {
		for mark, types := range o.Marks {
			if !slices.ContainsFunc(types, func(t string) bool { return slices.Contains(only, t) }) {
				delete(o.Marks, mark)
			}
		}
	}
	return o, nil
}

// Work is the Runner of the jobs. It may begin anew: what is marked is not done
// again.
func (s *Service) Work(ctx context.Context, r *job.Run) error {
	var o order
	if err := json.Unmarshal(r.State().Input, &o); err != nil {
		return &fhir.Error{Op: "upkeep.Work", Err: err}
	}
	if !o.Everything && len(o.Marks) == 0 {
		return nil
	}
	times := map[string]int{}
	for mark := range o.Marks {
		times[mark] = s.Registry.Times(mark)
	}
	q := custom.Unmarked(o.Marks)
	if o.Everything {
		q = &search.Query{Types: o.Types}
	}
	if err := s.begin(ctx, r, q); err != nil {
		return err
	}
	failed, err := s.walk(ctx, r, q, o.Everything)
	if err != nil {
		return err
	}
	if o.Everything {
		for mark := range s.Registry.Pending() {
			if err := s.Registry.Settle(ctx, mark); err != nil {
				return err
			}
		}
		return nil
	}
	for mark, types := range o.Marks {
		if slices.ContainsFunc(failed, func(k fhir.Key) bool { return slices.Contains(types, k.Type) }) {
			continue // it stays as it is: not yet indexed
		}
		if err := s.Registry.Done(mark, times[mark]); err != nil {
			return err
		}
	}
	return nil
}

// begin counts what is to be done, and takes over what was done before a restart.
func (s *Service) begin(ctx context.Context, r *job.Run, q *search.Query) error {
	n, err := s.REST.Store.Count(ctx, q)
	if err = orNil(err, fhir.TooCostly); err != nil {
		return err
	}
	return r.Save(func(state *job.State) {
		switch {
		case q.Where == nil && state.Total > 0: // everything, and it goes on from the cursor
		default:
			state.Failed, state.Errors = 0, nil
			state.Total = state.Done + n
		}
	})
}

// walk indexes page after page and returns what could not be indexed.
func (s *Service) walk(ctx context.Context, r *job.Run, q *search.Query, resume bool) (failed []fhir.Key, err error) {
	var after []byte
	if resume {
		if err := json.Unmarshal(orNull(r.State().Cursor), &after); err != nil {
			return nil, &fhir.Error{Op: "upkeep.Work", Err: err}
		}
	}
	for {
		keys, next, err := s.REST.Store.Keys(ctx, q, batch, after)
		if err != nil {
			return failed, err
		}
		done, err := s.REST.Store.Reindex(ctx, keys...)
		if err != nil {
			return failed, err
		}
		indexed := 0
		for _, d := range done {
			if d.Err == nil {
				indexed++
				continue
			}
			failed = append(failed, d.Key)
			r.Note(d.Key.String() + ": " + d.Err.Error())
		}
		cursor, _ := json.Marshal(next) // of bytes: cannot fail
		err = r.Save(func(state *job.State) { state.Done, state.Cursor = state.Done+indexed, cursor })
		if err != nil || next == nil {
			return failed, err
		}
		after = next
	}
}

func orNull(text json.RawMessage) json.RawMessage {
	if len(text) == 0 {
		return json.RawMessage("null")
	}
	return text
}
