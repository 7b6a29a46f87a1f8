package models

import (
	"errors"
	"strings"

	"galen/models/manifest"
)

// Ref names a model, or one version of it: "kfre-4v" or "kfre-4v@1.0.0". Without
// a version it means the newest release that is served.
type Ref struct {
	Name    string
	Version manifest.Version // empty is the newest
}

var errRef = errors.New("want name or name@version, such as kfre-4v@1.0.0")

// ParseRef reads a Ref. ParseRef(r.String()) gives r back. Errors: BadInput.
func ParseRef(s string) (Ref, error) {
	name, version, pinned := strings.Cut(s, "@")
	ref := Ref{Name: name, Version: manifest.Version(version)}
	if !manifest.ValidName(name) || pinned && !ref.Version.Valid() {
		return Ref{}, &Error{Op: "parse model name", Kind: BadInput, Err: errRef}
	}
	return ref, nil
}

func (r Ref) String() string {
	if r.Version == "" {
		return r.Name
	}
	return r.Name + "@" + string(r.Version)
}
