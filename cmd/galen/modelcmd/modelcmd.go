// Package modelcmd is galen's commands about models that need no data directory:
// evaluate, card and model-check; and how every command opens ONNX Runtime.
//
// It holds flags and files only: the rules are in galen/models.
package modelcmd

import (
	"os"
	"strings"

	"github.com/urfave/cli/v3"

	"galen/models"
	"galen/models/manifest"
	"galen/models/onnx"
)

// Commands are the commands.
func Commands() []*cli.Command {
	return []*cli.Command{evaluateCommand(), cardCommand(), checkCommand()}
}

// Runtime opens ONNX Runtime: the library at that path, or the one in the user's
// cache for "", with the execution providers to prefer, separated by commas.
func Runtime(library, providers string) (*onnx.Runtime, error) {
	if library == "" {
		path, err := onnx.DefaultPath(os.Getenv)
		if err != nil {
			return nil, err
		}
		library = path
	}
	runtime, err := onnx.Open(library)
	if err != nil || providers == "" {
		return runtime, err
	}
	return runtime.Providers(strings.Split(providers, ",")...)
}

// Options run ONNX models on that runtime.
func Options(runtime *onnx.Runtime) models.Options {
	return models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: runtime}}
}

// env is the environment variable of a flag.
func env(name string) cli.ValueSourceChain {
	return cli.EnvVars("GALEN_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
}

func text(name, value, usage string) *cli.StringFlag {
	return &cli.StringFlag{Name: name, Value: value, Usage: usage, Sources: env(name)}
}
