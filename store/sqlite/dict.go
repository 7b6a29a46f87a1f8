package sqlite

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3"

	"galen/fhir"
)

// kind is what the rows of a slot hold.
type kind uint8

// The kinds. Their numbers are on disk.
const (
	kindToken      kind = 1  // qualifier: the system
	kindFolded     kind = 2  // the same for codes without case
	kindText       kind = 3  // qualifier: the whole text; beyond the limit its words, cut short
	kindTyped      kind = 5  // system, code and value of an identifier
	kindString     kind = 6  // normalised, cut short
	kindDate       kind = 7  // an interval of at most narrowDate
	kindLongDate   kind = 8  // a longer one
	kindNumber     kind = 9  // low equals high
	kindRange      kind = 10 // it does not
	kindQuantity   kind = 11 // as kindNumber, in its own unit
	kindQuantities kind = 12
	kindCanonical  kind = 13 // the same in base units; qualifier: the base unit
	kindCanonicals kind = 14
	kindReference  kind = 15 // a key or URL
	kindLined      kind = 16 // a reference whose row is in timeline
	kindURI        kind = 17 // qualifier: the URI
	kindPosition   kind = 18 // the latitude
	kindComposite  kind = 19 // the first part's code
	kindCoded      kind = 20 // rows of coded; qualifier: the system
	kindLongCoded  kind = 21 // the same with dates that are not one short interval
	kindLine       kind = 22 // rows of timeline; params: patient | code
	kindLongLine   kind = 23
	kindUncoded    kind = 24 // no rows: some resource of the type defies kindCoded
	kindCount      kind = 25
)

// slot is one region of an index table: values of one kind that resources of one
// type have under exactly these parameters. Aliases (subject and patient, code
// and combo-code) so share one row.
type slot struct {
	id        int64
	typ       string
	kind      kind
	params    [][]string // one set; two for timeline
	qualifier string
}

// overflow is the qualifier that takes the values beyond qualifierLimits: their
// rows tell them apart.
const overflow = "\x00"

// qualifierLimits bounds how many slots one type, kind and parameter set gets,
// so that values chosen by clients cannot fill the dictionary.
var qualifierLimits = [kindCount]int{kindToken: 32, kindFolded: 8, kindText: 512, kindURI: 64, kindCanonical: 64, kindCanonicals: 64, kindCoded: 32, kindLongCoded: 32}

const (
	maxNames  = 1 << 15 // interned strings; more are written out
	maxSets   = 2048    // kinds and parameter sets of one type; beyond, a value gets a row per parameter
	maxIntern = 120     // longest string to intern, bytes
)

type slotKey struct {
	typ, params, qualifier string
	kind                   kind
}

type typeParam struct{ typ, param string }

// dict numbers what repeats: type names, systems, units, displays, and slots. It
// only grows, and is kept whole in memory; what was numbered is on disk before
// any row that uses it.
type dict struct {
	secret []byte

	mu      sync.RWMutex
	names   []string // by id; [0] is unused
	nameIDs map[string]int64
	slots   []slot // by id; [0] is unused
	slotIDs map[slotKey]int64
	members map[slotKey]int            // slots of a key without its qualifier
	sets    map[string]int             // kinds and parameter sets of a type
	byParam map[typeParam][]int64      // slots in which a parameter stands
	types   map[string]int64           // types that have resources or slots
	saved   struct{ names, slots int } // how many of each are on disk; the writer's
}

func loadDict(c *conn) (*dict, error) {
	d := &dict{
		names: make([]string, 1, 64), nameIDs: map[string]int64{}, slots: make([]slot, 1, 64), slotIDs: map[slotKey]int64{},
		members: map[slotKey]int{}, sets: map[string]int{}, byParam: map[typeParam][]int64{}, types: map[string]int64{},
	}
	err := c.each("SELECT value FROM setting WHERE name = 'secret'", nil, func(s *sqlite3.Stmt) bool {
		d.secret = s.ColumnBlob(0, nil)
		return false
	})
	if err != nil {
		return nil, err
	}
	err = c.each("SELECT text FROM name ORDER BY id", nil, func(s *sqlite3.Stmt) bool {
		d.addName(s.ColumnText(0))
		return true
	})
	if err != nil {
		return nil, err
	}
	err = c.each("SELECT type, kind, params, qualifier FROM slot ORDER BY id", nil, func(s *sqlite3.Stmt) bool {
		d.addSlot(slotKey{s.ColumnText(0), s.ColumnText(2), s.ColumnText(3), kind(s.ColumnInt(1))})
		return true
	})
	if err != nil {
		return nil, err
	}
	d.saved.names, d.saved.slots = len(d.names), len(d.slots)
	var known []int64
	err = c.each("SELECT DISTINCT type FROM resource", nil, func(s *sqlite3.Stmt) bool {
		known = append(known, s.ColumnInt64(0))
		return true
	})
	for _, id := range known {
		d.types[d.names[id]] = id
	}
	return d, err
}

func (d *dict) addName(text string) int64 {
	id := int64(len(d.names))
	d.names = append(d.names, text)
	d.nameIDs[text] = id
	return id
}

func (d *dict) addSlot(k slotKey) int64 {
	s := slot{id: int64(len(d.slots)), typ: k.typ, kind: k.kind, qualifier: k.qualifier}
	for set := range strings.SplitSeq(k.params, "|") {
		s.params = append(s.params, strings.Split(set, ","))
	}
	d.slots = append(d.slots, s)
	d.slotIDs[k] = s.id
	k.qualifier = ""
	d.members[k]++
	if d.members[k] == 1 {
		d.sets[k.typ]++
	}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.params...)))) {
		at := typeParam{k.typ, p}
		d.byParam[at] = append(d.byParam[at], s.id)
	}
	return s.id
}

// name returns the number of a string; 0 if the dictionary is full or the string
// too long to be worth it. A type's name always gets one.
func (d *dict) name(text string) int64 {
	if len(text) > maxIntern {
		return 0
	}
	d.mu.RLock()
	id, n := d.nameIDs[text], len(d.names)
	d.mu.RUnlock()
	if id != 0 || n >= maxNames {
		return id
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id = d.nameIDs[text]; id == 0 {
		id = d.addName(text)
	}
	return id
}

// typeID numbers a resource type for writing, beyond any limit.
func (d *dict) typeID(typ string) int64 {
	d.mu.RLock()
	id := d.types[typ]
	d.mu.RUnlock()
	if id != 0 {
		return id
	}
	id = d.target(typ)
	d.mu.Lock()
	d.types[typ] = id
	d.mu.Unlock()
	return id
}

// target numbers a type that is referred to, beyond any limit: targets must be
// known for references by bare id.
func (d *dict) target(typ string) int64 {
	d.mu.RLock()
	id := d.nameIDs[typ]
	d.mu.RUnlock()
	if id != 0 || !fhir.ValidTypeName(typ) {
		return id
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id = d.nameIDs[typ]; id == 0 {
		id = d.addName(typ)
	}
	return id
}

// targets are all names that may be types referred to.
func (v view) targets() []string {
	var all []string
	for _, n := range v.names {
		if fhir.ValidTypeName(n) {
			all = append(all, n)
		}
	}
	return all
}

// slot returns the slot of a key, with the overflow qualifier if it has to be.
func (d *dict) slot(k slotKey) int64 {
	if len(k.qualifier) > maxIntern {
		k.qualifier = overflow
	}
	d.mu.RLock()
	id := d.slotIDs[k]
	d.mu.RUnlock()
	if id != 0 {
		return id
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id = d.slotIDs[k]; id != 0 {
		return id
	}
	bare := k
	bare.qualifier = ""
	if limit := qualifierLimits[k.kind]; limit != 0 && d.members[bare] >= limit {
		k.qualifier = overflow
		if id = d.slotIDs[k]; id != 0 {
			return id
		}
	}
	return d.addSlot(k)
}

// crowded reports whether a type has so many parameter sets that values under
// several parameters are to be written once for each.
func (d *dict) crowded(typ string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.sets[typ] >= maxSets
}

// view is the dictionary as of now: at least all that the caller's snapshot of
// the database uses.
type view struct {
	*dict
	names []string
	slots []slot
}

func (d *dict) view() view {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return view{d, d.names, d.slots}
}

// find returns the slots of a parameter that pass a filter, over some types or
// (nil) all.
func (d *dict) find(types []string, param string, want func(*slot) bool) []*slot {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(types) == 0 {
		types = d.typeNames()
	}
	var found []*slot
	for _, t := range types {
		for _, id := range d.byParam[typeParam{t, param}] {
			if s := &d.slots[id]; want(s) {
				found = append(found, s)
			}
		}
	}
	return found
}

// knownTypes are the types that a search over some types or (nil) all meets.
func (d *dict) knownTypes(types []string) []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(types) == 0 {
		return d.typeNames()
	}
	var known []string
	for _, t := range types {
		if d.types[t] != 0 && !slices.Contains(known, t) {
			known = append(known, t)
		}
	}
	return known
}

func (d *dict) typeNames() []string {
	all := make([]string, 0, len(d.types))
	for t := range d.types {
		all = append(all, t)
	}
	slices.Sort(all)
	return all
}

// save writes what is not on disk yet and returns a function to call after the
// commit.
func (d *dict) save(c *conn) (done func(), err error) {
	v := d.view()
	for id := d.saved.names; id < len(v.names); id++ {
		if err := c.each("INSERT INTO name VALUES (?, ?)", []any{id, v.names[id]}, nil); err != nil {
			return nil, err
		}
	}
	for id := d.saved.slots; id < len(v.slots); id++ {
		s := &v.slots[id]
		sets := make([]string, len(s.params))
		for i, set := range s.params {
			sets[i] = strings.Join(set, ",")
		}
		args := []any{id, s.typ, int(s.kind), strings.Join(sets, "|"), s.qualifier}
		if err := c.each("INSERT INTO slot VALUES (?, ?, ?, ?, ?)", args, nil); err != nil {
			return nil, err
		}
	}
	return func() { d.saved.names, d.saved.slots = len(v.names), len(v.slots) }, nil
}

const (
	inline   = 12 // bytes of a value that stand in its row as they are
	hashSize = 12 // bytes of the keyed hash that stands for a longer one
)

// exact is the cell of a value that is only compared for equality. Longer values
// become 96 bits of a keyed SHA-256: among 10⁹ values the chance of any two
// being the same is 10⁻¹¹, and keyed it cannot be sought.
func (d *dict) exact(text string) cell {
	if len(text) <= inline {
		return textCell(text)
	}
	var buf [128]byte
	sum := sha256.Sum256(append(append(buf[:0], d.secret...), text...))
	return cell{kind: blobKind, text: string(sum[:hashSize])}
}
