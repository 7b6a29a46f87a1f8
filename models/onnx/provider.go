package onnx

import (
	"errors"
	"fmt"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"galen/models"
)

// cpu is the provider that is always there.
const cpu = "cpu"

// provider is an execution provider and the device it is to use ("" for its own
// choice).
type provider struct{ name, device string }

func (p provider) String() string {
	if p.device == "" {
		return p.name
	}
	return p.name + ":" + p.device
}

var errNoProvider = errors.New("no execution provider")

// Providers is the Runtime with the execution providers to prefer, in that
// order: cuda, tensorrt, openvino, xnnpack, coreml, directml, webgpu or cpu, each
// with a device behind a colon where that means something, such as cuda:1. cpu is
// tried last in any case. What a library does not hold is passed over; the
// Backend of each Runner says so. Errors: BadInput for another name.
func (r *Runtime) Providers(names ...string) (*Runtime, error) {
	var list []provider
	for _, text := range names {
		name, device, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), ":")
		if name == cpu {
			break // nothing can be behind what always works
		}
		if !known(name) {
			return nil, failure("choose execution provider", models.BadInput, fmt.Errorf("%q is none that is known", name))
		}
		list = append(list, provider{name, device})
	}
	return &Runtime{path: r.path, providers: append(list, provider{name: cpu})}, nil
}

func known(name string) bool {
	switch name {
	case "cuda", "tensorrt", "openvino", "xnnpack", "coreml", "directml", "webgpu":
		return true
	}
	return false
}

// session opens the file on the provider.
func (p provider) session(g *graph, file []byte) (*ort.DynamicAdvancedSession, error) {
	opts, err := sessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() { _ = opts.Destroy() }()
	if err := p.appendTo(opts); err != nil {
		return nil, err
	}
	return ort.NewDynamicAdvancedSessionWithONNXData(file, names(g.inputs), names(g.outputs), opts)
}

func (p provider) appendTo(o *ort.SessionOptions) error {
	device := map[string]string{}
	if p.device != "" {
		device["device_id"] = p.device
	}
	switch p.name {
	case cpu:
		return nil
	case "cuda":
		return p.cuda(o, device)
	case "tensorrt":
		return p.tensorRT(o, device)
	case "openvino":
		if p.device != "" {
			device = map[string]string{"device_type": strings.ToUpper(p.device)}
		}
		return o.AppendExecutionProviderOpenVINO(device)
	case "coreml":
		return o.AppendExecutionProviderCoreMLV2(nil)
	case "directml":
		return o.AppendExecutionProviderDirectML(0)
	case "xnnpack":
		return o.AppendExecutionProvider("XNNPACK", nil)
	}
	return o.AppendExecutionProvider("WebGPU", nil)
}

func (p provider) cuda(o *ort.SessionOptions, device map[string]string) error {
	options, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer func() { _ = options.Destroy() }()
	if len(device) > 0 {
		if err := options.Update(device); err != nil {
			return err
		}
	}
	return o.AppendExecutionProviderCUDA(options)
}

func (p provider) tensorRT(o *ort.SessionOptions, device map[string]string) error {
	options, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer func() { _ = options.Destroy() }()
	if len(device) > 0 {
		if err := options.Update(device); err != nil {
			return err
		}
	}
	return o.AppendExecutionProviderTensorRT(options)
}

// sessionOptions: one thread a run and no spinning, because the server's own
// requests are the parallelism (measured: 1.7 ms against 3.2 ms a call, and a
// tail of 14 ms against 101 ms under load); no CPU arena, because it keeps the
// largest batch for ever and costs nothing measurable to do without.
func sessionOptions() (*ort.SessionOptions, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		o.SetIntraOpNumThreads(1),
		o.SetInterOpNumThreads(1),
		o.SetExecutionMode(ort.ExecutionModeSequential),
		o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll),
		o.SetCpuMemArena(false),
		// ONNX Runtime writes to stderr, and its messages may quote elements of tensors;
		// what failed is in the error that comes back.
		o.SetLogSeverityLevel(ort.LoggingLevelFatal),
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		o.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
	)
	if err != nil {
		return nil, errors.Join(err, o.Destroy())
	}
	return o, nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
