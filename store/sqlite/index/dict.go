package index

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"

	"galen/fhir"
)

// Kind is what the rows of a slot hold.
type Kind uint8

// The kinds. Their numbers are on disk.
const (
	KindToken      Kind = 1  // qualifier: the system
	KindFolded     Kind = 2  // the same for codes without case
	KindText       Kind = 3  // qualifier: the whole text; beyond the limit its words, cut short
	KindTyped      Kind = 5  // system, code and value of an identifier
	KindString     Kind = 6  // normalised, cut short
	KindDate       Kind = 7  // an interval of at most NarrowDate
	KindLongDate   Kind = 8  // a longer one
	KindNumber     Kind = 9  // low equals high
	KindRange      Kind = 10 // it does not
	KindQuantity   Kind = 11 // as KindNumber, in its own unit
	KindQuantities Kind = 12
	KindCanonical  Kind = 13 // the same in base units; qualifier: the base unit
	KindCanonicals Kind = 14
	KindReference  Kind = 15 // a key or URL
	KindLined      Kind = 16 // a reference whose row is in timeline
	KindURI        Kind = 17 // qualifier: the URI
	KindPosition   Kind = 18 // the latitude
	KindComposite  Kind = 19 // the first part's code
	KindCoded      Kind = 20 // rows of coded; qualifier: the system
	KindLongCoded  Kind = 21 // the same with dates that are not one short interval
	KindLine       Kind = 22 // rows of timeline; params: patient | code
	KindLongLine   Kind = 23
	KindUncoded    Kind = 24 // no rows: some resource of the type defies KindCoded
	KindCount      Kind = 25
)

// Ordered reports whether rows of a kind are of values that have an order
// (search.SortKey).
func Ordered(k Kind) bool {
	switch k {
	case KindText, KindTyped, KindPosition, KindComposite, KindCanonical, KindCanonicals, KindCoded, KindLongCoded, KindLine, KindLongLine, KindUncoded:
		return false
	}
	return true
}

// Slot is one region of an index Table: values of one kind that resources of one
// type have under exactly these parameters. Aliases (subject and patient, code
// and combo-code) so share one row.
type Slot struct {
	ID        int64 // 1 and up
	Type      string
	Kind      Kind
	Params    [][]string // one set; two for timeline
	Qualifier string
}

// Overflow is the qualifier that takes the values beyond qualifierLimits: their
// rows tell them apart.
const Overflow = "\x00"

// qualifierLimits bounds how many slots one type, kind and parameter set gets,
// so that values chosen by clients cannot fill the dictionary.
var qualifierLimits = [KindCount]int{KindToken: 32, KindFolded: 8, KindText: 512, KindURI: 64, KindCanonical: 64, KindCanonicals: 64, KindCoded: 32, KindLongCoded: 32}

const (
	maxNames  = 1 << 15 // interned strings; more are written out
	maxSets   = 2048    // kinds and parameter sets of one type; beyond, a value gets a row per parameter
	maxIntern = 120     // longest string to intern, bytes
)

type slotKey struct {
	typ, params, qualifier string
	kind                   Kind
}

type typeParam struct{ typ, param string }

// Dict numbers what repeats: type names, systems, units, displays, and slots. It
// only grows, and is kept whole in memory; what was numbered is on disk before
// any row that uses it.
type Dict struct {
	secret []byte

	mu      sync.RWMutex
	names   []string // by id; [0] is unused
	nameIDs map[string]int64
	slots   []Slot // by id; [0] is unused
	slotIDs map[slotKey]int64
	members map[slotKey]int       // slots of a key without its qualifier
	sets    map[string]int        // kinds and parameter sets of a type
	byParam map[typeParam][]int64 // slots in which a parameter stands
	types   map[string]int64      // types that have resources or slots
	limits  [KindCount]int
}

// Contents is what a Dict is made of.
type Contents struct {
	Secret []byte   // of the hashes
	Names  []string // in the order of their numbers
	Slots  []Slot   // in the order of their numbers
	Types  []int64  // the numbers of the types in use
	// Qualifiers bounds the qualifiers of each kind that get a slot; 0 means what
	// suits the kind.
	Qualifiers int
}

// Load makes a Dict.
func Load(c Contents) *Dict {
	d := &Dict{
		secret: c.Secret,
		names:  make([]string, 1, 64), nameIDs: map[string]int64{}, slots: make([]Slot, 1, 64), slotIDs: map[slotKey]int64{},
		members: map[slotKey]int{}, sets: map[string]int{}, byParam: map[typeParam][]int64{}, types: map[string]int64{},
		limits: qualifierLimits,
	}
	for i := range d.limits {
		if c.Qualifiers != 0 {
			d.limits[i] = min(d.limits[i], c.Qualifiers)
		}
	}
	for _, n := range c.Names {
		d.addName(n)
	}
	for _, s := range c.Slots {
		d.addSlot(slotKey{s.Type, s.ParamText(), s.Qualifier, s.Kind})
	}
	for _, id := range c.Types {
		d.types[d.names[id]] = id
	}
	return d
}

// ParamText is Params in one string.
func (s *Slot) ParamText() string {
	sets := make([]string, len(s.Params))
	for i, set := range s.Params {
		sets[i] = strings.Join(set, ",")
	}
	return strings.Join(sets, "|")
}

// ParseParams undoes ParamText.
func ParseParams(text string) [][]string {
	var params [][]string
	for set := range strings.SplitSeq(text, "|") {
		params = append(params, strings.Split(set, ","))
	}
	return params
}

func (d *Dict) addName(text string) int64 {
	id := int64(len(d.names))
	d.names = append(d.names, text)
	d.nameIDs[text] = id
	return id
}

func (d *Dict) addSlot(k slotKey) int64 {
	s := Slot{int64(len(d.slots)), k.typ, k.kind, ParseParams(k.params), k.qualifier}
	d.slots = append(d.slots, s)
	d.slotIDs[k] = s.ID
	k.qualifier = ""
	d.members[k]++
	if d.members[k] == 1 {
		d.sets[k.typ]++
	}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.Params...)))) {
		at := typeParam{k.typ, p}
		d.byParam[at] = append(d.byParam[at], s.ID)
	}
	return s.ID
}

// name returns the number of a string; 0 if the dictionary is full or the string
// too long to be worth it. A type's name always gets one.
func (d *Dict) name(text string) int64 {
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

// TypeID numbers a resource type for writing, beyond any limit.
func (d *Dict) TypeID(typ string) int64 {
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
func (d *Dict) target(typ string) int64 {
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

// Targets are all names that may be types referred to.
func (v View) Targets() []string {
	var all []string
	for _, n := range v.names {
		if fhir.ValidTypeName(n) {
			all = append(all, n)
		}
	}
	return all
}

// slot returns the slot of a key, with the Overflow qualifier if it has to be.
func (d *Dict) slot(k slotKey) int64 {
	if len(k.qualifier) > maxIntern {
		k.qualifier = Overflow
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
	if limit := d.limits[k.kind]; limit != 0 && d.members[bare] >= limit {
		k.qualifier = Overflow
		if id = d.slotIDs[k]; id != 0 {
			return id
		}
	}
	return d.addSlot(k)
}

// crowded reports whether a type has so many parameter sets that values under
// several parameters are to be written once for each.
func (d *Dict) crowded(typ string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.sets[typ] >= maxSets
}

// View is the dictionary as of now: at least all that the caller's snapshot of
// the database uses.
type View struct {
	*Dict
	names []string
	slots []Slot
}

// Names are the numbered strings; Names()[0] is unused.
func (v View) Names() []string { return v.names }

// Slots are the numbered slots; Slots()[0] is unused.
func (v View) Slots() []Slot { return v.slots }

// View takes the View of this moment; its slices are never written again.
func (d *Dict) View() View {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return View{d, d.names, d.slots}
}

// Find returns the slots of a parameter that pass a filter, over some types or
// (nil) all.
func (d *Dict) Find(types []string, param string, want func(*Slot) bool) []*Slot {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(types) == 0 {
		types = d.typeNames()
	}
	var found []*Slot
	for _, t := range types {
		for _, id := range d.byParam[typeParam{t, param}] {
			if s := &d.slots[id]; want(s) {
				found = append(found, s)
			}
		}
	}
	return found
}

// KnownTypes are the types that a search over some types or (nil) all meets.
func (d *Dict) KnownTypes(types []string) []string {
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

func (d *Dict) typeNames() []string {
	all := make([]string, 0, len(d.types))
	for t := range d.types {
		all = append(all, t)
	}
	slices.Sort(all)
	return all
}

const (
	Inline   = 12 // bytes of a value that stand in its row as they are
	hashSize = 12 // bytes of the keyed hash that stands for a longer one
)

// Exact is the cell of a value that is only compared for equality. Longer values
// become 96 bits of a keyed SHA-256: among 10⁹ values the chance of any two
// being the same is 10⁻¹¹, and keyed it cannot be sought.
func (d *Dict) Exact(text string) Cell {
	if len(text) <= Inline {
		return TextCell(text)
	}
	var buf [128]byte
	sum := sha256.Sum256(append(append(buf[:0], d.secret...), text...))
	return Cell{Kind: Blob, Text: string(sum[:hashSize])}
}
