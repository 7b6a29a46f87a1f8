package element

import (
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/jsontree"
	"galen/fhir/path/system"
)

// Item is one value of a collection: an element of a resource or a System value.
// The zero Item is none. Items are immutable.
type Item struct {
	typ  *Type
	node jsontree.Node
	sib  jsontree.Node
	// sys is a System value: bool, string, int64, decimal.Decimal,
	// system.Temporal, system.Quantity or typeInfo.
	sys any
}

// ResourceItem is a whole resource as an item.
func ResourceItem(r fhir.Resource) Item { return TypedItem(r.Type, r.Root()) }

// TypedItem is a value of the FHIR type with that name ("Patient", "Coding"). n
// may be absent: such an item has its type and no elements.
func TypedItem(typeName string, n jsontree.Node) Item {
	return Item{typ: &Type{name: typeName}, node: n}
}

// StringItem is a System.String.
func StringItem(s string) Item { return Item{typ: systemTypes[text], sys: s} }

// BoolItem is a System.Boolean.
func BoolItem(b bool) Item { return Item{typ: systemTypes[boolean], sys: b} }

// IntegerItem is a System.Integer.
func IntegerItem(n int64) Item { return Item{typ: systemTypes[integer], sys: n} }

// DecimalItem is a System.Decimal.
func DecimalItem(d decimal.Decimal) Item { return Item{typ: systemTypes[number], sys: d} }

// QuantityItem is a System.Quantity with a UCUM unit.
func QuantityItem(v decimal.Decimal, unit string) Item {
	return FromQuantity(system.Quantity{Value: v, Unit: unit})
}

// DateTimeItem is a System.DateTime to the millisecond, in t's zone.
func DateTimeItem(t time.Time) Item { return FromTemporal(system.Of(t)) }

// FromQuantity is a System.Quantity.
func FromQuantity(q system.Quantity) Item { return Item{typ: systemTypes[quantity], sys: q} }

// FromTemporal is a System.Date, DateTime or Time.
func FromTemporal(t system.Temporal) Item {
	return Item{typ: systemTypes[date+kind(t.Kind())], sys: t}
}

// Type is the FHIR type code ("Quantity", "code", "Patient", "Patient.contact")
// or, for a System value, "System.String" and the like; "" for the zero Item.
func (i Item) Type() string {
	if i.typ == nil {
		return ""
	}
	return i.typ.name
}

// Node is the element's value; absent for System values and for primitives that
// have only extensions.
func (i Item) Node() jsontree.Node { return i.node }

// Sibling is the object with a primitive's id and extension ("_birthDate"),
// absent if there is none.
func (i Item) Sibling() jsontree.Node { return i.sib }

// Bool is the value of a Boolean, System or FHIR.
func (i Item) Bool() (value, ok bool) {
	if v, ok := i.sys.(bool); ok {
		return v, true
	}
	if i.kind() != boolean {
		return false, false
	}
	k := i.node.Kind()
	return k == jsontree.True, k == jsontree.True || k == jsontree.False
}

// Text is the value of a primitive as FHIR writes it, "" for anything else.
func (i Item) Text() string {
	switch v := i.sys.(type) {
	case nil:
		return i.node.Text()
	case string:
		return v
	default:
		s, _ := system.Format(v)
		return s
	}
}

// Decimal is the value of an Integer or Decimal, System or FHIR.
func (i Item) Decimal() (decimal.Decimal, bool) {
	switch v := i.Value().(type) {
	case int64:
		return decimal.FromInt(v), true
	case decimal.Decimal:
		return v, true
	}
	return decimal.Decimal{}, false
}

// Integer is the value of an Integer, System or FHIR.
func (i Item) Integer() (int64, bool) {
	v, ok := i.Value().(int64)
	return v, ok
}

func (i Item) kind() kind {
	if i.typ == nil {
		return none
	}
	return i.typ.kind
}

// Str is the value of a String, System or FHIR: any primitive without a type of
// its own is one.
func (i Item) Str() (string, bool) {
	if s, ok := i.sys.(string); ok {
		return s, true
	}
	if i.kind() != text || i.node.Kind() != jsontree.String {
		return "", false
	}
	return i.node.Text(), true
}

// Value is the System value that the item is or converts to; nil if none, as
// for a primitive without value or one that is not of its type's form. It is a
// bool, string, int64, decimal.Decimal, system.Temporal or system.Quantity.
func (i Item) Value() any {
	if i.sys != nil {
		return i.sys
	}
	switch k := i.kind(); k {
	case none:
		return nil
	case boolean:
		if v, ok := i.Bool(); ok {
			return v
		}
	case text:
		if s, ok := i.Str(); ok {
			return s
		}
	case integer, number:
		return i.numeric(k)
	case quantity:
		if q, ok := i.quantity(); ok {
			return q
		}
	default:
		if i.node.Kind() == jsontree.String {
			if t, ok := system.Parse(system.Kind(k-date), i.node.Text()); ok {
				return t
			}
		}
	}
	return nil
}

func (i Item) numeric(k kind) any {
	if i.node.Kind() != jsontree.Number {
		return nil
	}
	d, err := decimal.Parse(i.node.Text())
	if err != nil {
		return nil
	}
	if k == number {
		return d
	}
	if n, ok := d.Int64(); ok {
		return n
	}
	return nil
}

// UCUM is the code system of units.
const UCUM = "http://unitsofmeasure.org"

// quantity reads a FHIR Quantity. One with a comparator has no single value. A
// unit that is not UCUM's is kept apart by its system.
func (i Item) quantity() (system.Quantity, bool) {
	v := i.node.Get("value")
	if v.Kind() != jsontree.Number || i.node.Get("comparator").Exists() {
		return system.Quantity{}, false
	}
	d, err := decimal.Parse(v.Text())
	q := system.Quantity{Value: d, Unit: i.node.Get("code").Text(), Loose: true}
	switch sys := i.node.Get("system").Text(); {
	case sys == UCUM && q.Unit != "":
	case q.Unit != "":
		q.Unit = sys + "|" + q.Unit
	default:
		q.Unit = i.node.Get("unit").Text()
	}
	if q.Unit == "" {
		q.Unit = "1"
	}
	return q, err == nil
}

// HasValue reports whether the item is a primitive with a value.
func (i Item) HasValue() bool {
	if i.sys != nil {
		return true
	}
	k := i.node.Kind()
	return i.typ.primitive && k != jsontree.Absent && k != jsontree.Null
}

// Matches reports whether the item is of one of the types. A FHIR primitive is
// its own type only when exact is set, as ofType and as mean it.
func (i Item) Matches(fhirType, systemType *Type, exact bool) bool {
	switch {
	case i.typ.system:
		return i.typ == systemType
	case fhirType == nil:
		return false
	case exact && fhirType.primitive:
		return i.typ == fhirType
	}
	return i.typ.IsA(fhirType)
}

// Info is what type() says of the item: a value with namespace and name.
func (i Item) Info() Item { return Item{typ: reflection, sys: i.info()} }

func (i Item) info() typeInfo {
	if name, ok := strings.CutPrefix(i.typ.name, "System."); ok && i.typ.system {
		return typeInfo{"System", name}
	}
	return typeInfo{"FHIR", i.typ.name}
}

// Vague reports whether the item is an element of a type that has values but is
// without one to compute with: only extensions, a comparator, a bad date.
func (i Item) Vague() bool { return i.kind() != none && i.Value() == nil }

// IsZero reports whether the item is none.
func (i Item) IsZero() bool { return i.typ == nil }

// Is reports whether the item is of a FHIR type or of one that derives from it.
func (i Item) Is(t *Type) bool { return i.typ.IsA(t) }

// Extensions is the extension member of an element, wherever it lies.
func (i Item) Extensions() jsontree.Node {
	if i.typ != nil && i.typ.primitive {
		return i.sib.Get("extension")
	}
	return i.node.Get("extension")
}

// FromValue is the item of a System value; false for anything else.
func FromValue(v any) (Item, bool) {
	switch v := v.(type) {
	case bool:
		return BoolItem(v), true
	case string:
		return StringItem(v), true
	case int64:
		return IntegerItem(v), true
	case decimal.Decimal:
		return DecimalItem(v), true
	case system.Temporal:
		return FromTemporal(v), true
	case system.Quantity:
		return FromQuantity(v), true
	}
	return Item{}, false
}
