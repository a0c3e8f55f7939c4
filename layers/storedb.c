#include "layers/storedb.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#define BUSY_MS 60000
#define STATEMENTS_MAX 96
/* A log that builds without an orderly end have left to grow: reading it in at every open would cost more. */
#define LOG_MAX (INT64_C(4) << 20)

struct cached {
	const char *sql; /* compared by address */
	sqlite3_stmt *stmt;
	bool used;
};

struct cb_db {
	sqlite3 *handle;
	pthread_mutex_t lock;
	struct cached cache[STATEMENTS_MAX];
	size_t n_cache;
	int failed; /* code of the last failure */
};

/* No fsync on the way: NORMAL syncs at checkpoints only, and those are ours to place (cb_store_sync, cb_db_open). */
static const char pragmas[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
			      "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=67108864;";

static int describe(struct cb_db *db, int code, struct cb_err **err)
{
	int sys = sqlite3_system_errno(db->handle);
	const char *msg = sqlite3_errmsg(db->handle);
	int r;

	if ((code & 0xff) == SQLITE_FULL || ((code & 0xff) == SQLITE_IOERR && (sys == ENOSPC || sys == EDQUOT)))
		return cb_err_set(err, CB_ERR_NO_SPACE, "store database: no space left on device");
	if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) {
		r = cb_err_set(err, CB_ERR_CORRUPT, "store database: %s", msg);
		return cb_err_hint(err, r,
			"remove db.sqlite* in the store's directory: images and tags stay, only cached steps are lost");
	}
	if ((code & 0xff) == SQLITE_READONLY || (code & 0xff) == SQLITE_PERM)
		return cb_err_set(err, CB_ERR_DENIED, "store database: %s", msg);
	return cb_err_set(err, CB_ERR_IO, "store database: %s", msg);
}

static int db_error(struct cb_db *db, int code, struct cb_err **err)
{
	db->failed = describe(db, code, err);
	return db->failed;
}

int cb_db_failed(const struct cb_db *db)
{
	return db->failed;
}

int cb_db_script(struct cb_db *db, const char *sql, struct cb_err **err)
{
	int r = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return r == SQLITE_OK ? 0 : db_error(db, r, err);
}

int cb_db_ask(struct cb_db *db, const char *sql, int64_t *ret, struct cb_err **err)
{
	sqlite3_stmt *stmt = NULL;
	int r = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_step(stmt);
	if (r == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return r == SQLITE_ROW ? 0 : db_error(db, r, err);
}

static int64_t log_size(const char *path)
{
	cleanup_free char *log = cb_xasprintf("%s-wal", path);
	struct stat st;

	return stat(log, &st) == 0 ? (int64_t)st.st_size : 0;
}

int cb_db_open(const char *path, struct cb_db **ret, struct cb_err **err)
{
	struct cb_db *db = cb_new0(struct cb_db);
	int r;

	pthread_mutex_init(&db->lock, NULL);
	r = sqlite3_open_v2(path, &db->handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (r != SQLITE_OK) {
		r = db->handle ? db_error(db, r, err) : cb_err_set(err, CB_ERR_IO, "store database: out of memory");
	} else {
		sqlite3_busy_timeout(db->handle, BUSY_MS);
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		r = cb_db_script(db, pragmas, err);
		if (r == 0)
			r = cb_db_upgrade(db, err);
		if (r == 0 && log_size(path) > LOG_MAX)
			r = cb_db_checkpoint(db, err);
	}
	if (r < 0) {
		cb_db_free(db);
		return r;
	}
	*ret = db;
	return 0;
}

struct cb_db *cb_db_free(struct cb_db *db)
{
	if (db) {
		for (size_t i = 0; i < db->n_cache; i++)
			sqlite3_finalize(db->cache[i].stmt);
		sqlite3_close(db->handle);
		pthread_mutex_destroy(&db->lock);
		free(db);
	}
	return NULL;
}

void cb_db_lock(struct cb_db *db)
{
	pthread_mutex_lock(&db->lock);
}

void cb_db_unlock(struct cb_db *db)
{
	for (size_t i = 0; i < db->n_cache; i++) {
		if (!db->cache[i].used)
			continue;
		sqlite3_reset(db->cache[i].stmt);
		sqlite3_clear_bindings(db->cache[i].stmt);
		db->cache[i].used = false;
	}
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_unlock(&db->lock);
}

sqlite3_stmt *cb_db_prepare(struct cb_db *db, const char *sql, struct cb_err **err)
{
	struct cached *entry;
	int r;

	for (size_t i = 0; i < db->n_cache; i++) {
		entry = &db->cache[i];
		if (entry->sql != sql)
			continue;
		if (entry->used) {
			sqlite3_reset(entry->stmt);
			sqlite3_clear_bindings(entry->stmt);
		}
		entry->used = true;
		return entry->stmt;
	}

	assert(db->n_cache < STATEMENTS_MAX);
	entry = &db->cache[db->n_cache];
	r = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &entry->stmt, NULL);
	if (r != SQLITE_OK) {
		db_error(db, r, err);
		return NULL;
	}
	entry->sql = sql;
	entry->used = true;
	db->n_cache++;
	return entry->stmt;
}

int cb_db_step(struct cb_db *db, sqlite3_stmt *stmt, struct cb_err **err)
{
	int r = sqlite3_step(stmt);

	if (r == SQLITE_ROW)
		return 1;
	return r == SQLITE_DONE ? 0 : db_error(db, r, err);
}

int cb_db_run(struct cb_db *db, sqlite3_stmt *stmt, struct cb_err **err)
{
	int r;

	do
		r = cb_db_step(db, stmt, err);
	while (r > 0);
	sqlite3_reset(stmt);
	return r;
}

int cb_db_exec(struct cb_db *db, const char *sql, struct cb_err **err)
{
	sqlite3_stmt *stmt = cb_db_prepare(db, sql, err);

	return stmt ? cb_db_run(db, stmt, err) : db->failed;
}

int cb_db_begin(struct cb_db *db, struct cb_err **err)
{
	return cb_db_exec(db, "BEGIN IMMEDIATE", err);
}

int cb_db_commit(struct cb_db *db, struct cb_err **err)
{
	return cb_db_exec(db, "COMMIT", err);
}

int cb_db_checkpoint(struct cb_db *db, struct cb_err **err)
{
	int r = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

	/* An empty log makes the next open quick. Nobody is waited for. */
	if (r == SQLITE_OK) {
		sqlite3_busy_timeout(db->handle, 0);
		r = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		sqlite3_busy_timeout(db->handle, BUSY_MS);
	}
	/* Another process at work is no failure: it, or a later build, checkpoints. */
	return r == SQLITE_OK || (r & 0xff) == SQLITE_BUSY || (r & 0xff) == SQLITE_LOCKED ? 0 : db_error(db, r, err);
}

int64_t cb_db_last_id(struct cb_db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

void cb_db_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(stmt, at);
}

void cb_db_bind_int(sqlite3_stmt *stmt, int at, int64_t value)
{
	sqlite3_bind_int64(stmt, at, value);
}

void cb_db_bind_blob(sqlite3_stmt *stmt, int at, const void *data, size_t len)
{
	sqlite3_bind_blob64(stmt, at, data, len, SQLITE_STATIC);
}

void cb_db_bind_digest(sqlite3_stmt *stmt, int at, const struct cb_digest *digest)
{
	uint8_t bytes[CB_DIGEST_SIZE];

	if (!digest || !cb_digest_is_set(digest)) {
		sqlite3_bind_null(stmt, at);
		return;
	}
	cb_digest_to_bytes(digest, bytes);
	sqlite3_bind_blob(stmt, at, bytes, sizeof(bytes), SQLITE_TRANSIENT);
}

char *cb_db_text(sqlite3_stmt *stmt, int at)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	return cb_xstrdup_null(text);
}

int64_t cb_db_int(sqlite3_stmt *stmt, int at)
{
	return sqlite3_column_int64(stmt, at);
}

const void *cb_db_blob(sqlite3_stmt *stmt, int at, size_t *ret_len)
{
	const void *data = sqlite3_column_blob(stmt, at);

	*ret_len = (size_t)sqlite3_column_bytes(stmt, at);
	return data;
}

bool cb_db_digest(sqlite3_stmt *stmt, int at, struct cb_digest *ret)
{
	size_t len;
	const void *data = cb_db_blob(stmt, at, &len);

	memset(ret, 0, sizeof(*ret));
	if (!data || len != CB_DIGEST_SIZE)
		return false;
	cb_digest_from_bytes(data, ret);
	return true;
}
