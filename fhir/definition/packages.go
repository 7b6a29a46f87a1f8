package definition

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Packages are the definitions of FHIR packages
// (https://confluence.hl7.org/display/FHIR/NPM+Package+Specification).
type Packages struct {
	versions map[string][]fhir.Resource // by "type url", in the order of the versions
}

// packaged are the types that packages are read for.
var packaged = []string{"StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap", "SearchParameter"}

// Limits of one package: what is beyond is no package.
const (
	maxFile    = 64 << 20
	maxPackage = 2 << 30
)

// ReadPackages reads every .tgz of a folder, in the order of their names. The
// error, of Kind Invalid, names the file.
func ReadPackages(folder fs.FS) (*Packages, error) {
	p := &Packages{map[string][]fhir.Resource{}}
	names, err := fs.Glob(folder, "*.tgz")
	if err != nil {
		return nil, &fhir.Error{Op: "definition.ReadPackages", Kind: fhir.Internal, Err: err}
	}
	for _, name := range names {
		if err := p.read(folder, name); err != nil {
			return nil, &fhir.Error{Op: "definition.ReadPackages", Kind: fhir.Invalid, At: name, Err: err}
		}
	}
	for _, list := range p.versions {
		slices.SortStableFunc(list, func(a, b fhir.Resource) int {
			return compareVersions(a.Root().Get("version").Text(), b.Root().Get("version").Text())
		})
	}
	return p, nil
}

func (p *Packages) read(folder fs.FS, name string) error {
	f, err := folder.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	files := tar.NewReader(io.LimitReader(z, maxPackage))
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// Resources lie in package/; examples and the index lie elsewhere.
		if path.Dir(h.Name) != "package" || path.Ext(h.Name) != ".json" || h.Typeflag != tar.TypeReg || h.Size > maxFile {
			continue
		}
		body, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		p.add(body)
	}
}

// add keeps a definition; package.json and other resources are left out.
func (p *Packages) add(body []byte) {
	r, err := fhir.Parse(body, jsontree.Limits{Bytes: maxFile})
	if err != nil || !slices.Contains(packaged, r.Type) {
		return
	}
	url := r.Root().Get("url").Text()
	if url == "" {
		return
	}
	r.ID = ""
	key := r.Type + " " + url
	p.versions[key] = append(p.versions[key], r)
}

// Find returns a definition of a package, the greatest version if none is asked.
func (p *Packages) Find(_ context.Context, resourceType, url, version string) (fhir.Resource, bool, error) {
	list := p.versions[resourceType+" "+url]
	for i := len(list) - 1; i >= 0; i-- {
		if v := list[i].Root().Get("version").Text(); version == "" || v == version || strings.HasPrefix(v, version+".") {
			return list[i], true, nil
		}
	}
	return fhir.Resource{}, false, nil
}

// All are the definitions of one type, in no order; none of a nil Packages.
func (p *Packages) All(resourceType string) []fhir.Resource {
	if p == nil {
		return nil
	}
	var out []fhir.Resource
	for key, list := range p.versions {
		if strings.HasPrefix(key, resourceType+" ") {
			out = append(out, list[len(list)-1])
		}
	}
	return out
}

// List is All as a Source gives it.
func (p *Packages) List(_ context.Context, resourceType string) ([]fhir.Resource, error) {
	all := p.All(resourceType)
	return all[:min(len(all), MaxList)], nil
}

// compareVersions compares dotted numbers number by number, all else as text.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, y := strings.TrimLeft(as[i], "0"), strings.TrimLeft(bs[i], "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return len(as) - len(bs)
}
