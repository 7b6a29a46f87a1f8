package modelcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"galen/models"
	"galen/models/jail"
)

// checkCommand loads one version and says whether it holds. It limits
// itself before it reads anything, for it is run on what is not known yet.
func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "model-check", Usage: "load one version of a model and say whether it holds", ArgsUsage: "DIR NAME@VERSION",
		Flags: []cli.Flag{text("onnxruntime", "", "path of the ONNX Runtime library; default: the user's cache")},
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.NArg() != 2 {
				return errors.New("model-check needs a directory of models and NAME@VERSION")
			}
			ref, err := models.ParseRef(c.Args().Get(1))
			if err != nil || ref.Version == "" {
				return errors.New("model-check needs NAME@VERSION")
			}
			runtime, err := Runtime(c.String("onnxruntime"), "")
			if err != nil {
				return err
			}
			if err := jail.Enter(); err != nil {
				return err
			}
			source, err := models.Dir(c.Args().Get(0))
			if err != nil {
				return err
			}
			info, err := models.Check(ctx, Options(runtime), source, ref)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.Root().Writer, "%s holds; SHA-256 %s, %s a run\n", info.Ref, info.Digest, info.Cost)
			return err
		},
	}
}
