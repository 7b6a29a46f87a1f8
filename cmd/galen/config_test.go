package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/urfave/cli/v3"
)

// The command line comes before the environment, and that before the file.
func TestConfigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "galen.yaml")
	if err := os.WriteFile(path, []byte("addr: 127.0.0.1:1\nlog-level: warn\ndemo: true\ntimeout: 7s\nmax-body: 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GALEN_LOG_LEVEL", "error")
	serve := serveCommand()
	seen := false
	serve.Action = func(_ context.Context, c *cli.Command) error {
		seen = true
		if c.String("addr") != "127.0.0.1:2" || c.String("log-level") != "error" || !c.Bool("demo") || c.Duration("timeout").Seconds() != 7 || c.Int64("max-body") != 9 {
			t.Errorf("%s %s %t %s %d", c.String("addr"), c.String("log-level"), c.Bool("demo"), c.Duration("timeout"), c.Int64("max-body"))
		}
		return nil
	}
	if err := serve.Run(t.Context(), []string{"serve", "--config", path, "--addr", "127.0.0.1:2"}); err != nil || !seen {
		t.Fatal(err, seen)
	}
	for name, content := range map[string]string{"unknown flag": "adr: x\n", "no mapping": "- a\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		again := serveCommand()
		if again.Run(t.Context(), []string{"serve", "--config", path, "--data", t.TempDir()}) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
