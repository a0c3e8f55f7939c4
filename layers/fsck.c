#include "layers/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "layers/fsck_inside.h"
#include "layers/snapshot.h"

void cb_fsck_done(struct cb_fsck *fsck)
{
	for (size_t i = 0; i < fsck->n; i++)
		free(fsck->problems[i].text);
	free(fsck->problems);
	memset(fsck, 0, sizeof(*fsck));
}

void cb_fsck_add(struct cb_fsck_run *run, bool repaired, const char *fmt, ...)
{
	struct cb_fsck *fsck = run->fsck;
	va_list ap;

	CB_GROW(fsck->problems, fsck->cap, fsck->n + 1);
	va_start(ap, fmt);
	fsck->problems[fsck->n++] = (struct cb_problem){ cb_xvasprintf(fmt, ap), repaired };
	va_end(ap);
	fsck->n_repaired += repaired;
}

/* ---- database ------------------------------------------------------------------------------------------------- */

static int check_pages(struct cb_store *store, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "PRAGMA quick_check(1)", err);
	int r = stmt ? cb_db_step(store->db, stmt, err) : cb_db_failed(store->db);
	cleanup_free char *line = r > 0 ? cb_db_text(stmt, 0) : NULL;

	if (r < 0)
		return r;
	return line && strcmp(line, "ok") != 0 ? cb_err_set(err, CB_ERR_CORRUPT, "store database: %s", line) : 0;
}

/* Rows that lead nowhere. The tables' own rules forbid them: only a damaged database has any. */
static const struct {
	const char *what, *count, *drop;
} dangling[] = {
	{ "records without their snapshot",
		"SELECT count(*) FROM records WHERE snapshot NOT IN (SELECT id FROM snapshots)",
		"DELETE FROM records WHERE snapshot NOT IN (SELECT id FROM snapshots)" },
	{ "keys without their record", "SELECT count(*) FROM record_keys WHERE record NOT IN (SELECT id FROM records)",
		"DELETE FROM record_keys WHERE record NOT IN (SELECT id FROM records)" },
};

static int check_rows(struct cb_fsck_run *run, struct cb_err **err)
{
	struct cb_db *db = run->store->db;

	for (size_t i = 0; i < ARRAY_SIZE(dangling); i++) {
		CB_DB_SCOPE(db);
		int64_t n = 0;
		int r = cb_db_ask(db, dangling[i].count, &n, err);

		if (r == 0 && n && run->repair)
			r = cb_db_script(db, dangling[i].drop, err);
		if (r < 0)
			return r;
		if (n)
			cb_fsck_add(run, run->repair, "database: %lld %s", (long long)n, dangling[i].what);
	}
	return 0;
}

/* ---- snapshots ------------------------------------------------------------------------------------------------ */

/* Its row goes, and its directory if there is one. True when it is gone. */
static bool drop_snapshot(struct cb_fsck_run *run, const char *id)
{
	return run->repair && cb_snapshot_remove(run->store, id, NULL) == 0;
}

static int check_count(struct cb_fsck_run *run, const char *id, struct cb_err **err)
{
	__attribute__((cleanup(cb_snapshot_info_done))) struct cb_snapshot_info info = { 0 };
	struct cb_disk_usage usage;
	int r = cb_snapshot_stat(run->store, id, &info, err);

	if (r == 0 && info.counted)
		r = cb_disk_usage(run->store->snapshots, id, &usage, err);
	else if (r == 0)
		return CB_MIN(cb_snapshot_count(run->store, id, err), 0);
	if (r == CB_ERR_NOT_FOUND || r > 0)
		return 0; /* removed meanwhile */
	if (r == 0 && usage.entries != info.entries)
		cb_fsck_add(run, drop_snapshot(run, id), "snapshot %s holds %llu entries instead of %llu", id,
			(unsigned long long)usage.entries, (unsigned long long)info.entries);
	return r;
}

static int check_snapshots(struct cb_fsck_run *run, struct cb_err **err)
{
	cleanup_strv struct cb_strv ids = { 0 };
	int r = cb_snapshot_list(run->store, &ids, err);

	for (size_t i = 0; r == 0 && i < ids.n; i++) {
		cleanup_free char *path = cb_xasprintf("%s/fs", ids.v[i]);
		struct stat st;

		r = cb_cancel_check(run->cancel, err);
		if (r < 0)
			break;
		run->fsck->snapshots++;
		if (fstatat(run->store->snapshots, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
			if (run->content)
				r = check_count(run, ids.v[i], err);
			continue;
		}
		/* Without its row it was removed since the list was made. */
		if (cb_snapshot_stat(run->store, ids.v[i], NULL, NULL) == 0)
			cb_fsck_add(run, drop_snapshot(run, ids.v[i]), "snapshot %s is recorded but has no directory",
				ids.v[i]);
	}
	return r;
}

static int check_snapshot_dir(void *ctx, const char *name, struct cb_err **err)
{
	struct cb_fsck_run *run = ctx;
	bool gone = false;
	int r = cb_snapshot_stat(run->store, name, NULL, err);

	/* Its process may be about to record it, or another one about to remove it. */
	if (r <= 0 || cb_store_proc_alive(run->store, name) ||
		faccessat(run->store->snapshots, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return r < 0 ? r : 0;
	if (run->repair)
		gone = cb_snapshot_remove_dir(run->store, name, NULL) == 0;
	cb_fsck_add(run, gone, "snapshots/%s is not recorded", name);
	return 0;
}

/* ---- left-overs ----------------------------------------------------------------------------------------------- */

static int check_tmp(void *ctx, const char *name, struct cb_err **err)
{
	struct cb_fsck_run *run = ctx;
	bool gone = false;

	(void)err;
	if (strlen(name) >= CB_STORE_PROC_LEN && cb_store_proc_alive(run->store, name))
		return 0;
	if (faccessat(run->store->tmpdir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (run->repair)
		gone = cb_path_remove_tree(run->store->tmpdir, name, NULL) == 0;
	cb_fsck_add(run, gone, "tmp/%s belongs to no process", name);
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

int cb_fsck_run(struct cb_store *store, unsigned int flags, const struct cb_cancel *cancel, struct cb_fsck *ret,
	struct cb_err **err)
{
	struct cb_fsck_run run = { .store = store,
		.fsck = ret,
		.cancel = cancel,
		.content = flags & CB_FSCK_CONTENT,
		.repair = flags & CB_FSCK_REPAIR };
	int r = check_pages(store, err);

	if (r == 0)
		r = check_rows(&run, err);
	if (r == 0)
		r = check_snapshots(&run, err);
	if (r == 0)
		r = cb_store_each_name(store->dirfd, "snapshots", check_snapshot_dir, &run, err);
	if (r == 0)
		r = cb_fsck_blobs(&run, err);
	if (r == 0)
		r = cb_fsck_images(&run, err);
	if (r == 0)
		r = cb_store_each_name(store->dirfd, "tmp", check_tmp, &run, err);
	return r;
}

int cb_store_check(struct cb_store *store, bool content, struct cb_strv *problems, struct cb_err **err)
{
	__attribute__((cleanup(cb_fsck_done))) struct cb_fsck fsck = { 0 };
	int r = cb_fsck_run(store, content ? CB_FSCK_CONTENT : 0, NULL, &fsck, err);

	for (size_t i = 0; i < fsck.n; i++)
		cb_strv_add(problems, fsck.problems[i].text);
	return r;
}

/* ---- a new database ------------------------------------------------------------------------------------------- */

struct guard {
	int tmpdir;
	bool busy;
};

static int look_for_process(void *ctx, const char *name, struct cb_err **err)
{
	struct guard *guard = ctx;
	cleanup_close int fd = -EBADF;

	(void)err;
	if (!cb_str_ends(name, ".lock"))
		return 0;
	fd = openat(guard->tmpdir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		guard->busy = true;
	return 0;
}

int cb_fsck_reset(const char *path, char **ret, struct cb_err **err)
{
	static const char *const files[] = { "db.sqlite-wal", "db.sqlite-shm", "db.sqlite" };
	cleanup_close int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), lock = -EBADF, tmpdir = -EBADF;
	struct guard guard = { 0 };
	cleanup_free char *aside = NULL;
	int r;

	if (dirfd < 0)
		return cb_err_errno(err, errno, "open the store %s", path);
	/* The lock of cb_store_open, so that nobody comes in between. */
	lock = openat(dirfd, "locks/.store", O_RDWR | O_CLOEXEC);
	tmpdir = openat(dirfd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || tmpdir < 0 || flock(lock, LOCK_EX) < 0)
		return cb_err_errno(err, errno, "lock the store %s", path);
	guard.tmpdir = tmpdir;
	r = cb_store_each_name(dirfd, "tmp", look_for_process, &guard, err);
	if (r < 0)
		return r;
	if (guard.busy) {
		r = cb_err_set(err, CB_ERR_IO, "the store %s is in use: its database cannot be replaced", path);
		return cb_err_hint(err, r, "try again when no build is running");
	}
	for (unsigned int i = 0; i < 1000 && !aside; i++) {
		cleanup_free char *name = cb_xasprintf("db.sqlite.damaged%u", i);

		if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			aside = CB_TAKE_PTR(name);
	}
	/* The log first: a log of nothing is nothing, but one that is read into a new database would be another damage.
	 */
	for (size_t i = 0; aside && i < ARRAY_SIZE(files); i++) {
		cleanup_free char *name = cb_xasprintf("%s%s", aside, files[i] + strlen("db.sqlite"));

		if (renameat(dirfd, files[i], dirfd, name) < 0 && errno != ENOENT)
			return cb_err_errno(err, errno, "put %s of the store %s aside", files[i], path);
	}
	*ret = aside ? cb_xasprintf("%s/%s", path, aside) : cb_xstrdup(path);
	return 0;
}
