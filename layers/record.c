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

int cb_record_latest(struct cb_store *store, const char *place, struct cb_record *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"SELECT id, snapshot, created, duration, bytes, place, facts, inputs FROM records WHERE place=?1"
		" ORDER BY id DESC LIMIT 1",
		err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, place);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	read_row(stmt, ret);
	ret->inputs = cb_db_text(stmt, 7);
	return 0;
}
