#include "layers/diskusage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"

struct level {
	DIR *dir;
};

struct count {
	struct level *levels; /* from the top to where the walk is */
	size_t n, cap;
	struct cb_map *linked; /* inodes with several names that were counted */
	struct cb_disk_usage usage;
};

static void count_done(struct count *count)
{
	for (size_t i = 0; i < count->n; i++)
		closedir(count->levels[i].dir);
	free(count->levels);
	cb_map_free(count->linked);
}

static void add_bytes(struct cb_disk_usage *usage, const struct stat *st)
{
	uint64_t blocks = (uint64_t)st->st_blocks * 512, unit = st->st_blksize > 0 ? (uint64_t)st->st_blksize : 4096;
	uint64_t needed = ((uint64_t)st->st_size + unit - 1) / unit * unit;

	/* A file system may have allocated ahead of what was written: that is given back. */
	usage->bytes += S_ISREG(st->st_mode) ? CB_MIN(blocks, needed) : blocks;
	usage->needed += S_ISREG(st->st_mode) ? needed : blocks;
}

static void add(struct count *count, const struct stat *st)
{
	char key[48];

	count->usage.entries++;
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1) {
		snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
		if (cb_map_has(count->linked, key))
			return;
		cb_map_set(count->linked, key, count);
	}
	add_bytes(&count->usage, st);
}

/* Counts one entry and goes down into a directory. What vanished meanwhile is not counted. */
static int enter(struct count *count, int parent, const char *name)
{
	struct stat st;
	DIR *dir;
	int fd;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && count->n ? 0 : -1;
	add(count, &st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	CB_GROW(count->levels, count->cap, count->n + 1);
	count->levels[count->n++].dir = dir;
	return 0;
}

static int walk(struct count *count)
{
	while (count->n) {
		DIR *dir = count->levels[count->n - 1].dir;
		const struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			if (errno)
				return -1;
			closedir(dir);
			count->n--;
			continue;
		}
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (enter(count, dirfd(dir), entry->d_name) < 0)
			return -1;
	}
	return 0;
}

int cb_disk_usage(int dirfd, const char *name, struct cb_disk_usage *ret, struct cb_err **err)
{
	__attribute__((cleanup(count_done))) struct count count = { .linked = cb_map_new(NULL) };

	if (enter(&count, dirfd, name) < 0 || walk(&count) < 0)
		return cb_err_errno(err, errno, "count what %s occupies", name);
	*ret = count.usage;
	return 0;
}
