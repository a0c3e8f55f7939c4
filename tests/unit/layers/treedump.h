/* Test helper: a temporary directory, and the text of what is in one. */
#ifndef CB_TESTS_TREEDUMP_H
#define CB_TESTS_TREEDUMP_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"

/** A fresh directory, preferably in memory; its path stays in @path for tmp_remove. */
static inline int tmp_make(char path[static 64])
{
	snprintf(path, 64, "%s/cbuild-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(path))
		return -1;
	chmod(path, 0755);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline void tmp_remove(const char *path)
{
	cb_path_remove_tree(AT_FDCWD, path, NULL);
}

enum dump_flag { DUMP_TIMES = 1, DUMP_OWNERS = 2, DUMP_INODES = 4 };

static inline void dump_content(struct cb_buf *out, int dirfd, const char *name, off_t size)
{
	cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char data[64];
	ssize_t n = fd >= 0 ? cb_fd_read_full(fd, data, sizeof(data)) : 0;

	cb_buf_addf(out, " %lld", (long long)size);
	if (n > 0 && n == size && !memchr(data, 0, (size_t)n))
		cb_buf_addf(out, " \"%.*s\"", (int)n, data);
}

/** One line an entry: PATH KIND MODE [UID:GID] [TIME] …; kinds f d l p c b s, whiteouts "w". */
static inline void dump_dir(struct cb_buf *out, int dirfd, const char *prefix, unsigned int flags)
{
	cleanup_strv struct cb_strv names = { 0 };
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *de;

	if (!dir)
		return;
	while ((de = readdir(dir)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			cb_strv_add(&names, de->d_name);
	closedir(dir);
	cb_strv_sort(&names);

	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = cb_xasprintf("%s%s", prefix, names.v[i]);
		const char *name = names.v[i];
		char link[4096] = "";
		struct stat st;

		fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
		if (S_ISCHR(st.st_mode) && st.st_rdev == 0) {
			cb_buf_addf(out, "%s w\n", path);
			continue;
		}
		cb_buf_addf(out, "%s %c %o", path,
			S_ISREG(st.st_mode)    ? 'f'
			: S_ISDIR(st.st_mode)  ? 'd'
			: S_ISLNK(st.st_mode)  ? 'l'
			: S_ISFIFO(st.st_mode) ? 'p'
			: S_ISCHR(st.st_mode)  ? 'c'
			: S_ISBLK(st.st_mode)  ? 'b'
					       : 's',
			S_ISLNK(st.st_mode) ? 0777 : st.st_mode & 07777);
		if (flags & DUMP_OWNERS)
			cb_buf_addf(out, " %u:%u", st.st_uid, st.st_gid);
		if (flags & DUMP_TIMES)
			cb_buf_addf(out, " @%lld", (long long)st.st_mtim.tv_sec);
		if ((flags & DUMP_INODES) && !S_ISDIR(st.st_mode) && st.st_nlink > 1)
			cb_buf_addf(out, " n%u", (unsigned int)st.st_nlink);
		if (S_ISREG(st.st_mode))
			dump_content(out, dirfd, name, st.st_size);
		if (S_ISLNK(st.st_mode) && readlinkat(dirfd, name, link, sizeof(link) - 1) > 0)
			cb_buf_addf(out, " -> %s", link);
		if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			cb_buf_addf(out, " %u,%u", major(st.st_rdev), minor(st.st_rdev));
		if (S_ISDIR(st.st_mode)) {
			cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			cleanup_free char *below = cb_xasprintf("%s/", path);
			char value[4];

			if (fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) == 1 ||
				fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)) == 1)
				cb_buf_adds(out, " opaque");
			cb_buf_addc(out, '\n');
			dump_dir(out, fd, below, flags);
			continue;
		}
		cb_buf_addc(out, '\n');
	}
}

#endif
