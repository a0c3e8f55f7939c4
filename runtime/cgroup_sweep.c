#include "runtime/cgroup_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strv.h"

/* A group is busy for a moment after its last process was reaped. */
#define REMOVE_TRIES 100
#define REMOVE_WAIT_NS 5000000L

static void list(int dir, const char *prefix, struct cb_strv *ret)
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

static void remove_group(int parent, const char *name)
{
	const struct timespec wait = { .tv_nsec = REMOVE_WAIT_NS };

	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			return;
		(void)nanosleep(&wait, NULL);
	}
}

void cb_cgroup_remove_tree(int parent, const char *name)
{
	cleanup_strv struct cb_strv children = { 0 };
	cleanup_close int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return;
	list(dir, "", &children);
	for (size_t i = 0; i < children.n; i++)
		remove_group(dir, children.v[i]);
	remove_group(parent, name);
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

void cb_cgroup_sweep(int parent)
{
	cleanup_strv struct cb_strv names = { 0 };

	list(parent, CB_CGROUP_PREFIX, &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_close int dir = openat(parent, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* With their cbuild the kernel has killed its processes. */
		if (dir >= 0 && is_ours(names.v[i]) && flock(dir, LOCK_EX | LOCK_NB) == 0)
			cb_cgroup_remove_tree(parent, names.v[i]);
	}
}
