package capability

import "galen/fhir"

// Terminology is what a server declares as a terminology service
// (https://hl7.org/fhir/R4/terminologycapabilities.html). What it does not do
// stays empty.
type Terminology struct {
	Statement            // version, URL and date
	Expand      []string // parameters of $expand; none if it is not offered
	Translate   bool     // $translate is offered, by concept maps
	ValidateOne bool     // $validate-code is offered, without translations of displays
}

// JSON is the TerminologyCapabilities.
func (t Terminology) JSON() []byte {
	w := writer{out: make([]byte, 0, 1024)}
	w.raw(`{"resourceType":"TerminologyCapabilities","status":"active","date":"` + fhir.FormatInstant(t.Date))
	w.raw(`","publisher":"Galen","kind":"instance","software":{"name":"Galen","version":`)
	w.text(t.Version)
	w.raw(`},"implementation":{"description":"Galen","url":`)
	w.text(t.URL)
	w.raw(`},"lockedDate":false`)
	sep := `,"expansion":{"hierarchical":true,"paging":true,"incomplete":false,"parameter":[{"name":`
	for _, name := range t.Expand {
		w.raw(sep)
		w.text(name)
		w.raw("}")
		sep = `,{"name":`
	}
	if len(t.Expand) > 0 {
		w.raw("]}")
	}
	if t.ValidateOne {
		w.raw(`,"validateCode":{"translations":false}`)
	}
	if t.Translate {
		w.raw(`,"translation":{"needsMap":true}`)
	}
	w.raw("}")
	return w.out
}
