package cds_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"galen/cds"
	"galen/cds/feature"
	"galen/models"
	"galen/models/manifest"
)

// stayCodes are the variables of PhysioNet/CinC 2012 as a hospital would code
// them: system|code and UCUM unit; the fraction of oxygen is sent in percent.
var stayCodes = map[string][2]string{
	"HR": {"8867-4", "/min"}, "RespRate": {"9279-1", "/min"}, "Temp": {"8310-5", "Cel"}, "SaO2": {"2708-6", "%"},
	"SysABP": {"8480-6", "mm[Hg]"}, "NISysABP": {"8480-6", "mm[Hg]"}, "DiasABP": {"8462-4", "mm[Hg]"}, "NIDiasABP": {"8462-4", "mm[Hg]"},
	"MAP": {"8478-0", "mm[Hg]"}, "NIMAP": {"8478-0", "mm[Hg]"}, "GCS": {"9269-2", "{score}"}, "FiO2": {"3150-6", "%"}, "Urine": {"9187-6", "mL"},
	"pH": {"2744-1", "[pH]"}, "PaO2": {"2703-7", "mm[Hg]"}, "PaCO2": {"2019-8", "mm[Hg]"}, "Lactate": {"2524-7", "mmol/L"}, "BUN": {"3094-0", "mg/dL"},
	"Creatinine": {"2160-0", "mg/dL"}, "Na": {"2951-2", "mmol/L"}, "K": {"2823-3", "mmol/L"}, "HCO3": {"1963-8", "mmol/L"}, "Glucose": {"2345-7", "mg/dL"},
	"Mg": {"19123-9", "mg/dL"}, "Albumin": {"1751-7", "g/dL"}, "Bilirubin": {"1975-2", "mg/dL"}, "ALT": {"1742-6", "U/L"}, "AST": {"1920-8", "U/L"},
	"ALP": {"6768-6", "U/L"}, "Cholesterol": {"2093-3", "mg/dL"}, "WBC": {"6690-2", "10*3/uL"}, "HCT": {"4544-3", "%"}, "Platelets": {"777-3", "10*3/uL"},
	"TroponinI": {"10839-9", "ug/L"}, "TroponinT": {"6598-7", "ug/L"}, "Weight": {"29463-7", "kg"}, "Height": {"8302-2", "cm"},
}

var admitted = time.Date(2026, 3, 1, 7, 40, 0, 0, time.UTC)

// stay makes a record of one file of the challenge: a patient, an Encounter and
// Observations.
func stay(t *testing.T, id, text string) feature.Evidence {
	t.Helper()
	ev := feature.Evidence{PatientID: id}
	add := func(body string) {
		ev.Items = append(ev.Items, item(t, body))
	}
	add(`{"resourceType":"Encounter","id":"e","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/` + id + `"},"period":{"start":"` + admitted.Format(time.RFC3339) + `"}}`)
	fixed := map[string]string{}
	for n, line := range strings.Fields(text)[1:] {
		part := strings.Split(line, ",")
		clock, name, value := part[0], part[1], part[2]
		hour, minute, _ := strings.Cut(clock, ":")
		h, err1 := strconv.Atoi(hour)
		m, err2 := strconv.Atoi(minute)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		when := admitted.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute).Format(time.RFC3339)
		if _, ok := fixed[name]; !ok {
			fixed[name] = value
		} else if name == "Height" {
			continue // training takes the first
		}
		head := `{"resourceType":"Observation","id":"o` + strconv.Itoa(n) + `","status":"final","subject":{"reference":"Patient/` + id + `"},"effectiveDateTime":"` + when + `",`
		if name == "MechVent" {
			add(head + `"code":{"coding":[{"system":"http://snomed.info/sct","code":"40617009"}]},"valueBoolean":true}`)
			continue
		}
		code, ok := stayCodes[name]
		if !ok {
			continue
		}
		if name == "FiO2" {
			x, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			value = strconv.FormatFloat(x*100, 'f', -1, 64)
		}
		add(head + `"code":{"coding":[{"system":"http://loinc.org","code":"` + code[0] + `"}]},"valueQuantity":{"value":` + value + `,"unit":"` + code[1] + `","system":"http://unitsofmeasure.org","code":"` + code[1] + `"}}`)
	}
	age, err := strconv.ParseFloat(fixed["Age"], 64)
	if err != nil {
		t.Fatal(err)
	}
	gender := map[string]string{"0": `,"gender":"female"`, "1": `,"gender":"male"`}[fixed["Gender"]]
	born := admitted.AddDate(-int(age), 0, -1).Format(time.DateOnly)
	ev.Patient = item(t, `{"resourceType":"Patient","id":"`+id+`","birthDate":"`+born+`"`+gender+`}`)
	return ev
}

// What Go makes of real stays, sent as FHIR, is to eight places what Python
// made of them for training, and so is the risk, within 1e-6: no skew between
// training and serving.
func TestNoSkew(t *testing.T) {
	data, err := os.Open(filepath.FromSlash("../../shared/data/training/physionet2012/set-a.tar.gz"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("skipped: ../shared not found")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = data.Close() }()
	text, err := os.ReadFile("../models/training/icu-mortality-gru/skew.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Series string
		Risk   float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	model := must(b.zoo.Acquire(models.Ref{Name: "icu-mortality-gru"}))(t)
	defer model.Release()
	checked := 0
	for files := tar.NewReader(must(gzip.NewReader(data))(t)); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSuffix(filepath.Base(h.Name), ".txt")
		expected, ok := want[id]
		if !ok {
			continue
		}
		checked++
		ev := stay(t, id, string(must(io.ReadAll(files))(t)))
		if got := seriesDigest(b, model.Info().Manifest, ev); got != expected.Series {
			t.Errorf("stay %s: the series is another", id)
		}
		a := must(b.engine.Assess(t.Context(), model, ev, admitted.Add(48*time.Hour)))(t)
		if a.Status != cds.Assessed {
			t.Errorf("stay %s: %s %s", id, a.Status, a.Reason)
			continue
		}
		p := a.Headline()
		if math.Abs(p.Value-expected.Risk) > 1e-6 {
			t.Errorf("stay %s: risk %v, want %v", id, p.Value, expected.Risk)
		}
		if n := len(p.Trajectory); n != 48 || p.Trajectory[47].Value != p.Value || !p.Trajectory[47].At.Equal(a.At) {
			t.Errorf("stay %s: a trajectory of %d hours", id, n)
		}
	}
	if checked != len(want) {
		t.Errorf("%d of %d stays", checked, len(want))
	}
}

// seriesDigest is what make.py writes of a stay.
func seriesDigest(b *bench, m *manifest.Manifest, ev feature.Evidence) string {
	s := m.Series()
	var features []*manifest.Feature
	for _, name := range s.Features {
		f, _ := m.Feature(name)
		features = append(features, f)
	}
	got := feature.New(b.units).Series(features, s, ev, admitted.Add(48*time.Hour), admitted)
	var cells []string
	for step := range int(s.Length) {
		for f := range features {
			if x := got.Steps[f][step]; math.IsNaN(x) {
				cells = append(cells, "")
			} else {
				cells = append(cells, fmt.Sprintf("%.8f", x))
			}
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(cells, ",")))
	return hex.EncodeToString(sum[:])
}

// Ten hours into a stay the risk is that of the tenth hour, and the trajectory
// goes no further.
func TestRiskAsOfNow(t *testing.T) {
	b := newBench(t)
	model := must(b.zoo.Acquire(models.Ref{Name: "icu-mortality-gru"}))(t)
	defer model.Release()
	ev := stay(t, "p", "Time,Parameter,Value 00:00,Age,70 00:00,Gender,1 00:10,HR,120 00:10,SysABP,85 00:20,GCS,8 01:00,Creatinine,3.1 04:00,HR,90 04:00,SysABP,120 04:00,Creatinine,1.1 20:00,HR,200")
	early := must(b.engine.Assess(t.Context(), model, ev, admitted.Add(10*time.Hour+30*time.Minute)))(t)
	if early.Status != cds.Assessed || len(early.Headline().Trajectory) != 11 || early.Headline().Value != early.Headline().Trajectory[10].Value {
		t.Fatalf("%s %s: %+v", early.Status, early.Reason, early.Headline())
	}
	if hr := early.Features[0]; hr.Number != 90 {
		t.Errorf("heart rate %v: what comes later counts", hr.Number)
	}
	// Without an Encounter the first value stands for the beginning, and that is said.
	ev.Items = ev.Items[1:]
	guess := must(b.engine.Assess(t.Context(), model, ev, admitted.Add(10*time.Hour+30*time.Minute)))(t)
	if guess.Status != cds.Assessed || len(guess.Headline().Trajectory) != 11 {
		t.Errorf("%s %s: %+v", guess.Status, guess.Reason, guess.Headline())
	}
	noted := false
	for _, v := range guess.Features {
		noted = noted || strings.Contains(v.Note, "counted from the first value")
	}
	if !noted {
		t.Error("nobody is told that the beginning is a guess")
	}
	// Nothing measured is no risk of nothing.
	none := must(b.engine.Assess(t.Context(), model, feature.Evidence{PatientID: "p", Patient: ev.Patient}, admitted))(t)
	if none.Status != cds.NotAssessable {
		t.Errorf("%s: %+v", none.Status, none.Headline())
	}
}
