package modelcmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/urfave/cli/v3"

	"galen/models/card"
	"galen/models/catalog"
	"galen/models/manifest"
)

func cardCommand() *cli.Command {
	return &cli.Command{
		Name: "card", Usage: "write a model's card from its manifest", ArgsUsage: "NAME/VERSION (shipped) or a manifest.yaml",
		Flags: []cli.Flag{text("format", "markdown", "markdown, or chai: the Applied Model Card of the Coalition for Health AI, as XML")},
		Action: func(_ context.Context, c *cli.Command) error {
			if c.NArg() != 1 {
				return errors.New("card needs NAME/VERSION or a manifest.yaml")
			}
			m, err := readManifest(c.Args().First())
			if err != nil {
				return err
			}
			var out []byte
			switch c.String("format") {
			case "markdown":
				out = []byte(card.Markdown(m))
			case "chai":
				if out, err = card.CHAI(m); err != nil {
					return err
				}
			default:
				return errors.New("--format must be markdown or chai")
			}
			_, err = c.Root().Writer.Write(out)
			return err
		},
	}
}

// readManifest reads a file, or the manifest of a shipped model where there is no
// such file.
func readManifest(name string) (*manifest.Manifest, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		shipped, failed := fs.ReadFile(catalog.FS(), path.Join(name, "manifest.yaml"))
		if failed != nil {
			return nil, fmt.Errorf("there is neither a file %s nor such a shipped model", name)
		}
		data = shipped
	}
	return manifest.Decode(data)
}
