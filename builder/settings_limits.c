#include "builder/settings_limits.h"

#include <string.h>

#include "base/csv.h"
#include "base/num.h"
#include "builder/settings_ids.h"

/** Less than this and the kernel cannot start a process, says docker. */
#define MEMORY_MIN (6U << 20)
#define SHARES_MIN 2
#define SHARES_MAX 262144
/** The kernel's bounds of a period, in microseconds. */
#define PERIOD_MIN 1000
#define PERIOD_MAX 1000000

static const int ids[] = { SET_CGROUP_PARENT, SET_CPU_PERIOD, SET_CPU_QUOTA, SET_CPU_SHARES, SET_CPUSET_CPUS,
	SET_CPUSET_MEMS, SET_MEMORY, SET_MEMORY_SWAP, SET_PIDS_LIMIT, SET_FETCH_LIMIT, SET_FETCH_TIMEOUT,
	SET_STEP_TIMEOUT, SET_TIMEOUT };

bool cb_settings_is_limit(int id)
{
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		if (ids[i] == id)
			return true;
	return false;
}

static int set_bytes(uint64_t *ret, const char *name, const char *text, struct cb_err **err)
{
	uint64_t bytes;

	if (!cb_num_size(text, &bytes) || bytes > INT64_MAX)
		return cb_err_set(err, CB_ERR_USAGE, "--%s is a size such as 512m, not \"%s\"", name, text);
	*ret = bytes;
	return 0;
}

static int set_swap(struct cb_limits *limits, const char *name, const char *text, struct cb_err **err)
{
	uint64_t bytes = 0;
	int r;

	if (!strcmp(text, "-1")) {
		limits->memory_swap = -1;
		return 0;
	}
	r = set_bytes(&bytes, name, text, err);
	if (r == 0)
		limits->memory_swap = (int64_t)bytes;
	return r;
}

/** 0 is no limit. */
static int set_count(uint64_t *ret, uint64_t min, uint64_t max, const char *name, const char *text, struct cb_err **err)
{
	uint64_t n;

	if (!cb_num_u64(text, &n) || (n && (n < min || n > max)))
		return cb_err_set(err, CB_ERR_USAGE, "--%s is a number from %llu to %llu, not \"%s\"", name,
			(unsigned long long)min, (unsigned long long)max, text);
	*ret = n;
	return 0;
}

static int set_quota(struct cb_limits *limits, const char *name, const char *text, struct cb_err **err)
{
	int64_t n;

	if (!cb_num_i64(text, &n) || n < -1 || (n > 0 && n < PERIOD_MIN))
		return cb_err_set(err, CB_ERR_USAGE, "--%s is a number of microseconds from %d, not \"%s\"", name,
			PERIOD_MIN, text);
	limits->cpu_quota = n;
	return 0;
}

static int set_pids(struct cb_limits *limits, const char *name, const char *text, struct cb_err **err)
{
	int64_t n;

	if (!cb_num_i64(text, &n) || n < -1)
		return cb_err_set(
			err, CB_ERR_USAGE, "--%s is a number of processes, or -1 for any, not \"%s\"", name, text);
	/* As podman: 0 is another way to say any. */
	limits->pids = n ? n : -1;
	return 0;
}

static int set_list(char **slot, const char **borrowed, const char *name, const char *text, struct cb_err **err)
{
	if (!*text || strspn(text, "0123456789,-") != strlen(text))
		return cb_err_set(err, CB_ERR_USAGE, "--%s is a list such as 0-3,7, not \"%s\"", name, text);
	free(*slot);
	*borrowed = *slot = cb_xstrdup(text);
	return 0;
}

/** "90s", "1h30m"; a bare number counts seconds. */
static int set_time(int64_t *ret, const char *name, const char *text, struct cb_err **err)
{
	int64_t ns;
	uint32_t seconds;

	if (cb_num_u32(text, &seconds))
		ns = (int64_t)seconds * 1000000000;
	else if (!cb_num_duration(text, &ns) || ns < 0)
		return cb_err_set(err, CB_ERR_USAGE, "--%s is a time such as 90s or 1h30m, not \"%s\"", name, text);
	*ret = ns;
	return 0;
}

static int set_parent(struct cb_settings *settings, const char *name, const char *text, struct cb_err **err)
{
	if (!*text)
		return cb_err_set(err, CB_ERR_USAGE, "--%s is empty", name);
	free(settings->cgroup_parent);
	settings->limits.cgroup_parent = settings->cgroup_parent = cb_xstrdup(text);
	return 0;
}

int cb_settings_set_limit(struct cb_settings *settings, int id, const char *name, const char *text, struct cb_err **err)
{
	struct cb_limits *limits = &settings->limits;

	switch (id) {
	case SET_CGROUP_PARENT:
		return set_parent(settings, name, text, err);
	case SET_CPU_PERIOD:
		return set_count(&limits->cpu_period, PERIOD_MIN, PERIOD_MAX, name, text, err);
	case SET_CPU_QUOTA:
		return set_quota(limits, name, text, err);
	case SET_CPU_SHARES:
		return set_count(&limits->cpu_shares, SHARES_MIN, SHARES_MAX, name, text, err);
	case SET_CPUSET_CPUS:
		return set_list(&settings->cpuset_cpus, &limits->cpuset_cpus, name, text, err);
	case SET_CPUSET_MEMS:
		return set_list(&settings->cpuset_mems, &limits->cpuset_mems, name, text, err);
	case SET_MEMORY:
		return set_bytes(&limits->memory, name, text, err);
	case SET_MEMORY_SWAP:
		return set_swap(limits, name, text, err);
	case SET_PIDS_LIMIT:
		return set_pids(limits, name, text, err);
	case SET_FETCH_LIMIT:
		return set_bytes(&settings->fetch_limit, name, text, err);
	case SET_FETCH_TIMEOUT:
		return set_time(&settings->fetch_timeout, name, text, err);
	case SET_STEP_TIMEOUT:
		return set_time(&settings->step_timeout, name, text, err);
	default:
		return set_time(&settings->timeout, name, text, err);
	}
}

int cb_settings_add_resource(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	static const struct {
		const char *key;
		int id;
	} keys[] = { { "memory", SET_MEMORY }, { "memory-swap", SET_MEMORY_SWAP }, { "cpu-shares", SET_CPU_SHARES },
		{ "cpu-period", SET_CPU_PERIOD }, { "cpu-quota", SET_CPU_QUOTA }, { "cpuset-cpus", SET_CPUSET_CPUS },
		{ "cpuset-mems", SET_CPUSET_MEMS } };
	cleanup_strv struct cb_strv fields = { 0 };

	if (cb_csv_split(text, &fields, err) < 0)
		return cb_err_wrap(err, CB_ERR_USAGE, "--resource");
	for (size_t i = 0; i < fields.n; i++) {
		const char *eq = strchr(fields.v[i], '=');
		size_t len = strcspn(fields.v[i], "="), k = 0;
		int r;

		while (k < ARRAY_SIZE(keys) &&
			(strlen(keys[k].key) != len || strncmp(keys[k].key, fields.v[i], len) != 0))
			k++;
		if (!eq || k == ARRAY_SIZE(keys)) {
			cb_err_set(err, CB_ERR_USAGE, "--resource %s: \"%s\" is not KEY=VALUE of a known key", text,
				fields.v[i]);
			return cb_err_hint(err, CB_ERR_USAGE,
				"the keys are memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus and "
				"cpuset-mems");
		}
		r = cb_settings_set_limit(settings, keys[k].id, keys[k].key, eq + 1, err);
		if (r < 0)
			return cb_err_wrap(err, r, "--resource %s", text);
	}
	return 0;
}

int cb_settings_check_limits(const struct cb_settings *settings, struct cb_err **err)
{
	const struct cb_limits *l = &settings->limits;

	if (l->memory && l->memory < MEMORY_MIN)
		return cb_err_set(err, CB_ERR_USAGE, "--memory is too small: the least is 6m");
	if (l->memory_swap && !l->memory)
		return cb_err_set(
			err, CB_ERR_USAGE, "--memory-swap counts memory and swap together: give --memory, too");
	if (l->memory_swap > 0 && (uint64_t)l->memory_swap < l->memory)
		return cb_err_set(err, CB_ERR_USAGE,
			"--memory-swap counts memory and swap together: it cannot be less than --memory");
	return 0;
}
