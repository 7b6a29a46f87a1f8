// Package index says what stands in the index tables of store/sqlite: it turns a
// resource's entries into index rows and into one compact record, and numbers
// the strings and regions that repeat over the store. It runs no SQL.
//
// Promises: the rows of a record are the same whenever they are made again, so
// they can be taken out; a record gives back entries that mean the same; values
// are told apart exactly or, above 12 bytes, by a keyed hash of 96 bits; the
// dictionary is bounded however many values clients make up.
package index
