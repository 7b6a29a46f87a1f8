package mongo_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"galen/store"
	"galen/store/mongo"
	"galen/store/storetest"
)

// server starts FerretDB as a child on the loopback, or takes the server that
// GALEN_TEST_MONGODB_URI names, and returns a URI without a database.
func server(t testing.TB) string {
	t.Helper()
	if uri := os.Getenv("GALEN_TEST_MONGODB_URI"); uri != "" {
		return uri
	}
	program, err := build()
	if err != nil {
		t.Skipf("skipped: FerretDB cannot be built here: %v", err)
	}
	c := exec.Command(program, t.TempDir())
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait()
	})
	uri, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("FerretDB did not start: %v", err)
	}
	return strings.TrimSpace(uri)
}

// build unpacks testdata/ferret.txtar and builds it, once in a process; the build
// cache keeps its parts.
var build = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	source, err := txtar.ParseFile("testdata/ferret.txtar")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "galen", "ferrettest")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for _, f := range source.Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			return "", err
		}
	}
	program := filepath.Join(dir, "ferrettest")
	c := exec.Command("go", "build", "-o", program, ".")
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -trimpath -mod=readonly")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

var databases atomic.Int64

// fresh is the URI of an empty database on a server.
func fresh(t testing.TB, uri string) string {
	base, query, _ := strings.Cut(uri, "?")
	name := fmt.Sprintf("galentest%d_%d", time.Now().UnixNano()%1_000_000_000, databases.Add(1))
	uri = strings.TrimSuffix(base, "/") + "/" + name
	if query != "" {
		uri += "?" + query
	}
	t.Cleanup(func() {
		if err := mongo.Drop(uri); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
	})
	return uri
}

func open(t testing.TB, uri string) *mongo.DB {
	t.Helper()
	db, err := mongo.Open(t.Context(), mongo.Options{URI: uri})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestDriver runs the contract.
func TestDriver(t *testing.T) {
	uri := server(t)
	uris := map[store.Driver]string{}
	queries := 1000
	if os.Getenv("GALEN_TEST_MONGODB_URI") == "" {
		queries = 200 // FerretDB scans
	}
	storetest.Run(t, storetest.Harness{
		Queries: queries,
		Open: func(t *testing.T) store.Driver {
			at := fresh(t, uri)
			db := open(t, at)
			uris[db] = at
			return db
		},
		Reopen: func(t *testing.T, d store.Driver) store.Driver {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, uris[d])
		},
	})
}
