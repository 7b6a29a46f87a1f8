package patch

import (
	"errors"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// SameIdentity refuses the result of a patch that changed what the server owns:
// id, meta.versionId or meta.lastUpdated (Unprocessable). To remove them with
// the whole of meta is no change: the server sets them again.
func SameIdentity(before, after fhir.Resource) error {
	const op, message = "patch.SameIdentity", "a patch cannot change this element"
	if after.Type != before.Type {
		return fhir.E(op, fhir.Unprocessable, "resourceType", message)
	}
	if after.ID != before.ID {
		return fhir.E(op, fhir.Unprocessable, before.Type+".id", message)
	}
	for _, member := range []string{"versionId", "lastUpdated"} {
		is := after.Root().Get("meta").Get(member)
		if is.Exists() && !jsontree.Equal(is, before.Root().Get("meta").Get(member)) {
			return fhir.E(op, fhir.Unprocessable, before.Type+".meta."+member, message)
		}
	}
	return nil
}

// Misfit makes what is wrong with a patched resource an error of the patch, of
// Kind Unprocessable with the same findings (RFC 5789, section 2.2). Other
// errors stay.
func Misfit(err error) error {
	var cause *fhir.Error
	if !errors.As(err, &cause) || cause.Kind.Status() != fhir.Invalid.Status() {
		return err
	}
	return &fhir.Error{Op: cause.Op, Kind: fhir.Unprocessable, At: cause.At, Err: cause.Err}
}
