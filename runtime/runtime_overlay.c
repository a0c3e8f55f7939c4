/* Which kind of overlay can be mounted on the store: each is tried as it will be used. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "runtime/kernel.h"
#include "runtime/mapped.h"
#include "runtime/overlay_mount.h"
#include "runtime/runtime_private.h"

static int try_stub(struct cb_runtime *rt, bool on_disk, struct cb_err **err)
{
	char name[32];

	if (rt->stub >= 0)
		close(rt->stub);
	if (*rt->stub_name)
		cb_overlay_detach(&rt->overlay, rt->stub_name);
	*rt->stub_name = '\0';
	snprintf(name, sizeof(name), "stub-%d", (int)getpid());
	rt->stub_on_disk = on_disk;
	rt->stub = on_disk ? cb_stub_new_on_disk(&rt->overlay, name, err) : cb_stub_new(&rt->overlay, NULL, 0, err);
	if (rt->stub < 0)
		return rt->stub;
	if (on_disk && rt->overlay.userns_fd >= 0) {
		/* With owners that the namespace knows, as the layers. */
		int clone = cb_overlay_clone(&rt->overlay, rt->stub, 0, err);
		if (clone < 0)
			return clone;
		close(rt->stub);
		rt->stub = clone;
		int r = cb_overlay_attach(&rt->overlay, clone, rt->stub_name, err);
		if (r < 0)
			return r;
	}
	cb_closep(&rt->stub_empty);
	/* On disk, the inside of an empty target is as empty as a directory can be. */
	rt->stub_empty = on_disk ? openat(rt->stub, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC)
				 : cb_stub_new_empty(&rt->overlay, err);
	return rt->stub_empty < 0 ? rt->stub_empty : 0;
}

/* One overlay like those to come: two directories of the store's file system below @dir. */
static int try_overlay(struct cb_runtime *rt, int dir, struct cb_err **err)
{
	static const char *const names[] = { "lower", "fs", "work" };
	int fds[3] = { -EBADF, -EBADF, -EBADF }, r = 0;

	for (size_t i = 0; r == 0 && i < 3; i++) {
		fds[i] = mkdirat(dir, names[i], 0755) < 0 && errno != EEXIST
				 ? -1
				 : openat(dir, names[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[i] < 0)
			r = cb_err_errno(err, errno, "create trial directory");
	}
	/* What a try that failed left there has the mark of a volatile overlay, which the kernel does not mount again.
	 */
	if (r == 0)
		r = cb_overlay_clean_work(fds[2], err);
	if (r == 0)
		r = cb_overlay_mount(&rt->overlay, rt->stub, fds, 1, fds[1], fds[2], MOUNT_ATTR_NODEV, err);
	if (r >= 0) {
		close(r);
		r = 0;
	}
	for (size_t i = 0; i < 3; i++)
		cb_closep(&fds[i]);
	return r;
}

/* What was made before was made for another namespace, or in another way. */
static void renew_mapped(struct cb_runtime *rt)
{
	rt->overlay.mapped = cb_mapped_free(rt->overlay.mapped, &rt->overlay);
	if (rt->overlay.userns_fd >= 0)
		rt->overlay.mapped = cb_mapped_new(rt->options.store_fd > 0 ? rt->options.store_fd : -1);
}

static int try_api(struct cb_runtime *rt, enum cb_overlay_api api, int dir, struct cb_err **err)
{
	int r = -1;

	rt->overlay.api = api;
	for (int on_disk = 0; r < 0 && on_disk < 2; on_disk++) {
		cleanup_err struct cb_err *why = NULL;
		rt->overlay.attach = on_disk;
		renew_mapped(rt);
		r = try_stub(rt, on_disk != 0, &why);
		if (r == 0)
			r = try_overlay(rt, dir, &why);
		if (r == 0)
			return 0;
		cb_log_debug("overlay api %d: %s", api, cb_err_msg(why));
		/* The second is the one that all kernels take. */
		cb_err_free(*err);
		*err = CB_TAKE_PTR(why);
	}
	return r;
}

/*
 * Of several failures, that of the first way that this kernel knows is the one to tell: it should work. What is newer
 * fails on each host with that kernel, and says nothing.
 */
static int choose_api(struct cb_runtime *rt, enum cb_overlay_api want, int dir, struct cb_err **err)
{
	bool told = false;
	int r = -1;

	for (enum cb_overlay_api api = CB_OVERLAY_FDS; api <= CB_OVERLAY_MOUNT; api++) {
		cleanup_err struct cb_err *why = NULL;
		if (want != CB_OVERLAY_AUTO && want != api)
			continue;
		r = try_api(rt, api, dir, &why);
		if (r == 0) {
			rt->info.overlay_api = api;
			return 0;
		}
		if (told)
			continue;
		cb_err_free(*err);
		*err = CB_TAKE_PTR(why);
		told = cb_overlay_kernel_takes(api, dir);
	}
	return r;
}

int cb_runtime_probe_overlay(struct cb_runtime *rt, enum cb_overlay_api want, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "trial-%d", (int)getpid());
	if (mkdirat(rt->overlay.scratch_fd, name, 0700) < 0 && errno != EEXIST)
		return cb_err_errno(err, errno, "create trial directory");
	cleanup_close int dir = openat(rt->overlay.scratch_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return cb_err_errno(err, errno, "open trial directory");
	r = choose_api(rt, want, dir, &why);
	cleanup_close int work = openat(dir, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (work >= 0)
		(void)cb_overlay_clean_work(work, NULL);
	(void)cb_path_remove_tree(rt->overlay.scratch_fd, name, NULL);
	return r < 0 ? cb_err_move(err, CB_TAKE_PTR(why)) : 0;
}

int cb_runtime_probe_bind(struct cb_runtime *rt, struct cb_err **err)
{
	cleanup_close int clone = cb_overlay_clone(&rt->overlay, rt->overlay.scratch_fd, MOUNT_ATTR_NODEV, err);

	return clone < 0 ? clone : 0;
}
