package plan

import (
	"slices"
	"strings"

	"galen/store/sqlite/index"
)

// Starting a statement costs several times what one value costs to look up, so
// the statements of many values become one with IN. That is no longer in the
// order of row ids, which for few values is worth more.

// minBundle is from how many statements on they become one.
const minBundle = 3

// bundled are the ways of asking for many values, by those for one: column = ?
// becomes column IN (…).
var bundled = map[string]string{
	sqlValue:    "SELECT rid FROM value WHERE slot = ? AND a IN (%) AND rid > ?",
	sqlLineCode: "SELECT rid FROM timeline WHERE slot = ? AND a = ? AND b IN (%) AND rid > ?",
}

// sqlTimelines is sqlTimeline for many codes, in no order.
const sqlTimelines = "SELECT c, rid FROM timeline WHERE slot = ? AND a = ? AND b IN (%) AND (c, rid) > (?, ?) AND c <= ?"

// bundle joins sources that differ in their last value only. Ordered ones stay
// apart while they can be merged.
func bundle(sources []Source) []Source {
	if len(sources) < minBundle {
		return sources
	}
	var out []Source
	for i := 0; i < len(sources); {
		j := i + 1
		for j < len(sources) && alike(sources[i], sources[j]) {
			j++
		}
		group := sources[i:j]
		i = j
		if sql, ok := bundled[group[0].SQL]; ok && len(group) >= minBundle && (!group[0].Ordered || len(sources) > MaxStreams) {
			out = append(out, group[0].with(sql, group))
			continue
		}
		out = append(out, group...)
	}
	return out
}

func alike(a, b Source) bool {
	n := len(a.Args) - 1
	return a.SQL == b.SQL && len(b.Args) == n+1 && slices.Equal(a.Args[:n], b.Args[:n])
}

// with is a source that asks for the last values of a group at once.
func (s Source) with(sql string, group []Source) Source {
	cells := make([]index.Cell, len(group))
	for i, one := range group {
		cells[i], _ = one.Args[len(one.Args)-1].(index.Cell)
	}
	sql, list := in(sql, cells)
	return Source{SQL: sql, Args: append(s.Args[:len(s.Args)-1:len(s.Args)-1], list...)}
}

// in writes the values of an IN and lists them. Their number is rounded up, by
// the last again, so that few statements are prepared.
func in(sql string, cells []index.Cell) (string, []any) {
	n := 4
	for n < len(cells) {
		n *= 4
	}
	args := make([]any, n)
	for i := range args {
		args[i] = cells[min(i, len(cells)-1)]
	}
	return strings.Replace(sql, "%", strings.Repeat("?,", n-1)+"?", 1), args
}
