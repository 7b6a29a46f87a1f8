package onnx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"galen/models"
	"galen/models/manifest"
)

// LibraryVersion is the ONNX Runtime release this package is tested with;
// scripts/fetch-onnxruntime.sh fetches it.
const LibraryVersion = "1.30.0"

// LibraryEnv names the environment variable that points to another library file.
const LibraryEnv = "GALEN_ONNXRUNTIME"

// Runtime is the process's ONNX Runtime. It lives until the process ends: ONNX
// Runtime has one environment a process, and freeing it under a live session
// would crash. It is safe for concurrent use.
type Runtime struct {
	path      string
	providers []provider // in order of preference; the last is cpu
}

var _ models.Opener = (*Runtime)(nil)

// process mirrors the state that the C library keeps for the whole process
// (onnxruntime_go holds it in globals without a lock). It is the one package
// variable here, because the thing it stands for is one a process.
var process struct {
	sync.Mutex
	path string
}

var errOtherLibrary = errors.New("another ONNX Runtime library is loaded already")

// Open loads the library file and starts its environment. A second Open of the
// same file gives the same environment; of another file it fails. Errors:
// NotFound when the file is missing (run `make onnxruntime`), Internal.
func Open(libraryPath string) (*Runtime, error) {
	path, err := filepath.Abs(libraryPath)
	if err != nil {
		return nil, failure("open runtime", models.Internal, err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, failure("open runtime", models.NotFound, fmt.Errorf("%w; run `make onnxruntime` or set %s", err, LibraryEnv))
	}
	process.Lock()
	defer process.Unlock()
	if process.path != "" {
		if process.path != path {
			return nil, failure("open runtime", models.Internal, errOtherLibrary)
		}
		return newRuntime(path), nil
	}
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return nil, failure("open runtime", models.Internal, err)
	}
	process.path = path
	return newRuntime(path), nil
}

func newRuntime(path string) *Runtime {
	return &Runtime{path: path, providers: []provider{{name: cpu}}}
}

// DefaultPath is where the library is looked for: $GALEN_ONNXRUNTIME, else the
// cache folder that scripts/fetch-onnxruntime.sh fills. getenv is os.Getenv.
func DefaultPath(getenv func(string) string) (string, error) {
	if path := getenv(LibraryEnv); path != "" {
		return path, nil
	}
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if !ok || runtime.GOOS != "linux" {
		return "", failure("find runtime", models.NotFound, fmt.Errorf("no library is known for %s/%s; set %s", runtime.GOOS, runtime.GOARCH, LibraryEnv))
	}
	cache := getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "galen", "onnxruntime-"+LibraryVersion, "linux-"+arch, "libonnxruntime.so.1"), nil
}

// Version is the library's own version, such as 1.30.0.
func (r *Runtime) Version() string { return ort.GetVersion() }

// Open makes a Runner of an ONNX file. Errors: Refused when the file is not an
// ONNX model this package runs, Timeout when ctx has ended.
func (r *Runtime) Open(ctx context.Context, m *manifest.Manifest, file []byte) (models.Runner, error) {
	if ctx.Err() != nil {
		return nil, failure("open model", models.Timeout, context.Cause(ctx))
	}
	g, err := readGraph(file)
	if err != nil {
		return nil, failure("open model", models.Refused, err)
	}
	if m.Opset != g.opset {
		return nil, failure("open model", models.Refused, fmt.Errorf("the manifest says opset %d, the file %d", m.Opset, g.opset))
	}
	s, err := newSession(g, file, r.providers)
	if err != nil {
		return nil, failure("open model", models.Refused, err)
	}
	return s, nil
}

func failure(op string, kind models.Kind, err error) error {
	return &models.Error{Op: op, Kind: kind, Err: err}
}
