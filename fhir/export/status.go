package export

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/operation"
)

// output is one file in the answer.
type output struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count int    `json:"count"`
}

// manifest is the answer of a job that has ended
// (https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status).
type manifest struct {
	TransactionTime     string   `json:"transactionTime"`
	Request             string   `json:"request"`
	RequiresAccessToken bool     `json:"requiresAccessToken"`
	Output              []output `json:"output"`
	Error               []output `json:"error"`
}

// find returns a job of the caller's own.
func (s *Service) find(r operation.Request) (job.State, order, error) {
	var o order
	state, ok := s.Jobs.Find(r.ID)
	if !ok || state.Kind != Kind || state.Owner != r.Principal.Subject || state.Status == job.Cancelled {
		return state, o, fhir.E("export.Status", fhir.NotFound, "", "there is no such export")
	}
	if err := json.Unmarshal(state.Input, &o); err != nil {
		return state, o, &fhir.Error{Op: "export.Status", Err: err}
	}
	return state, o, nil
}

// Status answers a request for the status: 202 while the job runs, 200 with the
// manifest after it. Errors: NotFound for everybody but the owner, Internal for a
// job that failed.
func (s *Service) Status(_ context.Context, r operation.Request) (operation.Result, error) {
	state, o, err := s.find(r)
	if err != nil {
		return operation.Result{}, err
	}
	switch state.Status {
	case job.Running:
		progress := strconv.Itoa(state.Done) + " of " + strconv.Itoa(len(o.Sources)) + " searches"
		return operation.Result{Status: http.StatusAccepted, Header: http.Header{"X-Progress": {progress}, "Retry-After": {"1"}}}, nil
	case job.Failed:
		return operation.Result{}, fhir.E("export.Status", fhir.Unavailable, "", "the export failed; start it again")
	}
	var c cursor
	if err := json.Unmarshal(state.Cursor, &c); err != nil {
		return operation.Result{}, &fhir.Error{Op: "export.Status", Err: err}
	}
	m := manifest{TransactionTime: state.Created.Format("2006-01-02T15:04:05.000Z"), Request: o.Request, RequiresAccessToken: true, Output: []output{}, Error: []output{}}
	for _, f := range c.Files {
		line := output{f.Type, o.Base + "/" + Path + "/" + r.ID + "/" + f.Name, f.Count}
		if f.Type == errorType {
			m.Error = append(m.Error, line)
		} else {
			m.Output = append(m.Output, line)
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return operation.Result{}, &fhir.Error{Op: "export.Status", Err: err}
	}
	return operation.Result{Kind: "application/json", Body: body, Header: http.Header{"Expires": {state.Ended.Add(kept).Format(http.TimeFormat)}}}, nil
}

// File answers with a file. Errors as Status; Deleted when its day is over.
func (s *Service) File(ctx context.Context, r operation.Request, name string) (operation.Result, error) {
	state, _, err := s.find(r)
	if err != nil {
		return operation.Result{}, err
	}
	var c cursor
	if state.Status != job.Completed || json.Unmarshal(state.Cursor, &c) != nil {
		return operation.Result{}, fhir.E("export.File", fhir.NotFound, "", "there is no such file")
	}
	if s.Now().Sub(state.Ended) > kept {
		return operation.Result{}, fhir.E("export.File", fhir.Deleted, "", "the files of this export are gone; they are kept for a day")
	}
	for _, f := range c.Files {
		if f.Name == name {
			text, err := s.content(s.Jobs.Folder(r.ID), f)
			if err := s.record(ctx, r, err); err != nil {
				return operation.Result{}, err
			}
			return operation.Result{Kind: "application/fhir+ndjson", Body: text, Header: http.Header{"Last-Modified": {state.Ended.Format(http.TimeFormat)}}}, nil
		}
	}
	return operation.Result{}, fhir.E("export.File", fhir.NotFound, "", "there is no such file")
}

// Cancel stops a job and removes its files: 202. Errors as Status.
func (s *Service) Cancel(ctx context.Context, r operation.Request) (operation.Result, error) {
	state, _, err := s.find(r)
	if err == nil {
		_, err = s.Jobs.Cancel(r.ID)
	}
	if err == nil && state.Status == job.Running {
		err = s.discard(ctx, r.ID)
	}
	return operation.Result{Status: http.StatusAccepted}, s.record(ctx, r, err)
}

// discard forgets a job that was just stopped, once it has.
func (s *Service) discard(ctx context.Context, id string) error {
	if err := s.Jobs.Wait(ctx, id); err != nil {
		return nil // a sweep will
	}
	_, err := s.Jobs.Cancel(id)
	return err
}
