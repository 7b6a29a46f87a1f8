// Package history reads the parameters of the history interaction
// (https://hl7.org/fhir/R4/http.html#history): _since, _at, _count and _sort.
//
// It decides no access: that is a condition which the caller adds.
package history

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
	"galen/store"
)

// Request is what a history is asked for. The zero Request asks for everything.
type Request struct {
	Since    time.Time   // only versions at or after it; zero for all
	At       fhir.Period // only versions that were current at some time in it, if HasAt
	HasAt    bool
	Count    int // versions per page, if HasCount; 0 asks for the total only
	HasCount bool
	Oldest   bool // the oldest first, not the newest

	given url.Values // what was understood, as it was written
}

// Read reads the query part of a URL. A parameter that history does not have is
// passed over; _list, which would change what is found, is refused. Errors are
// of Kind Value and NotSupported and name the parameter.
func Read(query url.Values) (Request, error) {
	const op = "history.Read"
	r := Request{given: url.Values{}}
	for name, values := range query {
		text := values[0]
		var err error
		switch name {
		case "_since":
			var p fhir.Period
			p, err = period(name, text)
			r.Since = p.Low.Time()
		case "_at":
			r.At, err = period(name, text)
			r.HasAt = true
		case "_count":
			r.Count, err = strconv.Atoi(text)
			if r.HasCount = true; err != nil || r.Count < 0 {
				err = fhir.E(op, fhir.Value, name, "must be a whole number that is not negative")
			}
		case "_sort":
			if r.Oldest = text == "_lastUpdated"; !r.Oldest && text != "-_lastUpdated" {
				err = fhir.E(op, fhir.NotSupported, name, "a history is sorted by -_lastUpdated or _lastUpdated")
			}
		case "_list":
			err = fhir.E(op, fhir.NotSupported, name, "the history of a List's members is not offered")
		default:
			continue
		}
		switch {
		case err != nil:
			return Request{}, err
		case len(values) > 1:
			return Request{}, fhir.E(op, fhir.Value, name, "may be given once")
		}
		r.given[name] = values
	}
	return r, nil
}

// period reads a date, dateTime or instant; a "+" may have become a space.
func period(name, text string) (fhir.Period, error) {
	p, _, err := fhir.ParseDateTime(strings.Replace(text, " ", "+", 1), time.UTC)
	if err != nil {
		return p, fhir.E("history.Read", fhir.Value, name, "must be a date, dateTime or instant")
	}
	return p, nil
}

// Limit caps Count at most; unset, it becomes the usual page.
func (r *Request) Limit(usual, most int) {
	if !r.HasCount {
		r.Count = usual
		return
	}
	if r.Count > most {
		r.Count = most
		r.given.Set("_count", strconv.Itoa(most))
	}
}

// Values are the parameters as understood, for the links of the Bundle.
func (r Request) Values() url.Values {
	out := url.Values{}
	for name, values := range r.given {
		out[name] = values
	}
	return out
}

// current reports whether a version was current at some time in At: it was made
// before the end, and what followed it, if anything did, came after the start.
func (r Request) current(made time.Time, followed bool, by time.Time) bool {
	if fhir.InstantOf(made) >= r.At.High {
		return false
	}
	return !followed || fhir.InstantOf(by) > r.At.Low
}

// Versions finds one version: store.Store does.
type Versions interface {
	ReadVersion(ctx context.Context, key fhir.Key, version int64) (store.Record, error)
}

// CurrentIn is the condition of _at, which depends on the version that followed.
// What was deleted before the period was not current in it.
func (r Request) CurrentIn(ctx context.Context, from Versions) Keep {
	return func(v store.Record) (bool, error) {
		if fhir.InstantOf(v.LastUpdated) >= r.At.Low {
			return r.current(v.LastUpdated, false, v.LastUpdated), nil
		}
		if v.Deleted {
			return false, nil
		}
		next, err := from.ReadVersion(ctx, v.Key, v.Version+1)
		if err != nil && fhir.KindOf(err) != fhir.NotFound && fhir.KindOf(err) != fhir.Deleted {
			return false, err
		}
		return r.current(v.LastUpdated, next.Exists(), next.LastUpdated), nil
	}
}

// Links are the self and next links of a page: path is the URL without a query,
// cursor the value of the parameter page that leads on, "" on the last page.
func (r Request) Links(path, page, cursor string) (self, next string) {
	query := r.Values()
	self = strings.TrimSuffix(path+"?"+query.Encode(), "?")
	if cursor != "" {
		query.Set(page, cursor)
		next = path + "?" + query.Encode()
	}
	return self, next
}
