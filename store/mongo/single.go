package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"galen/fhir"
	"galen/store"
)

// Without transactions the insertion of a version into the history decides: there
// is one document of each version, whoever inserts it has won, and it holds the
// resource's new document until that is in place. A node that dies in between
// leaves a pending version; the next writer, reader of the history or start puts
// it in place when a lease has passed. Only the insertion of a key has to be
// atomic: some servers replace without holding what they compared.

// single commits one write without a transaction.
func (db *DB) single(ctx context.Context, w *store.Write) error {
	if w.Unless != nil {
		release, err := db.acquire(ctx, w.Unless)
		if err != nil {
			return err
		}
		defer release()
		// A guard is only held for so long.
		bounded, cancel := context.WithTimeout(ctx, db.opts.Lease*2/3)
		defer cancel()
		ctx = bounded
	}
	old, err := db.one(ctx, w.Key, scalars)
	if err != nil {
		return err
	}
	if old.Version != w.Expect {
		return &store.ConflictError{Actual: old.header(w.Type)}
	}
	if w.Unless != nil {
		if err := db.unmatched(ctx, 0, w); err != nil {
			return err
		}
	}
	switch {
	case w.Task == store.Reindex:
		return db.reindex(ctx, w)
	case w.Task == store.Expunge && w.Through >= w.Expect:
		return db.erase(ctx, w, old)
	case w.Task == store.Expunge:
		return db.expunge(ctx, w)
	}
	return db.append(ctx, w, old)
}

func (db *DB) append(ctx context.Context, w *store.Write, old current) error {
	created := old.Created
	if w.Expect == 0 {
		var err error
		if created, err = db.number(ctx, 1); err != nil {
			return err
		}
	}
	doc, version := documents(w, created, db.token())
	version.Pending, version.Next = true, &doc
	_, err := db.db.Collection(histories).InsertOne(ctx, version)
	if mongo.IsDuplicateKeyError(err) {
		return db.await(ctx, w.Key, w.Version)
	}
	if err != nil {
		return err
	}
	placed, err := db.place(context.WithoutCancel(ctx), &version)
	if err == nil && !placed {
		return db.conflict(ctx, w.Key)
	}
	return err
}

// place puts a pending version in its place and confirms it, or removes it if
// another version has taken the place.
func (db *DB) place(ctx context.Context, p *past) (placed bool, err error) {
	c := db.db.Collection(p.Type)
	if p.Version == 1 {
		_, err = c.InsertOne(ctx, p.Next)
	} else {
		_, err = c.ReplaceOne(ctx, bson.D{{Key: "_id", Value: p.Logical}, {Key: "v", Value: p.Version - 1}}, p.Next)
	}
	if err != nil && !mongo.IsDuplicateKeyError(err) {
		return false, err
	}
	now, err := db.one(ctx, fhir.Key{Type: p.Type, ID: p.Logical}, scalars)
	if err != nil {
		return false, err
	}
	history := db.db.Collection(histories)
	if now.Version <= p.Version && now.Token != p.Token {
		_, err = history.DeleteOne(ctx, bson.D{{Key: "_id", Value: p.ID}, {Key: "h", Value: p.Token}})
		return false, err
	}
	_, err = history.UpdateOne(ctx, bson.D{{Key: "_id", Value: p.ID}, {Key: "h", Value: p.Token}}, bson.D{
		{Key: "$set", Value: bson.D{{Key: "p", Value: false}}}, {Key: "$unset", Value: bson.D{{Key: "n", Value: ""}}},
	})
	return true, err
}

// await waits until the version that another inserted is in place, puts it there
// if that takes a lease, and tells of the conflict.
func (db *DB) await(ctx context.Context, key fhir.Key, version int64) error {
	tick := time.NewTicker(guardPause)
	defer tick.Stop()
	for since := time.Now(); ; {
		now, err := db.one(ctx, key, scalars)
		switch {
		case err != nil:
			return err
		case now.Version >= version:
			return &store.ConflictError{Actual: now.header(key.Type)}
		case time.Since(since) > db.opts.Lease:
			var p past
			err := db.db.Collection(histories).FindOne(ctx, bson.D{{Key: "_id", Value: pastID(key, version)}}).Decode(&p)
			if err == nil && p.Pending {
				_, err = db.place(ctx, &p)
			}
			if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
				return err
			}
			return db.conflict(ctx, key)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// settle puts pending versions in place whose node had a lease to do so, and
// confirms those that are.
func (db *DB) settle(ctx context.Context) error {
	if db.caps.Transactions {
		return nil
	}
	cur, err := db.db.Collection(histories).Find(ctx, bson.D{{Key: "p", Value: true}})
	if err != nil {
		return err
	}
	var pending []past
	if err := cur.All(ctx, &pending); err != nil {
		return err
	}
	for i := range pending {
		p := &pending[i]
		now, err := db.one(ctx, fhir.Key{Type: p.Type, ID: p.Logical}, scalars)
		if err != nil {
			return err
		}
		if now.Version < p.Version && time.Since(time.UnixMilli(p.Millis)) < db.opts.Lease {
			continue // its node is at it
		}
		if _, err := db.place(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// entry is a commit in the journal: what a node that opens the database
// completes.
type entry struct {
	ID    string    `bson:"_id"`
	Types []string  `bson:"y,omitempty"` // of Docs
	Docs  []current `bson:"docs,omitempty"`
	Past  []past    `bson:"past,omitempty"`
	Gone  *fhir.Key `bson:"gone,omitempty"` // a resource to remove
	Token string    `bson:"h,omitempty"`    // of its document
}

// sequence creates several resources: once the journal has them, they will be
// there, though not at the same moment.
func (db *DB) sequence(ctx context.Context, writes []store.Write) error {
	e, err := db.entry(ctx, writes)
	if err != nil {
		return err
	}
	return db.run(ctx, e)
}

func (db *DB) entry(ctx context.Context, writes []store.Write) (entry, error) {
	next, err := db.number(ctx, len(writes))
	if err != nil {
		return entry{}, err
	}
	e := entry{ID: db.token()}
	for i := range writes {
		w := &writes[i]
		old, err := db.one(ctx, w.Key, scalars)
		if err != nil {
			return entry{}, err
		}
		if old.Version != 0 {
			return entry{}, &store.ConflictError{Index: i, Actual: old.header(w.Type)}
		}
		doc, version := documents(w, next+int64(i), db.token())
		e.Types, e.Docs, e.Past = append(e.Types, w.Type), append(e.Docs, doc), append(e.Past, version)
	}
	return e, nil
}

// erase removes a deleted resource and its history.
func (db *DB) erase(ctx context.Context, w *store.Write, old current) error {
	return db.run(ctx, entry{ID: db.token(), Gone: &w.Key, Token: old.Token})
}

// run records an entry, carries it out and takes it off.
func (db *DB) run(ctx context.Context, e entry) error {
	if _, err := db.db.Collection(journal).InsertOne(ctx, e); err != nil {
		return err
	}
	return db.complete(context.WithoutCancel(ctx), e)
}

// complete carries out an entry; what was done before is not done again.
func (db *DB) complete(ctx context.Context, e entry) error {
	for i := range e.Docs {
		_, err := db.db.Collection(histories).InsertOne(ctx, e.Past[i])
		if err != nil && !mongo.IsDuplicateKeyError(err) {
			return err
		}
		_, err = db.db.Collection(e.Types[i]).InsertOne(ctx, e.Docs[i])
		if err != nil && !mongo.IsDuplicateKeyError(err) {
			return err
		}
	}
	if e.Gone != nil {
		done, err := db.db.Collection(e.Gone.Type).DeleteOne(ctx, bson.D{{Key: "_id", Value: e.Gone.ID}, {Key: "h", Value: e.Token}})
		if err != nil {
			return err
		}
		now, err := db.one(ctx, *e.Gone, scalars)
		if err != nil {
			return err
		}
		if done.DeletedCount > 0 || now.Version == 0 {
			if err := db.forget(ctx, *e.Gone); err != nil {
				return err
			}
		}
	}
	_, err := db.db.Collection(journal).DeleteOne(ctx, bson.D{{Key: "_id", Value: e.ID}})
	return err
}

// replay completes what the journal holds.
func (db *DB) replay(ctx context.Context) error {
	const op = "mongo.Open"
	cur, err := db.db.Collection(journal).Find(ctx, bson.D{})
	if err != nil {
		return fault(op, err)
	}
	var left []entry
	if err := cur.All(ctx, &left); err != nil {
		return fault(op, err)
	}
	for _, e := range left {
		if err := db.complete(ctx, e); err != nil {
			return fault(op, err)
		}
	}
	if len(left) > 0 {
		db.opts.Log.InfoContext(ctx, "commits of a node that ended were completed", "commits", len(left))
	}
	return fault(op, db.settle(ctx))
}
