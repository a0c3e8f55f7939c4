/*
 * Small trees from one line of text, and back: for tests of what reads and writes trees.
 *
 *   d PATH [MODE] [UID:GID] [@MTIME]            directory, made when missing (755)
 *   f PATH [MODE] [UID:GID] [@MTIME] [=DATA]    file (644); DATA up to the next ';'
 *   l PATH [UID:GID] [@MTIME] >TARGET           symlink
 *   h PATH >EARLIER                             hard link
 *   p PATH [MODE]   s PATH   c PATH [MODE] >MAJOR.MINOR     fifo, socket, character device
 *   w PATH          whiteout        o PATH      makes the directory opaque (trusted)
 *
 * Entries are separated by ';', spaces around them do not count. Parents are made as needed.
 */
#ifndef CB_TEST_TREEBUILD_H
#define CB_TEST_TREEBUILD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "layers/diff.h"
#include "layers/flavour.h"

struct tb_entry {
	char type;
	char path[256];
	char arg[256]; /* data, target */
	bool has_arg;
	long mode; /* -1: default */
	long uid, gid;
	long long mtime; /* -1: none */
};

static char tb_tmp[64];
/* False for an ordinary user: in a user namespace of one id, where only that one exists. */
static bool tb_root;

static CB_UNUSED enum cb_flavour tb_flavour(void)
{
	return tb_root ? CB_FLAVOUR_TRUSTED : CB_FLAVOUR_USER;
}

static void tb_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		print_message("# cannot write %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* To be called first: becomes root of a user namespace when not root, and makes the scratch directory. */
static CB_UNUSED bool tb_start(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	umask(022);
	tb_root = uid == 0;
	if (!tb_root) {
		if (unshare(CLONE_NEWUSER) < 0) {
			print_message("# SKIPPED: no user namespace for an ordinary user: %s\n", strerror(errno));
			return false;
		}
		tb_write("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		tb_write("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		tb_write("/proc/self/gid_map", map);
		print_message("# ordinary user: what needs other ids, devices or trusted.* is skipped\n");
	}
	snprintf(tb_tmp, sizeof(tb_tmp), "/tmp/cb-tree-XXXXXX");
	if (!mkdtemp(tb_tmp)) {
		print_message("# no scratch directory: %s\n", strerror(errno));
		return false;
	}
	chmod(tb_tmp, 0755);
	return true;
}

static CB_UNUSED void tb_end(void)
{
	cb_path_remove_tree(AT_FDCWD, tb_tmp, NULL);
}

static CB_UNUSED int tb_ended(int status)
{
	tb_end();
	return status;
}
/* Runs @tests, an array, between tb_start and tb_end: the exit status. */
#define tb_run(tests) (tb_start() ? tb_ended(cmocka_run_group_tests(tests, NULL, NULL)) : 77)

/* A new empty directory below the scratch directory. */
static CB_UNUSED int tb_dir(void)
{
	static unsigned int n;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%u", tb_tmp, n++);
	assert_int_equal(mkdir(path, 0755), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static CB_UNUSED void tb_fd_path(int fd, char out[static 256])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, 255);
	assert_true(n > 0);
	out[n] = '\0';
}

static void tb_parse(const char *text, size_t len, struct tb_entry *e)
{
	char *copy = cb_xstrndup(text, len), *save = NULL, *word, *cut;

	memset(e, 0, sizeof(*e));
	e->mode = e->mtime = -1;
	cut = strchr(copy, *copy == 'f' ? '=' : '>');
	if (cut) {
		snprintf(e->arg, sizeof(e->arg), "%s", cut + 1);
		e->has_arg = true;
		*cut = '\0';
	}
	e->type = *strtok_r(copy, " ", &save);
	word = strtok_r(NULL, " ", &save);
	snprintf(e->path, sizeof(e->path), "%s", word ? word : "");
	while ((word = strtok_r(NULL, " ", &save))) {
		if (*word == '@')
			e->mtime = strtoll(word + 1, NULL, 10);
		else if (strchr(word, ':'))
			sscanf(word, "%ld:%ld", &e->uid, &e->gid);
		else
			e->mode = strtol(word, NULL, 8);
	}
	free(copy);
}

static void tb_parents(int dirfd, const char *path)
{
	char *copy = cb_xstrdup(path);

	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdirat(dirfd, copy, 0755);
		*slash = '/';
	}
	free(copy);
}

static void tb_socket(int dirfd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%.64s", dirfd, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

static void tb_make(int dirfd, const struct tb_entry *e)
{
	unsigned int major_no = 0, minor_no = 0;
	int fd;

	tb_parents(dirfd, e->path);
	switch (e->type) {
	case 'd':
		if (mkdirat(dirfd, e->path, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		break;
	case 'f':
		fd = openat(dirfd, e->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, e->arg, strlen(e->arg)), strlen(e->arg));
		close(fd);
		break;
	case 'l':
		assert_int_equal(symlinkat(e->arg, dirfd, e->path), 0);
		break;
	case 'h':
		assert_int_equal(linkat(dirfd, e->arg, dirfd, e->path, 0), 0);
		return;
	case 'p':
		assert_int_equal(mknodat(dirfd, e->path, S_IFIFO | 0644, 0), 0);
		break;
	case 's':
		tb_socket(dirfd, e->path);
		break;
	case 'c':
		sscanf(e->arg, "%u.%u", &major_no, &minor_no);
		assert_int_equal(mknodat(dirfd, e->path, S_IFCHR | 0644, makedev(major_no, minor_no)), 0);
		break;
	case 'w':
		assert_int_equal(mknodat(dirfd, e->path, S_IFCHR, makedev(0, 0)), 0);
		return;
	case 'o':
		fd = openat(dirfd, e->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(fsetxattr(fd, cb_flavour_opaque(tb_flavour()), "y", 1, 0), 0);
		close(fd);
		return;
	default:
		fail_msg("bad entry type %c", e->type);
	}
	if (e->uid || e->gid)
		assert_int_equal(fchownat(dirfd, e->path, (uid_t)e->uid, (gid_t)e->gid, AT_SYMLINK_NOFOLLOW), 0);
	if (e->mode >= 0 && e->type != 'l')
		assert_int_equal(fchmodat(dirfd, e->path, (mode_t)e->mode, 0), 0);
}

/* Makes the entries of @text below @dirfd. Times are set last, in reverse order. */
static CB_UNUSED void tb_build(int dirfd, const char *text)
{
	struct tb_entry *v = NULL;
	size_t n = 0, cap = 0;

	for (const char *at = text; *at;) {
		size_t len;

		at += strspn(at, "; ");
		len = strcspn(at, ";");
		if (len == 0)
			break;
		CB_GROW(v, cap, n + 1);
		tb_parse(at, len, &v[n]);
		tb_make(dirfd, &v[n++]);
		at += len;
	}
	for (size_t i = n; i-- > 0;) {
		struct timespec t = { .tv_sec = (time_t)v[i].mtime, .tv_nsec = 123456789 };

		if (v[i].mtime >= 0)
			assert_int_equal(utimensat(dirfd, *v[i].path ? v[i].path : ".", (struct timespec[2]){ t, t },
						 AT_SYMLINK_NOFOLLOW),
				0);
	}
	free(v);
}

static void tb_describe(int dirfd, const char *name, const char *path, const struct stat *st, struct cb_buf *out)
{
	mode_t mode = st->st_mode & 07777;
	char target[4096];
	ssize_t n;
	int fd;

	cb_buf_addf(out, "%s%c %s", out->len ? "; " : "",
		S_ISDIR(st->st_mode)    ? 'd'
		: S_ISREG(st->st_mode)  ? 'f'
		: S_ISLNK(st->st_mode)  ? 'l'
		: S_ISFIFO(st->st_mode) ? 'p'
		: S_ISSOCK(st->st_mode) ? 's'
					: 'c',
		path);
	if (!S_ISLNK(st->st_mode) && mode != (S_ISDIR(st->st_mode) ? 0755 : 0644))
		cb_buf_addf(out, " %o", mode);
	if (st->st_uid || st->st_gid)
		cb_buf_addf(out, " %u:%u", st->st_uid, st->st_gid);
	/* Only the times that a tree was built with are told. */
	if (st->st_mtim.tv_nsec == 123456789)
		cb_buf_addf(out, " @%lld", (long long)st->st_mtim.tv_sec);
	/* Changed by the copy, so that its time is of the build for some. */
	if (st->st_mtim.tv_nsec == CB_DIFF_NSEC_CHANGED && st->st_mtim.tv_sec < 1000000)
		cb_buf_addf(out, " @%lld!", (long long)st->st_mtim.tv_sec);
	if (S_ISREG(st->st_mode) && st->st_nlink > 1)
		cb_buf_addf(out, " x%u", (unsigned int)st->st_nlink);
	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(dirfd, name, target, sizeof(target));
		assert_true(n >= 0);
		cb_buf_addf(out, " >%.*s", (int)n, target);
	} else if (S_ISREG(st->st_mode) && st->st_size > 0) {
		fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		assert_true(fd >= 0);
		n = read(fd, target, 64);
		close(fd);
		cb_buf_addf(out, " =%.*s", (int)n, target);
	} else if (S_ISCHR(st->st_mode)) {
		cb_buf_addf(out, " >%u.%u", major(st->st_rdev), minor(st->st_rdev));
	}
}

static int tb_not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* "d a; f a/x 600 1:2 @9 =data; l b >t", sorted by name within each directory; defaults are left out. */
static CB_UNUSED void tb_show(int dirfd, const char *prefix, struct cb_buf *out)
{
	struct dirent **v = NULL;
	int n = scandirat(dirfd, ".", &v, tb_not_dots, NULL);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) { /* by name, bytewise, whatever the locale */
		for (int j = i + 1; j < n; j++) {
			if (strcmp(v[j]->d_name, v[i]->d_name) < 0) {
				struct dirent *swap = v[i];

				v[i] = v[j];
				v[j] = swap;
			}
		}
	}
	for (int i = 0; i < n; i++) {
		char *path = cb_xasprintf("%s%s", prefix, v[i]->d_name);
		struct stat st;

		assert_int_equal(fstatat(dirfd, v[i]->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		tb_describe(dirfd, v[i]->d_name, path, &st, out);
		if (S_ISDIR(st.st_mode)) {
			char *below = cb_xasprintf("%s/", path);
			int fd = openat(dirfd, v[i]->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			assert_true(fd >= 0);
			tb_show(fd, below, out);
			close(fd);
			free(below);
		}
		free(path);
		free(v[i]);
	}
	free(v);
}

#endif
