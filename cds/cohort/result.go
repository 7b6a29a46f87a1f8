package cohort

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/operation"
)

// full is how many members make a part, and so the most lines of a file.
const full = 200

// cursor is how far a job is: whole parts, which lie in files, and the lines of
// the one that is not whole yet.
type cursor struct {
	Parts []part
	Lines []line
}

// part counts its members.
type part struct{ Assessed, Failed int }

func (c *cursor) done() int { return len(c.Parts)*full + len(c.Lines) }

func count(lines []line) (p part) {
	for _, l := range lines {
		if l.Risk != "" {
			p.Assessed++
		} else {
			p.Failed++
		}
	}
	return p
}

// keep makes a line durable.
func (s *Service) keep(run *job.Run, c *cursor, l line, total int) error {
	c.Lines = append(c.Lines, l)
	if len(c.Lines) == full {
		if err := s.write(run.Folder(), len(c.Parts), c.Lines); err != nil {
			return err
		}
		c.Parts, c.Lines = append(c.Parts, count(c.Lines)), nil
	}
	text, err := json.Marshal(c)
	if err != nil {
		return &fhir.Error{Op: "cohort.keep", Err: err}
	}
	return run.Save(func(state *job.State) {
		state.Cursor, state.Total, state.Done = text, total, c.done()
		if l.Risk == "" {
			state.Failed++
		}
	})
}

func partFile(dir string, n int) string { return filepath.Join(dir, strconv.Itoa(n)+".part") }

// write puts a whole part into its file, over what a lost run left there.
func (s *Service) write(dir string, n int, lines []line) error {
	text, err := json.Marshal(lines)
	if err == nil && s.Seal != nil {
		text, err = s.Seal.Seal(text)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return failure(err)
	}
	f, err := os.OpenFile(partFile(dir, n), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return failure(err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return failure(err)
	}
	return nil
}

// lines are those of part n.
func (s *Service) lines(id string, c *cursor, n int) ([]line, error) {
	if n == len(c.Parts) {
		return c.Lines, nil
	}
	text, err := os.ReadFile(partFile(s.Jobs.Folder(id), n))
	if err != nil {
		return nil, failure(err)
	}
	if s.Seal != nil {
		var ok bool
		if text, ok = s.Seal.Open(text); !ok {
			return nil, failure(errors.New("a file cannot be decrypted with this key"))
		}
	}
	var out []line
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, failure(err)
	}
	return out, nil
}

func failure(err error) error {
	return &fhir.Error{Op: "cohort.file", Kind: fhir.Unavailable, Err: err}
}

// output is one file in the answer.
type output struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count int    `json:"count"`
}

// result is the answer of a job that has ended, in the form of Bulk Data Access
// (https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status).
type result struct {
	TransactionTime     string   `json:"transactionTime"`
	Request             string   `json:"request"`
	Model               string   `json:"model"` // NAME@VERSION
	RequiresAccessToken bool     `json:"requiresAccessToken"`
	Output              []output `json:"output"`
	Error               []output `json:"error"`
}

const (
	riskType  = "RiskAssessment"
	errorType = "OperationOutcome"
)

// Status answers a request for the status: 202 with X-Progress while the job
// runs, 200 with the files after it. Errors: NotFound for everybody but the
// owner, Unavailable for a job that failed as a whole.
func (s *Service) Status(_ context.Context, r operation.Request) (operation.Result, error) {
	state, o, err := s.own(r)
	if err != nil {
		return operation.Result{}, err
	}
	switch state.Status {
	case job.Running:
		progress := strconv.Itoa(state.Done) + " of " + strconv.Itoa(len(o.Members)) + " members"
		return operation.Result{Status: http.StatusAccepted, Header: http.Header{"X-Progress": {progress}, "Retry-After": {"1"}}}, nil
	case job.Failed:
		return operation.Result{}, fhir.E("cohort.Status", fhir.Unavailable, "", "the job failed; start it again")
	}
	var c cursor
	if err := json.Unmarshal(state.Cursor, &c); err != nil {
		return operation.Result{}, &fhir.Error{Op: "cohort.Status", Err: err}
	}
	out := result{
		TransactionTime: state.Created.Format("2006-01-02T15:04:05.000Z"), Request: o.Request, Model: o.Model,
		RequiresAccessToken: true, Output: []output{}, Error: []output{},
	}
	parts := c.Parts
	if len(c.Lines) > 0 {
		parts = append(parts, count(c.Lines))
	}
	url := o.Base + "/" + Path + "/" + r.ID + "/"
	for i, p := range parts {
		suffix := "-" + strconv.Itoa(i+1) + ".ndjson"
		if p.Assessed > 0 {
			out.Output = append(out.Output, output{riskType, url + riskType + suffix, p.Assessed})
		}
		if p.Failed > 0 {
			out.Error = append(out.Error, output{errorType, url + errorType + suffix, p.Failed})
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		return operation.Result{}, &fhir.Error{Op: "cohort.Status", Err: err}
	}
	return operation.Result{Kind: "application/json", Body: body, Header: http.Header{"Expires": {state.Ended.Add(kept).Format(http.TimeFormat)}}}, nil
}

// File answers with a file: the RiskAssessments, in the versions that the job
// made and as the caller may read them now, or an OperationOutcome for each
// member without one. A RiskAssessment that may not be read any more is an
// OperationOutcome in its place. Errors as Status; Deleted after a day.
func (s *Service) File(ctx context.Context, r operation.Request, name string) (operation.Result, error) {
	state, _, err := s.own(r)
	if err != nil {
		return operation.Result{}, err
	}
	if s.over(state) {
		return operation.Result{}, fhir.E("cohort.File", fhir.Deleted, "", "the result is gone; it is kept for a day")
	}
	var c cursor
	typ, n, ok := fileName(name)
	if !ok || state.Status != job.Completed || json.Unmarshal(state.Cursor, &c) != nil || n > len(c.Parts) {
		return operation.Result{}, fhir.E("cohort.File", fhir.NotFound, "", "there is no such file")
	}
	lines, err := s.lines(r.ID, &c, n)
	if err != nil {
		return operation.Result{}, err
	}
	var body bytes.Buffer
	for _, l := range lines {
		if (l.Risk != "") != (typ == riskType) {
			continue
		}
		text, err := s.resource(ctx, r, l)
		if err == nil {
			err = json.Compact(&body, text) // white space only: a line is one resource
		}
		if err != nil {
			return operation.Result{}, err
		}
		body.WriteByte('\n')
	}
	if body.Len() == 0 {
		return operation.Result{}, fhir.E("cohort.File", fhir.NotFound, "", "there is no such file")
	}
	return operation.Result{Kind: "application/fhir+ndjson", Body: body.Bytes(), Header: http.Header{"Last-Modified": {state.Ended.Format(http.TimeFormat)}}}, nil
}

// fileName takes "Type-N.ndjson" apart; n counts from 0.
func fileName(name string) (typ string, n int, ok bool) {
	name, ok = strings.CutSuffix(name, ".ndjson")
	typ, number, cut := strings.Cut(name, "-")
	n, err := strconv.Atoi(number)
	return typ, n - 1, ok && cut && err == nil && n > 0 && strconv.Itoa(n) == number && (typ == riskType || typ == errorType)
}

// resource is a line as the resource that answers it.
func (s *Service) resource(ctx context.Context, r operation.Request, l line) ([]byte, error) {
	if l.Risk != "" {
		ref := fhir.ParseReference(l.Risk)
		rec, err := s.Reader.VRead(ctx, r.Caller, ref.Key, ref.Version)
		if err == nil {
			return rec.Body, nil
		}
		kind := fhir.KindOf(err)
		if kind != fhir.NotFound && kind != fhir.Deleted && kind != fhir.Forbidden {
			return nil, err
		}
		l.Code, l.Reason = kind.Code(), "the assessment cannot be read any more"
	}
	text, err := json.Marshal(map[string]any{"resourceType": errorType, "issue": []any{map[string]any{
		"severity": "error", "code": l.Code, "details": map[string]string{"text": "Patient/" + l.Member}, "diagnostics": l.Reason,
	}}})
	if err != nil {
		return nil, &fhir.Error{Op: "cohort.resource", Err: err}
	}
	return text, nil
}
