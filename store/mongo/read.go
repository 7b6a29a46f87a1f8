package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"galen/fhir"
	"galen/store"
)

// maxRead bounds the ids of one $in.
const maxRead = 1000

// Read asks once for each type and thousand keys.
func (db *DB) Read(ctx context.Context, keys ...fhir.Key) ([]store.Record, error) {
	ids := map[string][]string{}
	for _, k := range keys {
		ids[k.Type] = append(ids[k.Type], k.ID)
	}
	found := make(map[fhir.Key]store.Record, len(keys))
	for typ, list := range ids {
		for len(list) > 0 {
			n := min(len(list), maxRead)
			docs, err := db.read(ctx, typ, list[:n], body)
			if err != nil {
				return nil, fault("mongo.Read", err)
			}
			for i := range docs {
				r := docs[i].record(typ)
				found[r.Key] = r
			}
			list = list[n:]
		}
	}
	records := make([]store.Record, len(keys))
	for i, k := range keys {
		records[i] = found[k]
	}
	return records, nil
}

// The parts of a document that are asked for, besides its scalars.
var (
	scalars = []string{"v", "l", "c", "x", "m", "h"}
	body    = append([]string{"b"}, scalars...)
	entries = append([]string{"e"}, scalars...)
	whole   = append([]string{"b", "e"}, scalars...)
)

func projection(fields []string) bson.D {
	d := make(bson.D, len(fields))
	for i, f := range fields {
		d[i] = bson.E{Key: f, Value: 1}
	}
	return d
}

// read finds the documents of ids, those there are.
func (db *DB) read(ctx context.Context, typ string, ids []string, fields []string) ([]current, error) {
	var filter any = ids[0]
	if len(ids) > 1 {
		filter = bson.D{{Key: "$in", Value: ids}}
	}
	cur, err := db.db.Collection(typ).Find(ctx, bson.D{{Key: "_id", Value: filter}}, options.Find().SetProjection(projection(fields)))
	if err != nil {
		return nil, err
	}
	var docs []current
	return docs, cur.All(ctx, &docs)
}

// one is the document of a key, a zero one if there is none.
func (db *DB) one(ctx context.Context, key fhir.Key, fields []string) (current, error) {
	docs, err := db.read(ctx, key.Type, []string{key.ID}, fields)
	if err != nil || len(docs) == 0 {
		return current{}, err
	}
	return docs[0], nil
}

// ReadVersion takes the current version from the resource, others from the
// history.
func (db *DB) ReadVersion(ctx context.Context, key fhir.Key, version int64) (store.Record, error) {
	const op = "mongo.ReadVersion"
	now, err := db.one(ctx, key, body)
	switch {
	case err != nil:
		return store.Record{}, fault(op, err)
	case version < 1 || version > now.Version:
		return store.Record{}, nil
	case version == now.Version:
		return now.record(key.Type), nil
	}
	var p past
	err = db.db.Collection(histories).FindOne(ctx, bson.D{
		{Key: "y", Value: key.Type}, {Key: "i", Value: key.ID}, {Key: "v", Value: version}, {Key: "p", Value: false},
	}).Decode(&p)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return store.Record{}, nil
	}
	if err != nil {
		return store.Record{}, fault(op, err)
	}
	return p.record(), nil
}
