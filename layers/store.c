#include "layers/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "layers/storedb.h"

#define OPEN_TRIES 16

/* Enough for the first transactions of somebody who cleans up. */
#define SPARE_SIZE ((off_t)512 << 10)
static const char spare_name[] = "spare";
static const char layout_text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
static const char empty_index[] = "{\"schemaVersion\":2,\"manifests\":[]}";

int cb_store_each_name(int dirfd, const char *name, int (*fn)(void *ctx, const char *name, struct cb_err **err),
	void *ctx, struct cb_err **err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	int r = 0;

	if (!dir) {
		r = cb_err_errno(err, errno, "open %s of the store", name);
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			if (errno)
				r = cb_err_errno(err, errno, "read %s of the store", name);
			break;
		}
		if (entry->d_name[0] != '.')
			r = fn(ctx, entry->d_name, err);
	}
	closedir(dir);
	return r;
}

static int stop_at_first(void *ctx, const char *name, struct cb_err **err)
{
	(void)ctx;
	(void)err;
	return strcmp(name, "lost+found") != 0;
}

/*
 * A directory is ours when it is empty or has the lock directory, which is made first. It is looked for once more after
 * the directory was found not to be empty: another process may be making the store at this moment.
 */
static int check_root(struct cb_store *store, struct cb_err **err)
{
	int r;

	if (faccessat(store->dirfd, "locks", F_OK, 0) == 0)
		return 0;
	r = cb_store_each_name(store->dirfd, ".", stop_at_first, NULL, err);
	if (r > 0 && faccessat(store->dirfd, "locks", F_OK, 0) == 0)
		return 0;
	if (r > 0) {
		cb_err_set(err, CB_ERR_INPUT, "%s is not empty and not a store of cbuild", store->path);
		return cb_err_hint(err, CB_ERR_INPUT, "name another directory with --root or CBUILD_ROOT");
	}
	return r;
}

static int open_subdir(struct cb_store *store, const char *name, int *ret_fd, struct cb_err **err)
{
	if (mkdirat(store->dirfd, name, 0755) < 0 && errno != EEXIST)
		return cb_err_errno(err, errno, "create %s in the store %s", name, store->path);
	if (!ret_fd)
		return 0;
	*ret_fd = openat(store->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? cb_err_errno(err, errno, "open %s in the store %s", name, store->path) : 0;
}

/* The directory of blobs once more, to be locked: see blob.c. */
static int open_gate(struct cb_store *store, struct cb_err **err)
{
	store->gate = openat(store->blobs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return store->gate < 0 ? cb_err_errno(err, errno, "open the blobs of the store %s", store->path) : 0;
}

static int lock_root(struct cb_store *store, int *ret_fd, struct cb_err **err)
{
	int r;

	*ret_fd = openat(store->locks, ".store", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*ret_fd < 0)
		return cb_err_errno(err, errno, "open the lock of the store %s", store->path);
	do
		r = flock(*ret_fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r < 0 ? cb_err_errno(err, errno, "lock the store %s", store->path) : 0;
}

static void random_name(char out[static CB_STORE_PROC_LEN + 1])
{
	uint8_t bytes[CB_STORE_PROC_LEN / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		abort();
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/*
 * The lock is taken before the file gets its name, so that no one can think this process dead. ".new" files are only
 * met by those who hold the root lock, as this function does.
 */
static int register_process(struct cb_store *store, struct cb_err **err)
{
	struct stat st;

	for (int i = 0; i < OPEN_TRIES; i++) {
		char fresh[CB_STORE_PROC_LEN + 8], name[CB_STORE_PROC_LEN + 8];
		cleanup_close int fd = -EBADF;

		random_name(store->proc);
		snprintf(fresh, sizeof(fresh), "%s.new", store->proc);
		snprintf(name, sizeof(name), "%s.lock", store->proc);
		fd = openat(store->tmpdir, fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return cb_err_errno(err, errno, "create a lock in the store %s", store->path);
		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0 ||
			renameat2(store->tmpdir, fresh, store->tmpdir, name, RENAME_NOREPLACE) < 0) {
			unlinkat(store->tmpdir, fresh, 0);
			continue;
		}
		store->proc_lock = CB_TAKE_FD(fd);
		if (fstat(store->proc_lock, &st) < 0)
			return cb_err_errno(err, errno, "look at a lock in the store %s", store->path);
		store->started = st.st_mtim;
		if (mkdirat(store->tmpdir, store->proc, 0700) < 0)
			return cb_err_errno(err, errno, "create a temporary directory in the store %s", store->path);
		store->tmpfd = openat(store->tmpdir, store->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (store->tmpfd < 0)
			return cb_err_errno(err, errno, "open a temporary directory in the store %s", store->path);
		return 0;
	}
	return cb_err_set(err, CB_ERR_IO, "cannot make a lock in the store %s", store->path);
}

int cb_store_write_file(
	struct cb_store *store, int dirfd, const char *name, const void *data, size_t len, struct cb_err **err)
{
	cleanup_free char *tmp = cb_store_unique_name(store);
	cleanup_close int fd = openat(store->tmpfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r = 0;

	if (fd < 0)
		return cb_err_errno(err, errno, "create %s in the store", name);
	if (cb_fd_write_all(fd, data, len) < 0)
		r = cb_err_errno(err, errno, "write %s in the store", name);
	else if (renameat(store->tmpfd, tmp, dirfd, name) < 0)
		r = cb_err_errno(err, errno, "replace %s in the store", name);
	if (r < 0)
		unlinkat(store->tmpfd, tmp, 0);
	return r;
}

int cb_store_write_layout(struct cb_store *store, struct cb_err **err)
{
	return cb_store_write_file(store, store->dirfd, "oci-layout", layout_text, strlen(layout_text), err);
}

static int ensure_layout(struct cb_store *store, struct cb_err **err)
{
	int r = 0;

	if (faccessat(store->dirfd, "index.json", F_OK, 0) < 0)
		r = cb_store_write_file(store, store->dirfd, "index.json", empty_index, strlen(empty_index), err);
	if (r == 0 && faccessat(store->dirfd, "oci-layout", F_OK, 0) < 0)
		r = cb_store_write_layout(store, err);
	return r;
}

/*
 * Who writes the store, in the database's words. With one id owners are recorded beside the files (base/owner.h), where
 * those who have more ids would not look.
 */
static const char *writer_of(const struct cb_store *store)
{
	if (store->flavour == CB_STORE_TRUSTED)
		return "trusted";
	return cb_owner_recorded() ? "user-recorded" : "user";
}

static const char *writer_text(const char *writer)
{
	if (!strcmp(writer, "trusted"))
		return "as root";
	return !strcmp(writer, "user") ? "without root" : "with one user id only";
}

/*
 * Opaque directories are marked by attributes, and so are owners that are recorded. Without them some steps would fail
 * in odd ways, others give wrong layers.
 */
static int check_attributes(const struct cb_store *store, struct cb_err **err)
{
	const char *kind = store->flavour == CB_STORE_TRUSTED ? "trusted" : "user";
	cleanup_free char *name = cb_xasprintf("%s.cbuild.trial", kind);
	cleanup_close int dir = openat(store->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return cb_err_errno(err, errno, "open the store %s", store->path);
	if (fsetxattr(dir, name, "1", 1, 0) == 0) {
		(void)fremovexattr(dir, name);
		return 0;
	}
	/* Any other failure is one of the moment, or of who asks: what needs them will say so. */
	if (errno != ENOTSUP)
		return 0;
	r = cb_err_set(err, CB_ERR_UNSUPPORTED,
		"the store %s cannot be there: its file system keeps no attributes %s.*, which layers and owners need",
		store->path, kind);
	return cb_err_hint(err, r,
		"put it on ext4, xfs, btrfs, or a tmpfs of Linux 6.6, with --root or CBUILD_ROOT; see cbuild doctor");
}

/* Compares what the store is with what is asked for, or records it in a new one. */
static int check_meta(struct cb_store *store, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	const char *flavour = writer_of(store);
	sqlite3_stmt *get = cb_db_prepare(store->db,
		"SELECT (SELECT value FROM meta WHERE key='schema'), (SELECT value FROM meta WHERE key='flavour')",
		err);
	sqlite3_stmt *set;
	cleanup_free char *have = NULL;
	int r;

	if (!get)
		return cb_db_failed(store->db);
	r = cb_db_step(store->db, get, err);
	if (r < 0)
		return r;
	if (cb_db_int(get, 0) > CB_DB_VERSION)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "the store %s was made by a newer cbuild", store->path);
	have = cb_db_text(get, 1);
	if (have) {
		if (strcmp(have, flavour) != 0) {
			r = cb_err_set(err, CB_ERR_INPUT, "the store %s was made %s, and this cbuild runs %s",
				store->path, writer_text(have), writer_text(flavour));
			return cb_err_hint(err, r, "choose another directory with --root or CBUILD_ROOT");
		}
		return 0;
	}

	r = check_attributes(store, err);
	if (r < 0)
		return r;
	set = cb_db_prepare(store->db, "INSERT OR REPLACE INTO meta VALUES ('flavour', ?1)", err);
	if (!set)
		return cb_db_failed(store->db);
	cb_db_bind_text(set, 1, flavour);
	return cb_db_run(store->db, set, err);
}

static void read_boot_id(char out[static 64])
{
	cleanup_buf struct cb_buf text = { 0 };

	if (cb_file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 63, &text, NULL) < 0)
		cb_buf_adds(&text, "unknown");
	snprintf(out, 64, "%s", cb_buf_str(&text));
	out[strcspn(out, "\n")] = '\0';
}

/* Where that is not possible, or room is short already, there is none. */
static void keep_spare(const struct cb_store *store)
{
	struct statvfs fs;
	cleanup_close int fd = -EBADF;

	if (faccessat(store->dirfd, spare_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || fstatvfs(store->dirfd, &fs) < 0 ||
		fs.f_bavail * fs.f_frsize < (uint64_t)SPARE_SIZE * 4)
		return;
	fd = openat(store->dirfd, spare_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && posix_fallocate(fd, 0, SPARE_SIZE) != 0)
		unlinkat(store->dirfd, spare_name, 0);
}

bool cb_store_use_spare(const char *path)
{
	cleanup_close int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && unlinkat(fd, spare_name, 0) == 0;
}

/* Everything that needs the root lock. */
static int open_locked(struct cb_store *store, struct cb_err **err)
{
	cleanup_free char *db = cb_xasprintf("%s/db.sqlite", store->path);
	int r = open_subdir(store, "tmp", &store->tmpdir, err);

	if (r == 0)
		r = open_subdir(store, "blobs", NULL, err);
	if (r == 0)
		r = open_subdir(store, "blobs/sha256", &store->blobs, err);
	if (r == 0)
		r = open_subdir(store, "snapshots", &store->snapshots, err);
	if (r == 0)
		r = open_subdir(store, "cachemounts", NULL, err);
	if (r == 0)
		r = open_gate(store, err);
	if (r == 0)
		r = register_process(store, err);
	if (r == 0)
		r = ensure_layout(store, err);
	if (r == 0)
		r = cb_db_open(db, &store->db, err);
	if (r == 0)
		r = check_meta(store, err);
	if (r == 0)
		r = cb_store_recover(store, err);
	if (r == 0)
		keep_spare(store);
	return r;
}

int cb_store_open(const char *path, enum cb_store_flavour flavour, struct cb_store **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = cb_new0(struct cb_store);
	cleanup_close int lock = -EBADF;
	char *real;
	int r;

	store->dirfd = store->tmpdir = store->tmpfd = store->blobs = store->snapshots = store->locks = -EBADF;
	store->proc_lock = store->gate = -EBADF;
	store->flavour = flavour;
	pthread_mutex_init(&store->touch_lock, NULL);
	pthread_mutex_init(&store->gate_lock, NULL);
	pthread_mutex_init(&store->quota_lock, NULL);
	pthread_mutex_init(&store->work_lock, NULL);
	read_boot_id(store->boot);

	/* Files with set-user-id bits lie in here: no one else may look in. */
	if (cb_path_mkdirs(path, 0700) < 0)
		return cb_err_errno(err, errno, "create the store %s", path);
	real = realpath(path, NULL);
	store->path = real ? real : cb_xstrdup(path);
	store->dirfd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dirfd < 0)
		return cb_err_errno(err, errno, "open the store %s", path);
	r = check_root(store, err);
	if (r == 0)
		r = open_subdir(store, "locks", &store->locks, err);
	if (r == 0)
		r = lock_root(store, &lock, err);
	if (r == 0)
		r = open_locked(store, err);
	if (r < 0)
		return r;

	*ret = CB_TAKE_PTR(store);
	return 0;
}

struct cb_store *cb_store_free(struct cb_store *store)
{
	if (!store)
		return NULL;

	if (store->db)
		cb_store_flush(store, NULL);
	cb_db_free(store->db);
	for (size_t i = 0; i < store->n_works; i++) {
		close(store->works[i].fd);
		free(store->works[i].name);
	}
	if (store->tmpfd >= 0)
		cb_path_remove_tree(store->tmpdir, store->proc, NULL);
	if (store->proc_lock >= 0) {
		char name[CB_STORE_PROC_LEN + 8];

		snprintf(name, sizeof(name), "%s.lock", store->proc);
		unlinkat(store->tmpdir, name, 0);
	}
	cb_closep(&store->proc_lock);
	cb_closep(&store->gate);
	cb_closep(&store->tmpfd);
	cb_closep(&store->tmpdir);
	cb_closep(&store->blobs);
	cb_closep(&store->snapshots);
	cb_closep(&store->locks);
	cb_closep(&store->dirfd);
	cb_strv_done(&store->touched);
	pthread_mutex_destroy(&store->touch_lock);
	pthread_mutex_destroy(&store->gate_lock);
	pthread_mutex_destroy(&store->quota_lock);
	pthread_mutex_destroy(&store->work_lock);
	free(store->path);
	free(store);
	return NULL;
}

int cb_store_dirfd(const struct cb_store *store)
{
	return store->dirfd;
}

const char *cb_store_path(const struct cb_store *store)
{
	return store->path;
}

enum cb_store_flavour cb_store_flavour(const struct cb_store *store)
{
	return store->flavour;
}

int cb_store_tmpfd(const struct cb_store *store)
{
	return store->tmpfd;
}

char *cb_store_unique_name(struct cb_store *store)
{
	return cb_xasprintf("%s%08x", store->proc, atomic_fetch_add(&store->counter, 1));
}
