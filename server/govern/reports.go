package govern

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies/report"
)

// asked is what a report is asked for.
type asked struct {
	report.Period
	patient, user string
	volume        int
	values        url.Values
}

func (r *Call) asked() (asked, error) {
	const op = "govern.asked"
	values, err := url.ParseQuery(r.Query)
	if err != nil {
		return asked{}, fhir.E(op, fhir.Malformed, "", "the query is not URL-encoded")
	}
	in := asked{patient: strings.TrimPrefix(values.Get("patient"), "Patient/"), user: values.Get("user"), values: values}
	for name, into := range map[string]*time.Time{"from": &in.From, "to": &in.To} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		p, _, err := fhir.ParseDateTime(strings.Replace(text, " ", "+", 1), time.UTC)
		if err != nil {
			return in, fhir.E(op, fhir.Value, name, "must be a date or an instant")
		}
		*into = p.Low.Time()
		if name == "to" && len(text) <= len(time.DateOnly) {
			*into = p.High.Time() // a day includes its end
		}
	}
	if text := values.Get("volume"); text != "" {
		if in.volume, err = strconv.Atoi(text); err != nil || in.volume < 1 {
			return in, fhir.E(op, fhir.Value, "volume", "must be a whole number above 0")
		}
	}
	return in, nil
}

// reported writes what a report finds: as JSON, CSV or NDJSON, with a signed
// manifest in the header that names its digest.
func (g *API) reported(find func(context.Context, asked) ([]report.Access, string, error)) act {
	return func(ctx context.Context, r *Call) (Answer, string, error) {
		in, err := r.asked()
		if err != nil {
			return Answer{}, "", err
		}
		format, err := report.ParseFormat(cmp.Or(in.values.Get("format"), in.values.Get("_format")), r.Header.Get("Accept"))
		if err != nil {
			return Answer{}, "", err
		}
		list, about, err := find(ctx, in)
		if err != nil {
			return Answer{}, about, err
		}
		body, err := report.Write("accesses", list, format)
		if err != nil {
			return Answer{}, about, err
		}
		sum := sha256.Sum256(body)
		manifest, err := g.Tree.Sign("galen-report", strings.TrimPrefix(r.Path, "/"),
			strconv.Itoa(len(list)), hex.EncodeToString(sum[:]), time.Now().UTC().Format(time.RFC3339))
		header := http.Header{"X-Report-Manifest": {base64.StdEncoding.EncodeToString(manifest)}}
		return Answer{MediaType: format.MediaType(), Header: header, Body: body}, about, err
	}
}

// ofPatient checks the parameter patient.
func (in *asked) ofPatient() (string, error) {
	if !fhir.ValidID(in.patient) {
		return "", fhir.E("govern.report", fhir.Required, "patient", "the report needs patient=, a logical id")
	}
	return "Patient/" + in.patient, nil
}

func (g *API) accessReport(ctx context.Context, in asked) ([]report.Access, string, error) {
	about, err := in.ofPatient()
	if err != nil {
		return nil, "", err
	}
	list, err := g.Reporter.Patient(ctx, in.patient, in.Period)
	return list, about, err
}

func (g *API) disclosures(ctx context.Context, in asked) ([]report.Access, string, error) {
	about, err := in.ofPatient()
	if err != nil {
		return nil, "", err
	}
	list, err := g.Reporter.Disclosures(ctx, in.patient, in.Period)
	return list, about, err
}

func (g *API) userReport(ctx context.Context, in asked) ([]report.Access, string, error) {
	if in.user == "" {
		return nil, "", fhir.E("govern.report", fhir.Required, "user", "the report needs user=, a subject or a fhirUser")
	}
	list, err := g.Reporter.User(ctx, in.user, in.Period)
	return list, in.user, err
}

func (g *API) denials(ctx context.Context, in asked) ([]report.Access, string, error) {
	list, err := g.Reporter.Denials(ctx, in.Period)
	return list, "", err
}

func (g *API) unusual(ctx context.Context, in asked) ([]report.Access, string, error) {
	list, err := g.Reporter.Unusual(ctx, in.Period, report.Signs{Volume: in.volume})
	return list, "", err
}

func (g *API) emergencies(ctx context.Context, in asked) ([]report.Access, string, error) {
	list, err := g.Reporter.Emergencies(ctx, in.Period)
	return list, "", err
}

func (g *API) modelUse(ctx context.Context, r *Call) (Answer, string, error) {
	in, err := r.asked()
	if err != nil {
		return Answer{}, "", err
	}
	uses, err := g.Reporter.Models(ctx, in.Period)
	if err != nil {
		return Answer{}, "", err
	}
	out, err := says(http.StatusOK, map[string][]report.ModelUse{"models": uses})
	return out, "", err
}
