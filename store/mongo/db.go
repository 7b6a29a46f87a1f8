// Package mongo is the store.Driver on MongoDB: many stateless nodes on one
// replica set or sharded cluster. docs/scale.md has the layout.
//
// Promises: what the server can do is tried at opening, not believed; what a
// search returns was held against search.Match, clause by clause; every filter
// begins with an index; a failed or half-known write is never taken for a
// success. Without transactions a commit of one resource is whole, a commit of
// several new ones is completed by whoever opens the database next, and any
// other is refused.
package mongo

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"galen/fhir"
	"galen/store"
	"galen/store/mongo/plan"
)

// Options are what a DB needs. URI is required; it names the database too, or
// that is "galen".
type Options struct {
	URI    string        // mongodb:// or mongodb+srv://; may hold a password
	Random io.Reader     // for tokens; nil for crypto/rand
	Log    *slog.Logger  // nil for none
	Lease  time.Duration // after which the guard of a conditional create of a node that died is taken over; 0 means 15 s
}

// DB is the driver. Make it with Open; it is safe for concurrent use.
type DB struct {
	client  *mongo.Client
	db      *mongo.Database
	opts    Options
	caps    store.Caps
	ready   sync.Map   // types whose indexes are there: string → struct{}
	missing []string   // indexes that were not there at opening
	counter sync.Mutex // one number at a time: some servers do not hold what they increment
}

var _ store.Driver = (*DB)(nil)

// The collections that are no resource types.
const (
	system    = "galen."
	histories = system + "history"
	meta      = system + "meta"
	guards    = system + "guards"
	journal   = system + "journal"
	probes    = system + "probe"
)

// Open connects, tries what the server can do, completes what a node that died
// left, and creates the indexes that are missing. An error is of Kind Value (the
// URI) or as store.Driver says.
func Open(ctx context.Context, o Options) (*DB, error) {
	const op = "mongo.Open"
	o.Random = cmp.Or[io.Reader](o.Random, rand.Reader)
	o.Lease = cmp.Or(o.Lease, 15*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	settings := options.Client().ApplyURI(o.URI).SetAppName("galen").
		SetWriteConcern(writeconcern.Majority()).SetReadConcern(readconcern.Majority()).
		SetRetryWrites(true).SetRetryReads(true)
	if err := settings.Validate(); err != nil {
		return nil, fhir.E(op, fhir.Value, "store", "not a MongoDB connection string")
	}
	client, err := mongo.Connect(settings)
	if err != nil {
		return nil, fhir.E(op, fhir.Value, "store", "not a MongoDB connection string")
	}
	db := &DB{client: client, db: client.Database(databaseOf(o.URI)), opts: o}
	if err := db.start(ctx); err != nil {
		_ = client.Disconnect(context.WithoutCancel(ctx))
		return nil, err
	}
	return db, nil
}

// databaseOf is the path of a connection string.
func databaseOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	_, path, _ := strings.Cut(rest, "/")
	name, _, _ := strings.Cut(path, "?")
	return cmp.Or(name, "galen")
}

func (db *DB) start(ctx context.Context) error {
	const op = "mongo.Open"
	if err := db.client.Ping(ctx, nil); err != nil {
		return fault(op, err)
	}
	works, err := db.probe(ctx)
	if err != nil {
		return fault(op, err)
	}
	db.caps = store.Caps{Transactions: works, Sequences: true}
	if err := db.ensureIndexes(ctx, histories, plan.HistoryIndexes()); err != nil {
		return fault(op, err)
	}
	types, err := db.types(ctx)
	if err != nil {
		return fault(op, err)
	}
	for _, typ := range types {
		if err := db.ensure(ctx, typ); err != nil {
			return fault(op, err)
		}
	}
	if len(db.missing) > 0 {
		db.opts.Log.WarnContext(ctx, "database indexes were missing and are created", "indexes", db.missing)
	}
	return db.replay(ctx)
}

// Caps tells what the server was found to do.
func (db *DB) Caps() store.Caps { return db.caps }

// MissingIndexes are those that were not there at opening, "Patient.created";
// they are now.
func (db *DB) MissingIndexes() []string { return slices.Clone(db.missing) }

// Close waits for what is running and disconnects.
func (db *DB) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := db.client.Disconnect(ctx); err != nil && !errors.Is(err, mongo.ErrClientDisconnected) {
		return fault("mongo.Close", err)
	}
	return nil
}

// probe opens a transaction, writes, aborts and looks: some servers take the
// commands and leave the write in place.
func (db *DB) probe(ctx context.Context) (bool, error) {
	c := db.db.Collection(probes)
	there := db.token()
	if _, err := c.InsertOne(ctx, bson.D{{Key: "_id", Value: there}}); err != nil {
		return false, err // also makes the collection, as a transaction may not
	}
	inside := db.token()
	worked := db.client.UseSession(ctx, func(ctx context.Context) error {
		s := mongo.SessionFromContext(ctx)
		if err := s.StartTransaction(); err != nil {
			return err
		}
		if _, err := c.InsertOne(ctx, bson.D{{Key: "_id", Value: inside}}); err != nil {
			return err
		}
		return s.AbortTransaction(ctx)
	}) == nil
	n, err := c.CountDocuments(ctx, bson.D{{Key: "_id", Value: inside}})
	if err != nil {
		return false, err
	}
	_, err = c.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{there, inside}}}}})
	return worked && n == 0, err
}

// token is a string that nobody else makes.
func (db *DB) token() string {
	var b [12]byte
	_, _ = io.ReadFull(db.opts.Random, b[:]) // crypto/rand does not fail
	return hex.EncodeToString(b[:])
}

// types are the resource types that have a collection, in order.
func (db *DB) types(ctx context.Context) ([]string, error) {
	names, err := db.db.ListCollectionNames(ctx, bson.D{})
	names = slices.DeleteFunc(names, func(n string) bool {
		return strings.HasPrefix(n, system) || strings.HasPrefix(n, "system.")
	})
	slices.Sort(names)
	return names, err
}

// ensure creates the indexes of a type that are missing, once in a process.
func (db *DB) ensure(ctx context.Context, typ string) error {
	if _, done := db.ready.Load(typ); done {
		return nil
	}
	if err := db.ensureIndexes(ctx, typ, plan.Indexes(typ)); err != nil {
		return err
	}
	db.ready.Store(typ, struct{}{})
	return nil
}

func (db *DB) ensureIndexes(ctx context.Context, collection string, want []plan.Index) error {
	view := db.db.Collection(collection).Indexes()
	specs, err := view.ListSpecifications(ctx)
	var refused mongo.CommandError
	if err != nil && (!errors.As(err, &refused) || refused.Code != codeNoNamespace) {
		return err
	}
	fresh := len(specs) == 0
	for _, w := range want {
		if slices.ContainsFunc(specs, func(s mongo.IndexSpecification) bool { return s.Name == w.Name }) {
			continue
		}
		if !fresh {
			db.missing = append(db.missing, collection+"."+w.Name)
		}
		model := mongo.IndexModel{Keys: document(w.Keys), Options: options.Index().SetName(w.Name)}
		if _, err := view.CreateOne(ctx, model); err != nil {
			return err
		}
	}
	return nil
}

// codeNoNamespace is NamespaceNotFound.
const codeNoNamespace = 26

// document is a plan's in the driver's form.
func document(d plan.Doc) bson.D {
	out := make(bson.D, len(d))
	for i, f := range d {
		out[i] = bson.E{Key: f.Name, Value: element(f.Value)}
	}
	return out
}

func element(v any) any {
	switch v := v.(type) {
	case plan.Doc:
		return document(v)
	case plan.List:
		list := make(bson.A, len(v))
		for i, e := range v {
			list[i] = element(e)
		}
		return list
	case plan.Regex:
		return bson.Regex{Pattern: string(v), Options: "s"}
	}
	return v
}

// fault is an error of the server without its text, which may quote documents.
func fault(op string, err error) error {
	var known *fhir.Error
	var conflict *store.ConflictError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.As(err, &conflict):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), mongo.IsTimeout(err):
		return &fhir.Error{Op: op, Kind: fhir.Timeout, Err: context.DeadlineExceeded}
	case mongo.IsNetworkError(err), errors.Is(err, mongo.ErrClientDisconnected), errors.As(err, new(serverSelection)):
		return fhir.E(op, fhir.Unavailable, "", "the database is out of reach")
	}
	var refused mongo.CommandError
	if errors.As(err, &refused) {
		return fhir.E(op, fhir.Internal, "", fmt.Sprintf("the database refused a command: %s (%d)", refused.Name, refused.Code))
	}
	return fhir.E(op, fhir.Internal, "", fmt.Sprintf("the database failed: %T", err))
}

// serverSelection is a driver's error that no node was found in time.
type serverSelection interface {
	error
	Timeout() bool
}
