package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
)

// Format is how a report is written.
type Format string

// The formats.
const (
	JSON   Format = "json"   // {"accesses":[…]}
	CSV    Format = "csv"    // with a header; RFC 4180
	NDJSON Format = "ndjson" // a JSON object on each line
)

// MediaType is the format's Content-Type.
func (f Format) MediaType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8"
	case NDJSON:
		return "application/x-ndjson"
	}
	return "application/json; charset=utf-8"
}

// ParseFormat reads the parameter format, or else an Accept header. The error is
// of Kind Value for a format that is not offered.
func ParseFormat(param, accept string) (Format, error) {
	switch Format(param) {
	case JSON, CSV, NDJSON:
		return Format(param), nil
	case "":
	default:
		return "", fhir.E("report.ParseFormat", fhir.Value, "format", "the format is json, csv or ndjson")
	}
	switch {
	case strings.Contains(accept, "text/csv"):
		return CSV, nil
	case strings.Contains(accept, "ndjson"):
		return NDJSON, nil
	}
	return JSON, nil
}

// columns are the members of an Access in a CSV, in their order.
func columns() []string {
	return []string{
		"time", "subject", "user", "role", "org", "app", "purpose", "action", "resource", "patient", "allowed",
		"reason", "rule", "revision", "request_id", "seq", "tpo", "unusual",
	}
}

func (a *Access) cells() []string {
	tpo := ""
	if a.TPO != nil {
		tpo = strconv.FormatBool(*a.TPO)
	}
	cells := []string{
		a.Time.UTC().Format(time.RFC3339Nano), a.Subject, a.User, a.Role, a.Org, a.App, a.Purpose, a.Action, a.Resource, a.Patient,
		strconv.FormatBool(a.Allowed), a.Reason, a.Rule, a.Revision, a.Request, strconv.FormatUint(a.Seq, 10), tpo,
		strings.Join(a.Unusual, " "),
	}
	for i, c := range cells {
		// A spreadsheet would run a cell that begins so.
		if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
			cells[i] = "'" + c
		}
	}
	return cells
}

// Write writes accesses under a name, "accesses", in a format.
func Write(name string, list []Access, f Format) ([]byte, error) {
	var b bytes.Buffer
	var err error
	switch f {
	case CSV:
		w := csv.NewWriter(&b)
		err = w.Write(columns())
		for i := range list {
			if err == nil {
				err = w.Write(list[i].cells())
			}
		}
		w.Flush()
		if err == nil {
			err = w.Error()
		}
	case NDJSON:
		enc := json.NewEncoder(&b)
		for i := range list {
			if err == nil {
				err = enc.Encode(&list[i])
			}
		}
	default:
		err = json.NewEncoder(&b).Encode(map[string][]Access{name: list})
	}
	if err != nil {
		return nil, &fhir.Error{Op: "report.Write", Err: err}
	}
	return b.Bytes(), nil
}
