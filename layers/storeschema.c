/*
 * The tables of the store's database, and the way to them from every earlier version.
 *
 * A database says its version in meta. What cb_db_upgrade finds older is brought forward, one version a transaction: a
 * process that dies on the way leaves a database of some version, never one between two. A newer one is left to
 * cb_store_open to refuse.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "layers/storedb.h"

/* Version 1, as the first stores have it; later versions are made of it by the steps below, so that both ways agree. */
static const char first[] =
	"CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	/* boot: the boot that made it, NULL once it is known to be on disk */
	"CREATE TABLE IF NOT EXISTS snapshots(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT,"
	" parent TEXT, diff_id BLOB, size INTEGER, created INTEGER, last_used INTEGER, boot TEXT);"
	"CREATE INDEX IF NOT EXISTS snapshots_diff ON snapshots(diff_id) WHERE diff_id IS NOT NULL;"
	"CREATE INDEX IF NOT EXISTS snapshots_boot ON snapshots(boot) WHERE boot IS NOT NULL;"
	/* rows deleted whose directory may still be there */
	"CREATE TABLE IF NOT EXISTS doomed(id TEXT PRIMARY KEY) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS records(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" snapshot TEXT REFERENCES snapshots(id) ON DELETE CASCADE, created INTEGER, duration INTEGER, bytes INTEGER,"
	" place TEXT, facts TEXT, inputs TEXT);"
	"CREATE INDEX IF NOT EXISTS records_snapshot ON records(snapshot);"
	"CREATE INDEX IF NOT EXISTS records_place ON records(place, id) WHERE place IS NOT NULL;"
	"CREATE TABLE IF NOT EXISTS record_keys(key BLOB PRIMARY KEY,"
	" record INTEGER NOT NULL REFERENCES records(id) ON DELETE CASCADE) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS record_keys_record ON record_keys(record);"
	"CREATE TABLE IF NOT EXISTS layers(diff_id BLOB PRIMARY KEY, size INTEGER) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS layer_blobs(diff_id BLOB, digest BLOB, size INTEGER, media_type TEXT, codec INTEGER,"
	" PRIMARY KEY(diff_id, digest)) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS layer_blobs_digest ON layer_blobs(digest);"
	"CREATE TABLE IF NOT EXISTS stat_chunks(scope TEXT, chunk INTEGER, used INTEGER, data BLOB,"
	" PRIMARY KEY(scope, chunk));"
	"CREATE TABLE IF NOT EXISTS tags(name TEXT PRIMARY KEY, descriptor TEXT NOT NULL) WITHOUT ROWID;";

/* steps[i] leads from version i + 1 to i + 2. */
static const char *const steps[] = {
	/*
	 * disk, entries: what the directory occupies and holds, NULL until somebody counted; uses: how often it was
	 * used again. cachemounts: what is known of cachemounts/<name>; size is NULL while it may have changed.
	 */
	"ALTER TABLE snapshots ADD COLUMN disk INTEGER;"
	"ALTER TABLE snapshots ADD COLUMN entries INTEGER;"
	"ALTER TABLE snapshots ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX snapshots_parent ON snapshots(parent) WHERE parent IS NOT NULL;"
	"CREATE TABLE cachemounts(name TEXT PRIMARY KEY, title TEXT, size INTEGER, created INTEGER, last_used INTEGER,"
	" uses INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;",
	/* record_notes: slot, another place of the record; files, a list of those it read (filelist.h). */
	"CREATE TABLE record_notes(record INTEGER PRIMARY KEY REFERENCES records(id) ON DELETE CASCADE,"
	" slot TEXT, files BLOB);"
	"CREATE INDEX record_notes_slot ON record_notes(slot, record);"
	"CREATE TABLE journal(id INTEGER PRIMARY KEY AUTOINCREMENT, created INTEGER, project TEXT, report TEXT);",
};
_Static_assert(ARRAY_SIZE(steps) + 1 == CB_DB_VERSION, "a step for each version");

/* 0 when there are no tables yet. The first cbuild wrote its version a moment after the tables. */
static int read_version(struct cb_db *db, int64_t *ret, struct cb_err **err)
{
	int r = cb_db_ask(db, "SELECT count(*) FROM sqlite_schema WHERE name='tags'", ret, err);

	if (r < 0 || *ret == 0)
		return r;
	return cb_db_ask(db, "SELECT coalesce((SELECT value FROM meta WHERE key='schema'), 1)", ret, err);
}

static int make_first(struct cb_db *db, struct cb_err **err)
{
	int r = cb_db_script(db, first, err);

	return r < 0 ? r : cb_db_script(db, "INSERT OR REPLACE INTO meta VALUES ('schema', 1)", err);
}

static int make_next(struct cb_db *db, int64_t from, struct cb_err **err)
{
	char sql[80];
	int r = cb_db_script(db, steps[from - 1], err);

	snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO meta VALUES ('schema', %d)", (int)from + 1);
	return r < 0 ? r : cb_db_script(db, sql, err);
}

/* One step forward, looked at once more under the lock: another process may have made it. */
static int step_forward(struct cb_db *db, struct cb_err **err)
{
	int64_t version = 0;
	int r = cb_db_script(db, "BEGIN IMMEDIATE", err);

	if (r < 0)
		return r;
	r = read_version(db, &version, err);
	if (r == 0 && version == 0)
		r = make_first(db, err);
	else if (r == 0 && version < CB_DB_VERSION)
		r = make_next(db, version, err);
	if (r < 0) {
		cb_db_script(db, "ROLLBACK", NULL);
		return cb_err_wrap(err, r, "bring the database from version %d forward", (int)version);
	}
	return cb_db_script(db, "COMMIT", err);
}

int cb_db_upgrade(struct cb_db *db, struct cb_err **err)
{
	int64_t version = 0;
	int r = read_version(db, &version, err);

	while (r == 0 && version < CB_DB_VERSION) {
		r = step_forward(db, err);
		if (r == 0)
			r = read_version(db, &version, err);
	}
	return r;
}
