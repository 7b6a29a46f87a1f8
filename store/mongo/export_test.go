package mongo

import (
	"context"

	"galen/store"
)

// Drop removes the database of a URI.
func Drop(uri string) error {
	ctx := context.Background()
	db, err := Open(ctx, Options{URI: uri})
	if err != nil {
		return err
	}
	if err := db.db.Drop(ctx); err != nil {
		return err
	}
	return db.Close()
}

// Record puts a sequence into the journal and stops there, as a node that dies.
func (db *DB) Record(ctx context.Context, writes []store.Write) error {
	e, err := db.entry(ctx, writes)
	if err == nil {
		_, err = db.db.Collection(journal).InsertOne(ctx, e)
	}
	return err
}

// Claim inserts a pending version and stops there.
func (db *DB) Claim(ctx context.Context, w *store.Write) error {
	doc, version := documents(w, 0, db.token())
	version.Pending, version.Next = true, &doc
	_, err := db.db.Collection(histories).InsertOne(ctx, version)
	return err
}

// DropIndex drops one.
func (db *DB) DropIndex(ctx context.Context, collection, name string) error {
	return db.db.Collection(collection).Indexes().DropOne(ctx, name)
}
