package cds

import (
	"galen/fhir"
	"galen/models"
	"galen/models/manifest"
)

// tensors fills the model's inputs with one row of features.
func tensors(m *manifest.Manifest, a *Assessment) ([]models.Tensor, error) {
	in := make([]models.Tensor, len(m.Inputs))
	for i := range m.Inputs {
		p := &m.Inputs[i]
		if len(p.Columns) == 0 {
			return nil, fhir.E("cds.tensors", fhir.NotSupported, p.Name, "only tabular inputs are filled from a record")
		}
		row := make([]float64, len(p.Columns))
		for j, name := range p.Columns {
			row[j], _ = a.feature(name)
		}
		t, err := tabular(p, row)
		if err != nil {
			return nil, &fhir.Error{Op: "cds.tensors", At: p.Name, Err: err}
		}
		in[i] = t
	}
	return in, nil
}

// tabular makes a tensor of shape [1, len(row)], or [1] where the port has one
// dimension, in the port's element type.
func tabular(p *manifest.Input, row []float64) (models.Tensor, error) {
	shape := []int64{1, int64(len(row))}[:len(p.Shape)]
	switch p.DType {
	case manifest.Float32:
		return models.NewTensor(shape, converted[float32](row))
	case manifest.Int64:
		return models.NewTensor(shape, converted[int64](row))
	default:
		return models.NewTensor(shape, row)
	}
}

func converted[T float32 | int64](row []float64) []T {
	out := make([]T, len(row))
	for i, x := range row {
		out[i] = T(x)
	}
	return out
}
