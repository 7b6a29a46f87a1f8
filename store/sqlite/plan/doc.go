// Package plan says which index walks answer a query: it turns expressions into
// fixed SQL statements with their arguments, each one range of one index of
// store/sqlite/index, and runs none.
//
// Promises: the sources of a Leaf yield every resource that the expression holds
// for, and if it is Exact no other; a Walk goes in the order it is for. It looks
// at no resource: what sources yield too much, the caller takes out.
package plan
