#include "layers/whiteout.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/owner.h"
#include "base/path.h"
#include "base/strv.h"

int cb_whiteout_make(int dirfd, const char *name, struct cb_err **err)
{
	if (cb_owner_mknodat(dirfd, name, S_IFCHR, 0) == 0)
		return 0;
	if (errno == EEXIST) {
		int r = cb_path_remove_tree(dirfd, name, err);

		if (r < 0)
			return r;
		if (cb_owner_mknodat(dirfd, name, S_IFCHR, 0) == 0)
			return 0;
	}
	return cb_err_errno(err, errno, "make whiteout \"%s\"", name);
}

int cb_opaque_get(int fd, enum cb_flavour flavour, struct cb_err **err)
{
	char value[2];
	ssize_t n = fgetxattr(fd, cb_flavour_opaque(flavour), value, sizeof(value));

	if (n >= 0)
		return n == 1 && value[0] == 'y';
	/* ERANGE: longer than the mark. */
	if (errno == ENODATA || errno == ENOTSUP || errno == ERANGE)
		return 0;
	return cb_err_errno(err, errno, "read attribute %s", cb_flavour_opaque(flavour));
}

int cb_opaque_set(int fd, enum cb_flavour flavour, struct cb_err **err)
{
	if (fsetxattr(fd, cb_flavour_opaque(flavour), "y", 1, 0) < 0)
		return cb_err_errno(err, errno, "set attribute %s", cb_flavour_opaque(flavour));
	return 0;
}

bool cb_overlay_xattr(const char *name, enum cb_flavour flavour)
{
	return cb_str_starts(name, cb_flavour_prefix(flavour));
}
