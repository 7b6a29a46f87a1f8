package call_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"galen/fhir"
	"galen/hooks/call"
)

const head = `"hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"`

func body(hook, context string, more ...string) string {
	return fmt.Sprintf(`{"hook":%q,%s,"context":%s%s}`, hook, head, context, strings.Join(more, ""))
}

// read parses a call and checks its context.
func read(text string) (call.Request, error) {
	r, err := call.Parse([]byte(text))
	if err != nil {
		return r, err
	}
	return r, r.Context.Check()
}

// place is the member that an error names.
func place(err error) string {
	var e *fhir.Error
	if errors.As(err, &e) {
		return e.At
	}
	return ""
}

const (
	user  = `"userId":"Practitioner/1","patientId":"p1"`
	order = `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"MedicationRequest","id":"m1"}}]}`
)

// Acceptance 20: every hook of the table, with what is optional left out, and
// both spellings of the standard's own samples.
func TestEveryHookIsAccepted(t *testing.T) {
	allergy := `{"resourceType":"AllergyIntolerance","id":"a1"}`
	for name, text := range map[string]string{
		"patient-view":                         body("patient-view", `{`+user+`}`),
		"patient-view of a PractitionerRole":   body("patient-view", `{"userId":"PractitionerRole/1","patientId":"p1","encounterId":"e1"}`),
		"patient-view, encounterId null":       body("patient-view", `{`+user+`,"encounterId":null}`),
		"order-select":                         body("order-select", `{`+user+`,"selections":["MedicationRequest/m1"],"draftOrders":`+order+`}`),
		"order-sign":                           body("order-sign", `{`+user+`,"draftOrders":`+order+`}`),
		"order-sign of an empty Bundle":        body("order-sign", `{`+user+`,"draftOrders":{"resourceType":"Bundle","type":"collection"}}`),
		"order-dispatch 1.1 without user":      body("order-dispatch", `{"patientId":"p1","dispatchedOrders":["ServiceRequest/1"],"performer":"Organization/2","fulfillmentTasks":[{"resourceType":"Task"}]}`),
		"order-dispatch as in the sample":      body("order-dispatch", `{"patientId":"p1","order":"ServiceRequest/1","performer":"Organization/2","fulfillment-tasks":[{"resourceType":"Task"}]}`),
		"encounter-start":                      body("encounter-start", `{`+user+`,"encounterId":"e1"}`),
		"encounter-discharge":                  body("encounter-discharge", `{`+user+`,"encounterId":"e1"}`),
		"appointment-book":                     body("appointment-book", `{`+user+`,"appointments":{"resourceType":"Bundle"}}`),
		"allergyintolerance-create":            body("allergyintolerance-create", `{`+user+`,"allergyIntolerance":`+allergy+`}`),
		"allergyintolerance-create, wrapped":   body("allergyintolerance-create", `{`+user+`,"allergyIntolerance":{"resource":`+allergy+`}}`),
		"medication-refill without user":       body("medication-refill", `{"patientId":"p1","medications":`+order+`}`),
		"problem-list-item-create":             body("problem-list-item-create", `{`+user+`,"conditions":{"resourceType":"Bundle"}}`),
		"medication-verify":                    body("medication-verify", `{`+user+`,"medication":{"resourceType":"MedicationRequest"}}`),
		"medication-verify as in the sample":   body("medication-verify", `{`+user+`,"order":{"resourceType":"MedicationRequest"}}`),
		"medication-prescribe (deprecated)":    body("medication-prescribe", `{`+user+`,"medications":`+order+`}`),
		"order-review (deprecated)":            body("order-review", `{`+user+`,"orders":`+order+`}`),
		"unknown members (7)":                  body("patient-view", `{`+user+`,"x":[{}],"extension":{"a":1}}`, `,"foo":{"bar":[1]},"extension":{"url":1}`),
		"no prefetch but null (6)":             body("patient-view", `{`+user+`}`, `,"prefetch":null`),
		"authorization with all its members":   body("patient-view", `{`+user+`}`, `,"fhirServer":"https://ehr.test/fhir","fhirAuthorization":{"access_token":"t","token_type":"Bearer","expires_in":300,"scope":"user/*.rs","subject":"s"}`),
		"authorization that has expired (14)":  body("patient-view", `{`+user+`}`, `,"fhirServer":"https://ehr.test/fhir","fhirAuthorization":{"access_token":"t","token_type":"Bearer","expires_in":0,"scope":"user/*.rs","subject":"s"}`),
		"authorization for the patient itself": body("patient-view", `{`+user+`}`, `,"fhirServer":"https://ehr.test/fhir","fhirAuthorization":{"access_token":"t","token_type":"bearer","expires_in":1,"scope":"patient/*.rs","subject":"s","patient":"p1"}`),
	} {
		if _, err := read(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Acceptance 6, 14, 20: what is refused, and the path that the refusal names.
func TestBadCallsAreRefusedWithTheirPath(t *testing.T) {
	for name, tt := range map[string]struct{ text, at string }{
		"not an object":              {`[]`, ""},
		"no hook":                    {`{` + head + `,"context":{` + user + `}}`, "hook"},
		"hook of another type":       {`{"hook":1,` + head + `,"context":{` + user + `}}`, "hook"},
		"no hookInstance":            {`{"hook":"patient-view","context":{` + user + `}}`, "hookInstance"},
		"bad UUID":                   {strings.Replace(body("patient-view", `{`+user+`}`), "d1577c69", "zz", 1), "hookInstance"},
		"UUID as a URN":              {strings.Replace(body("patient-view", `{`+user+`}`), "d1577c69", "urn:uuid:d1577c69", 1), "hookInstance"},
		"no context":                 {`{"hook":"patient-view",` + head + `}`, "context"},
		"context null":               {body("patient-view", `null`), "context"},
		"context an array":           {body("patient-view", `[]`), "context"},
		"no patientId":               {body("patient-view", `{"userId":"Practitioner/1"}`), "context.patientId"},
		"patientId with a type":      {body("patient-view", `{"userId":"Practitioner/1","patientId":"Patient/p1"}`), "context.patientId"},
		"patientId a number":         {body("patient-view", `{"userId":"Practitioner/1","patientId":1}`), "context.patientId"},
		"patientId that climbs":      {body("patient-view", `{"userId":"Practitioner/1","patientId":"../x"}`), "context.patientId"},
		"no userId":                  {body("patient-view", `{"patientId":"p1"}`), "context.userId"},
		"userId without a type":      {body("patient-view", `{"userId":"1","patientId":"p1"}`), "context.userId"},
		"userId of another type":     {body("patient-view", `{"userId":"Device/1","patientId":"p1"}`), "context.userId"},
		"userId absolute":            {body("patient-view", `{"userId":"https://x.test/Practitioner/1","patientId":"p1"}`), "context.userId"},
		"encounterId missing":        {body("encounter-start", `{`+user+`}`), "context.encounterId"},
		"selections no references":   {body("order-select", `{`+user+`,"selections":["m1"],"draftOrders":`+order+`}`), "context.selections[0]"},
		"selections empty":           {body("order-select", `{`+user+`,"selections":[],"draftOrders":`+order+`}`), "context.selections"},
		"draftOrders an array":       {body("order-sign", `{`+user+`,"draftOrders":[]}`), "context.draftOrders"},
		"draftOrders no Bundle":      {body("order-sign", `{`+user+`,"draftOrders":{"resourceType":"Patient"}}`), "context.draftOrders"},
		"draftOrders of no resource": {body("order-sign", `{`+user+`,"draftOrders":{"resourceType":"Bundle","entry":[{"resource":{}}]}}`), "context.draftOrders.entry[0].resource"},
		"wrong allergy":              {body("allergyintolerance-create", `{`+user+`,"allergyIntolerance":{"resourceType":"Condition"}}`), "context.allergyIntolerance"},
		"no performer":               {body("order-dispatch", `{"patientId":"p1","dispatchedOrders":["ServiceRequest/1"]}`), "context.performer"},
		"prefetch an array":          {body("patient-view", `{`+user+`}`, `,"prefetch":[]`), "prefetch"},
		"fhirServer no URL":          {body("patient-view", `{`+user+`}`, `,"fhirServer":"ehr"`), "fhirServer"},
		"authorization alone":        {body("patient-view", `{`+user+`}`, `,"fhirAuthorization":{"access_token":"t","token_type":"Bearer","expires_in":300,"scope":"s","subject":"s"}`), "fhirServer"},
		"no access_token":            {body("patient-view", `{`+user+`}`, `,"fhirServer":"https://e.test","fhirAuthorization":{"token_type":"Bearer","expires_in":300,"scope":"s","subject":"s"}`), "fhirAuthorization.access_token"},
		"token_type MAC":             {body("patient-view", `{`+user+`}`, `,"fhirServer":"https://e.test","fhirAuthorization":{"access_token":"t","token_type":"MAC","expires_in":300,"scope":"s","subject":"s"}`), "fhirAuthorization.token_type"},
		"expires_in text":            {body("patient-view", `{`+user+`}`, `,"fhirServer":"https://e.test","fhirAuthorization":{"access_token":"t","token_type":"Bearer","expires_in":"300","scope":"s","subject":"s"}`), "fhirAuthorization.expires_in"},
		"another patient's token":    {body("patient-view", `{`+user+`}`, `,"fhirServer":"https://e.test","fhirAuthorization":{"access_token":"t","token_type":"Bearer","expires_in":300,"scope":"s","subject":"s","patient":"p2"}`), "fhirAuthorization.patient"},
		"very deep":                  {strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500), ""},
		"duplicate member":           {`{"hook":"a","hook":"b"}`, ""},
	} {
		_, err := read(tt.text)
		if kind := fhir.KindOf(err); err == nil || kind.Status() != 400 {
			t.Errorf("%s: %v", name, err)
		} else if got := place(err); got != tt.at {
			t.Errorf("%s: at %q, want %q", name, got, tt.at)
		}
	}
}

func TestRequestHidesTokenAndPatient(t *testing.T) {
	r, err := read(body("patient-view", `{`+user+`}`, `,"fhirServer":"https://ehr.test/fhir/","fhirAuthorization":{"access_token":"sesame","token_type":"Bearer","expires_in":300,"scope":"s","subject":"s"}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Token != "sesame" || r.Server != "https://ehr.test/fhir/" {
		t.Errorf("token %q, server %q", r.Token, r.Server)
	}
	for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
		if text := fmt.Sprintf(format, r); strings.Contains(text, "sesame") || strings.Contains(text, "p1") {
			t.Errorf("%s shows %s", format, text)
		}
	}
	expired, err := read(body("patient-view", `{`+user+`}`, `,"fhirServer":"https://ehr.test/fhir","fhirAuthorization":{"access_token":"sesame","token_type":"Bearer","expires_in":-1,"scope":"s","subject":"s"}`))
	if err != nil || expired.Token != "" {
		t.Errorf("an expired token is used: %v %q", err, expired.Token)
	}
}

// Whatever comes, a call is read or refused; it never panics, and a refusal is
// the client's fault.
func FuzzParse(f *testing.F) {
	f.Add(body("patient-view", `{`+user+`}`))
	f.Add(body("order-dispatch", `{"patientId":"p1","order":"ServiceRequest/1","performer":"Organization/2"}`, `,"prefetch":{"a":null}`))
	f.Add(`{"hook":[],"hookInstance":{},"context":0,"prefetch":"","fhirServer":[],"fhirAuthorization":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := read(text); err != nil && fhir.KindOf(err).Status() != 400 {
			t.Errorf("%v", err)
		}
	})
}
