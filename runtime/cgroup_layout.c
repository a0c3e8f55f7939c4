/* The pure half of control groups: where they are and what to write into them. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/strv.h"
#include "runtime/cgroup.h"

static const struct {
	const char *name;
	enum cb_controller controller;
} names[] = {
	{ "memory", CB_CONTROLLER_MEMORY },
	{ "cpu", CB_CONTROLLER_CPU },
	{ "cpuset", CB_CONTROLLER_CPUSET },
	{ "pids", CB_CONTROLLER_PIDS },
};

unsigned int cb_cgroup_controllers(const char *list, const char *separators)
{
	unsigned int set = 0;

	while (*list) {
		size_t len = strcspn(list, separators);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (strlen(names[i].name) == len && strncmp(list, names[i].name, len) == 0)
				set |= names[i].controller;
		list += len;
		list += strspn(list, separators);
	}
	return set;
}

/* Mount points have blanks and backslashes as \040. */
static char *unescape(const char *text)
{
	char *out = cb_xstrdup(text), *to = out;

	for (const char *p = text; *p; p++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' &&
			p[3] <= '7') {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return out;
}

/* The group of this process by /proc/self/cgroup, "12:cpu,cpuacct:/path"; NULL: not there. */
static char *own_path(const char *self, bool v2, unsigned int controllers)
{
	cleanup_strv struct cb_strv lines = { 0 };

	cb_strv_split(&lines, self, '\n');
	for (size_t i = 0; i < lines.n; i++) {
		char *list = strchr(lines.v[i], ':'), *path = list ? strchr(list + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		list++;
		if (v2 ? *list == '\0' : (cb_cgroup_controllers(list, ",") & controllers) != 0)
			return cb_xstrdup(path);
	}
	return NULL;
}

/* What is mounted may be a part of the hierarchy (@root), as it is in containers without a namespace for it. */
static char *own_directory(const char *mount, const char *root, const char *path)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (!path || strncmp(path, "/..", 3) == 0 || strncmp(path, root, len) != 0 ||
		(path[len] != '/' && path[len] != '\0') || strcmp(path + len, "/") == 0)
		return cb_xstrdup(mount);
	return cb_xasprintf("%s%s", mount, path + len);
}

static void parse_mount(const char *line, const char *self, struct cb_cgroup_layout *ret)
{
	cleanup_strv struct cb_strv fields = { 0 };
	struct cb_cgroup_hierarchy h = { 0 };
	size_t dash = 6;

	/* 36 35 98:0 /root /mount options [tag...] - type source super-options */
	cb_strv_split(&fields, line, ' ');
	while (dash < fields.n && strcmp(fields.v[dash], "-") != 0)
		dash++;
	if (dash + 3 >= fields.n || ret->n == CB_CGROUP_HIERARCHIES)
		return;
	h.v2 = strcmp(fields.v[dash + 1], "cgroup2") == 0;
	if (!h.v2 && strcmp(fields.v[dash + 1], "cgroup") != 0)
		return;
	if (!h.v2)
		h.controllers = cb_cgroup_controllers(fields.v[dash + 3], ",");
	if (!h.v2 && !h.controllers)
		return;
	/* A hierarchy that is mounted twice is one. */
	for (size_t i = 0; i < ret->n; i++)
		if (ret->v[i].v2 == h.v2 && (h.v2 || ret->v[i].controllers & h.controllers))
			return;
	cleanup_free char *root = unescape(fields.v[3]), *path = own_path(self, h.v2, h.controllers);
	h.mount = unescape(fields.v[4]);
	h.own = own_directory(h.mount, root, path);
	ret->v[ret->n++] = h;
}

void cb_cgroup_layout_parse(const char *mountinfo, const char *self, struct cb_cgroup_layout *ret)
{
	cleanup_strv struct cb_strv lines = { 0 };

	*ret = (struct cb_cgroup_layout){ 0 };
	cb_strv_split(&lines, mountinfo, '\n');
	for (size_t i = 0; i < lines.n; i++)
		parse_mount(lines.v[i], self, ret);
}

void cb_cgroup_layout_done(struct cb_cgroup_layout *layout)
{
	for (size_t i = 0; i < layout->n; i++) {
		free(layout->v[i].mount);
		free(layout->v[i].own);
	}
	*layout = (struct cb_cgroup_layout){ 0 };
}

/* systemd.slice(5): the dashes of a slice's name are its place in the tree. */
static void add_slice(struct cb_buf *out, const char *name)
{
	for (const char *dash = strchr(name, '-'); dash; dash = strchr(dash + 1, '-'))
		cb_buf_addf(out, "%.*s.slice/", (int)(dash - name), name);
	cb_buf_adds(out, name);
}

char *cb_cgroup_parent_path(const char *parent)
{
	cleanup_strv struct cb_strv parts = { 0 };
	cleanup_buf struct cb_buf out = { 0 };

	if (!strchr(parent, '/') && cb_str_ends(parent, ".slice") && *parent != '-') {
		add_slice(&out, parent);
		return cb_xstrdup(cb_buf_str(&out));
	}
	cb_strv_split(&parts, parent, '/');
	for (size_t i = 0; i < parts.n; i++) {
		if (strcmp(parts.v[i], "..") == 0)
			return NULL;
		if (*parts.v[i] && strcmp(parts.v[i], ".") != 0)
			cb_buf_addf(&out, "%s%s", out.len ? "/" : "", parts.v[i]);
	}
	return cb_xstrdup(cb_buf_str(&out));
}

unsigned int cb_cgroup_needs(const struct cb_limits *limits)
{
	return (limits->memory || limits->memory_swap ? CB_CONTROLLER_MEMORY : 0) |
	       (limits->cpu_shares || limits->cpu_period || limits->cpu_quota ? CB_CONTROLLER_CPU : 0) |
	       (limits->cpuset_cpus || limits->cpuset_mems ? CB_CONTROLLER_CPUSET : 0) |
	       (limits->pids > 0 ? CB_CONTROLLER_PIDS : 0);
}

struct settings {
	struct cb_cgroup_setting *v;
	size_t n;
};

static void add(struct settings *s, enum cb_controller controller, const char *file, bool optional, char *value)
{
	s->v[s->n++] = (struct cb_cgroup_setting){ file, value, controller, optional };
}

static char *number(int64_t value, const char *unlimited)
{
	return value < 0 ? cb_xstrdup(unlimited) : cb_xasprintf("%lld", (long long)value);
}

/* Docker's rule: without a word about swap, there is as much as memory. */
static void add_memory(const struct cb_limits *l, bool v2, struct settings *s)
{
	int64_t both = l->memory_swap ? l->memory_swap : (int64_t)CB_MIN(l->memory * 2, (uint64_t)INT64_MAX);

	if (!l->memory)
		return;
	add(s, CB_CONTROLLER_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes", false,
		number((int64_t)l->memory, ""));
	if (v2)
		add(s, CB_CONTROLLER_MEMORY, "memory.swap.max", !l->memory_swap,
			number(both < 0 ? -1 : both - (int64_t)l->memory, "max"));
	else
		add(s, CB_CONTROLLER_MEMORY, "memory.memsw.limit_in_bytes", !l->memory_swap, number(both, "-1"));
}

static void add_cpu(const struct cb_limits *l, bool v2, struct settings *s)
{
	unsigned long long period = l->cpu_period ? l->cpu_period : 100000;

	/* The mapping that runc and crun have used: 2..262144 to 1..10000. */
	if (l->cpu_shares && v2)
		add(s, CB_CONTROLLER_CPU, "cpu.weight", false,
			cb_xasprintf("%llu", 1 + ((unsigned long long)l->cpu_shares - 2) * 9999 / 262142));
	else if (l->cpu_shares)
		add(s, CB_CONTROLLER_CPU, "cpu.shares", false, cb_xasprintf("%llu", (unsigned long long)l->cpu_shares));
	if (!l->cpu_period && !l->cpu_quota)
		return;
	if (v2) {
		cleanup_free char *quota = number(l->cpu_quota > 0 ? l->cpu_quota : -1, "max");
		add(s, CB_CONTROLLER_CPU, "cpu.max", false, cb_xasprintf("%s %llu", quota, period));
		return;
	}
	add(s, CB_CONTROLLER_CPU, "cpu.cfs_period_us", false, cb_xasprintf("%llu", period));
	if (l->cpu_quota)
		add(s, CB_CONTROLLER_CPU, "cpu.cfs_quota_us", false, number(l->cpu_quota, "-1"));
}

size_t cb_cgroup_settings(
	const struct cb_limits *limits, bool v2, struct cb_cgroup_setting ret[static CB_CGROUP_SETTINGS_MAX])
{
	struct settings s = { .v = ret };

	add_memory(limits, v2, &s);
	add_cpu(limits, v2, &s);
	if (limits->cpuset_cpus)
		add(&s, CB_CONTROLLER_CPUSET, "cpuset.cpus", false, cb_xstrdup(limits->cpuset_cpus));
	if (limits->cpuset_mems)
		add(&s, CB_CONTROLLER_CPUSET, "cpuset.mems", false, cb_xstrdup(limits->cpuset_mems));
	if (limits->pids >= 0)
		add(&s, CB_CONTROLLER_PIDS, "pids.max", false,
			number(limits->pids ? limits->pids : CB_LIMITS_PIDS, ""));
	return s.n;
}
