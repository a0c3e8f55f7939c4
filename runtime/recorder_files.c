/* Owners of files: what chown records and stat gives back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/recorder_request.h"

/* Inodes of file systems without user attributes (pipes, an older tmpfs) that are remembered. */
#define ODD_MAX 65536
#define NO_ID ((uint32_t)-1)

/* ---- records -------------------------------------------------------------------------------------------------- */

int cb_request_stat(const struct cb_request_name *name, bool follow, struct stat *ret)
{
	return fstatat(AT_FDCWD, name->text, ret, follow || name->is_fd ? 0 : AT_SYMLINK_NOFOLLOW);
}

static void odd_key(const struct stat *st, char key[static 48])
{
	snprintf(key, 48, "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
}

static bool get_odd(
	struct cb_recorder *rec, const struct cb_request_name *name, bool follow, struct cb_owner_record *ret)
{
	const struct cb_owner_record *record;
	struct stat st;
	char key[48];

	if (!cb_map_len(rec->odd) || cb_request_stat(name, follow, &st) < 0)
		return false;
	odd_key(&st, key);
	record = cb_map_get(rec->odd, key);
	if (record)
		*ret = *record;
	return record != NULL;
}

bool cb_recorder_get(
	struct cb_recorder *rec, const struct cb_request_name *name, bool follow, struct cb_owner_record *ret)
{
	char value[CB_OWNER_VALUE_MAX];
	bool links = follow || name->is_fd;
	ssize_t n = links ? getxattr(name->text, CB_OWNER_XATTR, value, sizeof(value))
			  : lgetxattr(name->text, CB_OWNER_XATTR, value, sizeof(value));

	if (n > 0)
		return cb_owner_decode(S_IFREG, value, (size_t)n, ret);
	if (n < 0 && errno != ENODATA)
		return errno == ENOTSUP && get_odd(rec, name, follow, ret);
	/* On a file this is another thing, which does not look like a record. */
	n = links ? getxattr(name->text, CB_OWNER_XATTR_SPECIAL, value, sizeof(value))
		  : lgetxattr(name->text, CB_OWNER_XATTR_SPECIAL, value, sizeof(value));
	return n > 0 && cb_owner_decode(S_IFSOCK, value, (size_t)n, ret);
}

static int set_odd(struct cb_recorder *rec, const struct stat *st, const struct cb_owner_record *record)
{
	char key[48];

	odd_key(st, key);
	if (cb_map_len(rec->odd) >= ODD_MAX && !cb_map_has(rec->odd, key)) {
		errno = ENOSPC;
		return -1;
	}
	cb_map_set(rec->odd, key, cb_xmemdup(record, sizeof(*record)));
	return 0;
}

int cb_recorder_set(struct cb_recorder *rec, const struct cb_request_name *name, bool follow, const struct stat *st,
	const struct cb_owner_record *record)
{
	const char *attribute = cb_owner_xattr(st->st_mode);
	char value[CB_OWNER_VALUE_MAX];
	bool links = follow || name->is_fd;
	int r;

	if (!record->uid && !record->gid && !record->type) {
		r = links ? removexattr(name->text, attribute) : lremovexattr(name->text, attribute);
		if (r < 0 && errno == ENODATA)
			r = 0;
	} else {
		size_t len = cb_owner_encode(st->st_mode, record, value);
		r = links ? setxattr(name->text, attribute, value, len, 0)
			  : lsetxattr(name->text, attribute, value, len, 0);
	}
	return r < 0 && errno == ENOTSUP ? set_odd(rec, st, record) : r;
}

/* ---- chown ---------------------------------------------------------------------------------------------------- */

static bool in_group(const struct cb_recorder_ids *ids, gid_t gid)
{
	for (unsigned int i = 0; i < ids->n_groups; i++)
		if (ids->groups[i] == gid)
			return true;
	return ids->fsgid == gid;
}

/* The kernel's rule for who has no CAP_CHOWN: a file of one's own may change to a group of one's own. */
static bool may_chown(const struct cb_recorder_ids *ids, const struct cb_owner_record *now, uint32_t uid, uint32_t gid)
{
	if (!ids->euid)
		return true;
	return now->uid == ids->fsuid && (uid == NO_ID || uid == now->uid) &&
	       (gid == NO_ID || gid == now->gid || in_group(ids, gid));
}

/* Whoever gets a file does not get the powers that it gave to those who ran it. */
static void drop_powers(const struct cb_request_name *name, const struct stat *st)
{
	mode_t drop = (st->st_mode & S_ISUID) | (st->st_mode & S_IXGRP ? st->st_mode & S_ISGID : 0);

	if (!S_ISREG(st->st_mode))
		return;
	if (drop)
		(void)chmod(name->text, st->st_mode & 07777 & ~drop);
	(void)removexattr(name->text, "security.capability");
}

static void change_owner(struct cb_request *req, int dirfd, uint64_t path, int flags, uint32_t uid, uint32_t gid)
{
	struct cb_owner_record now = { 0 };
	struct cb_request_name name;
	bool follow = !(flags & AT_SYMLINK_NOFOLLOW);
	struct stat st;

	/* What we cannot see, the kernel refuses by itself. */
	if (cb_request_name(req, dirfd, path, flags, &name) < 0 || cb_request_stat(&name, follow, &st) < 0) {
		cb_request_go_on(req);
		return;
	}
	(void)cb_recorder_get(req->rec, &name, follow, &now);
	if (!may_chown(cb_recorder_ids_of(req), &now, uid, gid)) {
		cb_request_fail(req, EPERM);
		return;
	}
	if (uid == NO_ID && gid == NO_ID)
		return;
	drop_powers(&name, &st);
	struct cb_owner_record want = now;
	want.uid = uid == NO_ID ? now.uid : uid;
	want.gid = gid == NO_ID ? now.gid : gid;
	if (want.uid == now.uid && want.gid == now.gid)
		return;
	if (cb_recorder_set(req->rec, &name, follow, &st, &want) < 0)
		cb_request_fail(req, errno);
}

void cb_record_chown(struct cb_request *req)
{
	change_owner(req, AT_FDCWD, req->args[0], 0, (uint32_t)req->args[1], (uint32_t)req->args[2]);
}

void cb_record_lchown(struct cb_request *req)
{
	change_owner(req, AT_FDCWD, req->args[0], AT_SYMLINK_NOFOLLOW, (uint32_t)req->args[1], (uint32_t)req->args[2]);
}

void cb_record_fchown(struct cb_request *req)
{
	change_owner(req, (int)req->args[0], 0, AT_EMPTY_PATH, (uint32_t)req->args[1], (uint32_t)req->args[2]);
}

void cb_record_fchownat(struct cb_request *req)
{
	change_owner(req, (int)req->args[0], req->args[1], (int)req->args[4], (uint32_t)req->args[2],
		(uint32_t)req->args[3]);
}

/* ---- stat ----------------------------------------------------------------------------------------------------- */

/* Most files have no record: then the kernel's answer is right, and the system call just goes on. */
static bool recorded(struct cb_request *req, int dirfd, uint64_t path, int flags, struct cb_request_name *name,
	struct cb_owner_record *record)
{
	if (cb_request_name(req, dirfd, path, flags, name) == 0 &&
		cb_recorder_get(req->rec, name, !(flags & AT_SYMLINK_NOFOLLOW), record))
		return true;
	cb_request_go_on(req);
	return false;
}

static void give_stat(struct cb_request *req, int dirfd, uint64_t path, int flags, uint64_t out)
{
	struct cb_request_name name;
	struct cb_owner_record record;
	struct stat st;

	if (!recorded(req, dirfd, path, flags, &name, &record))
		return;
	if (cb_request_stat(&name, !(flags & AT_SYMLINK_NOFOLLOW), &st) < 0) {
		cb_request_go_on(req);
		return;
	}
	cb_owner_apply(&record, &st);
	if (cb_request_write(req, out, &st, sizeof(st)) < 0)
		cb_request_fail(req, errno);
}

void cb_record_stat(struct cb_request *req)
{
	give_stat(req, AT_FDCWD, req->args[0], 0, req->args[1]);
}

void cb_record_lstat(struct cb_request *req)
{
	give_stat(req, AT_FDCWD, req->args[0], AT_SYMLINK_NOFOLLOW, req->args[1]);
}

void cb_record_fstat(struct cb_request *req)
{
	give_stat(req, (int)req->args[0], 0, AT_EMPTY_PATH, req->args[1]);
}

void cb_record_newfstatat(struct cb_request *req)
{
	give_stat(req, (int)req->args[0], req->args[1], (int)req->args[3], req->args[2]);
}

void cb_record_statx(struct cb_request *req)
{
	int flags = (int)req->args[2];
	struct cb_request_name name;
	struct cb_owner_record record;
	struct statx stx;

	if (!recorded(req, (int)req->args[0], req->args[1], flags, &name, &record))
		return;
	int ours = (flags & ~AT_EMPTY_PATH) & (name.is_fd ? ~AT_SYMLINK_NOFOLLOW : ~0);
	if (statx(AT_FDCWD, name.text, ours, (unsigned int)req->args[3], &stx) < 0) {
		cb_request_go_on(req);
		return;
	}
	stx.stx_uid = record.uid;
	stx.stx_gid = record.gid;
	if (record.type) {
		stx.stx_mode = (__u16)((stx.stx_mode & 07777) | record.type);
		stx.stx_rdev_major = major(record.rdev);
		stx.stx_rdev_minor = minor(record.rdev);
		stx.stx_size = 0;
	}
	if (cb_request_write(req, req->args[4], &stx, sizeof(stx)) < 0)
		cb_request_fail(req, errno);
}

/* ---- listxattr ------------------------------------------------------------------------------------------------ */

/* Programs that copy attributes (cp -a) must not copy a record where they would not copy an owner. */
static size_t without_records(const struct cb_request_name *name, bool links, char *list, size_t len)
{
	struct cb_owner_record record;
	char value[CB_OWNER_VALUE_MAX];
	size_t kept = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(list + at, len - at) + 1;
		bool hide = strcmp(list + at, CB_OWNER_XATTR) == 0;
		if (strcmp(list + at, CB_OWNER_XATTR_SPECIAL) == 0) {
			ssize_t m = links ? getxattr(name->text, CB_OWNER_XATTR_SPECIAL, value, sizeof(value))
					  : lgetxattr(name->text, CB_OWNER_XATTR_SPECIAL, value, sizeof(value));
			hide = m > 0 && cb_owner_decode(S_IFSOCK, value, (size_t)m, &record);
		}
		if (!hide) {
			memmove(list + kept, list + at, n);
			kept += n;
		}
		at += n;
	}
	return kept;
}

static void give_list(struct cb_request *req, int dirfd, uint64_t path, int flags, uint64_t out, uint64_t size)
{
	/* The kernel's limit (XATTR_LIST_MAX), and a NUL to be sure. */
	static char list[65536 + 1];
	struct cb_request_name name;

	if (cb_request_name(req, dirfd, path, flags, &name) < 0) {
		cb_request_go_on(req);
		return;
	}
	bool links = !(flags & AT_SYMLINK_NOFOLLOW) || name.is_fd;
	ssize_t n =
		links ? listxattr(name.text, list, sizeof(list) - 1) : llistxattr(name.text, list, sizeof(list) - 1);
	if (n <= 0) {
		cb_request_go_on(req);
		return;
	}
	list[n] = '\0';
	size_t len = without_records(&name, links, list, (size_t)n);
	if (size && size < len)
		cb_request_fail(req, ERANGE);
	else if (size && cb_request_write(req, out, list, len) < 0)
		cb_request_fail(req, errno);
	else
		cb_request_return(req, (int64_t)len);
}

void cb_record_listxattr(struct cb_request *req)
{
	give_list(req, AT_FDCWD, req->args[0], 0, req->args[1], req->args[2]);
}

void cb_record_llistxattr(struct cb_request *req)
{
	give_list(req, AT_FDCWD, req->args[0], AT_SYMLINK_NOFOLLOW, req->args[1], req->args[2]);
}

void cb_record_flistxattr(struct cb_request *req)
{
	give_list(req, (int)req->args[0], 0, AT_EMPTY_PATH, req->args[1], req->args[2]);
}
