package upkeep

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"galen/fhir"
	"galen/fhir/operation"
	"galen/fhir/subject"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// The limit of one call, in versions: a call ends within its time, and asked
// again goes on.
const (
	limit    = 1_000
	maxLimit = 10_000
)

// expunge answers $expunge with the count of the versions removed
// (https://hapifhir.io/hapi-fhir/docs/server_jpa/ names the parameters).
func (s *Service) expunge(ctx context.Context, r operation.Request, arguments map[string][]string) (operation.Result, error) {
	d, err := s.permit(ctx, r, policies.Expunge)
	if err != nil {
		return operation.Result{}, err
	}
	x := &expunging{Service: s, entry: s.entry(r, d)}
	if err = x.read(r, arguments); err == nil {
		if r.ID != "" {
			err = x.one(ctx, fhir.Key{Type: r.Type, ID: r.ID})
		} else {
			err = x.many(ctx, r.Type)
		}
	}
	if err := s.record(ctx, x.entry, err); err != nil {
		return operation.Result{}, err
	}
	p := parameters{}
	p.add("count", "valueInteger", x.removed)
	return operation.Result{Status: http.StatusOK, Body: p.bytes()}, nil
}

// expunging is one call under way.
type expunging struct {
	*Service
	in      store.ExpungeInput
	left    int // of the limit
	removed int // versions
	entry   audit.Entry
}

func (x *expunging) read(r operation.Request, arguments map[string][]string) (err error) {
	const op = "upkeep.expunge"
	if r.Type == "AuditEvent" {
		return fhir.E(op, fhir.NotSupported, "", "the audit is kept by its own rules and cannot be expunged")
	}
	everything, err := flag(arguments, "expungeEverything")
	if err != nil {
		return err
	}
	if everything {
		return fhir.E(op, fhir.NotSupported, "expungeEverything", "not offered: nothing would be left of who saw what; start with a new data directory")
	}
	if x.in.Deleted, err = flag(arguments, "expungeDeletedResources"); err != nil {
		return err
	}
	if x.in.Previous, err = flag(arguments, "expungePreviousVersions"); err != nil {
		return err
	}
	if x.left, err = number(arguments, "limit", limit); err != nil {
		return err
	}
	x.left = min(x.left, maxLimit)
	if len(arguments["version"]) > 0 {
		if r.ID == "" {
			return fhir.E(op, fhir.Invalid, "version", "a version is one of a single resource")
		}
		version, err := number(arguments, "version", 0)
		x.in.Version = int64(version)
		return err
	}
	if !x.in.Deleted && !x.in.Previous {
		return fhir.E(op, fhir.Required, "", "expungeDeletedResources, expungePreviousVersions or version is needed")
	}
	return nil
}

func number(arguments map[string][]string, name string, otherwise int) (int, error) {
	if len(arguments[name]) == 0 {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(arguments[name][0], 10, 32)
	if err != nil || n < 1 {
		return 0, fhir.E("upkeep", fhir.Value, name, "a whole number of at least 1 is needed")
	}
	return int(n), nil
}

// one expunges one resource and puts on record whose data it held.
func (x *expunging) one(ctx context.Context, key fhir.Key) error {
	records, err := x.REST.Store.ReadMany(ctx, key)
	if err != nil {
		return err
	}
	last := records[0]
	if last.Deleted {
		if before, err := x.REST.Store.ReadVersion(ctx, key, last.Version-1); err == nil {
			last = before
		}
	}
	in := x.in
	in.Key, in.Most = key, x.left
	n, err := x.REST.Store.Expunge(ctx, in)
	x.removed, x.left = x.removed+n, x.left-n
	if n > 0 {
		x.entry.Resources = append(x.entry.Resources, key.String())
		for _, p := range subject.Patients(key, last.Body) {
			if !slices.Contains(x.entry.Patients, p) {
				x.entry.Patients = append(x.entry.Patients, p)
			}
		}
	}
	return err
}

// many expunges what the history of a type, or of all, shows to have more than a
// current version, the oldest first.
func (x *expunging) many(ctx context.Context, resourceType string) error {
	in := store.HistoryInput{Type: resourceType, Oldest: true, Count: 500}
	seen := map[fhir.Key]bool{}
	for x.left > 0 {
		page, err := x.REST.Store.History(ctx, in)
		if err != nil {
			return err
		}
		var keys []fhir.Key
		for _, v := range page.Versions {
			if !seen[v.Key] {
				seen[v.Key] = true
				keys = append(keys, v.Key)
			}
		}
		current, err := x.REST.Store.ReadMany(ctx, keys...)
		if err != nil {
			return err
		}
		for _, r := range current {
			if x.left == 0 {
				break
			}
			if r.Exists() && (r.Deleted || x.in.Previous && r.Version > 1) {
				if err := orNil(x.one(ctx, r.Key), fhir.NotFound); err != nil {
					return err
				}
			}
		}
		if in.After = page.Next; in.After == "" {
			return nil
		}
	}
	return nil
}
