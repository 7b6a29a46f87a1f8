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
		var t models.Tensor
		var err error
		switch {
		case p.Series != nil:
			t, err = typed(p.DType, []int64{1, p.Shape[1], p.Shape[2]}, planes(p.Series, a.steps[p.Name]))
		case p.Image != nil:
			t, err = typed(p.DType, []int64{1, 1, p.Image.Height, p.Image.Width}, scaled(p.Image, a.pictures[p.Name].Grey))
		case len(p.Columns) > 0:
			row := make([]float64, len(p.Columns))
			for j, name := range p.Columns {
				row[j], _ = a.feature(name)
			}
			t, err = typed(p.DType, []int64{1, int64(len(row))}[:len(p.Shape)], row)
		default:
			err = fhir.E("cds.tensors", fhir.NotSupported, p.Name, "such an input is not filled from a record")
		}
		if err != nil {
			return nil, &fhir.Error{Op: "cds.tensors", At: p.Name, Err: err}
		}
		in[i] = t
	}
	return in, nil
}

// typed makes a tensor in a port's element type.
func typed(dtype manifest.DType, shape []int64, row []float64) (models.Tensor, error) {
	switch dtype {
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
