// Package imaging finds the image that a model asks for: from ImagingStudy by way
// of its Endpoint to the archive, the fitting series and instance, and their
// pixels as grey values.
//
// What does not fit (another modality, body part or view, annotations burned into
// the image, pixels that are not understood) is never used, and the reason is
// said. Nothing of an image is kept.
//
// It knows FHIR and DICOM attributes, and nothing of tensors or models.
package imaging

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"galen/cds/feature"
	"galen/cds/imaging/dicomweb"
	"galen/cds/imaging/pixel"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/models/manifest"
)

// Picture is one image as a model takes it.
type Picture struct {
	Grey     []float64 // 0 black to 1 white, row by row, of the size asked for
	Citation string    // of the ImagingStudy
	Endpoint string    // citation of the Endpoint
	Instance string    // SOP instance UID
	Notes    []string  // for people: what to know of the image
}

// Archive is where pixels come from; dicomweb.Client is one.
type Archive interface {
	Listed(base string) bool
	Series(ctx context.Context, base, study, series string) ([]dicomweb.Instance, error)
	Frame(ctx context.Context, base, study, series, instance string) (frame []byte, syntax string, err error)
}

// Finder finds images. It is safe for concurrent use if its Archive is.
type Finder struct{ Archive Archive }

// candidate is one series that may hold the image.
type candidate struct {
	item       *feature.Item
	endpoint   *feature.Item
	base       string
	study, uid string
	modality   string
	instances  []string // that the ImagingStudy lists; none is any
	started    time.Time
}

// Find returns the newest image that fits, or, with a zero Picture, why there is
// none. An error, of Kind Unavailable or Timeout, says that an archive could not
// be asked.
func (f Finder) Find(ctx context.Context, want *manifest.Image, ev feature.Evidence, at time.Time) (Picture, string, error) {
	reason := "an imaging study missing"
	for _, c := range f.candidates(want, ev, at, &reason) {
		instances, err := f.Archive.Series(ctx, c.base, c.study, c.uid)
		if fhir.KindOf(err) == fhir.NotFound && err != nil {
			reason = "the image archive does not have the image"
			continue
		}
		if err != nil {
			return Picture{}, "", err
		}
		for _, i := range instances {
			if why := unfit(want, c, i); why != "" {
				reason = why
				continue
			}
			p, err := f.picture(ctx, want, c, i)
			switch kind := fhir.KindOf(err); {
			case err == nil:
				return p, "", nil
			case kind == fhir.NotSupported:
				reason = reasonOf(err)
			default:
				return Picture{}, "", err
			}
		}
	}
	return Picture{}, reason, nil
}

func reasonOf(err error) string {
	if issues := fhir.IssuesOf(err); len(issues) > 0 {
		return issues[0].Diagnostics
	}
	return "the image cannot be read"
}

// candidates are the series of the patient's studies that may fit, newest first.
func (f Finder) candidates(want *manifest.Image, ev feature.Evidence, at time.Time, reason *string) []candidate {
	var out []candidate
	for i := range ev.Items {
		it := &ev.Items[i]
		root := it.Resource.Root()
		if it.Resource.Type != "ImagingStudy" || fhir.ParseReference(root.Get("subject").Get("reference").Text()).Key != (fhir.Key{Type: "Patient", ID: ev.PatientID}) {
			continue
		}
		started, why := f.study(want, root, at)
		if why != "" {
			*reason = why
			continue
		}
		for s := range root.Get("series").Items() {
			c := candidate{item: it, study: studyUID(root), uid: s.Get("uid").Text(), modality: s.Get("modality").Get("code").Text(), started: started}
			for i := range s.Get("instance").Items() {
				c.instances = append(c.instances, i.Get("uid").Text())
			}
			if why := f.series(want, ev, root, s, &c); why != "" {
				*reason = why
				continue
			}
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return b.started.Compare(a.started) })
	return out
}

// study says why a study does not count, or when it was.
func (f Finder) study(want *manifest.Image, root jsontree.Node, at time.Time) (time.Time, string) {
	if status := root.Get("status").Text(); status != "available" && status != "registered" {
		return time.Time{}, "the imaging study is not available"
	}
	if !dicomweb.UID(studyUID(root)) {
		return time.Time{}, "the imaging study has no DICOM UID (identifier urn:dicom:uid)"
	}
	period, _, err := fhir.ParseDateTime(root.Get("started").Text(), time.UTC)
	started := period.Low.Time()
	switch {
	case err != nil && !want.Window.IsZero():
		return started, "the imaging study has no time"
	case err != nil:
		return time.Time{}, ""
	case started.After(at):
		return started, "the imaging study lies after the time of assessment"
	case !want.Window.IsZero() && started.Before(want.Window.Before(at)):
		return started, "the imaging study is too old"
	}
	return started, ""
}

// studyUID is the Study Instance UID: an identifier of system urn:dicom:uid with a
// value urn:oid:… (https://hl7.org/fhir/R4/imagingstudy.html#notes).
func studyUID(root jsontree.Node) string {
	for id := range root.Get("identifier").Items() {
		if uid, ok := strings.CutPrefix(id.Get("value").Text(), "urn:oid:"); ok {
			return uid
		}
		if id.Get("system").Text() == "urn:dicom:uid" {
			return id.Get("value").Text()
		}
	}
	return ""
}

// series says why a series does not count, or fills in where it is.
func (f Finder) series(want *manifest.Image, ev feature.Evidence, study, s jsontree.Node, c *candidate) string {
	switch {
	case !dicomweb.UID(c.uid):
		return "a series of the imaging study has no DICOM UID"
	case c.modality != "" && !slices.Contains(want.Modality, c.modality):
		return "the imaging study is of another modality"
	}
	if site := s.Get("bodySite"); site.Exists() && len(want.BodySite) > 0 && !slices.ContainsFunc(want.BodySite, func(b manifest.Coding) bool {
		return b.System == site.Get("system").Text() && b.Code == site.Get("code").Text()
	}) {
		return "the imaging study is of another part of the body"
	}
	why := "the imaging study names no DICOMweb endpoint (dicom-wado-rs)"
	for _, list := range []jsontree.Node{s.Get("endpoint"), study.Get("endpoint")} {
		for ref := range list.Items() {
			item, base := endpoint(ev, ref.Get("reference").Text())
			switch {
			case item == nil:
			case !f.Archive.Listed(base):
				why = "the imaging study's endpoint is not among the servers that may be read"
			default:
				c.endpoint, c.base = item, base
				return ""
			}
		}
	}
	return why
}

// endpoint is the Endpoint of a reference, nil if it is not in use, not here or of
// another kind.
func endpoint(ev feature.Evidence, reference string) (*feature.Item, string) {
	key := fhir.ParseReference(reference).Key
	for i := range ev.Items {
		r := ev.Items[i].Resource
		root := r.Root()
		if r.Type != "Endpoint" || r.Key != key {
			continue
		}
		if root.Get("connectionType").Get("code").Text() == "dicom-wado-rs" && root.Get("status").Text() == "active" {
			return &ev.Items[i], root.Get("address").Text()
		}
	}
	return nil, ""
}

// unfit says why an instance is not what is asked for. What its metadata do not
// say is taken from the study.
func unfit(want *manifest.Image, c candidate, i dicomweb.Instance) string {
	switch {
	case !dicomweb.UID(i.UID):
		return "an image has no DICOM UID"
	case i.Study != "" && i.Study != c.study:
		return "the archive answers with another study"
	case len(c.instances) > 0 && !slices.Contains(c.instances, i.UID):
		return "the imaging study does not list the image that the archive has"
	case !slices.Contains(want.Modality, cmp.Or(i.Modality, c.modality)):
		return "the image is of another modality"
	case len(want.SOPClass) > 0 && !slices.Contains(want.SOPClass, i.SOPClass):
		return "the image is of another SOP class"
	case i.View != "" && len(want.View) > 0 && !slices.Contains(want.View, i.View):
		return "the image is of another view"
	case i.BurnedIn:
		return "the image has annotations burned in"
	case i.Frames > 1:
		return "the image has several frames"
	}
	return ""
}

// picture reads the pixels.
func (f Finder) picture(ctx context.Context, want *manifest.Image, c candidate, i dicomweb.Instance) (Picture, error) {
	frame, syntax, err := f.Archive.Frame(ctx, c.base, c.study, c.uid, i.UID)
	if err != nil {
		return Picture{}, err
	}
	grey, err := pixel.Decode(i.Format, frame, syntax)
	if err == nil {
		grey, err = pixel.Fit(grey, i.Format.Rows, i.Format.Columns, int(want.Height), int(want.Width))
	}
	p := Picture{Grey: grey, Citation: c.item.Citation, Endpoint: c.endpoint.Citation, Instance: i.UID}
	p.Notes = append(p.Notes, "Image: SOP instance "+i.UID+".")
	if i.Lossy {
		p.Notes = append(p.Notes, "The image was compressed with loss.")
	}
	if i.View == "" && len(want.View) > 0 {
		p.Notes = append(p.Notes, "The image does not say its view; a frontal one is assumed.")
	}
	return p, err
}
