package patch

import "galen/fhir/spec"

// token is one step from an object to an element below it.
type token struct {
	name  string // of the element, without "_"
	index int    // in the array, -1 for an element that does not repeat
	twin  bool   // into the "_" member: to the id or extensions of a primitive
}

// member is the JSON name of the step.
func (t token) member() string {
	if t.twin {
		return "_" + t.name
	}
	return t.name
}

// pair is one occurrence of an element: its value and what its "_" member holds
// (https://hl7.org/fhir/R4/json.html#primitive); nil or null for none.
type pair struct{ value, twin *value }

// slot is all occurrences of one element of an object.
type slot struct {
	owner   *value
	name    string
	repeats bool
	list    []pair
}

// slotOf reads the occurrences. el may be nil: then what is there tells whether
// the element repeats.
func slotOf(owner *value, el *spec.Element, name string) *slot {
	owner.expand()
	v, twin := owner.member(name), owner.member("_"+name)
	s := &slot{owner: owner, name: name, repeats: v.isArray() || twin.isArray()}
	if el != nil {
		s.repeats = el.Repeats()
	}
	if !s.repeats {
		if v != nil || twin != nil {
			s.list = []pair{{v, twin}}
		}
		return s
	}
	values, twins := v.items(), twin.items()
	for i := range max(len(values), len(twins)) {
		var p pair
		if i < len(values) {
			p.value = values[i]
		}
		if i < len(twins) {
			p.twin = twins[i]
		}
		s.list = append(s.list, p)
	}
	return s
}

func (s *slot) filled() bool { return len(s.list) > 0 }

func (s *slot) clear() {
	s.list = nil
	s.store()
}

// store writes the occurrences back: arrays are padded with null, and one that
// would hold nothing goes.
func (s *slot) store() {
	values, twins := &value{open: true, array: true}, &value{open: true, array: true}
	anyValue, anyTwin := false, false
	for _, p := range s.list {
		values.kids, twins.kids = append(values.kids, p.value), append(twins.kids, p.twin)
		anyValue, anyTwin = anyValue || !p.value.isNull(), anyTwin || !p.twin.isNull()
	}
	s.write(s.name, values, anyValue)
	s.write("_"+s.name, twins, anyTwin)
}

func (s *slot) write(name string, list *value, is bool) {
	switch {
	case !is:
		s.owner.remove(name)
	case s.repeats:
		s.owner.set(name, list)
	default:
		s.owner.set(name, list.kids[0])
	}
}

// open opens the way to the element at a place and the element itself.
func (d *document) open(at []token) *value {
	v := d.root.expand()
	for _, k := range at {
		v = v.member(k.member())
		if k.index >= 0 {
			v = v.expand().kids[k.index]
		}
		v.expand()
	}
	return v
}

// openTwin opens what holds the id and extensions of the primitive at a place,
// which it makes if there is none.
func (d *document) openTwin(at []token) *value {
	last := at[len(at)-1]
	s := slotOf(d.open(at[:len(at)-1]), nil, last.name)
	s.repeats = last.index >= 0
	p := &s.list[max(last.index, 0)]
	if p.twin.isNull() {
		p.twin = &value{open: true}
	}
	p.twin.expand()
	s.store()
	return p.twin
}
