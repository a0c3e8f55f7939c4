#include "layers/cachemount.h"

#include <dirent.h>
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

void cb_cachemount_info_done(struct cb_cachemount_info *info)
{
	free(info->name);
	free(info->title);
	memset(info, 0, sizeof(*info));
}

static int open_parent(struct cb_store *store, int *ret_fd, struct cb_err **err)
{
	cleanup_close int fd = openat(store->dirfd, "cachemounts", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "open cachemounts of the store");
	/*
	 * Steps leave set-user-id programs and device nodes there, which mean something outside: nobody else gets to
	 * them, also where the store is in a directory that was there before.
	 */
	if (st.st_mode & 077 && fchmod(fd, 0700) < 0)
		return cb_err_errno(err, errno, "close cachemounts of the store to others");
	*ret_fd = CB_TAKE_FD(fd);
	return 0;
}

static bool valid(const char *name)
{
	return *name && name[0] != '.' && !strchr(name, '/') && strlen(name) < 255;
}

/* Whoever removes one takes the lock's name away while it holds it. */
static bool is_named(int parent, const char *name, int fd)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(parent, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* 0, or an error number: EWOULDBLOCK when somebody else has it. */
static int lock_one(int parent, const char *name, int how, int *ret_lock)
{
	cleanup_free char *file = cb_xasprintf(".%s", name);

	for (;;) {
		cleanup_close int fd = openat(parent, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return errno;
		if (flock(fd, how | LOCK_NB) < 0) {
			if (errno != EINTR)
				return errno;
		} else if (is_named(parent, file, fd)) {
			*ret_lock = CB_TAKE_FD(fd);
			return 0;
		}
	}
}

static int note_use(struct cb_store *store, const char *name, const char *title, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"INSERT INTO cachemounts(name, title, created, last_used, uses) VALUES (?1, ?2, ?3, ?3, 1)"
		" ON CONFLICT(name) DO UPDATE SET title=coalesce(?2, title), last_used=?3, uses=uses+1, size=NULL",
		err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, name);
	cb_db_bind_text(stmt, 2, title);
	cb_db_bind_int(stmt, 3, cb_time_now().tv_sec);
	return cb_db_run(store->db, stmt, err);
}

/* Milliseconds between two looks at who has it. */
#define WAIT_MS 2

/* Shared, it waits only for one that is removed, counted, replaced or held alone. */
static int wait_for(
	int parent, const char *name, int how, const struct cb_cancel *cancel, int *ret_lock, struct cb_err **err)
{
	int r;

	while ((r = lock_one(parent, name, how, ret_lock)) == EWOULDBLOCK) {
		r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
		usleep(WAIT_MS * 1000);
	}
	return r != 0 ? cb_err_errno(err, r, "lock the cache mount %s", name) : 0;
}

static int open_how(struct cb_store *store, const char *name, const char *title, int how,
	const struct cb_cancel *cancel, int *ret_fd, int *ret_lock, struct cb_err **err)
{
	cleanup_close int parent = -EBADF, fd = -EBADF, lock = -EBADF;
	int r;

	if (!valid(name))
		return cb_err_set(err, CB_ERR_INPUT, "invalid cache mount name \"%.255s\"", name);
	r = open_parent(store, &parent, err);
	if (r < 0)
		return r;
	r = wait_for(parent, name, how, cancel, &lock, err);
	if (r < 0)
		return r;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return cb_err_errno(err, errno, "create the cache mount %s", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return cb_err_errno(err, errno, "open the cache mount %s", name);
	r = note_use(store, name, title, err);
	if (r < 0)
		return r;
	*ret_fd = CB_TAKE_FD(fd);
	*ret_lock = CB_TAKE_FD(lock);
	return 0;
}

int cb_cachemount_open(
	struct cb_store *store, const char *name, const char *title, int *ret_fd, int *ret_lock, struct cb_err **err)
{
	return open_how(store, name, title, LOCK_SH, NULL, ret_fd, ret_lock, err);
}

int cb_cachemount_read(struct cb_store *store, const char *name, const struct cb_cancel *cancel, int *ret_fd,
	int *ret_lock, struct cb_err **err)
{
	cleanup_close int parent = -EBADF, lock = -EBADF;
	int r = open_parent(store, &parent, err), fd;

	if (r < 0)
		return r;
	if (!valid(name) || faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 1;
	r = wait_for(parent, name, LOCK_SH, cancel, &lock, err);
	if (r < 0)
		return r;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 1 : cb_err_errno(err, errno, "open the cache mount %s", name);
	*ret_fd = fd;
	*ret_lock = CB_TAKE_FD(lock);
	return 0;
}

int cb_cachemount_open_alone(struct cb_store *store, const char *name, const char *title,
	const struct cb_cancel *cancel, int *ret_fd, int *ret_lock, struct cb_err **err)
{
	return open_how(store, name, title, LOCK_EX, cancel, ret_fd, ret_lock, err);
}

int cb_cachemount_replace(struct cb_store *store, const char *name, int dirfd, const char *entry, struct cb_err **err)
{
	cleanup_close int parent = -EBADF;
	cleanup_free char *tmp = NULL;
	int r = open_parent(store, &parent, err);

	if (r < 0)
		return r;
	if (renameat2(parent, name, dirfd, entry, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return cb_err_errno(err, errno, "replace the cache mount %s", name);
	/* NFS, for one, does not exchange. A kill between the two loses what is only a cache. */
	tmp = cb_store_unique_name(store);
	if (renameat(parent, name, dirfd, tmp) < 0 || renameat(dirfd, entry, parent, name) < 0 ||
		renameat(dirfd, tmp, dirfd, entry) < 0)
		return cb_err_errno(err, errno, "replace the cache mount %s", name);
	return 0;
}

char *cb_cachemount_name(const char *space, const char *id, uint32_t uid, uint32_t gid, uint32_t mode)
{
	cleanup_free char *text = cb_xasprintf("%s\n%s\n%u:%u %o", space ? space : "", id, uid, gid, mode);
	struct cb_digest digest;

	cb_digest_of(text, strlen(text), &digest);
	return cb_xstrndup(cb_digest_hex(&digest), 32);
}

char *cb_cachemount_lock_key(const char *name)
{
	return cb_xasprintf("cachemount %s", name);
}

bool cb_cachemount_in_use(struct cb_store *store, const char *name)
{
	cleanup_close int parent = -EBADF, lock = -EBADF;

	return valid(name) && open_parent(store, &parent, NULL) == 0 &&
	       lock_one(parent, name, LOCK_EX, &lock) == EWOULDBLOCK;
}

static int filled(int parent, const char *name, struct cb_err **err)
{
	cleanup_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir;
	const struct dirent *entry;
	int n = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : cb_err_errno(err, errno, "open the cache mount %s", name);
	dir = fdopendir(fd);
	if (!dir)
		return cb_err_errno(err, errno, "read the cache mount %s", name);
	(void)CB_TAKE_FD(fd);
	while (!n && (entry = readdir(dir)))
		n = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

int cb_cachemount_filled(struct cb_store *store, const char *name, struct cb_err **err)
{
	cleanup_close int parent = -EBADF;
	int r = valid(name) ? open_parent(store, &parent, err) : 1;

	return r < 0 ? r : r > 0 ? 0 : filled(parent, name, err);
}

int cb_cachemount_adopt(struct cb_store *store, const char *name, const char *title, const char *from, bool replace,
	struct cb_err **err)
{
	cleanup_close int parent = -EBADF, lock = -EBADF;
	int r = valid(name) ? open_parent(store, &parent, err)
			    : cb_err_set(err, CB_ERR_INPUT, "invalid cache mount name \"%.255s\"", name);

	if (r < 0)
		return r;
	r = lock_one(parent, name, LOCK_EX, &lock);
	if (r != 0)
		return r == EWOULDBLOCK ? 1 : cb_err_errno(err, r, "lock the cache mount %s", name);
	r = filled(parent, name, err);
	if (r < 0 || (r > 0 && !replace))
		return r;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return cb_err_errno(err, errno, "create the cache mount %s", name);
	r = cb_cachemount_replace(store, name, store->tmpfd, from, err);
	if (r == 0)
		r = note_use(store, name, title, err);
	return r < 0 ? r : cb_path_remove_tree(store->tmpfd, from, err);
}

static int add_name(void *ctx, const char *name, struct cb_err **err)
{
	(void)err;
	cb_strv_add(ctx, name);
	return 0;
}

int cb_cachemount_list(struct cb_store *store, struct cb_strv *ret, struct cb_err **err)
{
	return cb_store_each_name(store->dirfd, "cachemounts", add_name, ret, err);
}

static int read_row(
	struct cb_store *store, const char *name, struct cb_cachemount_info *ret, bool *ret_sized, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"SELECT title, coalesce(size, 0), created, last_used, uses, size IS NOT NULL FROM cachemounts"
		" WHERE name=?1",
		err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, name);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r;
	ret->title = cb_db_text(stmt, 0);
	ret->size = (uint64_t)cb_db_int(stmt, 1);
	ret->created = cb_db_int(stmt, 2);
	ret->last_used = cb_db_int(stmt, 3);
	ret->uses = (uint64_t)cb_db_int(stmt, 4);
	*ret_sized = cb_db_int(stmt, 5);
	return 0;
}

static int set_size(struct cb_store *store, const char *name, uint64_t size, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "UPDATE cachemounts SET size=?2 WHERE name=?1", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, name);
	cb_db_bind_int(stmt, 2, (int64_t)size);
	return cb_db_run(store->db, stmt, err);
}

int cb_cachemount_stat(struct cb_store *store, const char *name, struct cb_cachemount_info *ret, struct cb_err **err)
{
	struct cb_cachemount_info info = { 0 };
	cleanup_close int parent = -EBADF, lock = -EBADF;
	struct cb_disk_usage usage;
	struct stat st;
	bool sized = false, alone;
	int r = open_parent(store, &parent, err);

	if (r < 0)
		return r;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : cb_err_errno(err, errno, "cache mount %s", name);
	/* Made by an older cbuild, or the database is new. */
	info.created = info.last_used = st.st_mtim.tv_sec;
	r = read_row(store, name, &info, &sized, err);
	if (r == 0 && !sized) {
		/* While somebody may write to it, the count is good for this moment only. */
		alone = lock_one(parent, name, LOCK_EX, &lock) == 0;
		r = cb_disk_usage(parent, name, &usage, err);
		info.size = usage.bytes;
		if (r == 0 && alone)
			r = set_size(store, name, info.size, err);
	}
	if (r < 0) {
		cb_cachemount_info_done(&info);
		return r;
	}
	info.name = cb_xstrdup(name);
	*ret = info;
	return 0;
}

static int drop_row(struct cb_store *store, const char *name, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "DELETE FROM cachemounts WHERE name=?1", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, name);
	return cb_db_run(store->db, stmt, err);
}

int cb_cachemount_remove(struct cb_store *store, const char *name, struct cb_err **err)
{
	cleanup_free char *tmp = cb_store_unique_name(store), *file = cb_xasprintf(".%s", name);
	cleanup_close int parent = -EBADF, lock = -EBADF;
	int r;

	if (!valid(name))
		return 0;
	r = open_parent(store, &parent, err);
	if (r < 0)
		return r;
	r = lock_one(parent, name, LOCK_EX, &lock);
	if (r != 0)
		return r == EWOULDBLOCK ? 1 : cb_err_errno(err, r, "lock the cache mount %s", name);
	r = drop_row(store, name, err);
	/* The name goes in one step; a killed remover's tmp is swept. */
	if (r == 0 && renameat(parent, name, store->tmpfd, tmp) < 0 && errno != ENOENT)
		r = cb_err_errno(err, errno, "remove the cache mount %s", name);
	unlinkat(parent, file, 0);
	cb_closep(&lock);
	lock = -EBADF;
	if (r == 0 && faccessat(store->tmpfd, tmp, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = cb_path_remove_tree(store->tmpfd, tmp, err);
	return r;
}
