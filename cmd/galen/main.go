// Command galen is the server and its tools: serve, token, import and audit
// verify. It reads flags and environment, opens what they name and wires the
// packages together; every rule lives in those.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"galen/cmd/galen/modelcmd"
	"galen/server/auth"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().Run(ctx, os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "galen:", err)
		os.Exit(1)
	}
}

func command() *cli.Command {
	return &cli.Command{
		Name: "galen", Version: version, Usage: "a FHIR R4 clinical decision support server",
		Commands: append([]*cli.Command{
			serveCommand(), tokenCommand(), importCommand(),
			{Name: "audit", Usage: "the record of who did what", Commands: []*cli.Command{verifyCommand()}},
		}, modelcmd.Commands()...),
	}
}

// env is the environment variable of a flag that no configuration file has.
func env(name string) cli.ValueSourceChain { return cli.EnvVars(envName(name)) }

func text(name, value, usage string) *cli.StringFlag {
	return &cli.StringFlag{Name: name, Value: value, Usage: usage, Sources: env(name)}
}

func dataFlag() *cli.StringFlag { return text("data", "data", "directory of the data") }

func tokenCommand() *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "mint a token from the local issuer",
		Flags: []cli.Flag{
			dataFlag(), text("sub", "", "subject"),
			&cli.StringSliceFlag{Name: "role", Usage: "role; may be repeated", Sources: env("role")},
			text("scope", "", "SMART scopes, separated by spaces"), text("patient", "", "id of the patient in the launch context"),
			text("org", "", "organization"), text("purpose", "", "purpose of use, a v3-ActReason code"),
			text("client", "", "client id"), text("fhir-user", "", "reference to the user's Practitioner or Patient"),
			&cli.DurationFlag{Name: "ttl", Value: time.Hour, Usage: "lifetime", Sources: env("ttl")},
		},
		Action: func(_ context.Context, c *cli.Command) error {
			issuer, err := auth.OpenIssuer(c.String("data"), time.Now)
			if err != nil {
				return err
			}
			token, err := issuer.Mint(auth.Claims{
				Subject: c.String("sub"), Roles: c.StringSlice("role"), Scope: c.String("scope"), Patient: c.String("patient"),
				Org: c.String("org"), Purpose: c.String("purpose"), Client: c.String("client"),
				FHIRUser: c.String("fhir-user"), TTL: c.Duration("ttl"),
			})
			if err == nil {
				_, err = fmt.Fprintln(c.Root().Writer, token)
			}
			return err
		},
	}
}
