package conditional_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/conditional"
	"galen/fhir/etag"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/store"
)

// matches is a Source whose criteria match the given resources, each in version
// 3; "used" exists beside them and "gone" was deleted.
type matches []string

func (m matches) Match(_ context.Context, _ *search.Query, limit int) ([]fhir.Key, error) {
	var keys []fhir.Key
	for _, id := range m[:min(limit, len(m))] {
		keys = append(keys, fhir.Key{Type: "Patient", ID: id})
	}
	return keys, nil
}

func (m matches) ReadMany(_ context.Context, keys ...fhir.Key) ([]store.Record, error) {
	out := make([]store.Record, len(keys))
	for i, k := range keys {
		if slices.Contains(m, k.ID) || k.ID == "used" || k.ID == "gone" {
			out[i] = store.Record{Header: fhir.Header{Key: k, Version: 3}, Deleted: k.ID == "gone"}
		}
	}
	return out, nil
}

func (matches) NewID() string { return "new" }

// fhir.md 19: conditional update.
func TestUpdate(t *testing.T) {
	q := &search.Query{}
	cases := []struct {
		name    string
		found   matches
		id      string
		ifMatch int64
		key     string
		cond    int64 // of the change
		unless  bool
		kind    fhir.Kind // of the error if key is ""
	}{
		{"no match, no id: create", nil, "", etag.None, "new", 0, true, 0},
		{"no match, new id: create there", nil, "mine", etag.None, "mine", store.Absent, true, 0},
		{"no match, deleted id: bring it back", nil, "gone", etag.None, "gone", store.Absent, true, 0},
		{"no match, id of another", nil, "used", etag.None, "", 0, false, fhir.Conflict},
		{"no match, If-Match never creates", nil, "", 3, "", 0, false, fhir.Precondition},
		{"no match, If-Match: * never creates", nil, "", etag.Any, "", 0, false, fhir.Precondition},
		{"one match, no id", matches{"a"}, "", etag.None, "a", 3, false, 0},
		{"one match, its id", matches{"a"}, "a", etag.None, "a", 3, false, 0},
		{"one match, another id", matches{"a"}, "b", etag.None, "", 0, false, fhir.Invalid},
		{"one match, its version", matches{"a"}, "", 3, "a", 3, false, 0},
		{"one match, any version", matches{"a"}, "", etag.Any, "a", 3, false, 0},
		{"one match, another version", matches{"a"}, "", 2, "", 0, false, fhir.Precondition},
		{"many", matches{"a", "b"}, "", etag.None, "", 0, false, fhir.MultipleMatch},
		{"many, the id of one", matches{"a", "b"}, "a", etag.None, "", 0, false, fhir.MultipleMatch},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			body := `{"resourceType":"Patient"}`
			if c.id != "" {
				body = `{"resourceType":"Patient","id":"` + c.id + `"}`
			}
			r, err := fhir.Parse([]byte(body), jsontree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := conditional.Update(t.Context(), c.found, q, r, c.ifMatch)
			if c.key == "" {
				if err == nil || fhir.KindOf(err) != c.kind {
					t.Errorf("error %v, want Kind %v", err, c.kind)
				}
				return
			}
			if err != nil || got.Key.ID != c.key || got.IfMatch != c.cond || (got.IfNoneExist == q) != c.unless || got.Method != store.Put {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// fhir.md 20: conditional delete.
func TestDelete(t *testing.T) {
	cases := []struct {
		name    string
		found   matches
		limit   int
		ifMatch int64
		want    []string
		kind    fhir.Kind // of the error if want is nil
	}{
		{"nothing", nil, 1, etag.None, []string{}, 0},
		{"nothing, but a version is asked for", nil, 1, 3, nil, fhir.Precondition},
		{"one", matches{"a"}, 1, etag.None, []string{"a"}, 0},
		{"one of that version", matches{"a"}, 1, 3, []string{"a"}, 0},
		{"one of another version", matches{"a"}, 1, 2, nil, fhir.Precondition},
		{"many where one is allowed", matches{"a", "b"}, 1, etag.None, nil, fhir.MultipleMatch},
		{"many", matches{"a", "b"}, 2, etag.None, []string{"a", "b"}, 0},
		{"many, and a version", matches{"a", "b"}, 2, 3, nil, fhir.MultipleMatch},
		{"more than allowed", matches{"a", "b", "c"}, 2, etag.None, nil, fhir.TooCostly},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			changes, err := conditional.Delete(t.Context(), c.found, &search.Query{}, c.limit, c.ifMatch)
			if c.want == nil {
				if err == nil || fhir.KindOf(err) != c.kind {
					t.Errorf("error %v, want Kind %v", err, c.kind)
				}
				return
			}
			got := []string{}
			for _, change := range changes {
				if change.Method != store.Delete || change.IfMatch != 3 {
					t.Errorf("%+v", change)
				}
				got = append(got, change.Key.ID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

func TestOne(t *testing.T) {
	if r, err := conditional.One(t.Context(), matches(nil), nil); err != nil || r.Exists() {
		t.Errorf("%v, %v", r, err)
	}
	if r, err := conditional.One(t.Context(), matches{"a"}, nil); err != nil || r.ID != "a" {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := conditional.One(t.Context(), matches{"a", "b", "c"}, nil); fhir.KindOf(err) != fhir.MultipleMatch {
		t.Errorf("%v", err)
	}
}
