#include "layers/record.h"

#include <sqlite3.h>
#include <string.h>

#include "base/timefmt.h"
#include "layers/snapshot.h"
#include "layers/storedb.h"

void cb_record_done(struct cb_record *record)
{
	free(record->snapshot);
	free(record->facts);
	free(record->inputs);
	free(record->place);
	free(record->slot);
	memset(record, 0, sizeof(*record));
}

/* Columns: id, snapshot, created, duration, bytes, place, facts. */
static void read_row(sqlite3_stmt *stmt, struct cb_record *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->id = cb_db_int(stmt, 0);
	ret->snapshot = cb_db_text(stmt, 1);
	ret->created = cb_db_int(stmt, 2);
	ret->duration_ns = cb_db_int(stmt, 3);
	ret->bytes = (uint64_t)cb_db_int(stmt, 4);
	ret->place = cb_db_text(stmt, 5);
	ret->facts = cb_db_text(stmt, 6);
}

static int find_row(struct cb_store *store, const struct cb_digest *key, struct cb_record *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"SELECT r.id, r.snapshot, r.created, r.duration, r.bytes, r.place, r.facts"
		" FROM record_keys k JOIN records r ON r.id=k.record WHERE k.key=?1",
		err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_digest(stmt, 1, key);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	read_row(stmt, ret);
	return 0;
}

int cb_record_find(struct cb_store *store, const struct cb_digest *key, struct cb_record *ret, struct cb_err **err)
{
	int r = find_row(store, key, ret, err);

	/* Foreign keys make sure that the snapshot has a row; cb_snapshot_open finds out about its directory. */
	if (r == 0 && ret->snapshot)
		cb_snapshot_touch(store, ret->snapshot);
	return r;
}

static int put_key(struct cb_store *store, int64_t id, const struct cb_digest *key, struct cb_err **err)
{
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "INSERT OR REPLACE INTO record_keys VALUES (?1, ?2)", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_digest(stmt, 1, key);
	cb_db_bind_int(stmt, 2, id);
	return cb_db_run(store->db, stmt, err);
}

/* A record that no key leads to any more is of no use. */
static int drop_keyless(struct cb_store *store, const struct cb_digest *key, struct cb_err **err)
{
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"DELETE FROM records WHERE id=(SELECT record FROM record_keys WHERE key=?1)"
		" AND (SELECT count(*) FROM record_keys k WHERE k.record=records.id)=1",
		err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_digest(stmt, 1, key);
	return cb_db_run(store->db, stmt, err);
}

static int put_notes(struct cb_store *store, int64_t id, const struct cb_record *record, struct cb_err **err)
{
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "INSERT INTO record_notes VALUES (?1, ?2, ?3)", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_int(stmt, 1, id);
	cb_db_bind_text(stmt, 2, record->slot);
	if (record->files)
		cb_db_bind_blob(stmt, 3, record->files, record->files_len);
	return cb_db_run(store->db, stmt, err);
}

int cb_record_put(struct cb_store *store, const struct cb_digest *keys, size_t n, const struct cb_record *record,
	int64_t *ret_id, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt;
	int64_t id;
	int r = cb_db_begin(store->db, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = drop_keyless(store, &keys[i], err);
	if (r < 0)
		return r;
	stmt = cb_db_prepare(store->db,
		"INSERT INTO records(snapshot, created, duration, bytes, place, facts, inputs)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		err);
	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, record->snapshot);
	cb_db_bind_int(stmt, 2, cb_time_now().tv_sec);
	cb_db_bind_int(stmt, 3, record->duration_ns);
	cb_db_bind_int(stmt, 4, (int64_t)record->bytes);
	cb_db_bind_text(stmt, 5, record->place);
	cb_db_bind_text(stmt, 6, record->facts);
	cb_db_bind_text(stmt, 7, record->inputs);
	r = cb_db_run(store->db, stmt, err);
	id = cb_db_last_id(store->db);
	if (r == 0 && (record->slot || record->files))
		r = put_notes(store, id, record, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_key(store, id, &keys[i], err);
	if (r == 0)
		r = cb_db_commit(store->db, err);
	if (r < 0)
		return cb_err_wrap(err, r, "record a step");
	if (ret_id)
		*ret_id = id;
	return 0;
}

int cb_record_add_key(struct cb_store *store, int64_t id, const struct cb_digest *key, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);

	return put_key(store, id, key, err);
}

int cb_record_set_facts(struct cb_store *store, int64_t id, const char *facts, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "UPDATE records SET facts=?2 WHERE id=?1", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_int(stmt, 1, id);
	cb_db_bind_text(stmt, 2, facts);
	return cb_db_run(store->db, stmt, err);
}

int cb_record_inputs(struct cb_store *store, int64_t id, char **ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt =
		cb_db_prepare(store->db, "SELECT inputs FROM records WHERE id=?1 AND inputs IS NOT NULL", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_int(stmt, 1, id);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	*ret = cb_db_text(stmt, 0);
	return 0;
}

int cb_record_files(struct cb_store *store, int64_t id, struct cb_buf *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt =
		cb_db_prepare(store->db, "SELECT files FROM record_notes WHERE record=?1 AND files IS NOT NULL", err);
	const void *data;
	size_t len;
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_int(stmt, 1, id);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	data = cb_db_blob(stmt, 0, &len);
	cb_buf_add(ret, data, len);
	return 0;
}

/* Rows of @stmt to @ret until there are @max; their count. */
static int read_rows(struct cb_db *db, sqlite3_stmt *stmt, struct cb_record *ret, int n, int max, struct cb_err **err)
{
	int r;

	while (n < max && (r = cb_db_step(db, stmt, err)) != 0) {
		bool known = false;

		if (r < 0)
			return r;
		for (int i = 0; i < n; i++)
			known = known || ret[i].id == cb_db_int(stmt, 0);
		if (known)
			continue;
		read_row(stmt, &ret[n]);
		ret[n++].inputs = cb_db_text(stmt, 7);
	}
	return n;
}

int cb_record_near(struct cb_store *store, const char *place, const char *slot, int64_t before, struct cb_record *ret,
	struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *by_place = cb_db_prepare(store->db,
		"SELECT id, snapshot, created, duration, bytes, place, facts, inputs FROM records WHERE place=?1"
		" AND id<?2 AND inputs IS NOT NULL ORDER BY id DESC",
		err);
	sqlite3_stmt *by_slot = cb_db_prepare(store->db,
		"SELECT r.id, r.snapshot, r.created, r.duration, r.bytes, r.place, r.facts, r.inputs FROM record_notes n"
		" JOIN records r ON r.id=n.record WHERE n.slot=?1 AND n.record<?2 AND r.inputs IS NOT NULL"
		" ORDER BY n.record DESC",
		err);
	int n;

	if (!by_place || !by_slot)
		return cb_db_failed(store->db);
	cb_db_bind_text(by_place, 1, place);
	cb_db_bind_int(by_place, 2, before > 0 ? before : INT64_MAX);
	cb_db_bind_text(by_slot, 1, slot);
	cb_db_bind_int(by_slot, 2, before > 0 ? before : INT64_MAX);
	/* The two kinds share the room, so that neither hides the other. */
	n = read_rows(store->db, by_place, ret, 0, CB_RECORD_NEAR_MAX / 2, err);
	return n < 0 ? n : read_rows(store->db, by_slot, ret, n, CB_RECORD_NEAR_MAX, err);
}

int cb_record_siblings(struct cb_store *store, const char *parent, const char *kind, struct cb_record *ret, size_t max,
	struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"SELECT r.id, r.snapshot, r.created, r.duration, r.bytes, r.place, r.facts, NULL FROM snapshots s"
		" JOIN records r ON r.snapshot=s.id WHERE s.parent IS ?1 AND s.kind=?2 GROUP BY s.seq ORDER BY s.seq DESC",
		err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, parent);
	cb_db_bind_text(stmt, 2, kind);
	return read_rows(store->db, stmt, ret, 0, (int)max, err);
}
