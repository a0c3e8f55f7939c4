/* New files: they belong to who makes them, and to the group of a directory with the set-group-id bit. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/recorder_request.h"

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

/* Who a new entry of the directory @parent belongs to. False: to 0:0, for which nothing needs to be done. */
static bool new_owner(struct cb_request *req, const struct cb_request_name *parent, struct cb_owner_record *ret)
{
	const struct cb_recorder_ids *ids = cb_recorder_ids_of(req);
	struct cb_owner_record dir;
	struct stat st;

	*ret = (struct cb_owner_record){ .uid = ids->fsuid, .gid = ids->fsgid };
	if (cb_recorder_get(req->rec, parent, true, &dir)) {
		if (cb_request_stat(parent, true, &st) == 0 && st.st_mode & S_ISGID)
			ret->gid = dir.gid;
	} else if (ids->fsgid && cb_request_stat(parent, true, &st) == 0 && st.st_mode & S_ISGID) {
		ret->gid = 0;
	}
	return ret->uid || ret->gid;
}

/* What /proc says of the asking process behind @name; @unknown when it does not. */
static uint64_t status_of(const struct cb_request *req, const char *name, int base, uint64_t unknown)
{
	char path[32], text[4096];
	const char *at;

	snprintf(path, sizeof(path), "%d/status", (int)req->pid);
	cleanup_close int fd = openat(req->rec->proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : cb_fd_read_full(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return unknown;
	text[n] = '\0';
	at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, base) : unknown;
}

/* The file mode creation mask of the asking process; the system calls of ours have none. */
static mode_t mask_of(const struct cb_request *req)
{
	return (mode_t)status_of(req, "\nUmask:", 8, 022) & 0777;
}

/* Whoever is not root has lost them all, as far as was told. */
static bool may_make_devices(const struct cb_request *req)
{
	return !cb_recorder_ids_of(req)->euid && status_of(req, "\nCapEff:", 16, 0) & 1U << CAP_MKNOD;
}

/* Records the owner of what was just made. */
static void own(struct cb_request *req, const struct cb_request_name *name, const struct cb_owner_record *owner)
{
	struct stat st;

	if (cb_request_stat(name, false, &st) < 0 || cb_recorder_set(req->rec, name, false, &st, owner) < 0)
		cb_request_fail(req, errno);
}

/* The names of a new entry and of its directory, and its owner; false when the call can just go on. */
static bool prepare(
	struct cb_request *req, int dirfd, uint64_t path, struct cb_request_name *name, struct cb_owner_record *owner)
{
	struct cb_request_name parent;

	if (cb_request_name(req, dirfd, path, 0, name) == 0) {
		cb_request_parent(name, &parent);
		if (new_owner(req, &parent, owner))
			return true;
	}
	cb_request_go_on(req);
	return false;
}

/* ---- directories, links, nodes -------------------------------------------------------------------------------- */

static void make_dir(struct cb_request *req, int dirfd, uint64_t path, mode_t mode)
{
	struct cb_owner_record owner;
	struct cb_request_name name;

	if (!prepare(req, dirfd, path, &name, &owner))
		return;
	if (mkdirat(AT_FDCWD, name.text, mode & 01777 & ~mask_of(req)) < 0)
		cb_request_fail(req, errno);
	else
		own(req, &name, &owner);
}

void cb_record_mkdir(struct cb_request *req)
{
	make_dir(req, AT_FDCWD, req->args[0], (mode_t)req->args[1]);
}

void cb_record_mkdirat(struct cb_request *req)
{
	make_dir(req, (int)req->args[0], req->args[1], (mode_t)req->args[2]);
}

static void make_link(struct cb_request *req, uint64_t target, int dirfd, uint64_t path)
{
	struct cb_owner_record owner;
	struct cb_request_name name;
	char text[PATH_MAX];

	if (!prepare(req, dirfd, path, &name, &owner))
		return;
	if (cb_request_string(req, target, text, sizeof(text)) < 0 || symlinkat(text, AT_FDCWD, name.text) < 0)
		cb_request_fail(req, errno);
	else
		own(req, &name, &owner);
}

void cb_record_symlink(struct cb_request *req)
{
	make_link(req, req->args[0], AT_FDCWD, req->args[1]);
}

void cb_record_symlinkat(struct cb_request *req)
{
	make_link(req, req->args[0], (int)req->args[1], req->args[2]);
}

/* new_decode_dev of the kernel. */
static dev_t device_of(uint32_t dev)
{
	return makedev((dev & 0xfff00) >> 8, (dev & 0xff) | ((dev >> 12) & 0xfff00));
}

static void make_device(struct cb_request *req, int dirfd, uint64_t path, mode_t mode, uint32_t dev)
{
	struct cb_owner_record owner;
	struct cb_request_name name, parent;

	/* 0:0 would be a whiteout, which overlay refuses to make as well. */
	if (!dev || !may_make_devices(req) || cb_request_name(req, dirfd, path, 0, &name) < 0) {
		cb_request_go_on(req);
		return;
	}
	cb_request_parent(&name, &parent);
	(void)new_owner(req, &parent, &owner);
	owner.type = mode & S_IFMT;
	owner.rdev = device_of(dev);
	if (mknodat(AT_FDCWD, name.text, S_IFSOCK | (mode & 07777 & ~mask_of(req)), 0) < 0)
		cb_request_fail(req, errno);
	else
		own(req, &name, &owner);
}

static void make_node(struct cb_request *req, int dirfd, uint64_t path, mode_t mode, uint32_t dev)
{
	struct cb_owner_record owner;
	struct cb_request_name name;

	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		make_device(req, dirfd, path, mode, dev);
		return;
	}
	if (!prepare(req, dirfd, path, &name, &owner))
		return;
	if (mknodat(AT_FDCWD, name.text, (mode & S_IFMT) | (mode & 07777 & ~mask_of(req)), 0) < 0)
		cb_request_fail(req, errno);
	else
		own(req, &name, &owner);
}

void cb_record_mknod(struct cb_request *req)
{
	make_node(req, AT_FDCWD, req->args[0], (mode_t)req->args[1], (uint32_t)req->args[2]);
}

void cb_record_mknodat(struct cb_request *req)
{
	make_node(req, (int)req->args[0], req->args[1], (mode_t)req->args[2], (uint32_t)req->args[3]);
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

/* Gives the descriptor as the result of the system call. */
static void give_fd(struct cb_request *req, int fd, uint64_t flags)
{
	struct seccomp_notif_addfd add = {
		.id = req->notif->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (__u32)fd,
		.newfd_flags = flags & O_CLOEXEC ? O_CLOEXEC : 0,
	};

	if (ioctl(req->rec->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0)
		req->answered = true;
	else
		cb_request_fail(req, errno == EINVAL ? EMFILE : errno);
}

static bool record_fd(struct cb_request *req, int fd, const struct cb_owner_record *owner)
{
	struct cb_request_name name = { .is_fd = true };
	struct stat st;

	snprintf(name.text, sizeof(name.text), "self/fd/%d", fd);
	if (fstat(fd, &st) == 0 && cb_recorder_set(req->rec, &name, true, &st, owner) == 0)
		return true;
	cb_request_fail(req, errno);
	return false;
}

static void open_file(struct cb_request *req, int dirfd, uint64_t path, uint64_t flags, mode_t mode)
{
	bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
	struct cb_owner_record owner;
	struct cb_request_name name, parent;
	struct stat st;
	int fd;

	if (cb_request_name(req, dirfd, path, 0, &name) < 0) {
		cb_request_go_on(req);
		return;
	}
	if (nameless)
		parent = name;
	else
		cb_request_parent(&name, &parent);
	/* What is there already is only opened, and a link is followed, by the kernel. */
	if (!new_owner(req, &parent, &owner) || (!nameless && cb_request_stat(&name, false, &st) == 0)) {
		cb_request_go_on(req);
		return;
	}
	fd = open(name.text, (int)flags | O_CLOEXEC | (nameless ? 0 : O_EXCL), mode & 07777 & ~mask_of(req));
	/* Somebody else was faster: then it is there. */
	if (fd < 0 && errno == EEXIST && !(flags & O_EXCL))
		cb_request_go_on(req);
	else if (fd < 0)
		cb_request_fail(req, errno);
	else if (record_fd(req, fd, &owner))
		give_fd(req, fd, flags);
	if (fd >= 0)
		close(fd);
}

void cb_record_open(struct cb_request *req)
{
	open_file(req, AT_FDCWD, req->args[0], req->args[1], (mode_t)req->args[2]);
}

void cb_record_creat(struct cb_request *req)
{
	open_file(req, AT_FDCWD, req->args[0], O_CREAT | O_WRONLY | O_TRUNC, (mode_t)req->args[1]);
}

void cb_record_openat(struct cb_request *req)
{
	open_file(req, (int)req->args[0], req->args[1], req->args[2], (mode_t)req->args[3]);
}

void cb_record_openat2(struct cb_request *req)
{
	struct open_how how;

	/* With rules for how the path is looked up, only the kernel can do it. */
	if (req->args[3] < sizeof(how) || cb_request_read(req, req->args[2], &how, sizeof(how)) < 0 || how.resolve ||
		!(how.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))))
		cb_request_go_on(req);
	else
		open_file(req, (int)req->args[0], req->args[1], how.flags, (mode_t)how.mode);
}

void cb_record_chroot(struct cb_request *req)
{
	req->rec->roots_vary = true;
	cb_request_go_on(req);
}
