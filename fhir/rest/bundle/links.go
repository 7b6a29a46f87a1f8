package bundle

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/etag"
	"galen/fhir/jsontree"
	"galen/fhir/rest/literal"
	"galen/store"
)

// linker resolves the links between the entries of a transaction.
type linker struct {
	*transaction
	walker *literal.Walker
	links  literal.Links
}

// links are the identities that the entries got, by their fullUrl.
func (t *transaction) links() (linker, error) {
	l := linker{t, literal.New(t.Defs), literal.Links{}}
	for i := range t.steps {
		st := &t.steps[i]
		if st.FullURL == "" || st.Method == http.MethodDelete {
			continue
		}
		if _, twice := l.links[st.FullURL]; twice {
			return l, fhir.E("bundle.links", fhir.Invalid, st.At("fullUrl"), "another entry has the same fullUrl")
		}
		target := literal.Target{To: st.key.String(), Version: st.next, Canonical: st.sent.Root().Get("url").Text() == st.FullURL}
		switch {
		case st.idle:
			target.Version = strconv.FormatInt(st.done.Version, 10)
		case st.Method == http.MethodPost:
			target.Version = "1"
		}
		l.links[st.FullURL] = target
	}
	return l, nil
}

// versions foretells which versions updates will make, if a link of the Bundle is
// to a version, and makes sure at the commit that it is those.
func (t *transaction) versions(ctx context.Context) error {
	var updates []*step
	var keys []fhir.Key
	asked := false
	for i := range t.steps {
		st := &t.steps[i]
		asked = asked || bytes.Contains(st.sent.Bytes(), []byte("/_history/"))
		if st.next = ""; st.FullURL != "" && (st.Method == http.MethodPut || st.Method == http.MethodPatch) {
			updates, keys = append(updates, st), append(keys, st.key)
		}
	}
	if !asked {
		return nil
	}
	records, err := t.Store.ReadMany(ctx, keys...)
	if err != nil {
		return err
	}
	for i, st := range updates {
		rec := records[i]
		live := rec.Exists() && !rec.Deleted
		if st.change.IfMatch == etag.None {
			st.own, st.change.IfMatch = true, store.Absent
			if live {
				st.change.IfMatch = rec.Version
			}
		}
		next := rec.Version + 1
		if live && same(st.sent, rec) {
			next = rec.Version
		}
		st.next = strconv.FormatInt(next, 10)
	}
	return nil
}

// same reports whether an update changes nothing, so that it makes no version.
func same(sent fhir.Resource, rec store.Record) bool {
	a, errA := jsontree.Parse(sent.Stamp(rec.Header), jsontree.Limits{})
	b, errB := jsontree.Parse(rec.Body, jsontree.Limits{})
	return errA == nil && errB == nil && jsontree.Equal(a.Root(), b.Root())
}

// resolve gives the bytes of a step's resource with its links to other entries
// and its conditional references replaced
// (https://hl7.org/fhir/R4/http.html#trules, #condref).
func (l linker) resolve(ctx context.Context, st *step) ([]byte, error) {
	base := literal.Base(st.FullURL)
	if st.patch != nil {
		base = "" // most of what a patch makes was stored here, where relative is relative to here
	}
	return l.walker.Rewrite(st.sent, func(link literal.Link) (string, error) {
		if to, ok := l.links.Find(link.Kind, base, link.Text); ok {
			return to, nil
		}
		if link.Kind != literal.Reference {
			return "", nil
		}
		if urn := strings.HasPrefix(link.Text, "urn:uuid:") || strings.HasPrefix(link.Text, "urn:oid:"); urn && st.patch != nil {
			return "", nil // it may have been stored so
		} else if urn {
			return "", fhir.E("bundle.resolve", fhir.Invalid, link.Path(), "no entry of the Bundle has this fullUrl")
		}
		to, err := l.conditional(ctx, st, link.Text)
		if err != nil {
			return "", &fhir.Error{Op: "bundle.resolve", Kind: fhir.KindOf(err), At: link.Path(), Err: reason(err)}
		}
		return to, nil
	})
}

// reason is an error's cause without its place.
func reason(err error) error {
	var e *fhir.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}

// conditional resolves a reference such as Patient?identifier=s|1, once for each
// text. It sees what is there after the writes: what the transaction itself
// creates counts, what it deletes does not.
func (l linker) conditional(ctx context.Context, st *step, text string) (string, error) {
	const op = "bundle.conditional"
	resourceType, criteria, ok := strings.Cut(strings.TrimPrefix(text, l.caller.Base+"/"), "?")
	if !ok || !l.Defs.IsResource(resourceType) {
		return "", nil
	}
	if to, known := l.found[text]; known {
		return to, nil
	}
	q, err := l.Criteria(ctx, st.act, resourceType, criteria)
	if err != nil {
		return "", err
	}
	keys, _, err := l.stored(ctx, q, l.changed, 2)
	if err != nil {
		return "", err
	}
	fresh, err := l.fresh.Match(ctx, q, 2, func(int) bool { return false })
	if err != nil {
		return "", err
	}
	for _, i := range fresh {
		keys = append(keys, l.steps[i].key)
	}
	switch len(keys) {
	case 0:
		return "", fhir.E(op, fhir.Precondition, "", "a conditional reference matches no resource")
	case 1:
		l.found[text] = keys[0].String()
		return l.found[text], nil
	}
	return "", fhir.E(op, fhir.MultipleMatch, "", "a conditional reference matches more than one resource")
}
