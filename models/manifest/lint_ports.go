package manifest

import (
	"math"
	"slices"
)

func (l *linter) inputs() {
	l.need(len(l.m.Inputs) > 0, "inputs", "want at least one")
	names := make([]string, len(l.m.Inputs))
	used := map[string]bool{}
	for i, in := range l.m.Inputs {
		key := at("inputs", i)
		names[i] = in.Name
		l.tensor(key, in.DType, in.Shape)
		l.source(key, &l.m.Inputs[i], used)
	}
	l.names("inputs", portPattern, names)
	for i := range l.m.Features {
		name := l.m.Features[i].Name
		l.need(used[name] || l.limited(name), at("features", i), "%s fills no input and limits nothing", quote(name))
	}
}

// limited says whether a feature bounds where the model applies.
func (l *linter) limited(feature string) bool {
	return slices.ContainsFunc(l.m.Applicable, func(a Applicable) bool { return a.Feature == feature })
}

func (l *linter) tensor(key string, dtype DType, shape []int64) {
	oneOf(l, key+".dtype", dtype, DTypes()...)
	l.need(len(shape) > 0 && len(shape) <= 8 && shape[0] == -1, key+".shape", "want 1 to 8 dimensions, the first -1 (the batch)")
	for j, d := range shape {
		l.need(d == -1 || d > 0 && d <= 1<<31, at(key+".shape", j), "want a positive size or -1")
	}
}

// source checks the one way an input is filled.
func (l *linter) source(key string, in *Input, used map[string]bool) {
	ways := 0
	for _, given := range []bool{len(in.Columns) > 0, in.Series != nil, in.Image != nil, in.Text != nil} {
		if given {
			ways++
		}
	}
	l.need(ways == 1, key, "want exactly one of columns, series, image, text")
	switch {
	case len(in.Columns) > 0:
		l.columns(key, in, used)
	case in.Series != nil:
		l.series(key, in, used)
	case in.Image != nil:
		l.image(key+".image", in)
	case in.Text != nil:
		l.notes(key+".text", in)
	}
}

func (l *linter) columns(key string, in *Input, used map[string]bool) {
	n := int64(len(in.Columns))
	l.need(slices.Equal(in.Shape, []int64{-1, n}) || n == 1 && len(in.Shape) == 1, key+".shape", "want [-1, %d] for %d columns", n, n)
	l.need(slices.Contains([]DType{Float32, Float64, Int64}, in.DType), key+".dtype", "%s cannot hold features", in.DType)
	for j, name := range in.Columns {
		k := at(key+".columns", j)
		f, ok := l.m.Feature(name)
		l.need(ok, k, "%s is not among the features", quote(name))
		l.need(slices.Index(in.Columns, name) == j, k, "%s is used twice", quote(name))
		l.need(!ok || in.DType.Float() || f.Missing != MissingOptional || f.Kind.Recorded(), k,
			"%s may be missing, which %s cannot hold", quote(name), in.DType)
		used[name] = true
	}
}

func (l *linter) series(key string, in *Input, used map[string]bool) {
	s := in.Series
	key += ".series"
	l.need(len(s.Features) > 0, key+".features", "is missing")
	for j, name := range s.Features {
		l.isFeature(at(key+".features", j), name)
		used[name] = true
	}
	if s.From != "" {
		f, ok := l.m.Feature(s.From)
		l.need(ok && f.Kind == Stay, key+".from", "%s is not a feature of kind stay", quote(s.From))
		used[s.From] = true
	}
	l.duration(key+".step", s.Step)
	l.need(!s.Step.IsZero(), key+".step", "is missing")
	l.need(s.Length > 0 && s.Length <= 100_000, key+".length", "want 1 to 100000 steps")
	l.need(len(s.Channels) > 0, key+".channels", "is missing")
	for j, c := range s.Channels {
		oneOf(l, at(key+".channels", j), c, ChannelValue, ChannelMask, ChannelSince)
	}
	oneOf(l, key+".fill", s.Fill, FillNaN, FillForward, FillZero)
	want := []int64{-1, s.Length, int64(len(s.Channels) * len(s.Features))}
	l.need(slices.Equal(in.Shape, want) && in.DType.Float() && in.DType != Float16, key, "wants a float32 or float64 input of shape %v", want)
}

func (l *linter) image(key string, in *Input) {
	m := in.Image
	l.duration(key+".window", m.Window)
	l.need(len(m.Modality) > 0, key+".modality", "is missing")
	l.need(m.Height > 0 && m.Width > 0, key, "want height and width")
	l.need(m.Std > 0, key+".std", "want a positive number")
	l.need(len(in.Shape) == 4 && in.Shape[2] == m.Height && in.Shape[3] == m.Width && in.DType == Float32, key,
		"wants a float32 input of shape [-1, channels, height, width]")
	for i, c := range m.BodySite {
		l.coding(at(key+".body_site", i), c)
	}
}

func (l *linter) notes(key string, in *Input) {
	t := in.Text
	l.duration(key+".window", t.Window)
	for i, c := range t.Types {
		l.coding(at(key+".types", i), c)
	}
	l.need(len(t.Types) > 0, key+".types", "is missing")
	if t.Hashes != 0 {
		l.need(t.Hashes > 1 && t.Vocabulary == "" && t.MaxTokens > 0 && in.DType == Int64 && slices.Equal(in.Shape, []int64{-1, t.MaxTokens}), key,
			"with hashes wants no vocabulary and an int64 input of shape [-1, max_tokens]")
		return
	}
	if t.Vocabulary == "" {
		l.need(in.DType == String && len(in.Shape) == 1, key, "without a vocabulary wants a string input of shape [-1]")
		return
	}
	l.need(filePattern.MatchString(t.Vocabulary), key+".vocabulary", "%s is not a plain file name", quote(t.Vocabulary))
	l.need(t.MaxTokens > 0 && in.DType == Int64 && slices.Equal(in.Shape, []int64{-1, t.MaxTokens}), key,
		"with a vocabulary wants an int64 input of shape [-1, max_tokens]")
}

func (l *linter) outputs() {
	l.need(len(l.m.Outputs) > 0, "outputs", "want at least one")
	names := make([]string, len(l.m.Outputs))
	headlines := 0
	for i := range l.m.Outputs {
		o := &l.m.Outputs[i]
		names[i] = o.Name
		l.output(at("outputs", i), o)
		if o.Report == ReportHeadline {
			headlines++
		}
	}
	l.names("outputs", portPattern, names)
	l.need(headlines == 1, "outputs", "want exactly one with report: headline")
}

func (l *linter) output(key string, o *Output) {
	l.tensor(key, o.DType, o.Shape)
	l.text(key+".label", o.Label)
	l.duration(key+".horizon", o.Horizon)
	oneOf(l, key+".meaning", o.Meaning, Probability, Points, Quantity, Class, Contribution, Auxiliary, Trajectory)
	oneOf(l, key+".report", o.Report, "", ReportHeadline, ReportList, ReportHide)
	l.need(o.Prediction() || o.Report == "" || o.Report == ReportHide, key+".report", "%s is no prediction", o.Meaning)
	if o.Code != nil {
		l.coding(key+".code", *o.Code)
	}
	if o.Outcome != nil {
		l.coding(key+".outcome", *o.Outcome)
	}
	switch o.Meaning {
	case Contribution:
		l.contribution(key, o)
	case Trajectory:
		l.trajectory(key, o)
	default:
		l.need(scalar(o), key+".shape", "want one value a patient: [-1] or [-1, 1]")
		l.need(o.Of == "" && len(o.Columns) == 0 && o.Scale == "" && o.Baseline == "", key, "of, columns, scale and baseline need meaning: contribution")
	}
	l.need(o.Meaning != Probability || o.DType.Float() && o.Outcome != nil && o.Calibration != "", key,
		"a probability wants a floating-point dtype, an outcome and a calibration text")
	l.need(o.Meaning != Quantity && o.Meaning != Points || o.Unit != "", key+".unit", "is missing")
	l.need((o.Meaning == Class) == (len(o.Classes) > 0), key+".classes", "goes with meaning: class, and only with it")
	l.need(o.DType != String, key+".dtype", "string outputs have no meaning yet")
	l.bands(key, o)
}

// trajectory: a column for each step of the only series.
func (l *linter) trajectory(key string, o *Output) {
	target, _, ok := l.m.Output(o.Of)
	l.need(ok && target.Meaning == Probability, key+".of", "%s is not a probability of this model", quote(o.Of))
	s := l.m.Series()
	l.need(s != nil && slices.Equal(o.Shape, []int64{-1, s.Length}), key+".shape", "want [-1, length of the series]")
}

func scalar(o *Output) bool {
	return len(o.Shape) == 1 || len(o.Shape) == 2 && o.Shape[1] == 1
}

func (l *linter) contribution(key string, o *Output) {
	target, _, ok := l.m.Output(o.Of)
	l.need(ok && target.Prediction(), key+".of", "%s is not a prediction of this model", quote(o.Of))
	l.need(len(o.Columns) > 0 && slices.Equal(o.Shape, []int64{-1, int64(len(o.Columns))}), key+".shape", "want [-1, number of columns]")
	for i, name := range o.Columns {
		l.isFeature(at(key+".columns", i), name)
	}
	l.text(key+".scale", o.Scale)
}

// scalarOutput needs an output with one number a patient.
func (l *linter) scalarOutput(key, name string) {
	o, _, ok := l.m.Output(name)
	l.need(ok && scalar(o), key, "%s is not an output with one value a patient", quote(name))
}

func (l *linter) bands(key string, o *Output) {
	key += ".bands"
	l.need(o.Report != ReportHeadline || len(o.Bands) > 0, key, "the headline wants bands")
	for i, b := range o.Bands {
		k := at(key, i)
		l.limits(k, b.Limits, false)
		l.text(k+".label", b.Label)
		oneOf(l, k+".risk", b.Risk, "", RiskNegligible, RiskLow, RiskModerate, RiskHigh, RiskCertain)
		oneOf(l, k+".indicator", b.Indicator, Info, Warning, Critical)
		if b.Also != nil {
			l.scalarOutput(k+".also.output", b.Also.Output)
			l.limits(k+".also", b.Also.Limits, true)
		}
		for _, end := range b.ends() {
			l.need(!math.IsNaN(end) && !math.IsInf(end, 0), k, "want finite limits")
			l.need(o.Meaning != Probability || end >= 0 && end <= 1, k, "a probability lies in 0–1, not in percent")
		}
	}
	if len(o.Bands) > 0 {
		l.cover(key, len(o.Bands), func(i int) (Limits, bool) { return o.Bands[i].Limits, o.Bands[i].Also == nil })
	}
}
