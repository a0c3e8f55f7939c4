#include "layers/linktree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/owner.h"
#include "layers/copyfile.h"
#include "layers/dirnames.h"
#include "layers/tree.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* The kernel's limits (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
#define ATTR_LIST_MAX 65536
#define ATTR_MAX 65536

struct walk {
	const struct cb_cancel *cancel;
	struct cb_copyfile_host host;
	bool own_files;
	struct cb_map *seen; /* inode number -> size_t, names of it inside of the tree */
};

static int fail(struct cb_err **err, const char *what, const char *name)
{
	return cb_err_errno(err, errno, "%s %s", what, name);
}

static int enter(struct walk *walk, unsigned int depth, struct cb_err **err)
{
	if (depth > CB_TREE_DEPTH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "more than %d directories below each other", CB_TREE_DEPTH_MAX);
	return cb_cancel_check(walk->cancel, err);
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

/* Those that cannot be set here (of a security module, say) belong to the file system and not to the tree. */
static int copy_attributes(int from, int to, const char *name, struct cb_err **err)
{
	cleanup_free char *list = cb_xmalloc(ATTR_LIST_MAX), *value = cb_xmalloc(ATTR_MAX);
	ssize_t len = flistxattr(from, list, ATTR_LIST_MAX);

	if (len < 0)
		return errno == ENOTSUP ? 0 : fail(err, "list the attributes of", name);
	for (const char *p = list; p < list + len; p += strlen(p) + 1) {
		ssize_t n = fgetxattr(from, p, value, ATTR_MAX);
		if (n >= 0 && fsetxattr(to, p, value, (size_t)n, 0) < 0 && errno != EPERM && errno != ENOTSUP)
			return fail(err, "set an attribute of", name);
	}
	return 0;
}

static int copy_metadata(int from, int to, const struct stat *st, const char *name, struct cb_err **err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	/* Attributes after the owner, whose change takes capabilities away, and before a mode that may not be writable.
	 */
	if (cb_owner_fchown(to, st->st_uid, st->st_gid) < 0)
		return fail(err, "set the owner of", name);
	int r = copy_attributes(from, to, name, err);
	if (r == 0 && (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0))
		r = fail(err, "set mode and times of", name);
	return r;
}

/* ---- making --------------------------------------------------------------------------------------------------- */

static int copy_file(struct walk *walk, int from, int to, const char *name, const char *as, struct cb_err **err)
{
	struct stat st;
	cleanup_close int src = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	cleanup_close int dst =
		src < 0 ? -1 : openat(to, as, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (src < 0 || dst < 0 || cb_owner_fstat(src, &st) < 0)
		return fail(err, "copy", name);
	int r = cb_copyfile_data(&walk->host, src, dst, &st, NULL, walk->cancel, err);
	return r < 0 ? r : copy_metadata(src, dst, &st, name, err);
}

static int copy_dir(struct walk *walk, int from, int to, const char *name, unsigned int depth, struct cb_err **err);

static int copy_entry(struct walk *walk, int from, int to, const char *name, unsigned int depth, struct cb_err **err)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(err, "stat", name);
	if (S_ISDIR(st.st_mode)) {
		cleanup_close int below = openat(from, name, DIR_FLAGS);
		return below < 0 ? fail(err, "open", name) : copy_dir(walk, below, to, name, depth + 1, err);
	}
	/* What is no file is not written to: it may be shared. */
	if (!(walk->own_files && S_ISREG(st.st_mode)) && linkat(from, name, to, name, 0) == 0)
		return 0;
	if (S_ISREG(st.st_mode) && (walk->own_files || errno == EPERM || errno == EMLINK || errno == ENOTSUP))
		return copy_file(walk, from, to, name, name, err);
	return fail(err, "link", name);
}

static int copy_dir(struct walk *walk, int from, int to, const char *name, unsigned int depth, struct cb_err **err)
{
	cleanup_dirnames struct cb_dirnames names = { 0 };
	cleanup_close int dir = -EBADF;
	struct stat st;
	int r = enter(walk, depth, err);

	if (r < 0)
		return r;
	if (cb_owner_fstat(from, &st) < 0 || mkdirat(to, name, 0700) < 0)
		return fail(err, "copy", name);
	dir = openat(to, name, DIR_FLAGS);
	if (dir < 0)
		return fail(err, "open", name);
	r = cb_dirnames_read(from, name, &names, err);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = copy_entry(walk, from, dir, names.v[i], depth, err);
	return r < 0 ? r : copy_metadata(from, dir, &st, name, err);
}

int cb_linktree_make(
	int from, int to, const char *name, bool own_files, const struct cb_cancel *cancel, struct cb_err **err)
{
	struct walk walk = { .cancel = cancel, .own_files = own_files };
	/* A descriptor of our own, whose position may be moved. */
	cleanup_close int top = openat(from, ".", DIR_FLAGS);

	if (top < 0)
		return fail(err, "open", name);
	cb_copyfile_probe(to, &walk.host);
	return copy_dir(&walk, top, to, name, 0, err);
}

/* ---- parting -------------------------------------------------------------------------------------------------- */

static void key_of(const struct stat *st, char out[static 32])
{
	snprintf(out, 32, "%llu", (unsigned long long)st->st_ino);
}

static bool shared_file(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink > 1;
}

static int part_file(struct walk *walk, int dir, const char *name, struct cb_err **err)
{
	static const char tmp[] = ".cbuild-part";
	int r;

	if (unlinkat(dir, tmp, 0) < 0 && errno != ENOENT)
		return fail(err, "remove", tmp);
	r = copy_file(walk, dir, dir, name, tmp, err);
	if (r == 0 && renameat(dir, tmp, dir, name) < 0)
		r = fail(err, "replace", name);
	return r;
}

/* Twice: to count the names, then to part those that are more than were counted. */
static int each_file(struct walk *walk, int dir, const char *what, bool part, unsigned int depth, struct cb_err **err)
{
	cleanup_dirnames struct cb_dirnames names = { 0 };
	struct stat st, above;
	bool changed = false;
	char key[32];
	int r = enter(walk, depth, err);

	if (r == 0)
		r = fstat(dir, &above) < 0 ? fail(err, "stat", what) : cb_dirnames_read(dir, what, &names, err);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		const char *name = names.v[i];

		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return fail(err, "stat", name);
		if (S_ISDIR(st.st_mode)) {
			cleanup_close int below = openat(dir, name, DIR_FLAGS);
			r = below < 0 ? fail(err, "open", name) : each_file(walk, below, name, part, depth + 1, err);
			continue;
		}
		if (!shared_file(&st))
			continue;
		key_of(&st, key);
		size_t *seen = cb_map_get(walk->seen, key);
		if (!part && seen) {
			(*seen)++;
		} else if (!part) {
			const size_t one = 1;
			cb_map_set(walk->seen, key, cb_xmemdup(&one, sizeof(one)));
		} else if (!seen || st.st_nlink > *seen) {
			r = part_file(walk, dir, name, err);
			changed = true;
			if (seen)
				(*seen)--;
		}
	}
	const struct timespec times[2] = { above.st_atim, above.st_mtim };
	if (r == 0 && changed && futimens(dir, times) < 0)
		r = fail(err, "set times of", what);
	return r;
}

int cb_linktree_part(int dirfd, const struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_map_free) struct cb_map *seen = cb_map_new(free);
	struct walk walk = { .cancel = cancel, .seen = seen };
	cleanup_close int top = openat(dirfd, ".", DIR_FLAGS), again = openat(dirfd, ".", DIR_FLAGS);
	int r;

	if (top < 0 || again < 0)
		return fail(err, "open", "a cache mount");
	cb_copyfile_probe(top, &walk.host);
	r = each_file(&walk, top, ".", false, 0, err);
	return r < 0 || !cb_map_len(seen) ? r : each_file(&walk, again, ".", true, 0, err);
}
