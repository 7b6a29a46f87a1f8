// Package jail runs the check of a model that is not known yet in a process of
// its own, so that a bad file cannot take the server down: Run starts the process,
// Enter limits it from within before it reads anything.
//
// It promises that a check ends, in time, memory and processor time, and that a
// crash is told from a verdict. What is checked it does not know.
package jail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	checkTime   = 5 * time.Minute
	checkCPU    = 120     // seconds
	checkMemory = 8 << 30 // bytes of address space, which the Go runtime reserves generously
)

// ErrNoVerdict is a process that crashed, ran too long or said nothing.
var ErrNoVerdict = errors.New("the check ended without a verdict")

// Run runs the program and gives the first line that it wrote to its standard
// error if it ended with status 1. What it says is about the uploaded folder only,
// and so may be told to who uploaded it. The error wraps ErrNoVerdict otherwise.
func Run(ctx context.Context, program string, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	for _, setting := range os.Environ() {
		if strings.HasPrefix(setting, "GALEN_") || strings.HasPrefix(setting, "HOME=") || strings.HasPrefix(setting, "XDG_CACHE_HOME=") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	var told bytes.Buffer
	cmd.Stderr = &told
	err := cmd.Run()
	if err == nil {
		return nil
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(told.String(), "galen: "), "\n")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Exited() || exit.ExitCode() != 1 || line == "" {
		return fmt.Errorf("%w: %w", ErrNoVerdict, err)
	}
	return errors.New(line)
}

// Enter bounds this process: processor time, memory, and what it can write, which
// is nothing. There is no way back.
func Enter() error {
	for _, limit := range []struct {
		what  int
		value uint64
	}{{syscall.RLIMIT_CPU, checkCPU}, {syscall.RLIMIT_AS, checkMemory}, {syscall.RLIMIT_FSIZE, 0}, {syscall.RLIMIT_CORE, 0}} {
		if err := syscall.Setrlimit(limit.what, &syscall.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return err
		}
	}
	return nil
}
