// Package index says by what a resource is found in MongoDB: it turns a
// resource's entries into strings for one multikey array, sort keys as scalars,
// and one compact record. It knows no BSON and no queries.
//
// Promises: every entry has a key, so a resource that no key of a parameter
// leads to has no entry of it; the byte order of the keys of dates, numbers and
// places is the order of their values; a record gives back the same entries.
//
// A key is "param=", a letter for the kind of value, and the value.
package index
