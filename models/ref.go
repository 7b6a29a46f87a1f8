package models

import (
	"errors"
	"strings"

	"galen/models/manifest"
)

// Ref names a model, or one version of it: "kfre-4v", "kfre-4v@1.0.0" or by an
// alias "kfre-4v@challenger". Without a version it means the champion, and where
// none is named the newest release that is served.
type Ref struct {
	Name    string
	Version manifest.Version // empty is the champion
}

// The aliases that may stand for a version.
const (
	Champion   manifest.Version = "champion"   // what answers when no version is named
	Challenger manifest.Version = "challenger" // what is tried against it
)

// Alias says whether the version is an alias.
func (r Ref) Alias() bool { return r.Version == Champion || r.Version == Challenger }

var errRef = errors.New("want name, name@version or name@alias, such as kfre-4v@1.0.0")

// ParseRef reads a Ref. ParseRef(r.String()) gives r back. Errors: BadInput.
func ParseRef(s string) (Ref, error) {
	name, version, pinned := strings.Cut(s, "@")
	ref := Ref{Name: name, Version: manifest.Version(version)}
	if !manifest.ValidName(name) || pinned && !ref.Version.Valid() && !ref.Alias() {
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
