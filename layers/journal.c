#include "layers/journal.h"

#include <sqlite3.h>

#include "base/timefmt.h"
#include "layers/storedb.h"

int cb_journal_put(struct cb_store *store, const char *project, const char *text, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *put, *drop;
	int r = cb_db_begin(store->db, err);

	if (r < 0)
		return r;
	put = cb_db_prepare(store->db, "INSERT INTO journal(created, project, report) VALUES (?1, ?2, ?3)", err);
	drop = cb_db_prepare(store->db, "DELETE FROM journal WHERE id<=?1", err);
	if (!put || !drop)
		return cb_db_failed(store->db);
	cb_db_bind_int(put, 1, cb_time_now().tv_sec);
	cb_db_bind_text(put, 2, project);
	cb_db_bind_text(put, 3, text);
	r = cb_db_run(store->db, put, err);
	cb_db_bind_int(drop, 1, cb_db_last_id(store->db) - CB_JOURNAL_MAX);
	if (r == 0)
		r = cb_db_run(store->db, drop, err);
	return r < 0 ? r : cb_db_commit(store->db, err);
}

int cb_journal_latest(struct cb_store *store, const char *project, char **ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(
		store->db, "SELECT report FROM journal WHERE ?1 IS NULL OR project=?1 ORDER BY id DESC LIMIT 1", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, project);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	*ret = cb_db_text(stmt, 0);
	return 0;
}
