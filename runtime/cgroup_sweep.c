#include "runtime/cgroup_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strv.h"
#include "runtime/cgroup_control.h"
#include "runtime/cgroup_leaf.h"

/* A group is busy for a moment after its last process was reaped. */
#define REMOVE_WAIT_MS 5U

void cb_cgroup_list(int dir, const char *prefix, struct cb_strv *ret)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		cb_closep(&copy);
		return;
	}
	while ((e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.' && cb_str_starts(e->d_name, prefix))
			cb_strv_add(ret, e->d_name);
	closedir(d);
}

static void remove_group(int parent, const char *name, unsigned int patience_ms)
{
	const struct timespec wait = { .tv_nsec = REMOVE_WAIT_MS * 1000000L };

	for (unsigned int ms = 0;; ms += REMOVE_WAIT_MS) {
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != EBUSY || ms >= patience_ms)
			return;
		(void)nanosleep(&wait, NULL);
	}
}

static void remove_sandboxes(int dir, unsigned int patience_ms)
{
	cleanup_strv struct cb_strv children = { 0 };

	cb_cgroup_list(dir, "", &children);
	for (size_t i = 0; i < children.n; i++)
		if (strcmp(children.v[i], CB_CGROUP_SELF) != 0)
			remove_group(dir, children.v[i], patience_ms);
}

void cb_cgroup_place_remove(const struct cb_cgroup_place *place, unsigned int patience_ms)
{
	cleanup_close int dir = -EBADF;

	if (place->made) {
		(void)unlinkat(place->above, place->name, AT_REMOVEDIR);
	} else {
		dir = openat(place->above, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir >= 0) {
			remove_sandboxes(dir, patience_ms);
			cb_cgroup_take_all(dir);
		}
	}
	cb_cgroup_lock(place->above);
	cb_cgroup_take_back(place->above);
	/*
	 * A group with controllers for its children takes no processes: when others use them by now, we stay where we
	 * are, and the next start removes what is left.
	 */
	if (dir >= 0 && cb_cgroup_return(place->above, dir))
		remove_group(place->above, place->name, patience_ms);
	cb_cgroup_unlock(place->above);
}

/* Exactly as we make them: a scope of that name may be anybody's. */
static bool is_ours(const char *name)
{
	size_t digits, hex;

	name += strlen(CB_CGROUP_PREFIX);
	digits = strspn(name, "0123456789");
	hex = name[digits] == '-' ? strspn(name + digits + 1, "0123456789abcdef") : 0;
	return digits && hex == 8 && name[digits + 1 + hex] == '\0';
}

static void sweep_one(int parent, const char *name)
{
	struct cb_cgroup_place place = { .above = parent };

	snprintf(place.name, sizeof(place.name), "%s", name);
	cb_cgroup_place_remove(&place, CB_CGROUP_PATIENCE_MS);
}

void cb_cgroup_sweep(int parent)
{
	cleanup_strv struct cb_strv names = { 0 };

	cb_cgroup_list(parent, CB_CGROUP_PREFIX, &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_close int dir = openat(parent, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* With their cbuild the kernel has killed its processes. */
		if (dir >= 0 && is_ours(names.v[i]) && flock(dir, LOCK_EX | LOCK_NB) == 0)
			sweep_one(parent, names.v[i]);
	}
}
