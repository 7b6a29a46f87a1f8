package mongo

import (
	"context"
	"encoding/json"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"galen/fhir"
	"galen/store"
)

// moment is where a version stands in a history.
type moment struct {
	Millis  int64 `json:"l"`
	Created int64 `json:"c"`
	Version int64 `json:"v"`
}

// History walks an index of the history in its order.
func (db *DB) History(ctx context.Context, s store.HistorySelect) (store.Page, error) {
	const op = "mongo.History"
	var after *moment
	if s.After != nil {
		after = new(moment)
		if err := json.Unmarshal(s.After, after); err != nil || after.Version < 1 {
			return store.Page{}, errCursor(op)
		}
	}
	if err := db.settle(ctx); err != nil {
		return store.Page{}, fault(op, err)
	}
	filter := bson.D{{Key: "p", Value: false}}
	add := func(name string, v any) { filter = append(filter, bson.E{Key: name, Value: v}) }
	if s.Type != "" {
		add("y", s.Type)
	}
	if s.ID != "" {
		add("i", s.ID)
	}
	if span := between(s); len(span) > 0 {
		add("l", span)
	}
	var page store.Page
	c := db.db.Collection(histories)
	if s.Total {
		n, err := c.CountDocuments(ctx, filter)
		if err != nil {
			return store.Page{}, fault(op, err)
		}
		page.Total = int(n)
	}
	way, beyond := -1, "$lt"
	if s.Oldest {
		way, beyond = 1, "$gt"
	}
	if after != nil {
		add("$or", after.beyond(beyond))
	}
	cur, err := c.Find(ctx, filter, options.Find().SetLimit(int64(s.Limit)+1).SetAllowDiskUse(true).
		SetSort(bson.D{{Key: "l", Value: way}, {Key: "c", Value: way}, {Key: "v", Value: way}}))
	if err != nil {
		return store.Page{}, fault(op, err)
	}
	var docs []past
	if err := cur.All(ctx, &docs); err != nil {
		return store.Page{}, fault(op, err)
	}
	for i := range docs {
		if i == s.Limit {
			p := &docs[i-1]
			page.Next, err = json.Marshal(moment{p.Millis, p.Created, p.Version})
			break
		}
		page.Records = append(page.Records, docs[i].record())
	}
	return page, fault(op, err)
}

func between(s store.HistorySelect) bson.D {
	var span bson.D
	if !s.Since.IsZero() {
		since := s.Since.UnixMilli()
		if s.Since.Nanosecond()%1_000_000 != 0 {
			since++
		}
		span = append(span, bson.E{Key: "$gte", Value: since})
	}
	if !s.Until.IsZero() {
		until := s.Until.UnixMilli()
		if s.Until.Nanosecond()%1_000_000 != 0 {
			until++
		}
		span = append(span, bson.E{Key: "$lt", Value: until})
	}
	return span
}

func (m moment) beyond(op string) bson.A {
	past := func(v int64) bson.D { return bson.D{{Key: op, Value: v}} }
	return bson.A{
		bson.D{{Key: "l", Value: past(m.Millis)}},
		bson.D{{Key: "l", Value: m.Millis}, {Key: "c", Value: past(m.Created)}},
		bson.D{{Key: "l", Value: m.Millis}, {Key: "c", Value: m.Created}, {Key: "v", Value: past(m.Version)}},
	}
}

func errCursor(op string) error {
	return fhir.E(op, fhir.Value, "cursor", "not a cursor of this search")
}
