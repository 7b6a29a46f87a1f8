//go:build unix

package audit

import (
	"os"
	"path/filepath"
	"syscall"

	"galen/fhir"
)

// lockDir takes the directory for this process; closing the file gives it back,
// as does the end of the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &fhir.Error{Op: "audit.Open", Err: err}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fhir.E("audit.Open", fhir.Unavailable, dir, "another process has the audit log open")
	}
	return f, nil
}
