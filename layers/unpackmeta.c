/* Names and metadata of unpacked entries. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/owner.h"
#include "base/strv.h"
#include "layers/unpack.h"

static int bad_name(struct cb_err **err, const char *name, const char *why)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "archive entry \"%s\": %s", name, why);
}

int cb_unpack_clean(const char *name, char **ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf out = { 0 };
	unsigned int depth = 0;

	if (name[0] == '\0')
		return bad_name(err, name, "empty name");

	for (const char *p = name + strspn(name, "/"); *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && memcmp(p, "..", 2) == 0) {
			const char *slash = out.len > 0 ? memrchr(out.data, '/', out.len) : NULL;

			if (depth-- == 0)
				return bad_name(err, name, "the name leads out of the archive");
			cb_buf_truncate(&out, slash ? (size_t)(slash - out.data) : 0);
		} else if (len > 0 && !(len == 1 && *p == '.')) {
			if (++depth > CB_APPLY_DEPTH_MAX)
				return bad_name(err, name, "too many directories");
			if (out.len > 0)
				cb_buf_addc(&out, '/');
			cb_buf_add(&out, p, len);
		}
		p += len;
		p += strspn(p, "/");
	}
	*ret = cb_buf_take(&out);
	return 0;
}

static int failed(struct cb_err **err, const struct cb_unpack_entry *e, const char *what)
{
	return cb_err_errno(err, errno, "unpack \"%s\": %s", e->path, what);
}

static int owner_failed(struct cb_err **err, const struct cb_unpack_entry *e, uint32_t uid, uint32_t gid)
{
	int code = cb_err_errno(err, errno, "unpack \"%s\": set owner %u:%u", e->path, uid, gid);

	if (errno == EINVAL)
		return cb_err_hint(err, code, "the id is not mapped; give this user more subordinate ids");
	return code;
}

static bool xattr_allowed(const struct cb_unpack *u, const char *name)
{
	if (strcmp(name, "security.capability") == 0)
		return true;
	if (strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0)
		return true;
	/* Owners are recorded by us, not by archives. */
	return cb_str_starts(name, "user.") && strcmp(name, CB_OWNER_XATTR) != 0 && !cb_overlay_xattr(name, u->flavour);
}

static int set_xattrs(struct cb_unpack *u, const struct cb_unpack_entry *e, int fd, struct cb_err **err)
{
	for (size_t i = 0; i < e->item->n_xattrs; i++) {
		const struct cb_tar_xattr *x = &e->item->xattrs[i];

		if (!xattr_allowed(u, x->name) || fsetxattr(fd, x->name, x->value, x->len, 0) == 0)
			continue;
		/* File systems without them, and ids that are not mapped: best effort, as everywhere. */
		if (errno == ENOTSUP || (cb_owner_recorded() && (errno == EPERM || errno == EINVAL)))
			continue;
		return cb_err_errno(err, errno, "unpack \"%s\": set attribute %s", e->path, x->name);
	}
	return 0;
}

int cb_unpack_set_meta(struct cb_unpack *u, const struct cb_unpack_entry *e, int fd, bool is_dir, struct cb_err **err)
{
	const struct cb_tar_item *item = e->item;
	uint32_t uid = u->chown ? u->uid : item->uid, gid = u->chown ? u->gid : item->gid;
	int r;

	/* In this order: chown clears set-id bits and capabilities. */
	if (cb_owner_fchown(fd, uid, gid) < 0)
		return owner_failed(err, e, uid, gid);
	r = set_xattrs(u, e, fd, err);
	if (r < 0)
		return r;
	if (fchmod(fd, item->mode) < 0)
		return failed(err, e, "set mode");
	if (!is_dir) {
		const struct timespec times[2] = { item->mtime, item->mtime };

		if (futimens(fd, times) < 0)
			return failed(err, e, "set time");
	}
	return 0;
}

int cb_unpack_set_meta_at(struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_err **err)
{
	const struct cb_tar_item *item = e->item;
	uint32_t uid = u->chown ? u->uid : item->uid, gid = u->chown ? u->gid : item->gid;
	const struct timespec times[2] = { item->mtime, item->mtime };

	if (cb_owner_fchownat(e->parent_fd, e->name, uid, gid) < 0)
		return owner_failed(err, e, uid, gid);
	/* The name was made by us a moment ago in a directory that nobody else writes: it is no symlink. */
	if (item->type != CB_TAR_SYMLINK && fchmodat(e->parent_fd, e->name, item->mode, 0) < 0)
		return failed(err, e, "set mode");
	if (utimensat(e->parent_fd, e->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(err, e, "set time");
	return 0;
}
