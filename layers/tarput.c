#include "layers/tarput.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* From this size on the kernel is told what will be read. */
#define ADVISE_SIZE (UINT64_C(1) << 20)

void cb_tarput_fill(struct cb_tar_entry *entry, const struct stat *st)
{
	static const struct {
		mode_t kind;
		enum cb_tar_type type;
	} kinds[] = {
		{ S_IFDIR, CB_TAR_DIR },
		{ S_IFLNK, CB_TAR_SYMLINK },
		{ S_IFCHR, CB_TAR_CHAR },
		{ S_IFBLK, CB_TAR_BLOCK_DEV },
		{ S_IFIFO, CB_TAR_FIFO },
	};

	entry->type = CB_TAR_FILE;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((st->st_mode & S_IFMT) == kinds[i].kind)
			entry->type = kinds[i].type;
	entry->mode = st->st_mode & 07777;
	entry->uid = st->st_uid;
	entry->gid = st->st_gid;
	entry->size = entry->type == CB_TAR_FILE ? (uint64_t)st->st_size : 0;
	entry->mtime = st->st_mtim.tv_sec;
	if (entry->type == CB_TAR_CHAR || entry->type == CB_TAR_BLOCK_DEV) {
		entry->major = major(st->st_rdev);
		entry->minor = minor(st->st_rdev);
	}
}

static uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int cb_tarput_cap_get(int fd, struct cb_tarput_cap *ret, struct cb_err **err)
{
	ssize_t n = fgetxattr(fd, "security.capability", ret->value, sizeof(ret->value));
	uint32_t magic;

	ret->len = 0;
	if (n < 0 && (errno == ENODATA || errno == ENOTSUP))
		return 0;
	if (n < 0)
		return cb_err_errno(err, errno, "read attribute security.capability");
	ret->len = (size_t)n;

	/* Revision 3 names the root of a user namespace; that of the image's own root is revision 2. */
	magic = n >= 4 ? get_le32(ret->value) : 0;
	if (n == XATTR_CAPS_SZ_3 && (magic & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_3 &&
		get_le32(ret->value + XATTR_CAPS_SZ_2) == 0) {
		magic = (magic & ~VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2;
		for (size_t i = 0; i < 4; i++)
			ret->value[i] = (uint8_t)(magic >> (8 * i));
		ret->len = XATTR_CAPS_SZ_2;
	}
	return 0;
}

int cb_tarput_content(struct cb_tarwriter *w, int fd, uint64_t size, const char *path, void *buf, size_t buf_size,
	const struct cb_cancel *cancel, struct cb_err **err)
{
	uint64_t left = size;

	if (size >= ADVISE_SIZE)
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (left > 0) {
		ssize_t n = read(fd, buf, (size_t)CB_MIN(left, (uint64_t)buf_size));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cb_err_errno(err, errno, "read \"%s\"", path);
		if (n == 0)
			return cb_err_set(err, CB_ERR_IO, "\"%s\" became shorter while it was read", path);
		r = cb_tarwriter_data(w, buf, (size_t)n, err);
		if (r == 0)
			r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
		left -= (uint64_t)n;
	}
	return 0;
}

char *cb_tarput_readlink(int dirfd, const char *name, struct cb_err **err)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0 || n > PATH_MAX) {
		cb_err_errno(err, n < 0 ? errno : ENAMETOOLONG, "read symbolic link \"%s\"", name);
		return NULL;
	}
	return cb_xstrndup(target, (size_t)n);
}
