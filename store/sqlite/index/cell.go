package index

import "math"

// Cell is one column of an index row. Cells are comparable. The zero Cell is the
// empty text.
type Cell struct {
	Kind CellKind
	Text string // of Text and Blob
	Num  int64  // of Int; the bits of Real
}

// CellKind is a storage class of SQLite.
type CellKind uint8

// The storage classes.
const (
	Text CellKind = iota
	Blob
	Int
	Real
)

// TextCell makes a Cell.
func TextCell(s string) Cell { return Cell{Kind: Text, Text: s} }

// IntCell makes a Cell.
func IntCell(n int64) Cell { return Cell{Kind: Int, Num: n} }

// RealCell makes a Cell.
func RealCell(f float64) Cell { return Cell{Kind: Real, Num: int64(math.Float64bits(f))} }
