/*
 * The zygote's own file system: a tmpfs with what sandboxes are made from. Private to zygote.c.
 */
#ifndef CB_RUNTIME_ZYGOTE_MOUNTS_H
#define CB_RUNTIME_ZYGOTE_MOUNTS_H

#include <stdbool.h>

#include <stddef.h>

/** Device nodes of every container. */
struct cb_device {
	const char *name;
	unsigned int major, minor;
};
extern const struct cb_device cb_devices[];
extern const size_t cb_n_devices;

/**
 * Replaces the mount namespace's tree by /proc, /sys (where sysfs cannot be mounted anew), /dev/<the nodes> and the
 * empty stage /s. @given_sys is a detached /sys or -1. Returns 0, or -1 with errno and *what set to what failed.
 */
int cb_zygote_mounts(int given_sys, bool old_proc, const char **what);

#endif
