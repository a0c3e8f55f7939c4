#include "layers/copyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/owner.h"
#include "layers/digest.h"

/** Below this, read and write beat copy_file_range. */
#define SMALL_BYTES ((off_t)128 << 10)
#define CHUNK_BYTES ((size_t)64 << 10)
#define RANGE_BYTES ((size_t)16 << 20)
#define CAPABILITY "security.capability"
#define CAPABILITY_MAX 64

/* The umask can only be asked for by setting it, which other threads would see; /proc tells without. */
static mode_t current_umask(void)
{
	cleanup_buf struct cb_buf status = { 0 };
	const char *at;
	unsigned long mask;
	char *end;

	if (cb_file_read_at(AT_FDCWD, "/proc/thread-self/status", 64 << 10, &status, NULL) < 0)
		return 0777;
	at = strstr(cb_buf_str(&status), "\nUmask:");
	if (!at)
		return 0777;
	at += strlen("\nUmask:");
	mask = strtoul(at, &end, 8);
	return end == at ? 0777 : (mode_t)(mask & 0777);
}

void cb_copyfile_probe(int dirfd, struct cb_copyfile_host *ret)
{
	ret->euid = geteuid();
	ret->egid = getegid();
	/* A default ACL takes the place of the umask: then no created mode is trusted. */
	ret->umask = fgetxattr(dirfd, "system.posix_acl_default", NULL, 0) > 0 ? 0777 : current_umask();
	ret->no_clone = ret->no_range = false;
}

mode_t cb_copyfile_create_mode(const struct cb_copyfile_attr *attr)
{
	return attr->mode & 0777;
}

/* --- Data ----------------------------------------------------------------------------------------------------------
 */

static int write_at(int fd, const char *data, size_t len, off_t at, struct cb_err **err)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cb_err_errno(err, errno, "write");
		data += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

/* Copies [at, end) or less when the file has become shorter; through memory, hashing when @hasher is set. */
static int copy_through_memory(int src, int dst, off_t at, off_t end, struct cb_hasher *hasher,
	const struct cb_cancel *cancel, struct cb_err **err)
{
	char chunk[CHUNK_BYTES];

	while (at < end) {
		ssize_t n = pread(src, chunk, (size_t)CB_MIN(end - at, (off_t)sizeof(chunk)), at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cb_err_errno(err, errno, "read");
		if (n == 0)
			break;
		if (hasher)
			cb_hasher_add(hasher, chunk, (size_t)n);
		r = write_at(dst, chunk, (size_t)n, at, err);
		if (r == 0)
			r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

static bool means_never(int errnum)
{
	return errnum == EOPNOTSUPP || errnum == EXDEV || errnum == ENOSYS || errnum == ENOTTY || errnum == EPERM;
}

/* 1 when the kernel does not do it from @*at on. */
static int copy_in_kernel(struct cb_copyfile_host *host, int src, int dst, off_t *at, off_t end,
	const struct cb_cancel *cancel, struct cb_err **err)
{
	while (*at < end) {
		off_t in = *at, out = *at;
		ssize_t n = copy_file_range(src, &in, dst, &out, CB_MIN((size_t)(end - *at), RANGE_BYTES), 0);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
			return cb_err_errno(err, errno, "copy");
		if (n <= 0) {
			if (n < 0 && means_never(errno))
				host->no_range = true;
			return 1;
		}
		*at += n;
		r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int copy_range(struct cb_copyfile_host *host, int src, int dst, off_t at, off_t end,
	const struct cb_cancel *cancel, struct cb_err **err)
{
	if (end - at >= SMALL_BYTES && !host->no_range) {
		int r = copy_in_kernel(host, src, dst, &at, end, cancel, err);

		if (r <= 0)
			return r;
	}
	return copy_through_memory(src, dst, at, end, NULL, cancel, err);
}

static int copy_sparse(struct cb_copyfile_host *host, int src, int dst, off_t size, const struct cb_cancel *cancel,
	struct cb_err **err)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(src, at, SEEK_DATA), hole;
		int r;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			return copy_range(host, src, dst, at, size, cancel, err);
		hole = lseek(src, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		r = copy_range(host, src, dst, data, hole, cancel, err);
		if (r < 0)
			return r;
		at = hole;
	}
	return ftruncate(dst, size) < 0 ? cb_err_errno(err, errno, "truncate") : 0;
}

static bool clone_file(struct cb_copyfile_host *host, int src, int dst)
{
	if (host->no_clone)
		return false;
	if (ioctl(dst, FICLONE, src) == 0)
		return true;
	if (means_never(errno))
		host->no_clone = true;
	return false;
}

static int copy_hashing(int src, int dst, const struct stat *st, const struct cb_hash_index *index,
	const struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	unsigned char digest[CB_CONTENT_DIGEST_SIZE];
	int r = copy_through_memory(src, dst, 0, st->st_size, hasher, cancel, err);

	if (r == 0) {
		cb_hasher_finish_bytes(hasher, digest);
		cb_content_remember(src, st, index, digest);
	}
	return r;
}

int cb_copyfile_data(struct cb_copyfile_host *host, int src, int dst, const struct stat *st,
	const struct cb_hash_index *index, const struct cb_cancel *cancel, struct cb_err **err)
{
	unsigned char digest[CB_CONTENT_DIGEST_SIZE];
	struct cb_file_id id;

	if (st->st_size == 0)
		return 0;
	cb_file_id_of(st, &id);
	if (index && !(index->lookup && index->lookup(index->userdata, &id, digest)))
		return copy_hashing(src, dst, st, index, cancel, err);
	if (clone_file(host, src, dst))
		return 0;
	if (st->st_size >= SMALL_BYTES && st->st_blocks * 512 < st->st_size)
		return copy_sparse(host, src, dst, st->st_size, cancel, err);
	return copy_range(host, src, dst, 0, st->st_size, cancel, err);
}

/* --- Metadata ------------------------------------------------------------------------------------------------------
 */

int cb_copyfile_finish(const struct cb_copyfile_host *host, int dst, const struct cb_copyfile_attr *attr, bool created,
	bool sgid, int src, struct cb_err **err)
{
	bool owned = created && !sgid && attr->owner.uid == host->euid && attr->owner.gid == host->egid;
	char capability[CAPABILITY_MAX];
	ssize_t n = src >= 0 ? fgetxattr(src, CAPABILITY, capability, sizeof(capability)) : 0;

	if (!owned && cb_owner_fchown(dst, attr->owner.uid, attr->owner.gid) < 0)
		return cb_err_errno(err, errno, "change owner to %u:%u", attr->owner.uid, attr->owner.gid);
	/* chown takes the setuid bits away, so the mode comes after it. */
	if ((!created || (attr->mode & (07000 | host->umask))) && fchmod(dst, attr->mode) < 0)
		return cb_err_errno(err, errno, "change mode");
	/* Best effort, as peers do: the file system or the user namespace may not have it. */
	if (n > 0)
		(void)!fsetxattr(dst, CAPABILITY, capability, (size_t)n, 0);
	if (futimens(dst, attr->times) < 0)
		return cb_err_errno(err, errno, "change times");
	return 0;
}
