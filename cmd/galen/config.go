package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v3"
)

// configFile is a YAML file of flag names and their values. A flag on the
// command line comes before the environment, and that before the file.
type configFile struct {
	path string
	read func() (map[string]string, error)
}

func newConfigFile() *configFile {
	c := &configFile{}
	c.read = sync.OnceValues(func() (map[string]string, error) { return readConfig(c.path) })
	return c
}

func readConfig(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("%s is not a YAML mapping of flags to values", path)
	}
	values := make(map[string]string, len(raw))
	for name, value := range raw {
		values[name] = fmt.Sprint(value)
	}
	return values, nil
}

// flag names the file; it stands before all other flags, since they look there.
func (c *configFile) flag() *cli.StringFlag {
	return &cli.StringFlag{
		Name: "config", Usage: "YAML file of flags and their values", Sources: cli.EnvVars(envName("config")), Destination: &c.path,
	}
}

// check refuses a file that cannot be read or names what is no flag.
func (c *configFile) check(flags []cli.Flag) error {
	values, err := c.read()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, f := range flags {
		known[f.Names()[0]] = true
	}
	for name := range values {
		if !known[name] {
			return fmt.Errorf("%s: there is no flag %q", c.path, name)
		}
	}
	return nil
}

// sources are where a flag's value comes from when the command line has none.
func (c *configFile) sources(name string) cli.ValueSourceChain {
	return cli.NewValueSourceChain(cli.EnvVar(envName(name)), configValue{c, name})
}

// configValue is one flag's value in the file.
type configValue struct {
	file *configFile
	name string
}

// Lookup finds the value; a file that cannot be read is reported by check.
func (v configValue) Lookup() (string, bool) {
	values, err := v.file.read()
	value, ok := values[v.name]
	return value, ok && err == nil
}

// String says where the value is from, for help and errors.
func (v configValue) String() string { return "configuration file" }

// GoString is String.
func (v configValue) GoString() string { return v.String() }

// envName is the environment variable of a flag.
func envName(flag string) string {
	return "GALEN_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
