-- Version 1. The index tables are explained in index/rows.go.
CREATE TABLE setting (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE slot (id INTEGER PRIMARY KEY, type TEXT NOT NULL, kind INTEGER NOT NULL, params TEXT NOT NULL, qualifier TEXT NOT NULL);
CREATE TABLE resource (
	rid INTEGER PRIMARY KEY, key NOT NULL, type INTEGER NOT NULL, id TEXT NOT NULL,
	version INTEGER NOT NULL, updated INTEGER NOT NULL, method INTEGER NOT NULL, deleted INTEGER NOT NULL,
	entries BLOB NOT NULL, body BLOB);
CREATE UNIQUE INDEX resource_key ON resource (key);
CREATE INDEX resource_updated ON resource (type, updated, deleted);
CREATE INDEX resource_live ON resource (type) WHERE deleted = 0;
CREATE TABLE history (
	rid INTEGER NOT NULL, version INTEGER NOT NULL, type INTEGER NOT NULL, id TEXT NOT NULL,
	updated INTEGER NOT NULL, method INTEGER NOT NULL, deleted INTEGER NOT NULL, body BLOB);
CREATE UNIQUE INDEX history_version ON history (rid, version);
CREATE INDEX history_updated ON history (type, updated, rid, version);
CREATE TABLE value (slot INTEGER, a, rid INTEGER, PRIMARY KEY (slot, a, rid)) WITHOUT ROWID;
CREATE TABLE span (slot INTEGER, a, b, rid INTEGER, PRIMARY KEY (slot, a, b, rid)) WITHOUT ROWID;
CREATE TABLE coded (slot INTEGER, a, b INTEGER, rid INTEGER, PRIMARY KEY (slot, a, b, rid)) WITHOUT ROWID;
CREATE TABLE timeline (slot INTEGER, a, b, c INTEGER, rid INTEGER, PRIMARY KEY (slot, a, b, c, rid)) WITHOUT ROWID;
