// Package watch tells what is written to a store, so that what was read from it
// before (consents, care relationships) is never older than the last commit.
//
// It promises that Seen has returned before Commit does. Writes of another
// process are not seen.
package watch

import (
	"context"

	"galen/store"
)

// Driver is a store.Driver whose commits are watched.
type Driver struct {
	store.Driver
	// Seen is called after each commit that succeeded, by many goroutines.
	Seen func(writes []store.Write)
}

var _ store.Driver = (*Driver)(nil)

// Commit commits and then tells Seen.
func (d *Driver) Commit(ctx context.Context, writes []store.Write) error {
	if err := d.Driver.Commit(ctx, writes); err != nil {
		return err
	}
	d.Seen(writes)
	return nil
}
