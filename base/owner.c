#include "base/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

/* In the upper half of a word; the type's upper bits are in the lower one. */
#define MARK 0x63620000U

enum { UNKNOWN, NO, YES };
static atomic_int recorded = UNKNOWN;

/* uid_map has one line whose third number, the count, is 1. */
static bool maps_one_id(void)
{
	char text[256];
	cleanup_close int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : cb_fd_read_full(fd, text, sizeof(text) - 1);
	char *p = text;

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (strchr(text, '\n') != text + n - 1)
		return false;
	(void)strtoul(p, &p, 10);
	(void)strtoul(p, &p, 10);
	return strtoul(p, &p, 10) == 1;
}

bool cb_owner_recorded(void)
{
	int state = atomic_load_explicit(&recorded, memory_order_relaxed);

	if (state == UNKNOWN) {
		state = geteuid() != 0 || maps_one_id() ? YES : NO;
		atomic_store_explicit(&recorded, state, memory_order_relaxed);
	}
	return state == YES;
}

void cb_owner_ask_again(void)
{
	atomic_store(&recorded, UNKNOWN);
}

static bool plain(mode_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode);
}

const char *cb_owner_xattr(mode_t mode)
{
	return plain(mode) ? CB_OWNER_XATTR : CB_OWNER_XATTR_SPECIAL;
}

size_t cb_owner_encode(mode_t mode, const struct cb_owner_record *record, char value[static CB_OWNER_VALUE_MAX])
{
	if (plain(mode))
		return (size_t)snprintf(value, CB_OWNER_VALUE_MAX, "%u:%u", record->uid, record->gid);
	const struct vfs_cap_data data = {
		.magic_etc = VFS_CAP_REVISION_2,
		.data = { { record->uid, record->gid },
			{ MARK | (record->type & S_IFMT) >> 12, (uint32_t)(minor(record->rdev) & 0xff) |
									(major(record->rdev) & 0xfff) << 8 |
									(minor(record->rdev) & ~0xffU) << 12 } },
	};
	memcpy(value, &data, sizeof(data));
	return sizeof(data);
}

static bool decode_text(const char *value, size_t len, struct cb_owner_record *ret)
{
	char text[CB_OWNER_VALUE_MAX], *end;

	if (len >= sizeof(text) || !len || value[0] < '0' || value[0] > '9')
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	unsigned long uid = strtoul(text, &end, 10), gid;
	if (*end != ':' || end[1] < '0' || end[1] > '9')
		return false;
	gid = strtoul(end + 1, &end, 10);
	if (*end || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return false;
	*ret = (struct cb_owner_record){ .uid = (uint32_t)uid, .gid = (uint32_t)gid };
	return true;
}

bool cb_owner_decode(mode_t mode, const char *value, size_t len, struct cb_owner_record *ret)
{
	struct vfs_cap_data data;

	if (plain(mode))
		return decode_text(value, len, ret);
	if (len != sizeof(data))
		return false;
	memcpy(&data, value, sizeof(data));
	uint32_t mark = data.data[1].permitted, dev = data.data[1].inheritable;
	mode_t type = (mark & 0xf) << 12;
	if ((mark & ~0xfU) != MARK || data.data[0].permitted == UINT32_MAX || data.data[0].inheritable == UINT32_MAX)
		return false;
	if (type && ((type != S_IFCHR && type != S_IFBLK) || !S_ISSOCK(mode)))
		return false;
	*ret = (struct cb_owner_record){
		.uid = data.data[0].permitted,
		.gid = data.data[0].inheritable,
		.type = type,
		.rdev = makedev((dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)),
	};
	return true;
}

void cb_owner_apply(const struct cb_owner_record *record, struct stat *st)
{
	st->st_uid = record->uid;
	st->st_gid = record->gid;
	if (record->type) {
		st->st_mode = (st->st_mode & 07777) | record->type;
		st->st_rdev = record->rdev;
		st->st_size = 0;
	}
}

/* There is no lgetxattr with a directory on the kernels that we support, but every descriptor has a name. */
static void name_below(char out[static PATH_MAX], int dirfd, const char *name)
{
	if (dirfd == AT_FDCWD || name[0] == '/')
		snprintf(out, PATH_MAX, "%s", name);
	else
		snprintf(out, PATH_MAX, "/proc/self/fd/%d/%s", dirfd, name);
}

int cb_owner_fstat(int fd, struct stat *ret)
{
	struct cb_owner_record record;
	char value[CB_OWNER_VALUE_MAX], path[32];
	ssize_t n;

	if (fstat(fd, ret) < 0)
		return -1;
	if (!cb_owner_recorded())
		return 0;
	n = fgetxattr(fd, cb_owner_xattr(ret->st_mode), value, sizeof(value));
	if (n < 0 && errno == EBADF) {
		/* O_PATH */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = getxattr(path, cb_owner_xattr(ret->st_mode), value, sizeof(value));
	}
	if (n > 0 && cb_owner_decode(ret->st_mode, value, (size_t)n, &record))
		cb_owner_apply(&record, ret);
	return 0;
}

int cb_owner_fstatat(int dirfd, const char *name, struct stat *ret)
{
	struct cb_owner_record record;
	char value[CB_OWNER_VALUE_MAX], path[PATH_MAX];
	ssize_t n;

	if (fstatat(dirfd, name, ret, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	/* Sockets are rare enough to be looked at by everybody. */
	if (!cb_owner_recorded() && !S_ISSOCK(ret->st_mode))
		return 0;
	name_below(path, dirfd, name);
	n = lgetxattr(path, cb_owner_xattr(ret->st_mode), value, sizeof(value));
	if (n > 0 && cb_owner_decode(ret->st_mode, value, (size_t)n, &record))
		cb_owner_apply(&record, ret);
	return 0;
}

/* 0:0 is what is without a record. */
static int record_at(int dirfd, const char *name, mode_t mode, const struct cb_owner_record *record)
{
	char value[CB_OWNER_VALUE_MAX], path[PATH_MAX];
	size_t len = cb_owner_encode(mode, record, value);

	name_below(path, dirfd, name);
	if (record->uid || record->gid || record->type)
		return lsetxattr(path, cb_owner_xattr(mode), value, len, 0);
	if (lremovexattr(path, cb_owner_xattr(mode)) < 0 && errno != ENODATA && errno != ENOTSUP)
		return -1;
	return 0;
}

int cb_owner_fchown(int fd, uid_t uid, gid_t gid)
{
	const struct cb_owner_record record = { .uid = uid, .gid = gid };
	char value[CB_OWNER_VALUE_MAX];
	struct stat st;

	if (!cb_owner_recorded())
		return fchown(fd, uid, gid);
	if (fstat(fd, &st) < 0)
		return -1;
	size_t len = cb_owner_encode(st.st_mode, &record, value);
	if (uid || gid)
		return fsetxattr(fd, cb_owner_xattr(st.st_mode), value, len, 0);
	if (fremovexattr(fd, cb_owner_xattr(st.st_mode)) < 0 && errno != ENODATA && errno != ENOTSUP)
		return -1;
	return 0;
}

int cb_owner_fchownat(int dirfd, const char *name, uid_t uid, gid_t gid)
{
	struct cb_owner_record record = { .uid = uid, .gid = gid };
	struct stat st, full;

	/* Not even to the only id there is: that would take away the attribute of a device. */
	if (!cb_owner_recorded())
		return fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || cb_owner_fstatat(dirfd, name, &full) < 0)
		return -1;
	if (full.st_uid == uid && full.st_gid == gid)
		return 0;
	/* A device stays one. */
	if ((full.st_mode & S_IFMT) != (st.st_mode & S_IFMT)) {
		record.type = full.st_mode & S_IFMT;
		record.rdev = full.st_rdev;
	}
	return record_at(dirfd, name, st.st_mode, &record);
}

int cb_owner_mknodat(int dirfd, const char *name, mode_t mode, dev_t dev)
{
	const struct cb_owner_record record = { .type = mode & S_IFMT, .rdev = dev };

	if (mknodat(dirfd, name, mode, dev) == 0)
		return 0;
	if (errno != EPERM || (!S_ISCHR(mode) && !S_ISBLK(mode)) || (dev && !cb_owner_recorded()))
		return -1;
	if (mknodat(dirfd, name, S_IFSOCK | (mode & 07777), 0) < 0)
		return -1;
	if (record_at(dirfd, name, S_IFSOCK, &record) == 0)
		return 0;
	int saved = errno;
	(void)unlinkat(dirfd, name, 0);
	errno = saved;
	return -1;
}
