package serving

import (
	"galen/models"
	"galen/models/oip"
)

// Metadata is the model's metadata of the protocol. What the protocol has no
// member for is among the parameters.
func (d *Description) Metadata() oip.ModelMetadata {
	m := d.Manifest
	inputs, outputs := make([]models.Port, len(m.Inputs)), make([]models.Port, len(m.Outputs))
	for i, p := range m.Inputs {
		inputs[i] = models.Port{Name: p.Name, DType: p.DType, Shape: p.Shape}
	}
	for i, p := range m.Outputs {
		outputs[i] = models.Port{Name: p.Name, DType: p.DType, Shape: p.Shape}
	}
	out := oip.ModelMetadata{
		Name: d.Ref.Name, Versions: d.Versions, Platform: platform(d.Info),
		Inputs: oip.Metadata(inputs), Outputs: oip.Metadata(outputs),
		Parameters: map[string]any{
			"version": d.Ref.Version, "title": m.Title, "kind": m.Kind, "sha256": d.Digest,
			"backend": d.Backend.Platform, "execution_provider": d.Backend.Provider, "slow": d.Slow,
			"cost_us": d.Cost.Microseconds(),
		},
	}
	if len(d.Backend.Fallbacks) > 0 {
		out.Parameters["execution_provider_fallbacks"] = d.Backend.Fallbacks
	}
	columns := map[string][]string{}
	for i := range m.Inputs {
		if len(m.Inputs[i].Columns) > 0 {
			columns[m.Inputs[i].Name] = m.Inputs[i].Columns
		}
	}
	if len(columns) > 0 {
		out.Parameters["columns"] = columns
	}
	return out
}

// platform is the name that clients of the protocol know.
func platform(info *models.Info) string {
	if info.Manifest.Runtime == "onnx" {
		return "onnxruntime_onnx"
	}
	return string(info.Manifest.Runtime)
}
