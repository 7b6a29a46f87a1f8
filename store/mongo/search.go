package mongo

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
	"galen/store/mongo/index"
	"galen/store/mongo/plan"
)

// hit is a document that was held against the condition.
type hit struct {
	store.Record
	place plan.Place
}

// query is one that is ready to run.
type query struct {
	db    *DB
	sorts []search.Sort
	types []string
	nodes []plan.Node // by position of types
}

// prepare resolves what the condition asks of other resources and compiles it
// for each type.
func (db *DB) prepare(ctx context.Context, q *search.Query) (*query, error) {
	types := slices.Clone(q.Types)
	if len(types) == 0 {
		var err error
		if types, err = db.types(ctx); err != nil {
			return nil, err
		}
	}
	slices.Sort(types)
	where, err := plan.Resolve(q.Where, &resolver{ctx: ctx, db: db})
	if err != nil {
		return nil, err
	}
	p := &query{db: db, sorts: plan.Sorts(q.Sort)}
	for _, typ := range slices.Compact(types) {
		if n := plan.Compile(typ, where); !n.Never {
			p.types, p.nodes = append(p.types, typ), append(p.nodes, n)
		}
	}
	return p, nil
}

// Search walks the order, merging types and phases.
func (db *DB) Search(ctx context.Context, s store.Select) (store.Page, error) {
	const op = "mongo.Search"
	q, err := db.prepare(ctx, s.Query)
	if err != nil {
		return store.Page{}, fault(op, err)
	}
	if len(q.sorts) > plan.MaxSorts {
		return store.Page{}, fhir.E(op, fhir.TooCostly, "_sort", "too many sort keys")
	}
	var after *plan.Place
	if s.After != nil {
		after = new(plan.Place)
		if err := json.Unmarshal(s.After, after); err != nil || len(after.Keys) != len(q.sorts) {
			return store.Page{}, errCursor(op)
		}
	}
	var page store.Page
	var last plan.Place
	for _, run := range plan.Phases(q.sorts) {
		err = q.walk(ctx, run, after, s.Limit+1, func(h *hit) bool {
			if len(page.Records) == s.Limit {
				page.Next, err = json.Marshal(last)
				return false
			}
			page.Records, last = append(page.Records, h.Record), h.place
			return true
		})
		if err != nil || page.Next != nil {
			break
		}
	}
	if err != nil {
		return store.Page{}, fault(op, err)
	}
	return page, nil
}

// stream is a cursor over one type with its next hit.
type stream struct {
	q    *query
	typ  string
	node plan.Node
	cur  *mongo.Cursor
	head hit
}

// walk yields the hits of a run of phases in order.
func (q *query) walk(ctx context.Context, run []plan.Phase, after *plan.Place, batch int, yield func(*hit) bool) error {
	var streams []*stream
	defer func() {
		for _, s := range streams {
			_ = s.cur.Close(context.WithoutCancel(ctx))
		}
	}()
	for _, phase := range run {
		o := options.Find().SetSort(document(phase.Sort())).SetProjection(projection(whole)).SetAllowDiskUse(true).
			SetBatchSize(int32(min(max(batch, 2), 1000)))
		for i, typ := range q.types {
			filter, ok := phase.Filter(q.nodes[i].Where(), after)
			if !ok {
				continue
			}
			cur, err := q.db.db.Collection(typ).Find(ctx, document(filter), o)
			if err != nil {
				return err
			}
			streams = append(streams, &stream{q: q, typ: typ, node: q.nodes[i], cur: cur})
		}
	}
	live := make([]*stream, 0, len(streams))
	for _, s := range streams {
		more, err := s.advance(ctx)
		if err != nil {
			return err
		}
		if more {
			live = append(live, s)
		}
	}
	for len(live) > 0 {
		first := slices.MinFunc(live, func(a, b *stream) int { return q.compare(a.head.place, b.head.place) })
		if !yield(&first.head) {
			return nil
		}
		more, err := first.advance(ctx)
		if err != nil {
			return err
		}
		if !more {
			live = slices.DeleteFunc(live, func(s *stream) bool { return s == first })
		}
	}
	return nil
}

// advance moves to the next document that meets the condition.
func (s *stream) advance(ctx context.Context) (bool, error) {
	for s.cur.Next(ctx) {
		var doc current
		if err := s.cur.Decode(&doc); err != nil {
			return false, err
		}
		r, ok, err := check(s.node, &doc, s.typ)
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		s.head = hit{doc.record(s.typ), plan.Place{Created: doc.Created}}
		for _, by := range s.q.sorts {
			var key *string
			if text, ok := search.SortKey(r.Entries, r.Header, by); ok {
				text = strings.ToValidUTF8(text, "\ufffd")
				key = &text
			}
			s.head.place.Keys = append(s.head.place.Keys, key)
		}
		return true, nil
	}
	return false, s.cur.Err()
}

// compare orders places: search.Find.
func (q *query) compare(a, b plan.Place) int {
	for i, s := range q.sorts {
		x, y := a.Keys[i], b.Keys[i]
		switch {
		case x == nil && y == nil:
			continue
		case x == nil:
			return 1
		case y == nil:
			return -1
		}
		c := strings.Compare(*x, *y)
		if s.Descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Created, b.Created)
}

// check holds a document against a condition.
func check(n plan.Node, doc *current, typ string) (plan.Resource, bool, error) {
	if doc.Deleted {
		return plan.Resource{}, false, nil
	}
	list, err := index.Decode(doc.Entries)
	if err != nil {
		return plan.Resource{}, false, &fhir.Error{Op: "mongo.Search", Err: err}
	}
	r := plan.Resource{Header: doc.header(typ), Entries: list}
	return r, n.Holds(&r), nil
}

// Count lets the server count where the filter is exact.
func (db *DB) Count(ctx context.Context, q *search.Query) (int, error) {
	const op = "mongo.Count"
	p, err := db.prepare(ctx, q)
	if err != nil {
		return 0, fault(op, err)
	}
	total := 0
	for i, typ := range p.types {
		if p.nodes[i].Exact {
			n, err := db.db.Collection(typ).CountDocuments(ctx, document(p.nodes[i].Where()))
			if err != nil {
				return 0, fault(op, err)
			}
			total += int(n)
			continue
		}
		err := db.each(ctx, typ, p.nodes[i], func(*plan.Resource) bool { total++; return true })
		if err != nil {
			return 0, fault(op, err)
		}
	}
	return total, nil
}

// each yields the resources of a type that meet a condition, in any order.
func (db *DB) each(ctx context.Context, typ string, n plan.Node, yield func(*plan.Resource) bool) error {
	if n.Never {
		return nil
	}
	cur, err := db.db.Collection(typ).Find(ctx, document(n.Where()), options.Find().SetProjection(projection(entries)))
	if err != nil {
		return err
	}
	defer func() { _ = cur.Close(context.WithoutCancel(ctx)) }()
	for cur.Next(ctx) {
		var doc current
		if err := cur.Decode(&doc); err != nil {
			return err
		}
		r, ok, err := check(n, &doc, typ)
		if err != nil || ok && !yield(&r) {
			return err
		}
	}
	return cur.Err()
}
