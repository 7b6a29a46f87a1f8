//go:build race

package bundle_test

// size is how many entries a large Bundle has; the race detector is slow.
func size() int { return 1_000 }
