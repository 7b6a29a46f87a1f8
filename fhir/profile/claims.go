package profile

import (
	"context"

	"galen/fhir"
)

// Claims adds to the validation against R4 the codes of a resource, the profiles
// that it claims in meta.profile, those that are required of its type, and the
// definitions of its extensions.
type Claims struct {
	Base interface {
		Validate(fhir.Resource) fhir.Issues
	}
	Codes interface {
		Validate(ctx context.Context, r fhir.Resource) fhir.Issues
	}
	Profiles *Validator
	Required map[string][]string // by resource type, canonical URLs
}

// Validate lists what is wrong with a resource. A claim that is not known here
// is a warning; a required profile that is not known, an error.
func (c Claims) Validate(r fhir.Resource) fhir.Issues {
	issues := c.Base.Validate(r)
	for _, i := range issues {
		if i.Severity <= fhir.SeverityError {
			return issues // profiles take a resource of R4 for granted
		}
	}
	ctx := context.Background() // validation is bounded by itself
	issues = append(issues, c.Codes.Validate(ctx, r)...)
	hold := func(canonical string, unknown fhir.Severity) {
		found, err := c.Profiles.Validate(ctx, r, canonical)
		if err != nil {
			found = fhir.IssuesOf(err)
			found[0].Severity, found[0].At = unknown, r.Type+".meta.profile"
		}
		issues = append(issues, found...)
	}
	for _, canonical := range c.Required[r.Type] {
		hold(canonical, fhir.SeverityError)
	}
	for claim := range r.Root().Get("meta").Get("profile").Items() {
		hold(claim.Text(), fhir.Warning)
	}
	return append(issues, c.Profiles.Extensions(ctx, r)...)
}
