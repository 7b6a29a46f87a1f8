package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v3"

	"galen/policies/compliance"
	"galen/policies/transparency"
)

var errTampered = errors.New("the audit log is not what was written")

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check the audit log from its first entry on, and that it goes on from every checkpoint",
		Flags: []cli.Flag{
			dataFlag(),
			&cli.StringSliceFlag{Name: "checkpoint", Usage: "file of checkpoints that was kept elsewhere; may be repeated"},
			&cli.StringFlag{Name: "key", Usage: "public key of the checkpoints, or a file of it; default: the one in the data directory"},
		},
		Action: func(_ context.Context, c *cli.Command) error {
			key := c.String("key")
			if text, err := os.ReadFile(key); key != "" && err == nil {
				key = strings.TrimSpace(string(text))
			}
			data := c.String("data")
			report, err := transparency.Verify(compliance.LogDir(data), compliance.TreeDir(data), key, c.StringSlice("checkpoint")...)
			if err != nil {
				return err
			}
			return printReport(c.Root().Writer, report)
		},
	}
}

func printReport(out io.Writer, r transparency.Report) error {
	if r.Bad == nil {
		_, err := fmt.Fprintf(out, "%d entries in %d segments are whole, %d were pruned; they go on from %d checkpoints; head %s, root %s\n",
			r.Entries, r.Segments, r.Pruned, r.Checkpoints, r.Head.Hash, r.Root)
		return err
	}
	where := ""
	if r.Bad.File != "" {
		where = fmt.Sprintf(" in %s at byte %d", r.Bad.File, r.Bad.Offset)
	}
	if _, err := fmt.Fprintf(out, "first bad entry: %d (%s)%s\n", r.Bad.Seq, r.Bad.What, where); err != nil {
		return err
	}
	return errTampered
}
