#include "layers/samesnap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/strv.h"
#include "layers/dirnames.h"
#include "layers/whiteout.h"

#define ATTR_LIST_MAX ((size_t)64 << 10)
#define ATTR_VALUE_MAX ((size_t)64 << 10)

/* The first name of a file that has several. */
struct first {
	size_t number; /* of the entry, from 1 */
};

struct print {
	const struct cb_print_spec *spec;
	struct cb_hasher *hasher;
	struct cb_map *inodes; /* of files with several names -> struct first */
	size_t n_entries;
	char *list, *value; /* of extended attributes */
};

/* What overlayfs notes for itself; an opaque mark says something of the directory. */
static bool is_bookkeeping(const struct print *p, const char *name)
{
	return cb_overlay_xattr(name, p->spec->flavour) && strcmp(name, cb_flavour_opaque(p->spec->flavour)) != 0;
}

/* Metadata that redirects or hides data elsewhere: such a snapshot is none of ours. */
static bool is_redirect(const struct print *p, const char *name)
{
	const char *last = strrchr(name, '.');

	return cb_overlay_xattr(name, p->spec->flavour) &&
	       (!strcmp(last, ".redirect") || !strcmp(last, ".metacopy") || !strcmp(last, ".whiteout"));
}

static int add_xattrs(struct print *p, const char *path, struct cb_err **err)
{
	cleanup_strv struct cb_strv names = { 0 };
	ssize_t len = llistxattr(path, p->list, ATTR_LIST_MAX);

	if (len < 0 && errno != ENOTSUP)
		return errno == E2BIG || errno == ERANGE ? 1 : cb_err_errno(err, errno, "list attributes");
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(p->list + at) + 1) {
		if (is_redirect(p, p->list + at))
			return 1;
		if (!is_bookkeeping(p, p->list + at))
			cb_strv_add(&names, p->list + at);
	}
	cb_strv_sort(&names);
	cb_hasher_addn(p->hasher, names.n);
	for (size_t i = 0; i < names.n; i++) {
		ssize_t n = lgetxattr(path, names.v[i], p->value, ATTR_VALUE_MAX);

		if (n < 0)
			return cb_err_errno(err, errno, "read attribute %s", names.v[i]);
		cb_hasher_adds(p->hasher, names.v[i]);
		cb_hasher_addn(p->hasher, (uint64_t)n);
		cb_hasher_add(p->hasher, p->value, (size_t)n);
	}
	return 0;
}

static void add_time(struct print *p, const struct timespec *t)
{
	int64_t ns = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
	bool by_clock = ns >= p->spec->began && ns <= p->spec->ended;

	cb_hasher_addn(p->hasher, by_clock);
	cb_hasher_addn(p->hasher, by_clock ? 0 : (uint64_t)ns);
}

/* The number of the first name of the file, so that equal structures are equal whatever the inode numbers. */
static bool add_link(struct print *p, const struct stat *st)
{
	char key[64];
	struct first *first;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2) {
		cb_hasher_addn(p->hasher, 0);
		return false;
	}
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	first = cb_map_get(p->inodes, key);
	/* A name outside of the snapshot is none: a first name looks like that of a file with one only. */
	cb_hasher_addn(p->hasher, first ? first->number : 0);
	if (first)
		return true;
	first = cb_new0(struct first);
	first->number = p->n_entries + 1;
	cb_map_set(p->inodes, key, first);
	return false;
}

static int add_data(struct print *p, int dirfd, const char *name, struct cb_err **err)
{
	cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
	struct cb_digest digest;
	int r;

	if (fd < 0 && errno == EPERM)
		fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return cb_err_errno(err, errno, "open %s", name);
	r = cb_digest_of_fd(fd, &digest, NULL, err);
	if (r == 0)
		cb_hasher_adds(p->hasher, digest.text);
	return r;
}

static int add_target(struct print *p, int dirfd, const char *name, struct cb_err **err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0)
		return cb_err_errno(err, errno, "read link %s", name);
	cb_hasher_addn(p->hasher, (uint64_t)n);
	cb_hasher_add(p->hasher, target, (size_t)n);
	return 0;
}

static int add_dir(struct print *p, int fd, unsigned int depth, struct cb_err **err);

static int add_entry(struct print *p, int dirfd, const char *name, unsigned int depth, struct cb_err **err)
{
	char path[sizeof("/proc/self/fd//") + 3 * sizeof(int) + NAME_MAX];
	struct stat st;
	bool again;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return cb_err_errno(err, errno, "stat %s", name);
	cb_hasher_adds(p->hasher, name);
	cb_hasher_addn(p->hasher, st.st_mode);
	cb_hasher_addn(p->hasher, st.st_uid);
	cb_hasher_addn(p->hasher, st.st_gid);
	again = add_link(p, &st);
	p->n_entries++;
	if (again)
		return 0;
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		cb_hasher_addn(p->hasher, st.st_rdev);
	/* Nobody sees the time of a whiteout. */
	if (!cb_whiteout_is(&st))
		add_time(p, &st.st_mtim);
	r = p->spec->content ? add_xattrs(p, path, err) : 0;
	if (r != 0)
		return r;
	if (S_ISREG(st.st_mode)) {
		cb_hasher_addn(p->hasher, (uint64_t)st.st_size);
		return p->spec->content ? add_data(p, dirfd, name, err) : 0;
	}
	if (S_ISLNK(st.st_mode))
		return add_target(p, dirfd, name, err);
	if (S_ISDIR(st.st_mode)) {
		cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return cb_err_errno(err, errno, "open %s", name);
		return add_dir(p, fd, depth + 1, err);
	}
	return 0;
}

static int add_dir(struct print *p, int fd, unsigned int depth, struct cb_err **err)
{
	cleanup_dirnames struct cb_dirnames names = { 0 };
	int r = cb_cancel_check(p->spec->cancel, err);

	if (depth > CB_PRINT_DEPTH_MAX)
		return 1;
	if (r == 0)
		r = cb_dirnames_read(fd, "a snapshot", &names, err);
	if (r < 0)
		return r;
	cb_hasher_addn(p->hasher, names.n);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = add_entry(p, fd, names.v[i], depth, err);
	return r;
}

static int print_of(struct print *p, struct cb_digest *ret, struct cb_err **err)
{
	cleanup_close int fd = openat(p->spec->fs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *path = cb_xasprintf("/proc/self/fd/%d/.", p->spec->fs_fd);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "open a snapshot");
	cb_hasher_addn(p->hasher, st.st_mode);
	cb_hasher_addn(p->hasher, st.st_uid);
	cb_hasher_addn(p->hasher, st.st_gid);
	add_time(p, &st.st_mtim);
	r = p->spec->content ? add_xattrs(p, path, err) : 0;
	if (r == 0)
		r = add_dir(p, fd, 0, err);
	if (r == 0)
		cb_hasher_finish(p->hasher, ret);
	return r;
}

int cb_snapshot_print(const struct cb_print_spec *spec, struct cb_digest *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	CB_CLEANUP(cb_map_free) struct cb_map *inodes = cb_map_new(free);
	cleanup_free char *list = cb_xmalloc(ATTR_LIST_MAX), *value = cb_xmalloc(ATTR_VALUE_MAX);
	struct print p = { .spec = spec, .hasher = hasher, .inodes = inodes, .list = list, .value = value };
	int r = print_of(&p, ret, err);

	return r < 0 ? cb_err_wrap(err, r, "compare results") : r;
}
