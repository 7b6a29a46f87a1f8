package manifest_test

import (
	"io/fs"
	"testing"

	"galen/models/catalog"
	"galen/models/manifest"
)

// Every manifest that ships decodes.
func TestDecodeBuiltIn(t *testing.T) {
	files, err := fs.Glob(catalog.FS(), "*/*/manifest.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("Glob = %v, %v; want at least two manifests", files, err)
	}
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			data, err := fs.ReadFile(catalog.FS(), name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := manifest.Decode(data); err != nil {
				t.Fatal(err)
			}
		})
	}
}
