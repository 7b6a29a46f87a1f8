package bundle

import (
	"net/http"
	"strconv"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/r4"
	"galen/fhir/rest"
	"galen/fhir/rest/entry"
)

// answer is one entry of a response Bundle
// (https://hl7.org/fhir/R4/http.html#transaction-response).
type answer struct {
	key      fhir.Key // of the fullUrl, zero for none
	resource []byte   // nil for none
	status   string
	location string      // "" for none
	header   fhir.Header // etag and lastModified, unless its version is 0
	outcome  []byte      // an OperationOutcome, nil for none
}

// response is the whole response Bundle. Stored bytes go into it as they are.
func (p *performance) response(kind string) []byte {
	size := 100
	for i := range p.answers {
		size += len(p.answers[i].resource) + len(p.answers[i].outcome) + 400
	}
	out := append(make([]byte, 0, size), `{"resourceType":"Bundle","type":"`+kind+`"`...)
	separator := `,"entry":[{`
	for i := range p.answers {
		out = p.answers[i].append(append(out, separator...), p.caller.Base)
		separator = `,{`
	}
	if len(p.answers) > 0 {
		out = append(out, ']')
	}
	return append(out, '}')
}

// append writes the members of the entry and its end.
func (a *answer) append(out []byte, base string) []byte {
	if a.key.Type != "" {
		out = append(jsontree.AppendString(append(out, `"fullUrl":`...), base+"/"+a.key.String()), ',')
	}
	if a.resource != nil {
		out = append(append(append(out, `"resource":`...), a.resource...), ',')
	}
	out = jsontree.AppendString(append(out, `"response":{"status":`...), a.status)
	if a.location != "" {
		out = jsontree.AppendString(append(out, `,"location":`...), a.location)
	}
	if a.header.Version != 0 {
		out = jsontree.AppendString(append(out, `,"etag":`...), a.header.ETag())
		out = jsontree.AppendString(append(out, `,"lastModified":`...), fhir.FormatInstant(a.header.LastUpdated))
	}
	if a.outcome != nil {
		out = append(append(out, `,"outcome":`...), a.outcome...)
	}
	return append(out, `}}`...)
}

func status(code int) string { return strconv.Itoa(code) + " " + http.StatusText(code) }

// failure is the answer of an entry that failed, the places in it those of the
// Bundle.
func failure(e *entry.Entry, err error) answer {
	err = e.Place(err)
	return answer{status: status(fhir.KindOf(err).Status()), outcome: r4.OperationOutcome(fhir.IssuesOf(err))}
}

// written is the answer of an entry that wrote.
func (p *performance) written(e *entry.Entry, out rest.Outcome) answer {
	a := answer{header: out.Header}
	switch {
	case e.Method == http.MethodDelete:
		a.status = status(http.StatusNoContent)
		return a
	case out.Created:
		a.status = status(http.StatusCreated)
	default:
		a.status = status(http.StatusOK)
	}
	a.key = out.Key
	a.location = p.caller.Base + "/" + fhir.VersionedReference(out.Key, out.Version)
	switch p.prefer {
	case "representation":
		a.resource = out.Body
	case "OperationOutcome":
		a.outcome = r4.OperationOutcome(fhir.Issues{{Severity: fhir.Information, Kind: fhir.Invalid, Diagnostics: "stored"}})
	}
	return a
}
