// Package entry reads the requests of a batch or transaction Bundle
// (https://hl7.org/fhir/R4/bundle.html#request,
// https://hl7.org/fhir/R4/http.html#transaction): each entry's method, URL,
// conditions and resource, and what is wrong with it.
//
// Errors name the place from the Bundle on, "Bundle.entry[3].resource.birthDate",
// and never repeat a value.
//
// It performs nothing and does not look into the resources.
package entry

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
)

// Entry is one request of a Bundle.
type Entry struct {
	Index   int
	FullURL string
	Method  string // GET, HEAD, POST, PUT, PATCH or DELETE
	Path    string // below the service root, "Patient/1"
	Query   string // raw, what follows the question mark
	// The headers of the request (https://hl7.org/fhir/R4/bundle.html#http).
	IfMatch, IfNoneMatch, IfNoneExist, IfModifiedSince string
	// Resource is the object to write; absent for GET, HEAD and DELETE.
	Resource jsontree.Node
	// Err is what is wrong with the entry, with its place, nil if nothing is.
	Err error
}

// Bundle is a Bundle to perform.
type Bundle struct {
	Transaction bool // else a batch
	Entries     []Entry
}

// Options bound and explain a Bundle.
type Options struct {
	Defs    *spec.Definitions
	Base    string // absolute URL of the server, no slash at its end
	Entries int    // entries at most
}

// Parse reads a Bundle. An error is of the Bundle as a whole: of Kind Invalid or
// Required, or TooLong for too many entries.
func Parse(r fhir.Resource, o Options) (Bundle, error) {
	const op = "entry.Parse"
	var b Bundle
	root := r.Root()
	kind := root.Get("type")
	switch {
	case r.Type != "Bundle":
		return b, fhir.E(op, fhir.Invalid, "resourceType", "only a Bundle can be posted here")
	case !kind.Exists():
		return b, fhir.E(op, fhir.Required, "Bundle.type", "Bundle.type is missing")
	case kind.Kind() != jsontree.String || kind.Text() != "batch" && kind.Text() != "transaction":
		return b, fhir.E(op, fhir.Invalid, "Bundle.type", "only a batch or a transaction can be performed; any other Bundle is stored under /Bundle")
	}
	b.Transaction = kind.Text() == "transaction"
	if at, ok := known(root, o.Defs, "Bundle", "Bundle"); !ok {
		return b, fhir.E(op, fhir.Invalid, at, "has an element that R4 does not define")
	}
	list := root.Get("entry")
	switch n := list.Len(); {
	case !list.Exists():
		return b, nil
	case list.Kind() != jsontree.Array || n == 0:
		return b, fhir.E(op, fhir.Invalid, "Bundle.entry", "must be an array that is not empty")
	case n > o.Entries:
		return b, fhir.E(op, fhir.TooLong, "Bundle.entry", "the Bundle has more entries than the "+strconv.Itoa(o.Entries)+" allowed")
	default:
		b.Entries = make([]Entry, n)
	}
	i := 0
	for node := range list.Items() {
		e := &b.Entries[i]
		e.Index = i
		if resource := node.Get("resource"); node.Kind() != jsontree.Object || resource.Exists() && resource.Kind() != jsontree.Object {
			return b, fhir.E(op, fhir.Invalid, e.shape(node), "must be an object")
		}
		e.Err = e.read(node, o)
		i++
	}
	return b, nil
}

// shape is the place of what is no object.
func (e *Entry) shape(node jsontree.Node) string {
	if node.Kind() != jsontree.Object {
		return e.At("")
	}
	return e.At("resource")
}

// known looks for a member that the type does not have.
func known(n jsontree.Node, defs *spec.Definitions, typeName, at string) (string, bool) {
	t, ok := defs.Type(typeName)
	if !ok {
		return at, false
	}
	for name := range n.Members() {
		if _, _, ok := t.Element(strings.TrimPrefix(name, "_")); !ok && name != "resourceType" {
			return at, false
		}
	}
	return "", true
}

// At is the FHIRPath of an element of the entry, "" for the entry itself.
func (e *Entry) At(element string) string {
	at := "Bundle.entry[" + strconv.Itoa(e.Index) + "]"
	if element == "" {
		return at
	}
	return at + "." + element
}

func (e *Entry) fail(kind fhir.Kind, element, message string) error {
	return fhir.E("entry.Parse", kind, e.At(element), message)
}

func (e *Entry) read(node jsontree.Node, o Options) error {
	request := node.Get("request")
	if at, ok := known(node, o.Defs, "Bundle.entry", e.At("")); !ok {
		return fhir.E("entry.Parse", fhir.Invalid, at, "has an element that R4 does not define")
	}
	if request.Kind() != jsontree.Object {
		return e.fail(fhir.Required, "request", "an entry of a batch or transaction needs a request")
	}
	if at, ok := known(request, o.Defs, "Bundle.entry.request", e.At("request")); !ok {
		return fhir.E("entry.Parse", fhir.Invalid, at, "has an element that R4 does not define")
	}
	url := ""
	for _, member := range [...]struct {
		of   jsontree.Node
		name string
		to   *string
	}{
		{node, "fullUrl", &e.FullURL},
		{request, "method", &e.Method},
		{request, "url", &url},
		{request, "ifMatch", &e.IfMatch},
		{request, "ifNoneMatch", &e.IfNoneMatch},
		{request, "ifNoneExist", &e.IfNoneExist},
		{request, "ifModifiedSince", &e.IfModifiedSince},
	} {
		value := member.of.Get(member.name)
		if value.Exists() && (value.Kind() != jsontree.String || value.Text() == "") {
			return e.fail(fhir.Invalid, prefix(member.of == request)+member.name, "must be a string that is not empty")
		}
		*member.to = value.Text()
	}
	e.Resource = node.Get("resource")
	if err := e.locate(url, o.Base); err != nil {
		return err
	}
	return e.check()
}

func prefix(ofRequest bool) string {
	if ofRequest {
		return "request."
	}
	return ""
}

// locate splits the URL, relative or below the server's base.
func (e *Entry) locate(url, base string) error {
	if url == "" {
		return e.fail(fhir.Required, "request.url", "the request's URL is missing")
	}
	if rest, ok := strings.CutPrefix(url, base); ok && base != "" && (rest == "" || rest[0] == '/' || rest[0] == '?') {
		url = rest
	}
	path, query, _ := strings.Cut(url, "?")
	if strings.Contains(path, ":") {
		return e.fail(fhir.Invalid, "request.url", "the URL is not one of this server")
	}
	e.Path, e.Query = strings.Trim(path, "/"), query
	return nil
}

// check holds method, URL and resource against each other.
func (e *Entry) check() error {
	parts := e.Parts()
	instance := len(parts) == 2 && e.Query == ""
	conditional := len(parts) == 1 && e.Query != ""
	writes := true
	switch e.Method {
	case "":
		return e.fail(fhir.Required, "request.method", "the request's method is missing")
	case http.MethodGet, http.MethodHead:
		return nil
	case http.MethodPost:
		if e.Operation() != "" {
			return nil
		}
		if len(parts) != 1 || e.Query != "" {
			return e.fail(fhir.Invalid, "request.url", "POST takes a resource type, or an operation")
		}
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		writes = e.Method != http.MethodDelete
		if !instance && !conditional {
			return e.fail(fhir.Invalid, "request.url", e.Method+" takes a type and an id, or a type and criteria")
		}
	default:
		return e.fail(fhir.CodeInvalid, "request.method", "must be GET, HEAD, POST, PUT, PATCH or DELETE")
	}
	if writes && !e.Resource.Exists() {
		return e.fail(fhir.Required, "resource", e.Method+" needs a resource")
	}
	return e.conditions(conditional)
}

// conditions refuses those of other methods: passed over, the entry would write
// what the client asked not to (https://hl7.org/fhir/R4/bundle.html#http).
func (e *Entry) conditions(criteria bool) error {
	switch {
	case e.IfNoneExist != "" && e.Method != http.MethodPost:
		return e.fail(fhir.Invalid, "request.ifNoneExist", "is for POST only")
	case e.IfMatch != "" && e.Method == http.MethodPost:
		return e.fail(fhir.Invalid, "request.ifMatch", "is not for POST, which creates")
	case e.IfNoneMatch != "" && (e.Method != http.MethodPut || criteria):
		return e.fail(fhir.Invalid, "request.ifNoneMatch", "is for GET, HEAD and a PUT with an id only")
	}
	return nil
}

// Parts are the segments of the path.
func (e *Entry) Parts() []string { return strings.Split(e.Path, "/") }

// Key is the type and id that the path names; either is "" if there is none.
func (e *Entry) Key() fhir.Key {
	var k fhir.Key
	parts := e.Parts()
	if special(parts[0]) {
		return k
	}
	k.Type = parts[0]
	if len(parts) > 1 && !special(parts[1]) {
		k.ID = parts[1]
	}
	return k
}

// special reports whether a segment is neither a type nor an id.
func special(segment string) bool { return strings.HasPrefix(segment, "$") || segment == "_history" }

// Operation is the name of the operation that the URL calls, without its "$",
// or "" (https://hl7.org/fhir/R4/operations.html#executing).
func (e *Entry) Operation() string {
	parts := e.Parts()
	name, ok := strings.CutPrefix(parts[len(parts)-1], "$")
	if !ok || len(parts) > 3 {
		return ""
	}
	return name
}

// Writes reports whether the entry may change a resource.
func (e *Entry) Writes() bool { return e.Method != http.MethodGet && e.Method != http.MethodHead }

// Phase is when a transaction performs the entry: deletes, creates, updates and
// patches, then reads (https://hl7.org/fhir/R4/http.html#trules).
func (e *Entry) Phase() int {
	switch e.Method {
	case http.MethodDelete:
		return 0
	case http.MethodPost:
		return 1
	case http.MethodPut, http.MethodPatch:
		return 2
	}
	return 3
}

// Place makes the places in an error those of the Bundle: of the entry's
// resource, of its request, or of the entry.
func (e *Entry) Place(err error) error {
	if err == nil {
		return nil
	}
	kind := fhir.KindOf(err)
	var cause *fhir.Error
	if !errors.As(err, &cause) || kind == fhir.Internal {
		return err
	}
	var issues fhir.Issues
	if errors.As(err, &issues) {
		moved := make(fhir.Issues, len(issues))
		for i, issue := range issues {
			issue.At = e.place(issue.At)
			moved[i] = issue
		}
		return &fhir.Error{Op: cause.Op, Kind: kind, At: e.place(cause.At), Err: moved}
	}
	return &fhir.Error{Op: cause.Op, Kind: kind, At: e.place(cause.At), Err: cause.Err}
}

// headers are the places of conditions, as single interactions name them.
var headers = map[string]string{
	"If-Match": "request.ifMatch", "If-None-Match": "request.ifNoneMatch",
	"If-None-Exist": "request.ifNoneExist", "ifNoneExist": "request.ifNoneExist",
}

func (e *Entry) place(at string) string {
	own := e.At("")
	if header, ok := headers[at]; ok {
		return e.At(header)
	}
	name := at
	if i := strings.IndexAny(at, ".["); i >= 0 {
		name = at[:i]
	}
	switch {
	case at == "" || strings.HasPrefix(at, "offset "):
		return own
	case at == own || strings.HasPrefix(at, own+"."):
		return at
	case at == "resourceType":
		return e.At("resource")
	case e.Resource.Exists() && name == e.Resource.Get("resourceType").Text():
		return e.At("resource") + at[len(name):]
	case e.Method == http.MethodPatch && name != at && fhir.ValidTypeName(name):
		return e.At("resource") // of what the patch makes
	case e.Method == http.MethodPost && e.Operation() == "":
		return e.At("request.ifNoneExist") // a parameter of the criteria
	}
	return e.At("request.url")
}
