/* Which limits of steps can be had: by doing what a build does, as who is in our group decides it, too. */
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "builder/doctor.h"
#include "runtime/cgroup.h"
#include "runtime/cgroup_heir.h"

static const struct {
	const char *name;
	struct cb_limits limits;
	bool needed;
} trials[] = {
	{ "memory", { .memory = 1U << 30, .pids = -1 }, true },
	{ "processes", { .pids = CB_LIMITS_PIDS }, true },
	{ "cpu", { .cpu_shares = 1024, .pids = -1 }, false },
	{ "cpuset", { .cpuset_cpus = "0", .pids = -1 }, false },
};

static int try_limits(const struct cb_limits *limits, struct cb_err **err)
{
	struct cb_cgroup_heir heir = { 0 };
	struct cb_cgroups *groups = NULL;
	int r = cb_cgroups_open(limits, &heir, &groups, err);

	cb_cgroups_close(groups);
	cb_cgroup_heir_stop(&heir);
	return r;
}

bool cb_doctor_limits(char **text, char **remedy)
{
	cleanup_strv struct cb_strv can = { 0 }, cannot = { 0 };
	cleanup_free char *why = NULL;
	bool ok = true;

	*remedy = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(trials); i++) {
		cleanup_err struct cb_err *err = NULL;
		if (try_limits(&trials[i].limits, &err) == 0) {
			cb_strv_add(&can, trials[i].name);
			continue;
		}
		cb_strv_add(&cannot, trials[i].name);
		ok &= !trials[i].needed;
		if (why)
			continue;
		/* "the limits of --memory cannot be set here: why" */
		const char *colon = strstr(cb_err_msg(err), ": ");
		why = cb_xstrdup(colon ? colon + 2 : cb_err_msg(err));
		*remedy = cb_xstrdup(err->hint ? err->hint : "");
	}
	cleanup_free char *yes = cb_strv_join(&can, ", "), *no = cb_strv_join(&cannot, ", ");
	if (!*remedy)
		*remedy = cb_xstrdup("");
	*text = cannot.n ? cb_xasprintf("%s%snot: %s (%s)", yes, can.n ? "; " : "", no, why) : cb_xstrdup(yes);
	return ok;
}
