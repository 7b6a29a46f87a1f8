//go:build !race

package bundle_test

// size is how many entries a large Bundle has.
func size() int { return 10_000 }
