/* Resolution below a root descriptor: openat2 where it works, else a walk over O_PATH descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#define SYMLINKS_MAX 40 /* path_resolution(7): the kernel's own limit */
#define RACES_MAX 64    /* openat2(2): EAGAIN when a rename raced with ".." */

static atomic_bool walk_forced, openat2_missing;

void cb_path_force_walk(bool on)
{
	atomic_store(&walk_forced, on);
}

static bool use_walk(void)
{
	return atomic_load_explicit(&walk_forced, memory_order_relaxed) ||
	       atomic_load_explicit(&openat2_missing, memory_order_relaxed);
}

static int openat2_below(int rootfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve };
	long fd = -1;

	if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))
		how.mode = mode;
	for (int i = 0; i < RACES_MAX; i++) {
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (int)fd;
}

/* True when openat2 itself is unknown or forbidden here, rather than this path. Seccomp profiles answer EPERM. */
static bool openat2_is_missing(void)
{
	int saved = errno, fd;

	if (saved != ENOSYS && saved != EPERM)
		return false;
	fd = openat2_below(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0, 0);
	if (fd >= 0) {
		close(fd);
		errno = saved;
		return false;
	}
	atomic_store(&openat2_missing, true);
	return true;
}

/*
 * The walk. `dirs` is the stack of directories from the root down, so ".." never asks the kernel and cannot leave.
 */
struct walk {
	int *dirs;
	size_t n, cap;
	char *rest; /* what is still to resolve; owned */
	int links;
	bool no_symlinks;
};

static void walk_done(struct walk *w)
{
	for (size_t i = 1; i < w->n; i++)
		close(w->dirs[i]);
	free(w->dirs);
	free(w->rest);
}

static void push(struct walk *w, int fd)
{
	CB_GROW(w->dirs, w->cap, w->n + 1);
	w->dirs[w->n++] = fd;
}

static void pop_to(struct walk *w, size_t n)
{
	while (w->n > n)
		close(w->dirs[--w->n]);
}

/* Takes the next component off; false at the end. @last: nothing but slashes follows; @slash: some do. */
static bool next_component(struct walk *w, char name[static NAME_MAX + 2], bool *last, bool *slash)
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(p, "/"), after = strspn(p + n, "/");

	if (!n)
		return false;
	memcpy(name, p, CB_MIN(n, (size_t)NAME_MAX + 1));
	name[CB_MIN(n, (size_t)NAME_MAX + 1)] = '\0';
	*last = !p[n + after];
	*slash = after > 0;
	memmove(w->rest, p + n, strlen(p + n) + 1);
	return true;
}

/* Puts the target of the symlink @fd before the rest. */
static int follow(struct walk *w, int fd)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);
	char *rest;

	if (n < 0)
		return -1;
	if (!n) {
		errno = ENOENT;
		return -1;
	}
	if (w->no_symlinks || ++w->links > SYMLINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	target[n] = '\0';
	rest = cb_xasprintf("%s%s%s", target, *w->rest ? "/" : "", w->rest);
	if (strlen(rest) > (size_t)PATH_MAX * 2) {
		free(rest);
		errno = ENAMETOOLONG;
		return -1;
	}
	free(w->rest);
	w->rest = rest;
	if (target[0] == '/')
		pop_to(w, 1);
	return 0;
}

static int open_final(struct walk *w, const char *name, int flags, mode_t mode)
{
	return openat(w->dirs[w->n - 1], name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

/* Handles the last component. Returns the descriptor, -1 with errno, or -2 when a symlink was put before the rest. */
static int walk_last(struct walk *w, const char *name, bool slash, int flags, mode_t mode)
{
	cleanup_close int probe = openat(w->dirs[w->n - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool nofollow = (flags & O_NOFOLLOW) && !slash;

	if (probe < 0)
		return errno == ENOENT && (flags & O_CREAT) ? open_final(w, name, flags, mode) : -1;
	if (fstat(probe, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode) && !nofollow && !((flags & O_CREAT) && (flags & O_EXCL)))
		return follow(w, probe) < 0 ? -1 : -2;
	if (slash && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	return open_final(w, name, flags, mode);
}

static int walk_dir(struct walk *w, const char *name)
{
	cleanup_close int fd = openat(w->dirs[w->n - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode))
		return follow(w, fd);
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	push(w, CB_TAKE_FD(fd));
	return 0;
}

static int walk_run(struct walk *w, int flags, mode_t mode)
{
	char name[NAME_MAX + 2];
	bool last, slash;

	while (next_component(w, name, &last, &slash)) {
		if (strlen(name) > NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			if (w->no_symlinks) {
				errno = EXDEV;
				return -1;
			}
			pop_to(w, CB_MAX(w->n - 1, (size_t)1));
			continue;
		}
		if (last) {
			int fd = walk_last(w, name, slash, flags, mode);

			if (fd != -2)
				return fd;
		} else if (walk_dir(w, name) < 0) {
			return -1;
		}
	}
	/* The path ended in a directory that is already open: ".", "..", "/" or a link to such. */
	return openat(w->dirs[w->n - 1], ".", (flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW)) | O_CLOEXEC, mode);
}

static int walk_open(int rootfd, const char *path, int flags, mode_t mode, bool no_symlinks)
{
	struct walk w = { .rest = cb_xstrdup(path), .no_symlinks = no_symlinks };
	int fd, saved;

	push(&w, rootfd);
	fd = walk_run(&w, flags, mode);
	saved = errno;
	walk_done(&w);
	errno = saved;
	return fd;
}

int cb_path_open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	int fd;

	if (!*path) {
		errno = ENOENT;
		return -1;
	}
	if (!use_walk()) {
		fd = openat2_below(rootfd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		if (fd >= 0 || !openat2_is_missing())
			return fd;
	}
	return walk_open(rootfd, path, flags, mode, false);
}

int cb_path_open_beneath(int rootfd, const char *path, int flags, mode_t mode)
{
	int fd;

	while (*path == '/')
		path++;
	if (!*path)
		path = ".";
	if (!use_walk()) {
		fd = openat2_below(rootfd, path, flags | O_NOFOLLOW, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (fd >= 0 || !openat2_is_missing())
			return fd;
	}
	return walk_open(rootfd, path, flags | O_NOFOLLOW, mode, true);
}

/* The canonical directory below @rootfd that @path's existing part leads to is found by trying shorter and shorter. */
int cb_path_mkdirs_in_root(int rootfd, const char *path, mode_t mode)
{
	cleanup_free char *clean = cb_path_abs(path);
	cleanup_close int at = cb_path_open_in_root(rootfd, "/", O_PATH | O_DIRECTORY, 0);
	size_t len = strlen(clean);

	if (at < 0)
		return -1;
	for (size_t end = 1; end <= len; end++) {
		cleanup_free char *prefix = NULL;
		int next;

		if (end < len && clean[end] != '/')
			continue;
		prefix = cb_xstrndup(clean, end);
		if (!prefix[1])
			continue;
		next = cb_path_open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY, 0);
		if (next < 0 && errno == ENOENT) {
			if (mkdirat(at, cb_path_base(prefix), mode) < 0 && errno != EEXIST)
				return -1;
			next = cb_path_open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY, 0);
		}
		if (next < 0)
			return -1;
		close(at);
		at = next;
	}
	return CB_TAKE_FD(at);
}
