package operation

import (
	"context"
	"slices"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/r4"
)

// validate answers $validate (https://hl7.org/fhir/R4/resource-operation-validate.html):
// 200 with an OperationOutcome, whatever it says. A body that is no resource at
// all is an error.
func (s *Set) validate(ctx context.Context, c *call) (Result, error) {
	const op = "operation.validate"
	mode := c.text("mode")
	switch mode {
	case "", "create", "update", "profile":
	case "delete":
		if c.ID == "" {
			return Result{}, fhir.E(op, fhir.Invalid, "mode", "delete is validated on an instance")
		}
	default:
		return Result{}, fhir.E(op, fhir.Value, "mode", "create, update, delete or profile is needed")
	}
	r, err := s.candidate(ctx, c, mode)
	if err != nil {
		return Result{}, err
	}
	var issues fhir.Issues
	if r.Type != c.Type {
		issues = append(issues, fhir.Issue{Severity: fhir.SeverityError, Kind: fhir.Invalid, At: "resourceType", Diagnostics: "the resource's type is not the one of the URL"})
	}
	switch {
	case mode == "update" && r.ID == "":
		issues = append(issues, fhir.Issue{Severity: fhir.SeverityError, Kind: fhir.Required, At: r.Type + ".id", Diagnostics: "an update needs the id of the resource"})
	case mode == "update" && c.ID != "" && r.ID != c.ID:
		issues = append(issues, fhir.Issue{Severity: fhir.SeverityError, Kind: fhir.Invalid, At: r.Type + ".id", Diagnostics: "the resource's id is not the one of the URL"})
	}
	if mode != "delete" {
		issues = append(issues, s.knowledge.Validator.Validate(r)...)
		issues = append(issues, s.knowledge.Codes.Validate(ctx, r)...)
		issues = append(issues, s.profiles(ctx, c, r)...)
	}
	if len(issues) == 0 {
		issues = fhir.Issues{{Severity: fhir.Information, Diagnostics: "valid against FHIR R4"}}
	}
	slices.SortStableFunc(issues, func(a, b fhir.Issue) int { return int(a.Severity) - int(b.Severity) })
	return Result{Body: r4.OperationOutcome(issues)}, nil
}

// profiles holds a resource against the profile that is asked for, those that it
// claims and those of its extensions. One that is not known here is an error if
// it is asked for, and a warning if it is claimed.
func (s *Set) profiles(ctx context.Context, c *call, r fhir.Resource) fhir.Issues {
	v, asked := s.knowledge.Profiles, c.text("profile")
	if v == nil {
		if asked == "" {
			return nil
		}
		return fhir.Issues{{Severity: fhir.SeverityError, Kind: fhir.NotSupported, At: "profile", Diagnostics: "this server does not validate against profiles"}}
	}
	var issues fhir.Issues
	hold := func(profile string, unknown fhir.Severity, at string) {
		found, err := v.Validate(ctx, r, profile)
		if err != nil {
			found = fhir.IssuesOf(err)
			found[0].Severity, found[0].At = unknown, at
		}
		issues = append(issues, found...)
	}
	if asked != "" {
		hold(asked, fhir.SeverityError, "profile")
	}
	for claim := range r.Root().Get("meta").Get("profile").Items() {
		if claim.Text() != asked {
			hold(claim.Text(), fhir.Warning, r.Type+".meta.profile")
		}
	}
	return append(issues, v.Extensions(ctx, r)...)
}

// candidate is the resource to validate: the one sent, else the one stored.
func (s *Set) candidate(ctx context.Context, c *call, mode string) (fhir.Resource, error) {
	limits := jsontree.Limits{Depth: s.rest.Limits.Depth}
	node, err := c.node("resource")
	if err == nil && mode != "delete" {
		return fhir.Parse(node.Raw(), limits)
	}
	if c.ID == "" {
		return fhir.Resource{}, err
	}
	rec, err := s.rest.Read(ctx, c.Caller, c.key())
	if err != nil {
		return fhir.Resource{}, err
	}
	return fhir.Parse(rec.Body, limits)
}
