// Package literal finds the links in a resource and rewrites them: what stands
// in Reference.reference, in elements of type uri, url, canonical, oid and uuid,
// and in href and src of a narrative, contained resources and extensions
// included (https://hl7.org/fhir/R4/http.html#trules).
//
// Promises: only values of elements of these types are touched, as R4 defines
// them; every other byte stays; one pass over the resource.
//
// It looks nothing up: what a link leads to, the caller says. The entries of a
// Bundle inside a resource are a world of their own and are left alone.
package literal

import (
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
)

// Kind is where a link stands.
type Kind uint8

// The kinds of link.
const (
	Reference Kind = iota + 1 // Reference.reference
	URI                       // an element of type uri or url
	Canonical                 // an element of type canonical
	Name                      // an element of type oid or uuid
	Narrative                 // href or src in xhtml
)

// Link is one link of a resource, valid during the call that gets it.
type Link struct {
	Kind Kind
	Text string // decoded
	walk *walk
}

// Path is the FHIRPath of the element, "Observation.performer[0].reference".
func (l Link) Path() string { return l.walk.where() }

// Walker knows the types of R4. It is immutable and safe for concurrent use.
type Walker struct {
	defs    *spec.Definitions
	element *spec.Type // what the "_" twin of a primitive holds
}

// New returns a Walker over the definitions.
func New(defs *spec.Definitions) *Walker {
	element, _ := defs.Type("Element")
	return &Walker{defs, element}
}

// Rewrite gives every link to replace and returns the resource's bytes with the
// answers in their places; "" or the same text leaves a link as it is. Without a
// change the bytes are those of r itself. An error of replace ends the walk and
// is returned.
func (w *Walker) Rewrite(r fhir.Resource, replace func(Link) (string, error)) ([]byte, error) {
	k := walk{Walker: w, root: r.Type, src: r.Bytes(), replace: replace}
	k.resource(r.Root())
	if k.err != nil || len(k.cuts) == 0 {
		return k.src, k.err
	}
	return k.spliced(), nil
}

// References gives the text and the path of every Reference.reference to visit
// until that returns an error, which is returned.
func (w *Walker) References(r fhir.Resource, visit func(Link) error) error {
	_, err := w.Rewrite(r, func(l Link) (string, error) {
		if l.Kind != Reference {
			return "", nil
		}
		return "", visit(l)
	})
	return err
}

// walk is one pass over a resource.
type walk struct {
	*Walker
	root    string // type of the outermost resource
	src     []byte
	replace func(Link) (string, error)
	path    []step
	cuts    []cut
	err     error
}

// step is one element on the way: a member and, in an array, its item.
type step struct {
	name  string
	index int // -1 outside of an array
}

// cut replaces src[start:end] by text.
type cut struct {
	start, end int
	text       []byte
}

func (k *walk) where() string {
	var b strings.Builder
	b.WriteString(k.root)
	for _, s := range k.path {
		b.WriteString("." + s.name)
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	return b.String()
}

func (k *walk) spliced() []byte {
	slices.SortStableFunc(k.cuts, func(a, b cut) int { return a.start - b.start })
	size := len(k.src)
	for _, c := range k.cuts {
		size += len(c.text)
	}
	out := make([]byte, 0, size)
	from := 0
	for _, c := range k.cuts {
		out = append(append(out, k.src[from:c.start]...), c.text...)
		from = c.end
	}
	return append(out, k.src[from:]...)
}

func (k *walk) resource(n jsontree.Node) {
	if t, ok := k.defs.Type(n.Get("resourceType").Text()); ok && t.Kind == spec.ResourceKind {
		k.object(n, t)
	}
}

func (k *walk) object(n jsontree.Node, t *spec.Type) {
	for name, m := range n.Members() {
		if k.err != nil {
			return
		}
		k.member(n, m, t, name)
	}
}

// what is a member to the walk: a link, a resource or a complex value; zero for
// nothing of interest.
type what struct {
	link     Kind
	resource bool
	typ      *spec.Type
}

func (k *walk) member(owner, m jsontree.Node, t *spec.Type, name string) {
	plain, twin := strings.CutPrefix(name, "_")
	e, code, ok := t.Element(plain)
	if !ok {
		return
	}
	is := what{typ: k.element}
	if !twin {
		is = k.classify(t, plain, code)
	}
	if is == (what{}) {
		return
	}
	k.path = append(k.path, step{plain, -1})
	top := len(k.path) - 1
	if m.Kind() == jsontree.Array {
		i := 0
		for item := range m.Items() {
			k.path[top].index = i
			k.value(owner, item, e, is)
			i++
		}
	} else {
		k.value(owner, m, e, is)
	}
	k.path = k.path[:top]
}

// classify says what an element of that type is to the walk. The url of an
// extension says what it means and is no link.
func (k *walk) classify(t *spec.Type, name, code string) what {
	switch code {
	case "uri", "url":
		if t.Name == "Extension" && name == "url" {
			return what{}
		}
		return what{link: URI}
	case "canonical":
		return what{link: Canonical}
	case "oid", "uuid":
		return what{link: Name}
	case "xhtml":
		return what{link: Narrative}
	case "string":
		if t.Name == "Reference" && name == "reference" {
			return what{link: Reference}
		}
		return what{}
	}
	vt, ok := k.defs.Type(code)
	switch {
	case !ok || vt.Kind == spec.Primitive || t.Name == "Bundle" && name == "entry":
		return what{}
	case vt.Kind == spec.ResourceKind:
		return what{resource: true}
	}
	return what{typ: vt}
}

func (k *walk) value(owner, n jsontree.Node, e *spec.Element, is what) {
	switch {
	case k.err != nil:
	case is.resource:
		k.resource(n)
	case is.typ != nil:
		k.object(n, is.typ)
	case n.Kind() != jsontree.String:
	case is.link == Narrative:
		k.narrative(n)
	default:
		k.link(owner, n, e, is.link)
	}
}

func (k *walk) link(owner, n jsontree.Node, e *spec.Element, kind Kind) {
	text := n.Text()
	if kind == Name && !e.Choice {
		return
	}
	to, err := k.replace(Link{kind, text, k})
	if err != nil {
		k.err = err
		return
	}
	if to == "" || to == text {
		return
	}
	if kind == Name {
		k.rename(owner, k.path[len(k.path)-1].name, e.JSONName("uri"))
	}
	k.cuts = append(k.cuts, cut{n.Offset(), n.End(), jsontree.AppendString(nil, to)})
}

// rename makes a valueUuid a valueUri, its twin too: a relative URL is no uuid,
// and R4 has no element of type oid or uuid that cannot be a uri.
func (k *walk) rename(owner jsontree.Node, from, to string) {
	for _, twin := range [...]string{"", "_"} {
		m := owner.Get(twin + from)
		if !m.Exists() {
			continue
		}
		end := m.Offset() // of the name: before the colon
		for end > 0 && k.src[end-1] != '"' {
			end--
		}
		start := end - 1
		for start > 0 && k.src[start-1] != '"' {
			start--
		}
		k.cuts = append(k.cuts, cut{start - 1, end, []byte(`"` + twin + to + `"`)})
	}
}
