// Package page renders the pages of the console from templates that escape
// whatever they are given, into one layout with one style sheet.
//
// It holds no logic of what is shown: console fills in Data.
package page

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"time"

	"galen/fhir"
)

//go:embed *.html
var templates embed.FS

//go:embed style.css
var style []byte

// Place is a page that can be gone to.
type Place struct{ Path, Name, About string }

// Data is what a page is made of.
type Data struct {
	Title   string
	Here    string // the path of the Place that this page belongs to
	Places  []Place
	User    string // "" for nobody
	Roles   []string
	CSRF    string // for each form
	Notice  string // what was done
	Problem string // what went wrong and what to do next
	Query   url.Values
	Body    any // what is this page's own
	Version string
}

// Set is all pages. It is safe for concurrent use.
type Set struct{ pages map[string]*template.Template }

// Load parses the templates. The error is of Kind Internal.
func Load() (*Set, error) {
	const op = "page.Load"
	names, err := fs.Glob(templates, "*.html")
	if err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Internal, Err: err}
	}
	s := &Set{map[string]*template.Template{}}
	for _, name := range names {
		t, err := template.New("layout.html").Funcs(functions()).ParseFS(templates, "layout.html", name)
		if err != nil {
			return nil, &fhir.Error{Op: op, Kind: fhir.Internal, Err: err}
		}
		s.pages[strings.TrimSuffix(name, path.Ext(name))] = t
	}
	return s, nil
}

// Render makes a page whole, or not at all. The error is of Kind Internal.
func (s *Set) Render(name string, d *Data) ([]byte, error) {
	t, ok := s.pages[name]
	if !ok {
		return nil, fhir.E("page.Render", fhir.Internal, "", "there is no such page")
	}
	var out bytes.Buffer
	if err := t.Execute(&out, d); err != nil {
		return nil, &fhir.Error{Op: "page.Render", Kind: fhir.Internal, Err: err}
	}
	return out.Bytes(), nil
}

// Style is the style sheet.
func Style() []byte { return style }

func functions() template.FuncMap {
	return template.FuncMap{
		"when": func(t time.Time) string {
			if t.IsZero() {
				return "–"
			}
			return t.UTC().Format("2 Jan 2006 15:04:05 UTC")
		},
		"short": func(digest string) string { return digest[:min(12, len(digest))] },
		"join":  func(list []string) string { return strings.Join(list, ", ") },
	}
}
