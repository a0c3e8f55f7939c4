#include "runtime/overlay_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "runtime/kernel.h"

/* With userxattr the kernel turns redirects and metacopy off by itself, and refuses to be told so. */
static const struct {
	const char *key, *value;
	bool trusted_only;
} options[] = {
	{ "redirect_dir", "nofollow", true },
	{ "metacopy", "off", true },
	{ "index", "off", false },
	{ "xino", "off", false },
	{ "nfs_export", "off", true },
};

/* What the kernel says about a failed fsconfig is read from its descriptor, one message a read. */
static int fs_error(int fs, int errnum, const char *what, struct cb_err **err)
{
	char text[256], last[256] = "";
	ssize_t n;

	while ((n = read(fs, text, sizeof(text) - 1)) > 0) {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		memcpy(last, text, sizeof(last));
	}
	if (strlen(last) > 2)
		return cb_err_errno(err, errnum, "%s (%s)", what, last + 2);
	return cb_err_errno(err, errnum, "%s", what);
}

static int set_dir(const struct cb_overlay_env *env, int fs, const char *key, int fd)
{
	char path[32];

	if (env->api == CB_OVERLAY_FDS)
		return cb_sys_fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0);
}

static int set_options(const struct cb_overlay_env *env, int fs, bool writable)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if ((env->trusted || !options[i].trusted_only) &&
			cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, options[i].key, options[i].value, 0) < 0)
			return -1;
	if (!env->trusted && cb_sys_fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		return -1;
	/* No name of its own in the upper directory; kernels before 6.6 do not know the value, nor the name. */
	(void)cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "uuid", "null", 0);
	return writable ? cb_sys_fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) : 0;
}

int cb_overlay_mount_new(
	const struct cb_overlay_env *env, const struct cb_overlay_parts *parts, unsigned int attr, struct cb_err **err)
{
	cleanup_close int fs = cb_sys_fsopen("overlay");

	if (fs < 0)
		return cb_err_errno(err, errno, "open the overlay file system");
	if (cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", "cbuild", 0) < 0)
		return fs_error(fs, errno, "name overlay", err);
	for (size_t i = 0; i < parts->n_lower; i++)
		if (set_dir(env, fs, "lowerdir+", parts->lower[i]) < 0)
			return fs_error(fs, errno, "add layer to overlay", err);
	if (parts->upper >= 0 &&
		(set_dir(env, fs, "upperdir", parts->upper) < 0 || set_dir(env, fs, "workdir", parts->work) < 0))
		return fs_error(fs, errno, "add upper directory to overlay", err);
	if (set_options(env, fs, parts->upper >= 0) < 0)
		return fs_error(fs, errno, "set overlay options", err);
	if (cb_sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_error(fs, errno, "create overlay", err);

	int mnt = cb_sys_fsmount(fs, attr | (parts->upper < 0 ? MOUNT_ATTR_RDONLY : 0));
	if (mnt < 0)
		return fs_error(fs, errno, "mount overlay", err);
	return mnt;
}

bool cb_overlay_kernel_takes(enum cb_overlay_api api, int dir)
{
	const struct cb_overlay_env env = { .api = api };
	cleanup_close int fs = -EBADF;

	if (api == CB_OVERLAY_MOUNT)
		return true;
	fs = cb_sys_fsopen("overlay");
	return fs >= 0 && set_dir(&env, fs, "lowerdir+", dir) == 0;
}

/*
 * mount(2) takes one page of options, so the names must be short: a thread of its own moves to /proc/self/fd, where
 * the name of a layer is its descriptor's number, as docker does with links in a directory.
 */
struct legacy {
	const char *options, *target;
	unsigned long flags;
	int errnum;
};

static void *legacy_thread(void *arg)
{
	struct legacy *job = arg;

	if (unshare(CLONE_FS) < 0 || chdir("/proc/self/fd") < 0 ||
		mount("cbuild", job->target, "overlay", job->flags, job->options) < 0)
		job->errnum = errno;
	return NULL;
}

static void legacy_options(const struct cb_overlay_env *env, const struct cb_overlay_parts *parts, struct cb_buf *out)
{
	for (size_t i = 0; i < parts->n_lower; i++)
		cb_buf_addf(out, "%s%d", i ? ":" : "lowerdir=", parts->lower[i]);
	if (parts->upper >= 0)
		cb_buf_addf(out, ",upperdir=%d,workdir=%d,volatile", parts->upper, parts->work);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (env->trusted || !options[i].trusted_only)
			cb_buf_addf(out, ",%s=%s", options[i].key, options[i].value);
	if (!env->trusted)
		cb_buf_adds(out, ",userxattr");
}

static int legacy_mount(const char *opts, const char *target, unsigned long flags, struct cb_err **err)
{
	struct legacy job = { .options = opts, .target = target, .flags = flags };
	pthread_t thread;

	if (strlen(opts) >= 4096)
		return cb_err_set(err, CB_ERR_LIMIT,
			"too many layers: %zu bytes of mount options, this kernel takes 4095", strlen(opts));
	int r = pthread_create(&thread, NULL, legacy_thread, &job);
	if (r)
		return cb_err_errno(err, r, "start thread");
	pthread_join(thread, NULL);
	return job.errnum ? cb_err_errno(err, job.errnum, "mount overlay") : 0;
}

int cb_overlay_mount_legacy(
	const struct cb_overlay_env *env, const struct cb_overlay_parts *parts, unsigned int attr, struct cb_err **err)
{
	static atomic_uint counter;
	cleanup_buf struct cb_buf opts = { 0 };
	char name[64], target[96];
	unsigned long flags = parts->upper < 0 ? MS_RDONLY : 0;
	int r;

	legacy_options(env, parts, &opts);
	snprintf(name, sizeof(name), "mnt-%d-%u", (int)getpid(), atomic_fetch_add(&counter, 1));
	snprintf(target, sizeof(target), "/proc/self/fd/%d/%s", env->scratch_fd, name);
	flags |= attr & MOUNT_ATTR_NODEV ? MS_NODEV : 0;
	if (mkdirat(env->scratch_fd, name, 0700) < 0)
		return cb_err_errno(err, errno, "create mount point");
	r = legacy_mount(cb_buf_str(&opts), target, flags, err);
	if (r == 0) {
		r = cb_sys_open_tree(AT_FDCWD, target, OPEN_TREE_CLONE);
		if (r < 0)
			r = cb_err_errno(err, errno, "detach overlay");
		(void)umount2(target, MNT_DETACH);
	}
	(void)unlinkat(env->scratch_fd, name, AT_REMOVEDIR);
	return r;
}
