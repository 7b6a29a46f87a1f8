package sqlite

import (
	_ "embed" // schema.sql, words.sql
	"fmt"
	"io"
	"time"

	"galen/fhir"
	"galen/store/sqlite/conn"
	"galen/store/sqlite/index"
)

// schemaVersion is written here; migrations[v] leads from v to v+1, 0 is empty.
const schemaVersion = 2

//go:embed schema.sql
var schema string

//go:embed words.sql
var words string

// migrations are run in one transaction each, in order.
var migrations = [schemaVersion]string{schema, words}

// prepare brings the schema up to date, verifies it and loads the dictionary.
func prepare(c *conn.Conn, random io.Reader, qualifiers int) (*index.Dict, error) {
	version, err := c.Int("PRAGMA user_version")
	if err != nil {
		return nil, err
	}
	if version > schemaVersion {
		return nil, fhir.E("sqlite.Open", fhir.Unavailable, "", "a newer version of Galen wrote this store")
	}
	for ; version < schemaVersion; version++ {
		if err := migrate(c, int(version), random); err != nil {
			return nil, err
		}
	}
	check, err := c.Int("SELECT count(*) FROM sqlite_schema WHERE name IN ('setting', 'name', 'slot', 'resource', 'history', 'value', 'span', 'coded', 'timeline', 'resource_key', 'resource_updated', 'resource_live', 'history_version', 'history_updated', 'words')")
	if err != nil {
		return nil, err
	}
	if check != 15 {
		return nil, fhir.E("sqlite.Open", fhir.Unavailable, "", "the store's tables are not those of its version")
	}
	return loadDict(c, qualifiers)
}

func migrate(c *conn.Conn, from int, random io.Reader) error {
	if err := c.Run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := c.Exec(migrations[from])
	if err == nil && from == 0 {
		err = makeSecret(c, random)
	}
	if err == nil {
		err = c.Exec(fmt.Sprintf("PRAGMA user_version = %d", from+1))
	}
	if err != nil {
		c.Run("ROLLBACK")
		return err
	}
	return c.Run("COMMIT")
}

// makeSecret keys the hashes of long values, so that nobody can make two values
// that collide.
func makeSecret(c *conn.Conn, random io.Reader) error {
	secret := make([]byte, 16)
	if _, err := io.ReadFull(random, secret); err != nil {
		return err
	}
	return c.Each("INSERT INTO setting VALUES ('secret', ?)", []any{secret}, nil)
}

// busyTimeout is how long a connection waits for another one's lock; only the
// moments of opening and of a checkpoint's end need it.
const busyTimeout = 10 * time.Second

// connect opens a connection with its cache size in bytes.
func (db *DB) connect(cache int) (*conn.Conn, error) {
	c, err := conn.Open(db.path, db.opts.Key)
	if err != nil {
		return nil, err
	}
	c.BusyTimeout(busyTimeout)
	synchronous := "FULL"
	if db.opts.Unsynced {
		synchronous = "NORMAL"
	}
	err = c.Exec(fmt.Sprintf(`PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = %s; PRAGMA cache_size = %d;
		PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;`, synchronous, -cache/1024))
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
