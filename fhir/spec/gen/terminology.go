package main

import "fmt"

// terminologyFiles are what fhir/terminology embeds, by SHA-256.
var terminologyFiles = []struct{ name, sum string }{
	{"valuesets.json", "8d8fd0894624163296aa84e93c47cbead9b805fd83ec22ac71d45b7e25a86758"},
	{"v3-codesystems.json", "b9e75b6586b61843042e543280a91adc1bdd4d8a2df3427e30fa5f404b004646"},
	{"v2-tables.json", "d180cc829f2a95950664d918d1ed9b2a7e9a7423e3f3957e294c3375f146fc00"},
	{"conceptmaps.json", "3b6a7e9f2a8e2d13fc1ffa1524ede726e8f9122d90fa8e4918de0b1f194d8048"},
}

// unneeded are members of a definition that no answer uses.
var unneeded = []string{"text", "extension", "meta", "contact", "publisher", "date", "jurisdiction", "copyright", "purpose", "useContext"}

// packTerminology writes every code system, value set and concept map without
// what no answer uses.
func packTerminology(dir string) ([]byte, error) {
	documents := map[string][]byte{}
	for _, f := range terminologyFiles {
		text, err := verified(dir, f.name, f.sum)
		if err != nil {
			return nil, err
		}
		err = addDocuments(documents, text, func(r map[string]any) bool {
			for _, name := range unneeded {
				delete(r, name)
			}
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return packDocuments(documents)
}
