/*
 * The inside of the store, shared by the files that implement it: its struct, its database, its temporaries.
 *
 * One SQLite connection for all threads, guarded by a mutex: lookups take microseconds, so waiting is shorter than a
 * second connection's start. Statements are prepared once and found again by the address of their text, which must
 * therefore be a literal. Usage: cb_db_lock, prepare, bind, step …, cb_db_unlock (which resets what was prepared).
 */
#ifndef CB_LAYERS_STOREDB_H
#define CB_LAYERS_STOREDB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "layers/digest.h"
#include "layers/store.h"

struct sqlite3;
struct sqlite3_stmt;
struct cb_db;

/** Opens or creates @path (absolute or relative to the working directory). */
int cb_db_open(const char *path, struct cb_db **ret, struct cb_err **err);
struct cb_db *cb_db_free(struct cb_db *db);
/** Runs several statements without parameters. Neither locks nor keeps them: for opening. */
int cb_db_script(struct cb_db *db, const char *sql, struct cb_err **err);
/** The one number that @sql gives. As cb_db_script. */
int cb_db_ask(struct cb_db *db, const char *sql, int64_t *ret, struct cb_err **err);
/** Version of the tables that this cbuild knows. */
#define CB_DB_VERSION 3
/** Makes the tables, or brings older ones forward; newer ones are left alone. storeschema.c */
int cb_db_upgrade(struct cb_db *db, struct cb_err **err);
void cb_db_lock(struct cb_db *db);
/** Resets all statements prepared since cb_db_lock and rolls back a transaction left open. */
void cb_db_unlock(struct cb_db *db);
/** The locked database of a scope: CB_DB_SCOPE(db) locks here and unlocks at the end of the block. */
static inline struct cb_db *cb_db_locked(struct cb_db *db)
{
	cb_db_lock(db);
	return db;
}
static inline void cb_db_unlockp(struct cb_db **db)
{
	cb_db_unlock(*db);
}
#define CB_DB_SCOPE(db) __attribute__((cleanup(cb_db_unlockp), unused)) struct cb_db *locked_db = cb_db_locked(db)

/** A ready statement; NULL with *err (and cb_db_failed). @sql is a literal. */
struct sqlite3_stmt *cb_db_prepare(struct cb_db *db, const char *sql, struct cb_err **err);
/** The code of the last failure, to return after cb_db_prepare gave NULL. */
int cb_db_failed(const struct cb_db *db);
/** 1: a row, 0: done. */
int cb_db_step(struct cb_db *db, struct sqlite3_stmt *stmt, struct cb_err **err);
/** Runs to the end, for statements whose rows do not matter. */
int cb_db_run(struct cb_db *db, struct sqlite3_stmt *stmt, struct cb_err **err);
/** Prepares and runs a literal without parameters. */
int cb_db_exec(struct cb_db *db, const char *sql, struct cb_err **err);
int cb_db_begin(struct cb_db *db, struct cb_err **err);
int cb_db_commit(struct cb_db *db, struct cb_err **err);
/** Moves the log into the database file, durably. */
int cb_db_checkpoint(struct cb_db *db, struct cb_err **err);
int64_t cb_db_last_id(struct cb_db *db);

/* Binding and reading: strings and blobs are borrowed until the statement is reset; NULL and unset digests are NULL. */
void cb_db_bind_text(struct sqlite3_stmt *stmt, int at, const char *text);
void cb_db_bind_int(struct sqlite3_stmt *stmt, int at, int64_t value);
void cb_db_bind_blob(struct sqlite3_stmt *stmt, int at, const void *data, size_t len);
/** Copies the 32 bytes. */
void cb_db_bind_digest(struct sqlite3_stmt *stmt, int at, const struct cb_digest *digest);
/** A new string or NULL. */
char *cb_db_text(struct sqlite3_stmt *stmt, int at);
int64_t cb_db_int(struct sqlite3_stmt *stmt, int at);
/** False, and unset, when the column is no digest. */
bool cb_db_digest(struct sqlite3_stmt *stmt, int at, struct cb_digest *ret);
const void *cb_db_blob(struct sqlite3_stmt *stmt, int at, size_t *ret_len);

/** Name of a process in the store: the prefix of its snapshot ids and the name of its directory below tmp/. */
#define CB_STORE_PROC_LEN 12

/** A work directory of an overlay, in this process's tmp. */
struct cb_store_work {
	int fd; /* negative: none */
	char *name;
};

/** Work directories that wait for the next overlay: an emptied one is as good as a new one, and costs nothing. */
#define CB_STORE_WORKS_MAX 8

struct cb_store {
	char *path;
	int dirfd, tmpdir, tmpfd, blobs, snapshots, locks, proc_lock, gate;
	struct timespec started; /* by the clock of the file system */
	enum cb_store_flavour flavour;
	char proc[CB_STORE_PROC_LEN + 1];
	char boot[64];
	atomic_uint counter;
	struct cb_db *db;
	pthread_mutex_t touch_lock, gate_lock;
	pthread_mutex_t quota_lock;
	uint64_t quota, used, counted; /* gc.c: bytes; when @used was counted, 0: never */
	struct cb_strv touched;        /* snapshot ids used since the last flush */
	pthread_mutex_t work_lock;
	struct cb_store_work works[CB_STORE_WORKS_MAX];
	size_t n_works;
};

/** Writes @data as @name in the directory @dirfd by rename from this process's tmp. Not synced. */
int cb_store_write_file(
	struct cb_store *store, int dirfd, const char *name, const void *data, size_t len, struct cb_err **err);
/** True when the process @proc (CB_STORE_PROC_LEN bytes) has the store open now. */
bool cb_store_proc_alive(struct cb_store *store, const char *proc);
/** Before @bytes are added to the store: CB_ERR_NO_SPACE when its quota does not allow it, whatever is removed. gc.c */
int cb_store_reserve(struct cb_store *store, uint64_t bytes, struct cb_err **err);
/** When the oldest process that has the store open now opened it. */
int cb_store_oldest(struct cb_store *store, struct timespec *ret, struct cb_err **err);
/** Calls @fn with each name in the directory @name below @dirfd, dot files left out, until it returns non-zero. */
int cb_store_each_name(int dirfd, const char *name, int (*fn)(void *ctx, const char *name, struct cb_err **err),
	void *ctx, struct cb_err **err);

/** An empty work directory; cb_store_work_release gives it back. */
int cb_store_work_take(struct cb_store *store, struct cb_store_work *ret, struct cb_err **err);
/** The overlay is gone. Kept for the next one if it is empty. Takes one that was never taken. */
void cb_store_work_release(struct cb_store *store, struct cb_store_work *work);

/** After a crash: removes what dead processes left. @rebooted: the last boot's unsynced state is dropped, too. */
int cb_store_recover(struct cb_store *store, struct cb_err **err);
/** Removes the directory of a snapshot that has no row (any more). */
int cb_snapshot_remove_dir(struct cb_store *store, const char *id, struct cb_err **err);
/** True for lower-case hex of a snapshot's length. */
bool cb_snapshot_id_valid(const char *id);
/** Writes index.json anew from the table of tags when it is unreadable. */
int cb_tag_repair(struct cb_store *store, struct cb_err **err);
/** Adds the names that the table of tags and index.json do not agree about; with @mend the table follows index.json. */
int cb_tag_compare(struct cb_store *store, bool mend, struct cb_strv *ret, struct cb_err **err);
/** Writes oci-layout. */
int cb_store_write_layout(struct cb_store *store, struct cb_err **err);

#endif
