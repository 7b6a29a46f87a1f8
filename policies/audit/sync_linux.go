package audit

import (
	"os"
	"syscall"
)

// flush makes what was written durable. fdatasync also keeps the file's size.
func flush(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
