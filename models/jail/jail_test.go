package jail_test

import (
	"strings"
	"testing"

	"galen/models/jail"
)

// A file that crashes the runtime takes the check's process down and nothing else.
func TestRun(t *testing.T) {
	for name, script := range map[string]string{
		"killed": "kill -SEGV $$", "aborted": "kill -ABRT $$", "silent": "exit 1", "other": "echo bad >&2; exit 3",
	} {
		err := jail.Run(t.Context(), "/bin/sh", []string{"-c", script})
		if err == nil || !strings.Contains(err.Error(), jail.ErrNoVerdict.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := jail.Run(t.Context(), "/bin/sh", []string{"-c", "echo galen: the reason >&2; exit 1"}); err == nil || err.Error() != "the reason" {
		t.Errorf("a verdict: %v", err)
	}
	if err := jail.Run(t.Context(), "/bin/sh", []string{"-c", "exit 0"}); err != nil {
		t.Errorf("good: %v", err)
	}
}
