#include "runtime/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strv.h"
#include "runtime/cgroup_control.h"
#include "runtime/cgroup_heir.h"
#include "runtime/cgroup_leaf.h"
#include "runtime/cgroup_sweep.h"

/* Our directory in one hierarchy. */
struct base {
	bool v2;
	unsigned int controllers;
	int dir; /* locked */
	struct cb_cgroup_setting settings[CB_CGROUP_SETTINGS_MAX];
	size_t n_settings;
};

struct cb_cgroups {
	char name[CB_CGROUP_NAME_MAX];
	bool required;
	struct base v[CB_CGROUP_HIERARCHIES];
	size_t n;
	unsigned int last;
	struct cb_cgroup_heir *heir; /* not ours; or NULL */
	struct cb_cgroup_place *places;
	size_t n_places, cap_places;
};

/* ---- one hierarchy -------------------------------------------------------------------------------------------- */

static void base_done(struct base *base)
{
	cb_closep(&base->dir);
	for (size_t i = 0; i < base->n_settings; i++)
		free(base->settings[i].value);
	*base = (struct base){ .dir = -EBADF };
}

/* Before it is there: so it is removed, whatever happens. */
static int remember(struct cb_cgroups *groups, int above, const char *name, bool made)
{
	struct cb_cgroup_place place = { .above = fcntl(above, F_DUPFD_CLOEXEC, 3), .made = made };

	if (place.above < 0)
		return -1;
	snprintf(place.name, sizeof(place.name), "%s", name);
	if (groups->heir)
		cb_cgroup_heir_tell(groups->heir, &place);
	CB_GROW(groups->places, groups->cap_places, groups->n_places + 1);
	groups->places[groups->n_places++] = place;
	return 0;
}

/* The last @n of the remembered ones again. */
static void forget(struct cb_cgroups *groups, size_t n)
{
	for (; n > 0 && groups->n_places > 0; n--) {
		struct cb_cgroup_place *place = &groups->places[--groups->n_places];
		cb_cgroup_place_remove(place, CB_CGROUP_PATIENCE_MS);
		cb_closep(&place->above);
	}
}

/* A v1 cpuset takes no process before it has both; a new one has neither. */
static int inherit_cpuset(int parent, int dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_free char *above = cb_cgroup_read(parent, files[i]);
		if (!above || cb_cgroup_write(dir, files[i], above) < 0)
			return -1;
	}
	return 0;
}

/* Makes the directory and locks it; one that a sweeper took away in between is made again. */
static int make_locked(int parent, const char *name)
{
	struct stat st;

	for (int try = 0; try < 10; try++) {
		if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
			return -1;
		cleanup_close int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir >= 0 && flock(dir, LOCK_EX) == 0 && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return CB_TAKE_FD(dir);
		if (errno != ENOENT)
			return -1;
	}
	return -1;
}

/*
 * True when @dir has processes and is not the root of all, which may have both. The kernel says so itself for memory
 * only: the controllers that work on threads (cpu, cpuset, pids) it enables, and then no child takes a process.
 */
static bool has_processes(int dir)
{
	cleanup_free char *text = NULL;

	if (faccessat(dir, "cgroup.type", F_OK, 0) < 0)
		return false;
	text = cb_cgroup_read(dir, "cgroup.procs");
	return text && *text;
}

/* Our directory in @parent, which is remembered, and who has to go to a leaf of it. */
static int fill_base(struct base *base, int parent, bool occupied, const char *name, unsigned int set)
{
	if (base->v2 && !occupied && cb_cgroup_hand_down(parent, set) < 0)
		return -1;
	cleanup_close int dir = make_locked(parent, name);
	if (dir < 0)
		return -1;
	if (occupied && (cb_cgroup_leave(parent, dir) < 0 || cb_cgroup_hand_down(parent, set) < 0))
		return -1;
	if (base->v2 && cb_cgroup_hand_down(dir, set) < 0)
		return -1;
	if (!base->v2 && base->controllers & CB_CONTROLLER_CPUSET && inherit_cpuset(parent, dir) < 0)
		return -1;
	base->dir = CB_TAKE_FD(dir);
	return 0;
}

/* Our directory below @path with the controllers of @set. 0, or -1 with errno and nothing made. */
static int base_try(struct cb_cgroups *groups, struct base *base, const char *path, bool own, unsigned int set)
{
	cleanup_close int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0)
		return -1;
	if (base->v2 && (cb_cgroup_read_controllers(parent, "cgroup.controllers") & set) != set) {
		errno = ENODEV;
		return -1;
	}
	/* Who moves a process needs to write here, too: it is the common ancestor of both groups. */
	if (base->v2 && faccessat(parent, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		return -1;
	bool occupied = base->v2 && has_processes(parent);
	if (occupied && !own) {
		errno = EBUSY;
		return -1;
	}
	if (remember(groups, parent, groups->name, false) < 0)
		return -1;
	cb_cgroup_lock(parent);
	int r = fill_base(base, parent, occupied, groups->name, set), saved = errno;
	cb_cgroup_unlock(parent);
	if (r < 0)
		forget(groups, 1);
	errno = saved;
	return r;
}

/* mkdir -p below @mount; v1 cpusets are filled on the way. */
static int make_parent(struct cb_cgroups *groups, const struct base *base, const char *mount, const char *parent)
{
	cleanup_strv struct cb_strv parts = { 0 };
	cleanup_free char *path = cb_xstrdup(mount);

	cb_strv_split(&parts, parent, '/');
	for (size_t i = 0; i < parts.n; i++) {
		char *longer = cb_path_join(path, parts.v[i]);
		cleanup_close int above = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		free(path);
		path = longer;
		if (mkdir(path, 0755) < 0) {
			if (errno != EEXIST)
				return -1;
			continue;
		}
		cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (above < 0 || dir < 0 || remember(groups, above, parts.v[i], true) < 0 ||
			(!base->v2 && base->controllers & CB_CONTROLLER_CPUSET && inherit_cpuset(above, dir) < 0) ||
			(base->v2 && cb_cgroup_hand_down(above, base->controllers) < 0))
			return -1;
	}
	return 0;
}

static void sweep_at(const char *path)
{
	cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		cb_cgroup_sweep(dir);
}

/* Shortens @path, which is @mount or below it, by a name; false when there is none above it any more. */
static bool go_up(char *path, const char *mount)
{
	char *slash = strrchr(path, '/');
	size_t stop = strlen(mount);

	if (strlen(path) <= stop || !slash || (size_t)(slash - path) < stop)
		return false;
	*slash = '\0';
	return true;
}

/* The nearest place that can be had: our own group, else one above it. @why gets the first refusal. */
static int base_open(struct cb_cgroups *groups, const struct cb_cgroup_hierarchy *h, const struct cb_limits *limits,
	unsigned int set, int *why)
{
	struct base *base = &groups->v[groups->n];
	const size_t places = groups->n_places;
	cleanup_free char *path = cb_xstrdup(h->own);

	*base = (struct base){ .v2 = h->v2, .controllers = set, .dir = -EBADF };
	if (limits->cgroup_parent) {
		cleanup_free char *parent = cb_cgroup_parent_path(limits->cgroup_parent);
		cleanup_free char *joined = parent && *parent ? cb_path_join(h->mount, parent) : cb_xstrdup(h->mount);
		sweep_at(joined);
		if (parent && (!*parent || make_parent(groups, base, h->mount, parent) == 0) &&
			base_try(groups, base, joined, false, set) == 0)
			return 0;
		*why = parent ? errno : EINVAL;
		forget(groups, groups->n_places - places);
		base_done(base);
		return -1;
	}
	/* All of them first: what a killed build left handed down makes a nearer place look possible. */
	do
		sweep_at(path);
	while (go_up(path, h->mount));
	free(path);
	path = cb_xstrdup(h->own);
	do {
		if (base_try(groups, base, path, strcmp(path, h->own) == 0, set) == 0)
			return 0;
		if (!*why)
			*why = errno;
	} while (go_up(path, h->mount));
	return -1;
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

static void make_name(char name[static CB_CGROUP_NAME_MAX])
{
	unsigned int random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	snprintf(name, CB_CGROUP_NAME_MAX, CB_CGROUP_PREFIX "%d-%08x", (int)getpid(), random);
}

static void keep_settings(struct base *base, const struct cb_limits *limits)
{
	struct cb_cgroup_setting all[CB_CGROUP_SETTINGS_MAX];
	size_t n = cb_cgroup_settings(limits, base->v2, all);

	for (size_t i = 0; i < n; i++) {
		if (all[i].controller & base->controllers)
			base->settings[base->n_settings++] = all[i];
		else
			free(all[i].value);
	}
}

static unsigned int available(const struct cb_cgroup_hierarchy *h)
{
	if (!h->v2)
		return h->controllers;
	cleanup_close int dir = open(h->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? 0 : cb_cgroup_read_controllers(dir, "cgroup.controllers");
}

static int missing(const struct cb_limits *limits, unsigned int set, int why, struct cb_err **err)
{
	static const struct {
		enum cb_controller controller;
		const char *options;
	} table[] = { { CB_CONTROLLER_MEMORY, "--memory" },
		{ CB_CONTROLLER_CPU, "--cpu-shares, --cpu-period, --cpu-quota" },
		{ CB_CONTROLLER_CPUSET, "--cpuset-cpus, --cpuset-mems" }, { CB_CONTROLLER_PIDS, "--pids-limit" } };
	const char *what = "--cgroup-parent";

	for (size_t i = ARRAY_SIZE(table); i-- > 0;)
		if (set & table[i].controller)
			what = table[i].options;
	const char *reason = "the control group controller is not available";
	if (why == EBUSY)
		reason = "other processes are in the control group of cbuild, which must not have any for that";
	else if (why && why != ENODEV)
		reason = strerror(why);
	cb_err_set(err, CB_ERR_UNSUPPORTED, "the limits of %s cannot be set here: %s", what, reason);
	if (err && *err)
		(*err)->errnum = why;
	if (limits->cgroup_parent)
		return cb_err_hint(err, CB_ERR_UNSUPPORTED, "is --cgroup-parent %s a place that you may write to?",
			limits->cgroup_parent);
	if (why == EBUSY)
		return cb_err_hint(err, CB_ERR_UNSUPPORTED,
			"give it a group of its own: systemd-run --user --scope -p Delegate=yes cbuild ...; in a container, "
			"make it the first process (exec cbuild ...); or build without the limit");
	return cb_err_hint(err, CB_ERR_UNSUPPORTED,
		"run as root, or where control groups are delegated to you: systemd-run --user --scope -p Delegate=yes "
		"cbuild ...; in a container they must be mounted writable; or build without the limit");
}

static void open_bases(struct cb_cgroups *groups, const struct cb_cgroup_layout *layout, const struct cb_limits *limits,
	unsigned int wanted, unsigned int *left, int *why)
{
	/* Every wanted controller is in one hierarchy only: the kernel sees to that. */
	for (size_t i = 0; i < layout->n && *left; i++) {
		unsigned int set = available(&layout->v[i]) & *left;
		if (!set || base_open(groups, &layout->v[i], limits, set, why) < 0)
			continue;
		keep_settings(&groups->v[groups->n++], limits);
		*left &= ~set;
	}
	cb_log_debug("control groups %s: wanted %#x, not available %#x", groups->name, wanted, *left);
}

int cb_cgroups_open(
	const struct cb_limits *limits, struct cb_cgroup_heir *heir, struct cb_cgroups **ret, struct cb_err **err)
{
	cleanup_free char *mounts = cb_cgroup_read(AT_FDCWD, "/proc/self/mountinfo");
	cleanup_free char *self = cb_cgroup_read(AT_FDCWD, "/proc/self/cgroup");
	unsigned int needs = cb_cgroup_needs(limits), wanted = needs | (limits->pids >= 0 ? CB_CONTROLLER_PIDS : 0);
	unsigned int left = wanted;
	struct cb_cgroup_layout layout;
	struct cb_cgroups *groups;
	int why = 0;

	*ret = NULL;
	if (!wanted)
		return 0;
	groups = cb_new0(struct cb_cgroups);
	groups->heir = heir;
	make_name(groups->name);
	groups->required = needs != 0 || limits->cgroup_parent;
	cb_cgroup_layout_parse(mounts ? mounts : "", self ? self : "", &layout);
	open_bases(groups, &layout, limits, wanted, &left, &why);
	cb_cgroup_layout_done(&layout);
	if ((left & needs) || (limits->cgroup_parent && !groups->n)) {
		cb_cgroups_close(groups);
		return missing(limits, left & needs, why, err);
	}
	if (!groups->n)
		cb_cgroups_close(groups);
	else
		*ret = groups;
	return 0;
}

struct cb_cgroups *cb_cgroups_close(struct cb_cgroups *groups)
{
	if (!groups)
		return NULL;
	for (size_t i = 0; i < groups->n; i++)
		base_done(&groups->v[i]);
	forget(groups, groups->n_places);
	free(groups->places);
	free(groups);
	return NULL;
}

bool cb_cgroups_required(const struct cb_cgroups *groups)
{
	return groups->required;
}

/* ---- one group ------------------------------------------------------------------------------------------------ */

static int fill_group(const struct base *base, int dir, struct cb_err **err)
{
	if (!base->v2 && base->controllers & CB_CONTROLLER_CPUSET && inherit_cpuset(base->dir, dir) < 0)
		return cb_err_errno(err, errno, "prepare the control group");
	for (size_t i = 0; i < base->n_settings; i++) {
		const struct cb_cgroup_setting *s = &base->settings[i];
		if (cb_cgroup_write(dir, s->file, s->value) == 0 ||
			(s->optional && (errno == ENOENT || errno == EACCES)))
			continue;
		int r = cb_err_errno(err, errno, "set %s of the control group to %s", s->file, s->value);
		return cb_err_recode(err, errno == EINVAL || errno == ERANGE ? CB_ERR_USAGE : r);
	}
	return 0;
}

static int add_one(const struct base *base, const char *name, int *fd, struct cb_err **err)
{
	if (mkdirat(base->dir, name, 0755) < 0)
		return cb_err_errno(err, errno, "make a control group");
	cleanup_close int dir = openat(base->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return cb_err_errno(err, errno, "open the control group");
	int r = fill_group(base, dir, err);
	if (r < 0)
		return r;
	/* "tasks" takes a single thread without stopping all forks of the host, as "cgroup.procs" must. */
	*fd = openat(dir, base->v2 ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC);
	return *fd < 0 ? cb_err_errno(err, errno, "open the control group") : 0;
}

int cb_cgroups_add(struct cb_cgroups *groups, unsigned int *ret, int *fds, size_t *n_fds, struct cb_err **err)
{
	char name[16];
	size_t n = 0;
	int r = 0;

	groups->last++;
	snprintf(name, sizeof(name), "%u", groups->last);
	for (; n < groups->n; n++) {
		r = add_one(&groups->v[n], name, &fds[n], err);
		if (r < 0)
			break;
	}
	if (r < 0) {
		while (n-- > 0)
			close(fds[n]);
		cb_cgroups_remove(groups, groups->last);
		return r;
	}
	*ret = groups->last;
	*n_fds = n;
	return 0;
}

static int open_group(const struct base *base, unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", number);
	return openat(base->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void cb_cgroups_kill(const struct cb_cgroups *groups, unsigned int number)
{
	for (size_t i = 0; i < groups->n; i++) {
		cleanup_close int dir = groups->v[i].v2 ? open_group(&groups->v[i], number) : -EBADF;
		if (dir >= 0)
			(void)cb_cgroup_write(dir, "cgroup.kill", "1");
	}
}

/* The number after @key on a line of its own; without @key, the number that the file is. */
static uint64_t read_number(int dir, const char *file, const char *key)
{
	cleanup_free char *text = cb_cgroup_read(dir, file);
	size_t len = key ? strlen(key) : 0;

	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (!key || (strncmp(p, key, len) == 0 && p[len] == ' '))
			return strtoull(p + len, NULL, 10);
	return 0;
}

void cb_cgroups_usage(const struct cb_cgroups *groups, unsigned int number, struct cb_cgroup_usage *ret)
{
	*ret = (struct cb_cgroup_usage){ 0 };
	for (size_t i = 0; i < groups->n; i++) {
		const struct base *base = &groups->v[i];
		cleanup_close int dir = open_group(base, number);
		if (dir < 0)
			continue;
		if (base->controllers & CB_CONTROLLER_MEMORY) {
			ret->peak_memory =
				read_number(dir, base->v2 ? "memory.peak" : "memory.max_usage_in_bytes", NULL);
			ret->oom_kills =
				read_number(dir, base->v2 ? "memory.events" : "memory.oom_control", "oom_kill");
			/* Only v2 tells a kill for this limit from one for a limit above, or for the host. */
			ret->memory_reached = base->v2 ? read_number(dir, "memory.events", "oom") : ret->oom_kills;
		}
		if (base->controllers & CB_CONTROLLER_PIDS)
			ret->pids_refused = read_number(dir, "pids.events", "max");
	}
}

void cb_cgroups_remove(const struct cb_cgroups *groups, unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", number);
	/* What is busy still is removed at the end. */
	for (size_t i = 0; i < groups->n; i++)
		(void)unlinkat(groups->v[i].dir, name, AT_REMOVEDIR);
}

/* A v2 group may be without the controller, as our leaf is: then its memory is counted by the nearest one above. */
static uint64_t own_oom_kills(const struct cb_cgroup_hierarchy *h)
{
	cleanup_free char *path = cb_xstrdup(h->own);
	const char *file = h->v2 ? "memory.events" : "memory.oom_control";

	do {
		cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0 && faccessat(dir, file, R_OK, AT_EACCESS) == 0)
			return read_number(dir, file, "oom_kill");
	} while (go_up(path, h->mount));
	return 0;
}

uint64_t cb_cgroup_own_oom_kills(void)
{
	cleanup_free char *mounts = cb_cgroup_read(AT_FDCWD, "/proc/self/mountinfo");
	cleanup_free char *self = cb_cgroup_read(AT_FDCWD, "/proc/self/cgroup");
	struct cb_cgroup_layout layout;
	uint64_t n = 0;

	cb_cgroup_layout_parse(mounts ? mounts : "", self ? self : "", &layout);
	for (size_t i = 0; i < layout.n; i++) {
		const struct cb_cgroup_hierarchy *h = &layout.v[i];
		if (!h->v2 && !(h->controllers & CB_CONTROLLER_MEMORY))
			continue;
		n += own_oom_kills(h);
	}
	cb_cgroup_layout_done(&layout);
	return n;
}
