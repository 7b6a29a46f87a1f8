package main

import (
	"bytes"
	"fmt"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// archive is a DICOMweb server with one image of 56 × 56 pixels that the tests
// may change.
type archive struct {
	*httptest.Server
	metadata string
	asked    int
}

// twoFields is the image: two dark fields on grey, each pixel four times.
func twoFields() []byte {
	out := make([]byte, 56*56)
	for y := range 56 {
		for x := range 56 {
			fx, fy := float64(x/2)/27, float64(y/2)/27
			dark := math.Exp(-((fx-0.3)*(fx-0.3)+(fy-0.5)*(fy-0.5))*30) + math.Exp(-((fx-0.7)*(fx-0.7)+(fy-0.5)*(fy-0.5))*30)
			out[y*56+x] = byte(math.Round(255 * min(max(0.7-0.5*dark, 0), 1)))
		}
	}
	return out
}

const fittingImage = `[{"00080018":{"Value":["1.2.3.4"]},"00080060":{"Value":["DX"]},"00185101":{"Value":["AP"]},"00280002":{"Value":[1]},"00280004":{"Value":["MONOCHROME2"]},
	"00280010":{"Value":[56]},"00280011":{"Value":[56]},"00280100":{"Value":[8]},"00280101":{"Value":[8]},"00280102":{"Value":[7]},"00280103":{"Value":[0]}}]`

func startArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{metadata: fittingImage}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked++
		if strings.HasSuffix(r.URL.Path, "/metadata") {
			_, _ = fmt.Fprint(w, a.metadata)
			return
		}
		var out bytes.Buffer
		m := multipart.NewWriter(&out)
		part, err := m.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/octet-stream"}})
		if err == nil {
			_, err = part.Write(twoFields())
		}
		if err != nil || m.Close() != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", `multipart/related; boundary=`+m.Boundary())
		_, _ = w.Write(out.Bytes())
	}))
	t.Cleanup(a.Close)
	return a
}

// A chest radiograph goes from ImagingStudy and Endpoint by way of the archive
// into the network and comes back as a RiskAssessment that cites the study; what
// does not fit is refused with the reason.
func TestImagingStudy(t *testing.T) {
	a := startArchive(t)
	servers := filepath.Join(t.TempDir(), "archives.yaml")
	if err := os.WriteFile(servers, []byte("- url: "+a.URL+"/dicom-web\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, stop := start(t, t.TempDir(), func(o *options) { o.archives = servers })
	defer stop()
	admin, clinician := g.token("admin"), g.token("clinician")
	put := func(path, body string) { g.want(201, "PUT", "/fhir/"+path, admin, body) }
	put("Patient/child", `{"resourceType":"Patient","id":"child","birthDate":"2023-05-01"}`)
	endpoint := func(id, address string) {
		put("Endpoint/"+id, `{"resourceType":"Endpoint","id":"`+id+`","status":"active","connectionType":{"system":"http://terminology.hl7.org/CodeSystem/endpoint-connection-type","code":"dicom-wado-rs"},"payloadType":[{"text":"DICOM"}],"address":"`+address+`"}`)
	}
	endpoint("pacs", a.URL+"/dicom-web")
	endpoint("stranger", "http://127.0.0.1:9/dicom-web")
	study := func(patient, endpoint, modality string) string {
		return `{"resourceType":"ImagingStudy","id":"s-` + patient + `","status":"available","subject":{"reference":"Patient/` + patient + `"},"started":"2026-11-01T08:00:00Z",
			"identifier":[{"system":"urn:dicom:uid","value":"urn:oid:1.2.3"}],"endpoint":[{"reference":"Endpoint/` + endpoint + `"}],
			"series":[{"uid":"1.2.3.1","modality":{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"` + modality + `"},"instance":[{"uid":"1.2.3.4","sopClass":{"system":"urn:ietf:rfc:3986","code":"urn:oid:1.2.840.10008.5.1.4.1.1.1.1"}}]}]}`
	}
	put("ImagingStudy/s-child", study("child", "pacs", "DX"))
	const assess = "/$assess?model=cxr-pneumonia-cnn"
	risk := g.want(201, "POST", "/fhir/Patient/child"+assess, clinician, "")
	percent, err := strconv.ParseFloat(risk.Get("prediction").Item(0).Get("probabilityDecimal").Text(), 64)
	if err != nil || percent <= 0 || percent >= 100 {
		t.Errorf("RiskAssessment %s", risk.Raw())
	}
	for _, want := range []string{`"ImagingStudy/s-child/_history/1"`, `"Endpoint/pacs/_history/1"`, "SOP instance 1.2.3.4"} {
		if !strings.Contains(string(risk.Raw()), want) {
			t.Errorf("%s is not in %s", want, risk.Raw())
		}
	}
	// The same pixels as the golden case "two dark fields", twice as large: the area
	// mean is that very image but for the rounding to 8 bits.
	golden := g.want(200, "POST", "/v2/models/cxr-pneumonia-cnn/infer", clinician, twoFieldsInfer())
	direct, err := strconv.ParseFloat(golden.Get("outputs").Item(0).Get("data").Item(0).Text(), 64)
	if err != nil || math.Abs(direct*100-percent) > 1e-4 {
		t.Errorf("by the archive %v %%, by /v2 %v", percent, direct)
	}
	if again := g.want(200, "GET", "/fhir/RiskAssessment/"+risk.Get("id").Text()+"/$replay", clinician, ""); parameter(again, "equal") != "true" {
		t.Errorf("replay: %s", again.Raw())
	}

	refused := func(patient, reason string) {
		t.Helper()
		if answer := g.want(422, "POST", "/fhir/Patient/"+patient+assess, clinician, ""); !strings.Contains(string(answer.Raw()), reason) {
			t.Errorf("%s: %s", reason, answer.Raw())
		}
	}
	for metadata, reason := range map[string]string{
		`"DX"`: "another modality", `"AP"`: "another view", `"00280010":{"Value":[56]}`: "shorter than its rows", `"MONOCHROME2"`: "not monochrome",
	} {
		a.metadata = strings.Replace(fittingImage, metadata, map[string]string{
			`"DX"`: `"CT"`, `"AP"`: `"LL"`, `"00280010":{"Value":[56]}`: `"00280010":{"Value":[560]}`, `"MONOCHROME2"`: `"PALETTE COLOR"`,
		}[metadata], 1)
		refused("child", reason)
	}
	a.metadata = strings.Replace(fittingImage, `"00280103"`, `"00280301":{"Value":["YES"]},"00280103"`, 1)
	refused("child", "burned in")

	a.metadata = strings.Replace(fittingImage, `"1.2.3.4"`, `"1.2.3.5"`, 1)
	refused("child", "does not list the image")

	put("Patient/none", `{"resourceType":"Patient","id":"none"}`)
	refused("none", "imaging study missing")
	put("Patient/ct", `{"resourceType":"Patient","id":"ct"}`)
	put("ImagingStudy/s-ct", study("ct", "pacs", "CT"))
	refused("ct", "another modality")
	put("Patient/far", `{"resourceType":"Patient","id":"far"}`)
	put("ImagingStudy/s-far", study("far", "stranger", "DX"))
	before := a.asked
	refused("far", "not among the servers")
	if a.asked != before {
		t.Error("an archive was asked for a study that lies elsewhere")
	}
	a.Close()
	g.want(503, "POST", "/fhir/Patient/child"+assess, clinician, "")
}

// twoFieldsInfer is the image as an inference request, averaged by hand.
func twoFieldsInfer() string {
	pixels := twoFields()
	data := make([]string, 0, 28*28)
	for y := range 28 {
		for x := range 28 {
			data = append(data, strconv.FormatFloat(float64(pixels[2*y*56+2*x])/255, 'g', -1, 64))
		}
	}
	return `{"inputs":[{"name":"image","shape":[1,1,28,28],"datatype":"FP32","data":[` + strings.Join(data, ",") + `]}]}`
}
