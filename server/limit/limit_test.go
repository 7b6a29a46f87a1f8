package limit_test

import (
	"testing"

	"galen/server/limit"
)

func TestLimiter(t *testing.T) {
	l := limit.New(0.001, 2)
	for i, want := range []bool{true, true, false} {
		if got := l.Allow("a"); got != want {
			t.Errorf("request %d of a: %v", i, got)
		}
	}
	if !l.Allow("b") {
		t.Error("b is held to the rate of a")
	}
	free := limit.New(0, 0)
	for range 100 {
		if !free.Allow("a") {
			t.Fatal("no limit is a limit")
		}
	}
}
