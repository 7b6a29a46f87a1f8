// Package galen_test holds the rules of the house (docs/design.md) against the
// code: the import graph, one importer for each wrapped library, the size
// budget, and documentation.
package galen_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite docs/imports.txt")

// goPackage is one package of the project with what it imports.
type goPackage struct {
	path    string
	imports []string
}

func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		packages = append(packages, goPackage{f[0], f[1:]})
	}
	return packages
}

// Git keeps sources and the tables and models that belong to the project, no
// build output: a binary once committed stays in every clone for ever.
func TestNoBuildOutputIsCommitted(t *testing.T) {
	const maxFileBytes = 4 << 20
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("skipped: not a git checkout: %v", err)
	}
	for _, path := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		info, err := os.Stat(path)
		if err != nil {
			continue // removed in the working tree
		}
		if info.Size() > maxFileBytes {
			t.Errorf("%s has %d bytes, the budget is %d", path, info.Size(), maxFileBytes)
		}
	}
}

// The arrows between packages are a decision: a new one shows as a diff of
// docs/imports.txt in the commit that adds it (go test . -update writes it).
func TestImportGraph(t *testing.T) {
	var b strings.Builder
	for _, p := range list(t) {
		for _, i := range p.imports {
			if strings.HasPrefix(i, "galen/") {
				b.WriteString(p.path + " -> " + i + "\n")
			}
		}
	}
	const golden = "docs/imports.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("imports changed (-docs/imports.txt +code):\n%s", diff)
	}
}

// The tree of docs/design.md names every package, by path or by last element.
func TestDesignNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tree, _ := strings.Cut(string(text), "```\n")
	tree, _, _ = strings.Cut(tree, "```")
	words := strings.FieldsFunc(tree, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, p := range list(t) {
		if p.path != "galen" && !slices.Contains(words, path.Base(p.path)) {
			t.Errorf("the tree of docs/design.md does not name %s", p.path)
		}
	}
}

// wrapped are the libraries that one package hides, and that package.
var wrapped = map[string][]string{
	"github.com/gin-gonic/gin":             {"galen/server"},
	"github.com/samply/golang-fhir-models": {"galen/fhir/r4"},
	"github.com/casbin/casbin":             {"galen/policies"},
	"github.com/yalue/onnxruntime_go":      {"galen/models/onnx"},
	"github.com/ncruces/go-sqlite3":        {"galen/store/sqlite", "galen/store/sqlite/conn"},
	"github.com/cockroachdb/apd":           {"galen/fhir/decimal"},
	"github.com/lestrrat-go/jwx":           {"galen/server/auth", "galen/server/auth/hookjwt"},
	"github.com/prometheus/client_golang":  {"galen/server/figures"},
	"google.golang.org/grpc":               {"galen/server/rpc", "galen/models/oip/inference"},
	"github.com/urfave/cli":                {"galen/cmd/galen", "galen/cmd/galen/modelcmd"},
	"github.com/schollz/progressbar":       {"galen/cmd/galen"},
	"github.com/goccy/go-yaml":             {"galen/models/manifest", "galen/policies", "galen/cmd/galen"},
	"go.mongodb.org/mongo-driver":          {"galen/store/mongo"},
	"github.com/vektah/gqlparser":          {"galen/fhir/operation/graphql"},
	"golang.org/x/crypto/acme":             {"galen/server/certificate/acme"},
	"golang.org/x/mod":                     {"galen/policies/transparency"},
}

func TestWrappedLibrariesHaveOneImporter(t *testing.T) {
	for _, p := range list(t) {
		for _, i := range p.imports {
			for library, importers := range wrapped {
				if strings.HasPrefix(i, library) && !slices.Contains(importers, p.path) {
					t.Errorf("%s imports %s; only %v may", p.path, i, importers)
				}
			}
		}
	}
}

// The size budget of docs/design.md.
const (
	maxPackageLines     = 2000
	maxFileLines        = 500
	maxFunctionLines    = 60
	maxInterfaceMethods = 8
	maxPackageDoc       = 15
)

// sources parses every Go file that is neither a test nor generated.
func sources(t *testing.T, visit func(path string, set *token.FileSet, file *ast.File, lines int)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(file) {
			visit(path, set, file, bytes.Count(text, []byte("\n")))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSizeBudget(t *testing.T) {
	packages := map[string]int{}
	sources(t, func(path string, set *token.FileSet, file *ast.File, lines int) {
		packages[filepath.Dir(path)] += lines
		if lines > maxFileLines {
			t.Errorf("%s has %d lines, the budget is %d", path, lines, maxFileLines)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if got := set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1; got > maxFunctionLines {
					t.Errorf("%s: %s has %d lines, the budget is %d", path, n.Name.Name, got, maxFunctionLines)
				}
			case *ast.InterfaceType:
				if n.Methods.NumFields() > maxInterfaceMethods {
					t.Errorf("%s: an interface has %d methods, the budget is %d", path, n.Methods.NumFields(), maxInterfaceMethods)
				}
			}
			return true
		})
	})
	for dir, lines := range packages {
		if lines > maxPackageLines {
			t.Errorf("package %s has %d lines, the budget is %d", dir, lines, maxPackageLines)
		}
	}
}

func TestNoInitAndNoBlankImports(t *testing.T) {
	sources(t, func(path string, _ *token.FileSet, file *ast.File, _ int) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function", path)
			}
		}
		for _, i := range file.Imports {
			if i.Name != nil && i.Name.Name == "_" && i.Path.Value != `"embed"` {
				t.Errorf("%s imports %s for its side effects", path, i.Path.Value)
			}
		}
	})
}

func TestExportedNamesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	sources(t, func(path string, _ *token.FileSet, file *ast.File, _ int) {
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || file.Doc != nil
		if file.Doc != nil && strings.Count(file.Doc.Text(), "\n") > maxPackageDoc {
			t.Errorf("%s: the package's doc is longer than %d lines", path, maxPackageDoc)
		}
		for _, d := range file.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: %s has no doc comment", path, name)
			}
		}
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", dir)
		}
	}
}

// undocumented lists the exported names that a declaration leaves without words.
func undocumented(d ast.Decl) []string {
	var names []string
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedReceiver(d.Recv)) && !wellKnown(d) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, s.Names[0].Name)
				}
			}
		}
	}
	return names
}

// wellKnown are methods whose meaning the standard library has fixed.
func wellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"Error", "String", "Unwrap"}, d.Name.Name)
}

func exportedReceiver(r *ast.FieldList) bool {
	t := r.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}
