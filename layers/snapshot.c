#include "layers/snapshot.h"

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
#include "base/timefmt.h"
#include "layers/diskusage.h"
#include "layers/storedb.h"

#define ID_LEN (CB_STORE_PROC_LEN + 8)

struct cb_snapshot {
	struct cb_store *store;
	char *id;
	int dir, fs;
	struct cb_store_work work;
	bool committed;
};

bool cb_snapshot_id_valid(const char *id)
{
	return strnlen(id, ID_LEN + 1) == ID_LEN && strspn(id, "0123456789abcdef") == ID_LEN;
}

void cb_snapshot_info_done(struct cb_snapshot_info *info)
{
	free(info->kind);
	free(info->parent);
	memset(info, 0, sizeof(*info));
}

static int make_dirs(struct cb_snapshot *s, struct cb_err **err)
{
	if (mkdirat(s->store->tmpfd, s->id, 0700) < 0)
		return cb_err_errno(err, errno, "create a snapshot in %s", s->store->path);
	s->dir = openat(s->store->tmpfd, s->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0 || mkdirat(s->dir, "fs", 0755) < 0)
		return cb_err_errno(err, errno, "create a snapshot in %s", s->store->path);
	s->fs = openat(s->dir, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* The umask does not count, and the lock marks it as used from its first moment. */
	if (s->fs < 0 || fchmod(s->fs, 0755) < 0 || flock(s->fs, LOCK_SH | LOCK_NB) < 0)
		return cb_err_errno(err, errno, "create a snapshot in %s", s->store->path);
	return 0;
}

int cb_snapshot_new(struct cb_store *store, struct cb_snapshot **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_snapshot_free) struct cb_snapshot *s = cb_new0(struct cb_snapshot);
	int r;

	s->store = store;
	s->dir = s->fs = s->work.fd = -EBADF;
	s->id = cb_store_unique_name(store);
	/* A store that is full already is told of before a step runs. */
	r = cb_store_reserve(store, 1, err);
	if (r == 0)
		r = make_dirs(s, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(s);
	return 0;
}

struct cb_snapshot *cb_snapshot_free(struct cb_snapshot *s)
{
	if (s) {
		cb_store_work_release(s->store, &s->work);
		cb_closep(&s->fs);
		cb_closep(&s->dir);
		if (!s->committed)
			cb_path_remove_tree(s->store->tmpfd, s->id, NULL);
		free(s->id);
		free(s);
	}
	return NULL;
}

const char *cb_snapshot_id(const struct cb_snapshot *s)
{
	return s->id;
}

int cb_snapshot_fs(const struct cb_snapshot *s)
{
	return s->fs;
}

int cb_snapshot_work(struct cb_snapshot *s, struct cb_err **err)
{
	int r = s->work.fd >= 0 ? 0 : cb_store_work_take(s->store, &s->work, err);

	return r < 0 ? -1 : s->work.fd;
}

static int insert_row(struct cb_store *store, const char *id, const struct cb_snapshot_info *info, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"INSERT INTO snapshots(id, kind, parent, diff_id, size, created, last_used, boot, disk, entries)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9)",
		err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, id);
	cb_db_bind_text(stmt, 2, info->kind);
	cb_db_bind_text(stmt, 3, info->parent);
	cb_db_bind_digest(stmt, 4, &info->diff_id);
	cb_db_bind_int(stmt, 5, (int64_t)info->size);
	cb_db_bind_int(stmt, 6, cb_time_now().tv_sec);
	cb_db_bind_text(stmt, 7, store->boot);
	if (info->counted) {
		cb_db_bind_int(stmt, 8, (int64_t)info->disk);
		cb_db_bind_int(stmt, 9, (int64_t)info->entries);
	}
	return cb_db_run(store->db, stmt, err);
}

/* Under a quota it is counted before it becomes part of the store, otherwise when nobody waits. */
static int count_new(struct cb_snapshot *s, struct cb_snapshot_info *info, struct cb_err **err)
{
	struct cb_disk_usage usage;
	int r;

	info->counted = false;
	if (!s->store->quota)
		return 0;
	r = cb_disk_usage(s->store->tmpfd, s->id, &usage, err);
	if (r == 0)
		r = cb_store_reserve(s->store, usage.bytes, err);
	if (r < 0)
		return r;
	info->counted = true;
	info->disk = usage.bytes;
	info->entries = usage.entries;
	return 0;
}

int cb_snapshot_commit(struct cb_snapshot *s, const struct cb_snapshot_info *info, struct cb_err **err)
{
	struct cb_store *store = s->store;
	struct cb_snapshot_info counted = *info;
	int r;

	cb_store_work_release(store, &s->work);
	r = count_new(s, &counted, err);
	if (r < 0)
		return cb_err_wrap(err, r, "commit snapshot %s", s->id);
	if (renameat(store->tmpfd, s->id, store->snapshots, s->id) < 0)
		return cb_err_errno(err, errno, "commit snapshot %s", s->id);
	r = insert_row(store, s->id, &counted, err);
	if (r < 0) {
		/* Back to where it is removed from; if even that fails the next open finds it without a row. */
		(void)!renameat(store->snapshots, s->id, store->tmpfd, s->id);
		return cb_err_wrap(err, r, "commit snapshot %s", s->id);
	}
	s->committed = true;
	return 0;
}

static int open_fs(struct cb_store *store, const char *id)
{
	char path[ID_LEN + 4];

	snprintf(path, sizeof(path), "%s/fs", id);
	return openat(store->snapshots, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Still what the name leads to: a remover takes the exclusive lock before it moves the directory away. */
static bool is_named(struct cb_store *store, const char *id, int fs)
{
	char path[ID_LEN + 4];
	struct stat held, named;

	snprintf(path, sizeof(path), "%s/fs", id);
	return fstat(fs, &held) == 0 && fstatat(store->snapshots, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

int cb_snapshot_open(struct cb_store *store, const char *id, int *ret_fd, struct cb_err **err)
{
	cleanup_close int fs = -EBADF;
	int r;

	if (!cb_snapshot_id_valid(id))
		return 1;
	fs = open_fs(store, id);
	if (fs < 0 && errno != ENOENT)
		return cb_err_errno(err, errno, "open snapshot %s", id);
	if (fs >= 0 && flock(fs, LOCK_SH | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return cb_err_errno(err, errno, "lock snapshot %s", id);
		return 1; /* being removed */
	}
	if (fs < 0 || !is_named(store, id, fs)) {
		/* Its directory was taken away: the row is wrong, and so are the records that name it. */
		r = cb_snapshot_remove(store, id, err);
		return r < 0 ? r : 1;
	}

	r = cb_snapshot_stat(store, id, NULL, err);
	if (r != 0)
		return r;
	*ret_fd = CB_TAKE_FD(fs);
	return 0;
}

int cb_snapshot_stat(struct cb_store *store, const char *id, struct cb_snapshot_info *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"SELECT kind, parent, diff_id, size, created, last_used, uses, disk IS NOT NULL, disk, entries"
		" FROM snapshots WHERE id=?1",
		err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, id);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	if (ret) {
		ret->kind = cb_db_text(stmt, 0);
		ret->parent = cb_db_text(stmt, 1);
		cb_db_digest(stmt, 2, &ret->diff_id);
		ret->size = (uint64_t)cb_db_int(stmt, 3);
		ret->created = cb_db_int(stmt, 4);
		ret->last_used = cb_db_int(stmt, 5);
		ret->uses = (uint64_t)cb_db_int(stmt, 6);
		ret->counted = cb_db_int(stmt, 7);
		ret->disk = (uint64_t)cb_db_int(stmt, 8);
		ret->entries = (uint64_t)cb_db_int(stmt, 9);
	}
	return 0;
}

int cb_snapshot_find(struct cb_store *store, const struct cb_digest *diff_id, char **ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt =
		cb_db_prepare(store->db, "SELECT id FROM snapshots WHERE diff_id=?1 ORDER BY seq LIMIT 1", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_digest(stmt, 1, diff_id);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	*ret = cb_db_text(stmt, 0);
	return 0;
}

int cb_snapshot_set_diff_id(
	struct cb_store *store, const char *id, const struct cb_digest *diff_id, uint64_t size, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "UPDATE snapshots SET diff_id=?2, size=?3 WHERE id=?1", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, id);
	cb_db_bind_digest(stmt, 2, diff_id);
	cb_db_bind_int(stmt, 3, (int64_t)size);
	return cb_db_run(store->db, stmt, err);
}

int cb_snapshot_count(struct cb_store *store, const char *id, struct cb_err **err)
{
	__attribute__((cleanup(cb_snapshot_info_done))) struct cb_snapshot_info info = { 0 };
	struct cb_disk_usage usage;
	sqlite3_stmt *stmt;
	int r = cb_snapshot_stat(store, id, &info, err);

	if (r != 0 || info.counted)
		return r;
	r = cb_disk_usage(store->snapshots, id, &usage, err);
	/* It goes at this moment. */
	if (r == CB_ERR_NOT_FOUND)
		return 1;
	if (r < 0)
		return r;

	CB_DB_SCOPE(store->db);
	stmt = cb_db_prepare(store->db, "UPDATE snapshots SET disk=?2, entries=?3 WHERE id=?1", err);
	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, id);
	cb_db_bind_int(stmt, 2, (int64_t)usage.bytes);
	cb_db_bind_int(stmt, 3, (int64_t)usage.entries);
	return cb_db_run(store->db, stmt, err);
}

/* From here on the directory has no row; `doomed` remembers it until it is gone. */
static int delete_row(struct cb_store *store, const char *id, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *doom, *drop;
	int r = cb_db_begin(store->db, err);

	if (r < 0)
		return r;
	doom = cb_db_prepare(store->db, "INSERT OR IGNORE INTO doomed VALUES (?1)", err);
	drop = cb_db_prepare(store->db, "DELETE FROM snapshots WHERE id=?1", err);
	if (!doom || !drop)
		return cb_db_failed(store->db);
	cb_db_bind_text(doom, 1, id);
	cb_db_bind_text(drop, 1, id);
	r = cb_db_run(store->db, doom, err);
	if (r == 0)
		r = cb_db_run(store->db, drop, err);
	return r < 0 ? r : cb_db_commit(store->db, err);
}

int cb_snapshot_remove_dir(struct cb_store *store, const char *id, struct cb_err **err)
{
	cleanup_free char *name = cb_store_unique_name(store);
	sqlite3_stmt *stmt;
	int r = 0;

	/* Whoever moves it removes it; a killed remover's tmp is swept. */
	if (renameat(store->snapshots, id, store->tmpfd, name) == 0)
		r = cb_path_remove_tree(store->tmpfd, name, err);
	else if (errno != ENOENT)
		r = cb_err_errno(err, errno, "remove snapshot %s", id);
	if (r < 0)
		return r;

	CB_DB_SCOPE(store->db);
	stmt = cb_db_prepare(store->db, "DELETE FROM doomed WHERE id=?1", err);
	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, id);
	return cb_db_run(store->db, stmt, err);
}

int cb_snapshot_remove(struct cb_store *store, const char *id, struct cb_err **err)
{
	cleanup_close int fs = -EBADF;
	int r;

	if (!cb_snapshot_id_valid(id))
		return 0;
	fs = open_fs(store, id);
	if (fs < 0 && errno != ENOENT)
		return cb_err_errno(err, errno, "open snapshot %s", id);
	if (fs >= 0 && flock(fs, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 1 : cb_err_errno(err, errno, "lock snapshot %s", id);
	r = delete_row(store, id, err);
	return r < 0 ? r : cb_snapshot_remove_dir(store, id, err);
}

int cb_snapshot_list(struct cb_store *store, struct cb_strv *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT id FROM snapshots ORDER BY seq", err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0)
		cb_strv_take(ret, cb_db_text(stmt, 0));
	return r;
}
