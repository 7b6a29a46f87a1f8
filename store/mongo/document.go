package mongo

import (
	"fmt"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
	"galen/store/mongo/index"
	"galen/store/mongo/plan"
)

// current is the document of a resource: its current version and what that is
// found by. The field names are those of plan.
type current struct {
	ID      string            `bson:"_id"`
	Version int64             `bson:"v"`
	Updated string            `bson:"t"` // index.Instant
	Millis  int64             `bson:"l"` // meta.lastUpdated since 1970
	Created int64             `bson:"c"`
	Deleted bool              `bson:"x"`
	Method  int32             `bson:"m"`
	Token   string            `bson:"h"` // of the version's document in the history
	Body    []byte            `bson:"b,omitempty"`
	Entries []byte            `bson:"e,omitempty"`
	Keys    []string          `bson:"k"`
	Up      map[string]string `bson:"a,omitempty"`
	Down    map[string]string `bson:"d,omitempty"`
}

// past is the document of a version in the history.
type past struct {
	ID      string `bson:"_id"` // type/id/version: there is one at most
	Type    string `bson:"y"`
	Logical string `bson:"i"`
	Version int64  `bson:"v"`
	Millis  int64  `bson:"l"`
	Created int64  `bson:"c"`
	Deleted bool   `bson:"x"`
	Method  int32  `bson:"m"`
	Body    []byte `bson:"b,omitempty"`
	Token   string `bson:"h"`
	// Pending means that the resource's document, which is Next, may not be there
	// yet.
	Pending bool     `bson:"p"`
	Next    *current `bson:"n,omitempty"`
}

func pastID(k fhir.Key, version int64) string {
	return fmt.Sprintf("%s/%s/%d", k.Type, k.ID, version)
}

// documents makes both documents of a write.
func documents(w *store.Write, created int64, token string) (current, past) {
	c := current{
		ID: w.ID, Version: w.Version, Updated: index.Instant(fhir.InstantOf(w.LastUpdated)), Millis: w.LastUpdated.UnixMilli(),
		Created: created, Deleted: w.Deleted, Method: int32(w.Record.Method), Token: token, Body: w.Body,
	}
	c.found(w.Type, w.Entries, w.Deleted)
	return c, past{
		ID: pastID(w.Key, w.Version), Type: w.Type, Logical: w.ID, Version: w.Version, Millis: c.Millis, Created: created,
		Deleted: w.Deleted, Method: c.Method, Body: w.Body, Token: token,
	}
}

// found sets what the resource is found by; nothing leads to a tombstone.
func (c *current) found(typ string, entries []search.Entry, deleted bool) {
	c.Keys = []string{}
	if deleted {
		return
	}
	c.Keys, c.Entries = index.Keys(typ, entries), index.Encode(entries)
	c.Up, c.Down = map[string]string{}, map[string]string{}
	up, down := index.Sorts(entries)
	for param, key := range up {
		name := plan.FieldName(param)
		c.Up[name], c.Down[name] = key, down[param]
	}
}

func (c *current) header(typ string) fhir.Header {
	if c.Version == 0 {
		return fhir.Header{}
	}
	return fhir.Header{Key: fhir.Key{Type: typ, ID: c.ID}, Version: c.Version, LastUpdated: time.UnixMilli(c.Millis).UTC()}
}

func (c *current) record(typ string) store.Record {
	return store.Record{Header: c.header(typ), Body: c.Body, Deleted: c.Deleted, Method: store.Method(c.Method)}
}

func (p *past) record() store.Record {
	return store.Record{
		Header: fhir.Header{
			Key: fhir.Key{Type: p.Type, ID: p.Logical}, Version: p.Version, LastUpdated: time.UnixMilli(p.Millis).UTC(),
		},
		Body: p.Body, Deleted: p.Deleted, Method: store.Method(p.Method),
	}
}
