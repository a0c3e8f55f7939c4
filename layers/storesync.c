/* The store over time: durability at the end of a build, cleaning up after crashes and reboots. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/timefmt.h"
#include "layers/snapshot.h"
#include "layers/storedb.h"

/* The clock that stamps files lags behind by up to a tick. */
#define STAMP_NS 20000000

static int64_t now_ns(void)
{
	struct timespec t = cb_time_now();

	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int get_meta_int(struct cb_store *store, const char *key, int64_t *ret, struct cb_err **err)
{
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT value FROM meta WHERE key=?1", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, key);
	r = cb_db_step(store->db, stmt, err);
	if (r > 0)
		*ret = cb_db_int(stmt, 0);
	return r < 0 ? r : 0;
}

static int newest_snapshot(struct cb_store *store, int64_t *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT coalesce(max(seq), 0) FROM snapshots", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	r = cb_db_step(store->db, stmt, err);
	if (r > 0)
		*ret = cb_db_int(stmt, 0);
	return r < 0 ? r : 0;
}

static int mark_synced(struct cb_store *store, int64_t newest, int64_t when, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *clear, *meta;
	int r = cb_db_begin(store->db, err);

	if (r < 0)
		return r;
	clear = cb_db_prepare(store->db, "UPDATE snapshots SET boot=NULL WHERE boot IS NOT NULL AND seq<=?1", err);
	meta = cb_db_prepare(store->db, "INSERT OR REPLACE INTO meta VALUES ('synced', ?1)", err);
	if (!clear || !meta)
		return cb_db_failed(store->db);
	cb_db_bind_int(clear, 1, newest);
	cb_db_bind_int(meta, 1, when);
	r = cb_db_run(store->db, clear, err);
	if (r == 0)
		r = cb_db_run(store->db, meta, err);
	if (r == 0)
		r = cb_db_commit(store->db, err);
	return r < 0 ? r : cb_db_checkpoint(store->db, err);
}

int cb_store_sync(struct cb_store *store, struct cb_err **err)
{
	int64_t newest = 0, when = now_ns() - STAMP_NS;
	int r = cb_store_flush(store, err);

	if (r == 0)
		r = newest_snapshot(store, &newest, err);
	if (r < 0)
		return r;
	if (syncfs(store->dirfd) < 0)
		return cb_err_errno(err, errno, "sync the store %s", store->path);
	return mark_synced(store, newest, when, err);
}

int cb_store_flush(struct cb_store *store, struct cb_err **err)
{
	cleanup_strv struct cb_strv touched = { 0 };
	sqlite3_stmt *stmt;
	int64_t now = cb_time_now().tv_sec;
	int r;

	pthread_mutex_lock(&store->touch_lock);
	touched = store->touched;
	memset(&store->touched, 0, sizeof(store->touched));
	pthread_mutex_unlock(&store->touch_lock);
	if (!touched.n)
		return 0;

	CB_DB_SCOPE(store->db);
	r = cb_db_begin(store->db, err);
	if (r < 0)
		return r;
	stmt = cb_db_prepare(store->db, "UPDATE snapshots SET last_used=?2, uses=uses+1 WHERE id=?1", err);
	for (size_t i = 0; stmt && r == 0 && i < touched.n; i++) {
		cb_db_bind_text(stmt, 1, touched.v[i]);
		cb_db_bind_int(stmt, 2, now);
		r = cb_db_run(store->db, stmt, err);
	}
	if (!stmt || r < 0)
		return r < 0 ? r : cb_db_failed(store->db);
	return cb_db_commit(store->db, err);
}

void cb_snapshot_touch(struct cb_store *store, const char *id)
{
	pthread_mutex_lock(&store->touch_lock);
	cb_strv_add(&store->touched, id);
	pthread_mutex_unlock(&store->touch_lock);
}

/* Locks the guard of @proc; -1 when its process lives. A missing guard counts as dead (-ENOENT). */
static int lock_dead(struct cb_store *store, const char *proc)
{
	char name[CB_STORE_PROC_LEN + 8];
	int fd;

	snprintf(name, sizeof(name), "%.12s.lock", proc);
	fd = openat(store->tmpdir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

bool cb_store_proc_alive(struct cb_store *store, const char *proc)
{
	int fd = strncmp(proc, store->proc, CB_STORE_PROC_LEN) == 0 ? -1 : lock_dead(store, proc);

	if (fd >= 0)
		close(fd);
	return fd == -1;
}

struct oldest {
	struct cb_store *store;
	struct timespec *ret;
};

static int find_oldest(void *ctx, const char *name, struct cb_err **err)
{
	struct oldest *oldest = ctx;
	struct timespec *ret = oldest->ret;
	struct stat st;

	(void)err;
	if (!cb_str_ends(name, ".lock") || fstatat(oldest->store->tmpdir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!cb_store_proc_alive(oldest->store, name))
		return 0;
	if (st.st_mtim.tv_sec < ret->tv_sec || (st.st_mtim.tv_sec == ret->tv_sec && st.st_mtim.tv_nsec < ret->tv_nsec))
		*ret = st.st_mtim;
	return 0;
}

int cb_store_oldest(struct cb_store *store, struct timespec *ret, struct cb_err **err)
{
	struct oldest oldest = { store, ret };

	*ret = (struct timespec){ .tv_sec = INT64_MAX };
	return cb_store_each_name(store->dirfd, "tmp", find_oldest, &oldest, err);
}

struct sweep {
	struct cb_store *store;
	struct cb_strv dead; /* processes */
	int64_t synced;
};

static int find_dead(void *ctx, const char *name, struct cb_err **err)
{
	struct sweep *sweep = ctx;
	char proc[CB_STORE_PROC_LEN + 1];

	(void)err;
	if (cb_str_ends(name, ".new")) {
		unlinkat(sweep->store->tmpdir, name, 0);
		return 0;
	}
	snprintf(proc, sizeof(proc), "%.12s", name);
	if (strlen(proc) != CB_STORE_PROC_LEN || strcmp(proc, sweep->store->proc) == 0 ||
		cb_strv_has(&sweep->dead, proc))
		return 0;
	if (!cb_store_proc_alive(sweep->store, proc))
		cb_strv_add(&sweep->dead, proc);
	return 0;
}

static int has_row(struct cb_store *store, const char *id, bool *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT 1 FROM snapshots WHERE id=?1", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, id);
	r = cb_db_step(store->db, stmt, err);
	*ret = r > 0;
	return r < 0 ? r : 0;
}

/* A directory without row is what a process left between rename and record; a live one may still be there. */
static int drop_orphan(void *ctx, const char *name, struct cb_err **err)
{
	struct sweep *sweep = ctx;
	bool recorded = true;
	int r;

	if (cb_snapshot_id_valid(name) && cb_store_proc_alive(sweep->store, name))
		return 0;
	r = has_row(sweep->store, name, &recorded, err);
	if (r < 0 || recorded)
		return r;
	return cb_snapshot_remove_dir(sweep->store, name, err);
}

static int drop_stale_lock(void *ctx, const char *name, struct cb_err **err)
{
	struct cb_store *store = ((struct sweep *)ctx)->store;
	cleanup_close int fd = openat(store->locks, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat held, named;

	(void)err;
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 &&
		fstatat(store->locks, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && held.st_ino == named.st_ino)
		unlinkat(store->locks, name, 0);
	return 0;
}

static int remove_dead(struct cb_store *store, const char *proc, struct cb_err **err)
{
	char lock[CB_STORE_PROC_LEN + 8];
	cleanup_close int fd = lock_dead(store, proc);
	int r = 0;

	if (fd == -1)
		return 0; /* not dead after all */
	if (faccessat(store->tmpdir, proc, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = cb_path_remove_tree(store->tmpdir, proc, err);
	if (r < 0)
		return r;
	snprintf(lock, sizeof(lock), "%s.lock", proc);
	unlinkat(store->tmpdir, lock, 0);
	return 0;
}

/* The guard goes last, so that an interrupted sweep is taken up again. */
static int sweep_dead(struct sweep *sweep, struct cb_err **err)
{
	cleanup_strv struct cb_strv names = { 0 };
	int r = cb_store_each_name(sweep->store->dirfd, "tmp", find_dead, sweep, err);

	if (r < 0 || !sweep->dead.n)
		return r;
	/* One may have died between index.json and its copy. An unreadable index.json is another matter. */
	if (cb_tag_compare(sweep->store, true, &names, NULL) < 0)
		cb_log_debug("index.json of the store cannot be read");
	r = cb_store_each_name(sweep->store->dirfd, "snapshots", drop_orphan, sweep, err);
	if (r == 0)
		r = cb_store_each_name(sweep->store->dirfd, "locks", drop_stale_lock, sweep, err);
	for (size_t i = 0; r == 0 && i < sweep->dead.n; i++)
		r = remove_dead(sweep->store, sweep->dead.v[i], err);
	return r;
}

static int list_ids(struct cb_store *store, const char *sql, struct cb_strv *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, sql, err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0)
		cb_strv_take(ret, cb_db_text(stmt, 0));
	return r;
}

static int finish_doomed(struct cb_store *store, struct cb_err **err)
{
	cleanup_strv struct cb_strv ids = { 0 };
	int r = list_ids(store, "SELECT id FROM doomed", &ids, err);

	for (size_t i = 0; r == 0 && i < ids.n; i++)
		r = cb_snapshot_remove_dir(store, ids.v[i], err);
	return r;
}

/*
 * After a power cut a file may have its name and not its bytes. What was written before the last sync began is whole;
 * the change time would tell of uses, too.
 */
static int verify_blob(void *ctx, const char *name, struct cb_err **err)
{
	struct sweep *sweep = ctx;
	cleanup_close int fd = -EBADF;
	struct cb_digest got;
	struct stat st;
	int r;

	if (fstatat(sweep->store->blobs, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
		(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec < sweep->synced)
		return 0;
	fd = openat(sweep->store->blobs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : cb_err_errno(err, errno, "open blob %s", name);
	r = cb_digest_of_fd(fd, &got, NULL, err);
	if (r < 0)
		return cb_err_wrap(err, r, "blob %s", name);
	if (strcmp(cb_digest_hex(&got), name) != 0) {
		cb_log_debug("blob %s did not survive the last shutdown", name);
		unlinkat(sweep->store->blobs, name, 0);
	}
	return 0;
}

static int drop_missing(struct cb_store *store, struct cb_err **err)
{
	cleanup_strv struct cb_strv ids = { 0 };
	int r = list_ids(store, "SELECT id FROM snapshots", &ids, err);

	for (size_t i = 0; r == 0 && i < ids.n; i++)
		if (faccessat(store->snapshots, ids.v[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			r = cb_snapshot_remove(store, ids.v[i], err);
	return r;
}

static int drop_unsynced(struct cb_store *store, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *doom, *drop;
	int r = cb_db_begin(store->db, err);

	if (r < 0)
		return r;
	doom = cb_db_prepare(store->db,
		"INSERT OR IGNORE INTO doomed SELECT id FROM snapshots WHERE boot IS NOT NULL AND boot<>?1", err);
	drop = cb_db_prepare(store->db, "DELETE FROM snapshots WHERE boot IS NOT NULL AND boot<>?1", err);
	if (!doom || !drop)
		return cb_db_failed(store->db);
	cb_db_bind_text(doom, 1, store->boot);
	cb_db_bind_text(drop, 1, store->boot);
	r = cb_db_run(store->db, doom, err);
	if (r == 0)
		r = cb_db_run(store->db, drop, err);
	return r < 0 ? r : cb_db_commit(store->db, err);
}

static int same_boot(struct cb_store *store, bool *ret, int64_t *ret_synced, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT 1 FROM meta WHERE key='boot' AND value=?1", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, store->boot);
	r = cb_db_step(store->db, stmt, err);
	*ret = r > 0;
	return r < 0 ? r : get_meta_int(store, "synced", ret_synced, err);
}

static int set_boot(struct cb_store *store, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "INSERT OR REPLACE INTO meta VALUES ('boot', ?1)", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, store->boot);
	return cb_db_run(store->db, stmt, err);
}

static int recover_boot(struct sweep *sweep, struct cb_err **err)
{
	struct cb_store *store = sweep->store;
	int r = drop_unsynced(store, err);

	if (r == 0)
		r = cb_store_each_name(store->dirfd, "snapshots", drop_orphan, sweep, err);
	if (r == 0)
		r = drop_missing(store, err);
	if (r == 0)
		r = cb_store_each_name(store->dirfd, "blobs/sha256", verify_blob, sweep, err);
	if (r == 0)
		r = cb_tag_repair(store, err);
	return r;
}

int cb_store_recover(struct cb_store *store, struct cb_err **err)
{
	struct sweep sweep = { .store = store };
	bool same = true;
	int r = sweep_dead(&sweep, err);

	if (r == 0)
		r = same_boot(store, &same, &sweep.synced, err);
	if (r == 0 && !same)
		r = recover_boot(&sweep, err);
	if (r == 0)
		r = finish_doomed(store, err);
	if (r == 0 && !same)
		r = set_boot(store, err);
	cb_strv_done(&sweep.dead);
	return r < 0 ? cb_err_wrap(err, r, "clean the store up") : 0;
}
