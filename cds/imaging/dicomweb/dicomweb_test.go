package dicomweb_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"galen/cds/imaging/dicomweb"
	"galen/cds/imaging/pixel"
	"galen/fhir"
)

// related answers with one part.
func related(w http.ResponseWriter, kind string, body []byte) {
	var out bytes.Buffer
	m := multipart.NewWriter(&out)
	part, err := m.CreatePart(textproto.MIMEHeader{"Content-Type": {kind}})
	if err == nil {
		_, err = part.Write(body)
	}
	if err != nil || m.Close() != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", `multipart/related; type="application/octet-stream"; boundary=`+m.Boundary())
	_, _ = w.Write(out.Bytes())
}

const metadata = `[{"00080018":{"vr":"UI","Value":["1.2.3"]},"00080060":{"vr":"CS","Value":["DX"]},"00185101":{"vr":"CS","Value":["PA"]},
	"00280002":{"vr":"US","Value":[1]},"00280004":{"vr":"CS","Value":["MONOCHROME2 "]},"00280010":{"vr":"US","Value":[2]},"00280011":{"vr":"US","Value":[3]},
	"00280100":{"vr":"US","Value":[8]},"00280101":{"vr":"US","Value":[8]},"00280102":{"vr":"US","Value":[7]},"00280103":{"vr":"US","Value":[0]},
	"00281050":{"vr":"DS","Value":["127.5",40]},"00281051":{"vr":"DS","Value":[256]},"00280301":{"vr":"CS","Value":["YES"]},"00282110":{"vr":"CS","Value":["01"]},
	"00280008":{"vr":"IS","Value":["4"]},"00280120":{"vr":"US","Value":[7]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Nobody"}]}}]`

func TestRead(t *testing.T) {
	transcodes := true
	archive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/dicom-web/studies/1/series/2/metadata":
			_, _ = fmt.Fprint(w, metadata)
		case r.URL.Path == "/dicom-web/studies/1/series/9/metadata":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case r.URL.Path != "/dicom-web/studies/1/series/2/instances/1.2.3/frames/1":
			w.WriteHeader(http.StatusNotFound)
		case transcodes:
			related(w, "application/octet-stream", []byte{1, 2, 3})
		case strings.HasSuffix(r.Header.Get("Accept"), "transfer-syntax=*"):
			related(w, "image/jp2", []byte{4})
		default:
			w.WriteHeader(http.StatusNotAcceptable)
		}
	}))
	defer archive.Close()
	base := archive.URL + "/dicom-web"
	c := dicomweb.New([]dicomweb.Server{{URL: base, Token: func() (string, error) { return "secret", nil }}})
	defer func() { _ = c.Close() }()

	list, err := c.Series(t.Context(), base+"/", "1", "2")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	i := list[0]
	if i.UID != "1.2.3" || i.Modality != "DX" || i.View != "PA" || !i.BurnedIn || !i.Lossy || i.Frames != 4 ||
		i.Format.Rows != 2 || i.Format.Columns != 3 || i.Format.Photometric != "MONOCHROME2" || *i.Format.Center != 127.5 || *i.Format.Width != 256 || *i.Format.Padding != 7 {
		t.Errorf("%+v", i)
	}
	frame, syntax, err := c.Frame(t.Context(), base, "1", "2", "1.2.3")
	if err != nil || syntax != pixel.ExplicitLittleEndian || !bytes.Equal(frame, []byte{1, 2, 3}) {
		t.Errorf("%v, %s, %v", frame, syntax, err)
	}
	// An archive that cannot decode is asked for what it has.
	transcodes = false
	frame, syntax, err = c.Frame(t.Context(), base, "1", "2", "1.2.3")
	if err != nil || syntax != "image/jp2" || !bytes.Equal(frame, []byte{4}) {
		t.Errorf("%v, %s, %v", frame, syntax, err)
	}
	for name, tt := range map[string]struct {
		base, series string
		kind         fhir.Kind
	}{
		"not there":               {base, "3", fhir.NotFound},
		"no redirect":             {base, "9", fhir.Unavailable},
		"a server not listed":     {"http://127.0.0.1:1/dicom-web", "2", fhir.Unavailable},
		"a neighbour of a listed": {base + "-other", "2", fhir.Unavailable},
	} {
		if _, err := c.Series(t.Context(), tt.base, "1", tt.series); fhir.KindOf(err) != tt.kind || err == nil {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the token is in %v", name, err)
		}
	}
	for address, want := range map[string]bool{base: true, base + "/": true, base + "-other": false, base + "/../admin": false, base + "/%2e%2e/admin": false, base + "/x?y=": false, base + "/x": false} {
		if c.Listed(address) != want {
			t.Errorf("%s: listed %v", address, !want)
		}
	}
}

func TestUID(t *testing.T) {
	for text, want := range map[string]bool{"1.2.840.10008": true, "": false, "1/../2": false, "1..2": false, ".": false, ".1": false, "1.": false, "1.02": false, "1.0.2": true, "1.2 ": false, strings.Repeat("1", 65): false} {
		if dicomweb.UID(text) != want {
			t.Errorf("%q", text)
		}
	}
}
