package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
)

// A conditional create has a guard: a document keyed by its criteria. In a
// transaction all creates of the same criteria write it, so of two at once the
// server lets one go on. Without transactions it is a lock: whoever inserted it
// searches and creates, and takes it off. That of a node that died is taken over
// when it has not changed for a lease; its holder gives up before that.

// guardOf is the key of criteria; it shows nothing of them.
func guardOf(q *search.Query) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v", *q))
	return hex.EncodeToString(sum[:])
}

// touch writes the guard in a transaction.
func (db *DB) touch(ctx context.Context, q *search.Query) error {
	_, err := db.db.Collection(guards).UpdateOne(ctx, bson.D{{Key: "_id", Value: guardOf(q)}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int64(1)}}}}, options.UpdateOne().SetUpsert(true))
	return err
}

// unmatched is a conflict if criteria match.
func (db *DB) unmatched(ctx context.Context, i int, w *store.Write) error {
	page, err := db.Search(ctx, store.Select{Query: w.Unless, Limit: 2})
	if err != nil || len(page.Records) == 0 {
		return err
	}
	found := make([]fhir.Key, len(page.Records))
	for n, r := range page.Records {
		found[n] = r.Key
	}
	return &store.ConflictError{Index: i, Unless: true, Found: found}
}

// guardPause is between two looks at a guard that another holds.
const guardPause = 5 * time.Millisecond

// acquire waits for the guard of criteria.
func (db *DB) acquire(ctx context.Context, q *search.Query) (release func(), err error) {
	c, key, mine := db.db.Collection(guards), guardOf(q), db.token()
	tick := time.NewTicker(guardPause)
	defer tick.Stop()
	holder, since := "", time.Now()
	for {
		_, err := c.InsertOne(ctx, bson.D{{Key: "_id", Value: key}, {Key: "h", Value: mine}})
		if err == nil {
			break
		}
		if !mongo.IsDuplicateKeyError(err) {
			return nil, err
		}
		var now struct {
			Holder string `bson:"h"`
		}
		if err := c.FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&now); err == nil && now.Holder != holder {
			holder, since = now.Holder, time.Now()
		}
		if time.Since(since) > db.opts.Lease {
			if _, err := c.DeleteOne(ctx, bson.D{{Key: "_id", Value: key}, {Key: "h", Value: holder}}); err != nil {
				return nil, err
			}
			holder = ""
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.opts.Lease)
		defer cancel()
		_, _ = c.DeleteOne(ctx, bson.D{{Key: "_id", Value: key}, {Key: "h", Value: mine}}) // else the lease ends it
	}, nil
}
