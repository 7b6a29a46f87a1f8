package evaluate

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"galen/models"
	"galen/models/evaluate/metric"
	"galen/models/manifest"
)

// scorer runs the model on those of a cohort whom it would assess.
type scorer struct {
	model    *models.Model
	cohort   *Cohort
	at       int // position of the output
	excluded map[string]int
}

// batchRows is how many rows go through the model at once.
const batchRows = 256

func (s *scorer) score(ctx context.Context) ([]scored, error) {
	var fit []int
	for row := range s.cohort.Outcome {
		if reason := s.unfit(row); reason != "" {
			s.excluded[reason]++
			continue
		}
		fit = append(fit, row)
	}
	var out []scored
	for rows := range slices.Chunk(fit, batchRows) {
		part, err := s.batch(ctx, rows)
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
	}
	return out, nil
}

// unfit says why the model would not assess a patient, "" when it would.
func (s *scorer) unfit(row int) string {
	m := s.model.Info().Manifest
	value := func(name string) float64 {
		if column, ok := s.cohort.Features[name]; ok {
			return column[row]
		}
		return math.NaN()
	}
	if lacking := m.Lacking(func(name string) bool { return !math.IsNaN(value(name)) }); len(lacking) > 0 {
		return strings.Join(lacking, ", ") + " missing"
	}
	for _, limit := range m.Applicable {
		if x := value(limit.Feature); limit.Feature != "" && !math.IsNaN(x) && !limit.Contains(x) {
			return "not applicable: " + limit.Reason
		}
	}
	for i := range m.Features {
		f := &m.Features[i]
		if x := value(f.Name); f.Plausible != nil && !math.IsNaN(x) && !f.Plausible.Contains(x) {
			return f.Label + " implausible"
		}
	}
	return ""
}

func (s *scorer) batch(ctx context.Context, rows []int) ([]scored, error) {
	m := s.model.Info().Manifest
	in, err := s.tensor(&m.Inputs[0], rows)
	if err != nil {
		return nil, err
	}
	out, failed, err := s.model.PredictRows(ctx, []models.Tensor{in})
	if err != nil && models.KindOf(err) != models.NotFinite {
		return nil, err
	}
	bad := map[int]bool{}
	for _, f := range failed {
		bad[f.Row] = true
	}
	var cases []scored
	for i, row := range rows {
		score, reason := math.NaN(), "no finite answer"
		if !bad[i] {
			score, reason = s.read(out, i)
		}
		if math.IsNaN(score) {
			s.excluded[reason]++
			continue
		}
		cases = append(cases, scored{metric.Case{Score: score, Outcome: s.cohort.Outcome[row]}, row})
	}
	return cases, nil
}

// read gives the score of row i, or why it does not count.
func (s *scorer) read(out []models.Tensor, i int) (float64, string) {
	m := s.model.Info().Manifest
	first := func(at int) float64 {
		row, ok := out[at].Floats(i)
		if !ok || len(row) == 0 {
			return math.NaN()
		}
		return row[0]
	}
	for _, limit := range m.Applicable {
		if _, at, ok := m.Output(limit.Output); ok && !math.IsNaN(first(at)) && !limit.Contains(first(at)) {
			return math.NaN(), "not applicable: " + limit.Reason
		}
	}
	return first(s.at), "no answer"
}

// tensor fills the input with the patients' features; what is missing takes the
// manifest's default.
func (s *scorer) tensor(p *manifest.Input, rows []int) (models.Tensor, error) {
	m := s.model.Info().Manifest
	data := make([]float64, 0, len(rows)*len(p.Columns))
	for _, row := range rows {
		for _, name := range p.Columns {
			x := math.NaN()
			if column, ok := s.cohort.Features[name]; ok {
				x = column[row]
			}
			if f, ok := m.Feature(name); ok && math.IsNaN(x) && f.Missing == manifest.MissingDefault && f.Default != nil {
				x = *f.Default
			}
			data = append(data, x)
		}
	}
	shape := []int64{int64(len(rows)), int64(len(p.Columns))}[:len(p.Shape)]
	switch p.DType {
	case manifest.Float64:
		return models.NewTensor(shape, data)
	case manifest.Float32:
		return models.NewTensor(shape, converted[float32](data))
	case manifest.Int64:
		return models.NewTensor(shape, converted[int64](data))
	}
	return models.Tensor{}, fmt.Errorf("%w: %s", errKind, p.DType)
}

func converted[T float32 | int64](data []float64) []T {
	out := make([]T, len(data))
	for i, x := range data {
		out[i] = T(x)
	}
	return out
}

// reasons lists who was not scored, most first.
func (s *scorer) reasons() []Excluded {
	var out []Excluded
	for _, reason := range slices.Sorted(maps.Keys(s.excluded)) {
		out = append(out, Excluded{reason, s.excluded[reason]})
	}
	slices.SortStableFunc(out, func(a, b Excluded) int { return b.N - a.N })
	return out
}
