package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"galen/models/manifest"
)

// The largest text file beside a model.
const maxText = 16 << 20

// load checks one folder and opens its model. Its error is of Kind Refused. The
// steps go from cheap to dear, and no byte reaches the runtime before its digest
// holds.
func (c *Catalog) load(ctx context.Context, src Source, folder string, again bool) (*version, error) {
	v, err := c.open(ctx, src, folder, again)
	if err != nil {
		return nil, &Error{Op: "load", Kind: Refused, Model: folder, Err: err}
	}
	return v, nil
}

func (c *Catalog) open(ctx context.Context, src Source, folder string, again bool) (*version, error) {
	info, err := readInfo(src, folder)
	if err != nil {
		return nil, err
	}
	if v := c.state.Load().pinned(info.Ref); v != nil && !again {
		return nil, fmt.Errorf("this version is served already, from %s", v.info.Source)
	}
	cases, err := readGolden(src.FS, path.Join(folder, "golden.json"), info.Manifest)
	if err != nil {
		return nil, err
	}
	var file []byte
	if info.Manifest.Runtime == manifest.ONNX {
		if file, err = c.readModel(src.FS, folder, info.Manifest); err != nil {
			return nil, err
		}
	}
	opener, ok := c.opts.Openers[info.Manifest.Runtime]
	if !ok {
		return nil, fmt.Errorf("no runtime %s here", info.Manifest.Runtime)
	}
	runner, err := opener.Open(ctx, info.Manifest, file)
	if err != nil {
		return nil, err
	}
	v, err := c.prove(ctx, info, runner, cases)
	if err != nil {
		return nil, errors.Join(err, runner.Close())
	}
	return v, nil
}

// prove checks the ports and replays the golden cases, which also warms the model.
func (c *Catalog) prove(ctx context.Context, info Info, runner Runner, cases goldenCases) (*version, error) {
	v := &version{
		info: info, runner: runner, drained: make(chan struct{}),
		slots: make(chan struct{}, c.opts.Concurrency), queue: int64(c.opts.Queue),
	}
	v.refs.Store(1)
	if d, ok := runner.(Described); ok {
		v.info.Backend = d.Backend()
	}
	var err error
	if v.inputs, err = matchPorts("input", inputPorts(info.Manifest), runner.Inputs()); err != nil {
		return nil, err
	}
	if v.outputs, err = matchPorts("output", outputPorts(info.Manifest), runner.Outputs()); err != nil {
		return nil, err
	}
	if err := cases.replay(ctx, v); err != nil {
		return nil, err
	}
	return v, c.warm(ctx, v, cases)
}

// warmRuns is how often the last golden case is run to learn its cost; the first
// runs of a session allocate and are no measure.
const warmRuns = 3

// warm measures the version and puts it into its lane.
func (c *Catalog) warm(ctx context.Context, v *version, cases goldenCases) error {
	in := cases[len(cases)-1].in
	for range warmRuns {
		start := c.opts.Now()
		if _, _, err := v.predictRows(ctx, in); err != nil {
			return err
		}
		if took := c.opts.Now().Sub(start); v.info.Cost == 0 || took < v.info.Cost {
			v.info.Cost = took
		}
	}
	if v.info.Slow = v.info.Cost >= c.opts.Slow; v.info.Slow {
		v.lane = c.lane
	}
	return nil
}

func readInfo(src Source, folder string) (Info, error) {
	text, err := readFile(src.FS, path.Join(folder, "manifest.yaml"), maxText)
	if err != nil {
		return Info{}, err
	}
	m, err := manifest.Decode(text)
	if err != nil {
		return Info{}, err
	}
	if folder != path.Join(m.Name, string(m.Version)) {
		return Info{}, fmt.Errorf("the folder is not named after the manifest's %s/%s", m.Name, m.Version)
	}
	card, err := readFile(src.FS, path.Join(folder, "CARD.md"), maxText)
	if err != nil {
		return Info{}, err
	}
	if len(card) == 0 {
		return Info{}, errors.New("CARD.md is empty")
	}
	info := Info{
		Ref: Ref{Name: m.Name, Version: m.Version}, Manifest: m, Digest: m.SHA256,
		ManifestDigest: digest(text), Card: string(card), Source: src.Name,
	}
	if info.Digest == "" {
		info.Digest = info.ManifestDigest
	}
	return info, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (c *Catalog) readModel(fsys fs.FS, folder string, m *manifest.Manifest) ([]byte, error) {
	file, err := readFile(fsys, path.Join(folder, m.File), c.opts.MaxBytes)
	if err != nil {
		return nil, err
	}
	if got := digest(file); got != m.SHA256 {
		return nil, fmt.Errorf("%s has SHA-256 %s, the manifest says %s", m.File, got, m.SHA256)
	}
	return file, nil
}

// readFile reads a file of at most limit bytes, without trusting its stated size.
func readFile(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return data, nil
}

func inputPorts(m *manifest.Manifest) []Port {
	ports := make([]Port, len(m.Inputs))
	for i, in := range m.Inputs {
		ports[i] = Port{Name: in.Name, DType: in.DType, Shape: in.Shape}
	}
	return ports
}

func outputPorts(m *manifest.Manifest) []Port {
	ports := make([]Port, len(m.Outputs))
	for i, o := range m.Outputs {
		ports[i] = Port{Name: o.Name, DType: o.DType, Shape: o.Shape}
	}
	return ports
}

// matchPorts pairs the manifest's ports with the file's: each must be there, once,
// with the same type and a shape that can agree. It gives for each of the
// manifest's ports its position at the runner.
func matchPorts(what string, declared, actual []Port) ([]int, error) {
	if len(declared) != len(actual) {
		return nil, fmt.Errorf("the manifest has %d %ss, the model file %d", len(declared), what, len(actual))
	}
	order := make([]int, len(declared))
	for i, d := range declared {
		j := slices.IndexFunc(actual, func(a Port) bool { return a.Name == d.Name })
		if j < 0 {
			return nil, fmt.Errorf("the model file has no %s %s", what, d.Name)
		}
		a := actual[j]
		if a.DType != d.DType {
			return nil, fmt.Errorf("%s %s is %s in the manifest, %s in the model file", what, d.Name, d.DType, a.DType)
		}
		if !agree(d.Shape, a.Shape) {
			return nil, fmt.Errorf("%s %s has shape %v in the manifest, %v in the model file", what, d.Name, d.Shape, a.Shape)
		}
		order[i] = j
	}
	return order, nil
}

// agree says whether some shape fits both.
func agree(a, b []int64) bool {
	return slices.EqualFunc(a, b, func(x, y int64) bool { return x == y || x == -1 || y == -1 })
}
