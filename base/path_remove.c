/* Removing a tree without recursion and without ever following a symlink. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

/* One level of the descent. Depth costs a descriptor and is bounded by the deepest tree that could be made. */
struct level {
	DIR *dir;
	char *name; /* below the level above; owned */
};

struct removal {
	struct level *levels;
	size_t n, cap;
};

static int open_dir(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == EACCES) {
		/* overlay's work/work has mode 000 */
		if (fchmodat(parent, name, 0700, 0) < 0)
			return -1;
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd;
}

static int descend(struct removal *r, int parent, const char *name)
{
	int fd = open_dir(parent, name);
	DIR *dir;

	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	CB_GROW(r->levels, r->cap, r->n + 1);
	r->levels[r->n++] = (struct level){ .dir = dir, .name = cb_xstrdup(name) };
	return 0;
}

static int unlink_entry(int parent, const char *name, bool *is_dir)
{
	*is_dir = false;
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* POSIX says EPERM for directories, Linux EISDIR; a directory without write permission says EACCES. */
	if (errno == EISDIR || errno == EPERM) {
		*is_dir = true;
		return 0;
	}
	if (errno == EACCES && fchmod(parent, 0700) == 0 && unlinkat(parent, name, 0) == 0)
		return 0;
	if (errno == EISDIR) {
		*is_dir = true;
		return 0;
	}
	return -1;
}

static int remove_levels(struct removal *r, int topfd)
{
	while (r->n) {
		struct level *level = &r->levels[r->n - 1];
		struct dirent *entry;
		bool is_dir;

		errno = 0;
		entry = readdir(level->dir);
		if (!entry) {
			int parent = r->n > 1 ? dirfd(r->levels[r->n - 2].dir) : topfd;

			if (errno)
				return -1;
			if (unlinkat(parent, level->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
				return -1;
			closedir(level->dir);
			free(level->name);
			r->n--;
			continue;
		}
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlink_entry(dirfd(level->dir), entry->d_name, &is_dir) < 0)
			return -1;
		if (is_dir && descend(r, dirfd(level->dir), entry->d_name) < 0 && errno != ENOENT)
			return -1;
	}
	return 0;
}

int cb_path_remove_tree(int topfd, const char *name, struct cb_err **err)
{
	struct removal removal = { 0 };
	bool is_dir;
	int r;

	r = unlink_entry(topfd, name, &is_dir);
	if (r == 0 && is_dir) {
		r = descend(&removal, topfd, name);
		if (r == 0)
			r = remove_levels(&removal, topfd);
		else if (errno == ENOENT)
			r = 0;
	}
	if (r < 0)
		r = cb_err_errno(err, errno, "remove %s", name);
	for (size_t i = 0; i < removal.n; i++) {
		closedir(removal.levels[i].dir);
		free(removal.levels[i].name);
	}
	free(removal.levels);
	return r;
}

int cb_path_empty_dir(int dirfd, struct cb_err **err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		r = cb_err_errno(err, errno, "list a directory");
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = cb_path_remove_tree(dirfd, entry->d_name, err);
	closedir(dir);
	return r;
}
