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
#include "runtime/cgroup_leaf.h"
#include "runtime/cgroup_sweep.h"

/* Both files of /proc/self, and any file of a group. */
#define TEXT_MAX (1U << 20)

/* Our directory in one hierarchy. */
struct base {
	bool v2;
	bool left; /* cbuild itself moved from parent to a leaf of dir */
	unsigned int controllers;
	int parent, dir;     /* where it is; locked */
	struct cb_strv made; /* directories that --cgroup-parent needed, outermost first; absolute */
	struct cb_cgroup_setting settings[CB_CGROUP_SETTINGS_MAX];
	size_t n_settings;
};

struct cb_cgroups {
	char name[CB_CGROUP_NAME_MAX];
	bool required;
	struct base v[CB_CGROUP_HIERARCHIES];
	size_t n;
	unsigned int last;
};

static int write_file(int dir, const char *name, const char *text)
{
	cleanup_close int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : cb_fd_write_all(fd, text, strlen(text));
}

static char *read_text(int dir, const char *name)
{
	cleanup_buf struct cb_buf text = { 0 };

	if (cb_file_read_at(dir, name, TEXT_MAX, &text, NULL) < 0)
		return NULL;
	return cb_xstrdup(cb_buf_str(&text));
}

static unsigned int read_controllers(int dir, const char *name)
{
	cleanup_free char *text = read_text(dir, name);

	return text ? cb_cgroup_controllers(text, " \n") : 0;
}

/* ---- one hierarchy -------------------------------------------------------------------------------------------- */

/* Gives the groups below @dir the controllers of @set, or takes ('-') them away. */
static int write_controllers(int dir, char sign, unsigned int set)
{
	static const struct {
		enum cb_controller controller;
		const char *name;
	} words[] = { { CB_CONTROLLER_MEMORY, "memory" }, { CB_CONTROLLER_CPU, "cpu" },
		{ CB_CONTROLLER_CPUSET, "cpuset" }, { CB_CONTROLLER_PIDS, "pids" } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char text[16];
		snprintf(text, sizeof(text), "%c%s", sign, words[i].name);
		if (set & words[i].controller && write_file(dir, "cgroup.subtree_control", text) < 0)
			return -1;
	}
	return 0;
}

static void base_done(struct base *base, const char *name)
{
	if (base->left) {
		/* A group with controllers for its children takes no processes. */
		(void)write_controllers(base->dir, '-', base->controllers);
		(void)write_controllers(base->parent, '-', base->controllers);
	}
	/* When others use the parent by now, we stay where we are until the end, and the next start removes what is
	 * left. */
	if (base->dir >= 0 && (!base->left || cb_cgroup_return(base->parent, base->dir)))
		cb_cgroup_remove_tree(base->parent, name);
	cb_closep(&base->dir);
	cb_closep(&base->parent);
	/* Others may use the same parent by now: what is not empty stays. */
	for (size_t i = base->made.n; i-- > 0;)
		(void)rmdir(base->made.v[i]);
	cb_strv_done(&base->made);
	for (size_t i = 0; i < base->n_settings; i++)
		free(base->settings[i].value);
	*base = (struct base){ .parent = -EBADF, .dir = -EBADF };
}

/* A v1 cpuset takes no process before it has both; a new one has neither. */
static int inherit_cpuset(int parent, int dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_free char *above = read_text(parent, files[i]);
		if (!above || write_file(dir, files[i], above) < 0)
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

/* The groups below @dir get the controllers of @set. */
static int hand_down(int dir, unsigned int set)
{
	return write_controllers(dir, '+', set & ~read_controllers(dir, "cgroup.subtree_control"));
}

/* The same of our own group @parent, in which we are: first we go to a leaf of @dir. */
static int hand_down_own(struct base *base, int parent, int dir, unsigned int set)
{
	if (cb_cgroup_leave(parent, dir) < 0)
		return -1;
	base->left = true;
	if (hand_down(parent, set) == 0)
		return 0;
	int saved = errno;
	base->left = !cb_cgroup_return(parent, dir);
	errno = saved;
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
	text = read_text(dir, "cgroup.procs");
	return text && *text;
}

/* Our directory below @path with the controllers of @set. 0, or -1 with errno and nothing made. */
static int base_try(struct base *base, const char *path, bool own, const char *name, unsigned int set)
{
	bool occupied = false;
	cleanup_close int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir = -EBADF;

	if (parent < 0)
		return -1;
	if (base->v2 && (read_controllers(parent, "cgroup.controllers") & set) != set) {
		errno = ENODEV;
		return -1;
	}
	/* Who moves a process needs to write here, too: it is the common ancestor of both groups. */
	if (base->v2 && faccessat(parent, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		return -1;
	cb_cgroup_sweep(parent);
	occupied = base->v2 && has_processes(parent);
	if (occupied && !own) {
		errno = EBUSY;
		return -1;
	}
	if (base->v2 && !occupied && hand_down(parent, set) < 0)
		return -1;
	dir = make_locked(parent, name);
	if (dir < 0)
		return -1;
	if ((occupied && hand_down_own(base, parent, dir, set) < 0) || (base->v2 && hand_down(dir, set) < 0) ||
		(!base->v2 && base->controllers & CB_CONTROLLER_CPUSET && inherit_cpuset(parent, dir) < 0)) {
		int saved = errno;
		if (base->left) {
			(void)write_controllers(parent, '-', set);
			base->left = !cb_cgroup_return(parent, dir);
		}
		cb_cgroup_remove_tree(parent, name);
		errno = saved;
		return -1;
	}
	base->parent = CB_TAKE_FD(parent);
	base->dir = CB_TAKE_FD(dir);
	return 0;
}

/* mkdir -p below @mount; v1 cpusets are filled on the way. */
static int make_parent(struct base *base, const char *mount, const char *parent)
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
		cb_strv_add(&base->made, path);
		cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (above < 0 || dir < 0 ||
			(!base->v2 && base->controllers & CB_CONTROLLER_CPUSET && inherit_cpuset(above, dir) < 0) ||
			(base->v2 && hand_down(above, read_controllers(above, "cgroup.controllers")) < 0))
			return -1;
	}
	return 0;
}

/* The nearest place that can be had: our own group, else one above it. @why gets the first refusal. */
static int base_open(struct base *base, const struct cb_cgroup_hierarchy *h, const struct cb_limits *limits,
	const char *name, unsigned int set, int *why)
{
	cleanup_free char *path = cb_xstrdup(h->own);
	size_t stop = strlen(h->mount);

	*base = (struct base){ .v2 = h->v2, .controllers = set, .parent = -EBADF, .dir = -EBADF };
	if (limits->cgroup_parent) {
		cleanup_free char *parent = cb_cgroup_parent_path(limits->cgroup_parent);
		cleanup_free char *joined = parent && *parent ? cb_path_join(h->mount, parent) : cb_xstrdup(h->mount);
		if (parent && (!*parent || make_parent(base, h->mount, parent) == 0) &&
			base_try(base, joined, false, name, set) == 0)
			return 0;
		*why = parent ? errno : EINVAL;
		base_done(base, name);
		return -1;
	}
	for (;;) {
		if (base_try(base, path, strcmp(path, h->own) == 0, name, set) == 0)
			return 0;
		if (!*why)
			*why = errno;
		char *slash = strrchr(path, '/');
		if (strlen(path) <= stop || !slash || (size_t)(slash - path) < stop)
			return -1;
		*slash = '\0';
	}
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
	return dir < 0 ? 0 : read_controllers(dir, "cgroup.controllers");
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
		if (!set || base_open(&groups->v[groups->n], &layout->v[i], limits, groups->name, set, why) < 0)
			continue;
		keep_settings(&groups->v[groups->n++], limits);
		*left &= ~set;
	}
	cb_log_debug("control groups %s: wanted %#x, not available %#x", groups->name, wanted, *left);
}

int cb_cgroups_open(const struct cb_limits *limits, struct cb_cgroups **ret, struct cb_err **err)
{
	cleanup_free char *mounts = read_text(AT_FDCWD, "/proc/self/mountinfo");
	cleanup_free char *self = read_text(AT_FDCWD, "/proc/self/cgroup");
	unsigned int needs = cb_cgroup_needs(limits), wanted = needs | (limits->pids >= 0 ? CB_CONTROLLER_PIDS : 0);
	unsigned int left = wanted;
	struct cb_cgroup_layout layout;
	struct cb_cgroups *groups;
	int why = 0;

	*ret = NULL;
	if (!wanted)
		return 0;
	groups = cb_new0(struct cb_cgroups);
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
		base_done(&groups->v[i], groups->name);
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
		if (write_file(dir, s->file, s->value) == 0 || (s->optional && (errno == ENOENT || errno == EACCES)))
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
			(void)write_file(dir, "cgroup.kill", "1");
	}
}

/* The number after @key on a line of its own; without @key, the number that the file is. */
static uint64_t read_number(int dir, const char *file, const char *key)
{
	cleanup_free char *text = read_text(dir, file);
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

	for (size_t stop = strlen(h->mount);;) {
		cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0 && faccessat(dir, file, R_OK, AT_EACCESS) == 0)
			return read_number(dir, file, "oom_kill");
		char *slash = strrchr(path, '/');
		if (strlen(path) <= stop || !slash || (size_t)(slash - path) < stop)
			return 0;
		*slash = '\0';
	}
}

uint64_t cb_cgroup_own_oom_kills(void)
{
	cleanup_free char *mounts = read_text(AT_FDCWD, "/proc/self/mountinfo");
	cleanup_free char *self = read_text(AT_FDCWD, "/proc/self/cgroup");
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
