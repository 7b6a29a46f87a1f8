package mongo

import (
	"cmp"
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"galen/fhir"
	"galen/store"
)

// Commit runs in a transaction where the server has them. Else one write is made
// by steps of which the last decides, several creations by the journal, and
// anything else is refused: Kind NotSupported.
func (db *DB) Commit(ctx context.Context, writes []store.Write) error {
	const op = "mongo.Commit"
	if err := ctx.Err(); err != nil {
		return fault(op, err)
	}
	types := map[string]bool{}
	for i := range writes {
		types[writes[i].Type] = true
	}
	for typ := range types {
		if err := db.ensure(ctx, typ); err != nil {
			return fault(op, err)
		}
	}
	switch {
	case len(writes) == 0:
		return nil
	case db.caps.Transactions:
		return fault(op, db.transact(ctx, writes))
	case len(writes) == 1:
		return fault(op, db.single(ctx, &writes[0]))
	case slices.ContainsFunc(writes, func(w store.Write) bool { return w.Task != store.Append || w.Expect != 0 || w.Unless != nil }):
		return fhir.E(op, fhir.NotSupported, "", "the database offers no transactions over several resources")
	}
	return fault(op, db.sequence(ctx, writes))
}

// number reserves n places in the order of creation and returns the first.
func (db *DB) number(ctx context.Context, n int) (int64, error) {
	db.counter.Lock()
	defer db.counter.Unlock()
	var counter struct {
		Next int64 `bson:"n"`
	}
	err := db.db.Collection(meta).FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: "created"}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int64(n)}}}},
		options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.After)).Decode(&counter)
	return counter.Next - int64(n), err
}

// numbers reserves a place for each write that may create.
func (db *DB) numbers(ctx context.Context, writes []store.Write) (int64, error) {
	n := 0
	for i := range writes {
		if writes[i].Expect == 0 {
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	return db.number(ctx, n)
}

// transact checks all and then writes all, in the order of the keys so that
// overlapping commits meet in one order.
func (db *DB) transact(ctx context.Context, writes []store.Write) error {
	next, err := db.numbers(ctx, writes)
	if err != nil {
		return err
	}
	created := make([]int64, len(writes))
	order := make([]int, len(writes))
	for i := range writes {
		order[i] = i
		if writes[i].Expect == 0 {
			created[i] = next
			next++
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := writes[a].Key, writes[b].Key
		return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(x.ID, y.ID))
	})
	session, err := db.client.StartSession()
	if err != nil {
		return err
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		old, err := db.check(ctx, writes)
		if err != nil {
			return nil, err
		}
		for _, i := range order {
			if writes[i].Expect != 0 {
				created[i] = old[i].Created
			}
			if err := db.apply(ctx, &writes[i], old[i], created[i]); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return err
}

// check holds every condition against what is there.
func (db *DB) check(ctx context.Context, writes []store.Write) ([]current, error) {
	old := make([]current, len(writes))
	for i := range writes {
		w := &writes[i]
		var err error
		if old[i], err = db.one(ctx, w.Key, scalars); err != nil {
			return nil, err
		}
		if old[i].Version != w.Expect {
			return nil, &store.ConflictError{Index: i, Actual: old[i].header(w.Type)}
		}
		if w.Unless == nil {
			continue
		}
		if err := db.touch(ctx, w.Unless); err != nil {
			return nil, err
		}
		if err := db.unmatched(ctx, i, w); err != nil {
			return nil, err
		}
	}
	return old, nil
}

// apply writes inside a transaction.
func (db *DB) apply(ctx context.Context, w *store.Write, old current, created int64) error {
	c := db.db.Collection(w.Type)
	switch {
	case w.Task == store.Reindex:
		return db.reindex(ctx, w)
	case w.Task == store.Expunge && w.Through >= w.Expect:
		if _, err := c.DeleteOne(ctx, bson.D{{Key: "_id", Value: w.ID}}); err != nil {
			return err
		}
		return db.forget(ctx, w.Key)
	case w.Task == store.Expunge:
		return db.expunge(ctx, w)
	}
	doc, version := documents(w, created, db.token())
	_, err := db.db.Collection(histories).InsertOne(ctx, version)
	if err == nil && w.Expect == 0 {
		_, err = c.InsertOne(ctx, doc)
	} else if err == nil {
		_, err = c.ReplaceOne(ctx, bson.D{{Key: "_id", Value: w.ID}, {Key: "v", Value: w.Expect}, {Key: "h", Value: old.Token}}, doc)
	}
	if mongo.IsDuplicateKeyError(err) {
		return &store.ConflictError{}
	}
	return err
}

// conflict tells what is current instead.
func (db *DB) conflict(ctx context.Context, key fhir.Key) error {
	now, err := db.one(ctx, key, scalars)
	if err != nil {
		return err
	}
	return &store.ConflictError{Actual: now.header(key.Type)}
}

func (db *DB) reindex(ctx context.Context, w *store.Write) error {
	var c current
	c.found(w.Type, w.Entries, false)
	done, err := db.db.Collection(w.Type).UpdateOne(ctx,
		bson.D{{Key: "_id", Value: w.ID}, {Key: "v", Value: w.Expect}, {Key: "x", Value: false}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "k", Value: c.Keys}, {Key: "e", Value: c.Entries}, {Key: "a", Value: c.Up}, {Key: "d", Value: c.Down}}}})
	if err == nil && done.MatchedCount == 0 {
		return db.conflict(ctx, w.Key)
	}
	return err
}

// expunge removes superseded versions.
func (db *DB) expunge(ctx context.Context, w *store.Write) error {
	_, err := db.db.Collection(histories).DeleteMany(ctx, bson.D{
		{Key: "y", Value: w.Type},
		{Key: "i", Value: w.ID},
		{Key: "v", Value: bson.D{{Key: "$gte", Value: w.From}, {Key: "$lte", Value: w.Through}}},
	})
	return err
}

// forget removes all versions of a resource from the history.
func (db *DB) forget(ctx context.Context, key fhir.Key) error {
	_, err := db.db.Collection(histories).DeleteMany(ctx, bson.D{{Key: "y", Value: key.Type}, {Key: "i", Value: key.ID}})
	return err
}
