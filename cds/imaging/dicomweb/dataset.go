package dicomweb

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"galen/cds/imaging/pixel"
)

// Instance is what the metadata say of one image.
type Instance struct {
	UID, SOPClass  string
	Study          string // Study Instance UID
	Modality, View string // (0008,0060), (0018,5101)
	BurnedIn       bool   // (0028,0301) is YES
	Lossy          bool   // (0028,2110) is 01
	Frames         int    // (0028,0008), at least 1
	Format         pixel.Format
}

// dataset is a data set in the DICOM JSON model (PS3.18 annex F), by tag.
type dataset map[string]element

type element struct {
	Value []json.RawMessage `json:"Value"`
}

// text is the first value of an attribute, "" if it has none. Numbers may stand
// as numbers or as text.
func (d dataset) text(tag string) string {
	list := d[tag].Value
	if len(list) == 0 {
		return ""
	}
	var s string
	if json.Unmarshal(list[0], &s) == nil {
		return strings.TrimSpace(s)
	}
	return string(list[0])
}

func (d dataset) number(tag string) *float64 {
	x, err := strconv.ParseFloat(d.text(tag), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// whole is a number that is whole and small, 0 if there is none.
func (d dataset) whole(tag string) int {
	n, err := strconv.ParseInt(d.text(tag), 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

func (d dataset) instance() Instance {
	out := Instance{
		UID: d.text("00080018"), Study: d.text("0020000D"), SOPClass: d.text("00080016"), Modality: d.text("00080060"), View: d.text("00185101"),
		BurnedIn: d.text("00280301") == "YES", Lossy: d.text("00282110") == "01", Frames: max(d.whole("00280008"), 1),
		Format: pixel.Format{
			Rows: d.whole("00280010"), Columns: d.whole("00280011"), Samples: d.whole("00280002"), Photometric: d.text("00280004"),
			BitsAllocated: d.whole("00280100"), BitsStored: d.whole("00280101"), HighBit: d.whole("00280102"), Signed: d.whole("00280103") == 1,
			Slope: d.number("00281053"), Intercept: d.number("00281052"), Center: d.number("00281050"), Width: d.number("00281051"),
			Function: d.text("00281056"), LookUp: len(d["00283000"].Value) > 0 || len(d["00283010"].Value) > 0,
		},
	}
	if _, ok := d["00280120"]; ok {
		padding := d.whole("00280120")
		out.Format.Padding = &padding
	}
	return out
}
