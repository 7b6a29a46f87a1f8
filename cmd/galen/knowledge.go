package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"galen/fhir/definition"
	"galen/fhir/operation"
	"galen/fhir/terminology/release"
	"galen/fhir/terminology/remote"
	"galen/store"
)

// codeServer is the terminology server that is asked what is not known here.
type codeServer struct{ url, tokenFile string }

// shelfDir is where imported code systems lie in the data directory.
func shelfDir(data string) string { return filepath.Join(data, "terminology") }

// readPackages reads the folder of FHIR packages; nil for none.
func (o options) readPackages() (*definition.Packages, error) {
	if o.packages == "" {
		return nil, nil
	}
	return definition.ReadPackages(os.DirFS(o.packages))
}

// newKnowledge is what operations know of terminology and profiles.
func newKnowledge(t tables, s *store.Store, o options, packages *definition.Packages) (operation.Knowledge, error) {
	k := operation.KnowledgeOptions{Defs: t.defs, Engine: t.engine, Units: t.units, Store: s, Now: time.Now, Packages: packages}
	var err error
	if k.Shelf, err = release.Open(shelfDir(o.data)); err != nil {
		return operation.Knowledge{}, err
	}
	if o.codes.url != "" {
		token := ""
		if o.codes.tokenFile != "" {
			text, err := os.ReadFile(o.codes.tokenFile)
			if err != nil {
				return operation.Knowledge{}, err
			}
			token = strings.TrimSpace(string(text))
		}
		if k.Remote, err = remote.New(o.codes.url, token); err != nil {
			return operation.Knowledge{}, err
		}
	}
	return operation.NewKnowledge(k)
}
