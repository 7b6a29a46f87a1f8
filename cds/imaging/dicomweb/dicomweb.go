// Package dicomweb reads images from a DICOMweb archive: the metadata of a series
// and single frames (WADO-RS, DICOM PS3.18 chapter 10).
//
// It goes to the servers that the operator lists and nowhere else, follows no
// redirects, and sends a server's token to that server alone. Archives are asked
// for uncompressed pixels; one that cannot decode is asked for what it has.
// Answers are bounded in bytes and time. Errors name no patient and no UID.
package dicomweb

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"galen/cds/imaging/pixel"
	"galen/fhir"
)

// Server is an archive that may be read.
type Server struct {
	URL   string                 // base of its DICOMweb services, without a slash at its end
	TLS   *tls.Config            // nil for the system's roots
	Token func() (string, error) // bearer token; nil for none
}

// Client reads from archives. It is safe for concurrent use; Close it when done.
type Client struct {
	servers []Server
	http    []*http.Client
}

// The limits of one answer.
const (
	timeout     = 20 * time.Second
	maxMetadata = 32 << 20
	maxFrame    = 128 << 20
)

// New returns a Client of these servers.
func New(servers []Server) *Client {
	c := &Client{servers: servers}
	for _, s := range servers {
		c.http = append(c.http, &http.Client{
			Timeout:       timeout,
			Transport:     &http.Transport{TLSClientConfig: s.TLS, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		})
	}
	return c
}

// Close ends idle connections.
func (c *Client) Close() error {
	for _, h := range c.http {
		h.CloseIdleConnections()
	}
	return nil
}

// Listed reports whether an address is that of a listed server, as it was listed:
// nobody who may write an Endpoint leads elsewhere on that host.
func (c *Client) Listed(base string) bool { return c.index(base) >= 0 }

func (c *Client) index(base string) int {
	return slices.IndexFunc(c.servers, func(s Server) bool { return s.URL == strings.TrimRight(base, "/") })
}

// uid is a DICOM UID (PS3.5 chapter 9): numbers without leading zeros, parted by
// dots.
var uid = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*$`)

// UID reports whether a text is a DICOM UID, and so may stand in a path.
func UID(text string) bool { return len(text) <= 64 && uid.MatchString(text) }

// Series are the instances of one series, in the order of the archive. Errors:
// NotFound, and Unavailable when the archive does not answer as it should.
func (c *Client) Series(ctx context.Context, base, study, series string) ([]Instance, error) {
	body, _, err := c.get(ctx, base, "/studies/"+study+"/series/"+series+"/metadata", "application/dicom+json", maxMetadata)
	if err != nil {
		return nil, err
	}
	var list []dataset
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, unavailable("the metadata are not DICOM JSON")
	}
	out := make([]Instance, len(list))
	for i := range list {
		out[i] = list[i].instance()
	}
	return out, nil
}

// Frame reads the first frame of an instance and says in which transfer syntax it
// is. Errors as Series.
func (c *Client) Frame(ctx context.Context, base, study, series, instance string) ([]byte, string, error) {
	path := "/studies/" + study + "/series/" + series + "/instances/" + instance + "/frames/1"
	body, kind, err := c.get(ctx, base, path, `multipart/related; type="application/octet-stream"; transfer-syntax=`+pixel.ExplicitLittleEndian, maxFrame)
	if err != nil && fhir.KindOf(err) == fhir.Unavailable {
		body, kind, err = c.get(ctx, base, path, `multipart/related; type="application/octet-stream"; transfer-syntax=*`, maxFrame)
	}
	if err != nil {
		return nil, "", err
	}
	_, params, err := mime.ParseMediaType(kind)
	if err != nil || params["boundary"] == "" {
		return nil, "", unavailable("the frame is not multipart")
	}
	part, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).NextPart()
	if err != nil {
		return nil, "", unavailable("the frame is not multipart")
	}
	frame, err := io.ReadAll(part)
	if err != nil {
		return nil, "", unavailable("the frame ends early")
	}
	return frame, syntax(part.Header.Get("Content-Type")), nil
}

// syntax is the transfer syntax of a part by its media type (PS3.18, table 8.7.3-5).
func syntax(kind string) string {
	name, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return pixel.ExplicitLittleEndian
	}
	if uid := params["transfer-syntax"]; uid != "" {
		return uid
	}
	switch name {
	case "image/jpeg":
		return pixel.JPEGBaseline
	case "image/dicom-rle", "image/x-dicom-rle":
		return pixel.RLE
	case "application/octet-stream":
		return pixel.ExplicitLittleEndian
	}
	return name
}

func unavailable(reason string) error {
	return fhir.E("dicomweb.get", fhir.Unavailable, "", "the image archive: "+reason)
}

func (c *Client) get(ctx context.Context, base, path, accept string, limit int64) (body []byte, kind string, err error) {
	i := c.index(base)
	if i < 0 {
		return nil, "", unavailable("its address is not among the servers that may be read")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+path, nil)
	if err != nil {
		return nil, "", unavailable("its address is no URL")
	}
	req.Header.Set("Accept", accept)
	if token := c.servers[i].Token; token != nil {
		text, err := token()
		if err != nil {
			return nil, "", unavailable("its token cannot be read")
		}
		req.Header.Set("Authorization", "Bearer "+text)
	}
	res, err := c.http[i].Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, "", fhir.E("dicomweb.get", fhir.Timeout, "", "the image archive does not answer in time")
		}
		return nil, "", unavailable("it does not answer")
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusNotFound:
		return nil, "", fhir.E("dicomweb.get", fhir.NotFound, "", "the image archive does not have the image")
	case res.StatusCode != http.StatusOK:
		return nil, "", unavailable("it refuses the request")
	}
	if body, err = io.ReadAll(io.LimitReader(res.Body, limit+1)); err != nil {
		return nil, "", unavailable("its answer ends early")
	}
	if int64(len(body)) > limit {
		return nil, "", unavailable("its answer is too large")
	}
	return body, res.Header.Get("Content-Type"), nil
}
