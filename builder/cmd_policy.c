/* `cbuild policy`: what the store keeps by itself. */
#include <string.h>

#include "base/num.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/policy.h"
#include "builder/report.h"
#include "builder/storecmd.h"

/* Ids from 0 on are places in cb_gc_policy_names. */
enum { OPT_ROOT = 100 };

const struct cb_opt cb_policy_options[] = {
	{ "gc", 0, CB_OPT_VALUE, 0, "on|off", "whether builds remove what is too much at their end", "on|off|default" },
	{ "keep-duration", 0, CB_OPT_VALUE, 2, "TIME", "remove what was not used for TIME (30d; none; default)", NULL },
	{ "keep-storage", 0, CB_OPT_VALUE, 1, "SIZE", "remove the oldest beyond SIZE (50g, 30%, none, default)", NULL },
	{ "min-free", 0, CB_OPT_VALUE, 3, "SIZE", "remove the oldest until the disk has SIZE free", NULL },
	{ "quota", 0, CB_OPT_VALUE, 4, "SIZE", "let no build make the store larger than SIZE", NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};

struct request {
	const char *values[8]; /* as cb_gc_policy_names */
	const char *root;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	(void)err;
	if (opt->id == OPT_ROOT)
		request->root = value;
	else
		request->values[opt->id] = value;
	return 0;
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = {
		.command = "policy", .tables = { cb_policy_options }, .option = take_option, .arg = ret
	};

	return cb_opt_read(&reader, argc, argv, err);
}

static void add_size(struct cb_buf *out, const char *name, uint64_t bytes, uint64_t none)
{
	cb_buf_addf(out, "%-14s", name);
	if (bytes == none)
		cb_buf_adds(out, "none");
	else
		cb_num_format_size(out, bytes);
	cb_buf_addc(out, '\n');
}

static void add_policy(struct cb_buf *out, const struct cb_gc_policy *policy)
{
	cb_buf_addf(out, "%-14s%s\n", "gc", policy->off ? "off" : "on");
	add_size(out, "keep-storage", policy->keep_bytes, UINT64_MAX);
	cb_buf_addf(out, "%-14s", "keep-duration");
	if (policy->keep_seconds)
		cb_num_format_duration(out, policy->keep_seconds * 1000000000);
	else
		cb_buf_adds(out, "none");
	cb_buf_addc(out, '\n');
	add_size(out, "min-free", policy->min_free, 0);
	add_size(out, "quota", policy->quota, 0);
}

int cb_cmd_policy(int argc, char **argv)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct request request = { 0 };
	struct cb_gc_policy policy = { 0 };
	int r = read_arguments(argc, argv, &request, &err);

	if (r > 0)
		return cb_help_command("policy");
	if (r == 0)
		r = cb_storecmd_open(request.root, &store, &err);
	for (size_t i = 0; r == 0 && cb_gc_policy_names[i]; i++) {
		if (!request.values[i])
			continue;
		r = cb_gc_policy_set(store, cb_gc_policy_names[i], request.values[i], &err);
		if (r == CB_ERR_INPUT)
			r = cb_err_recode(&err, CB_ERR_USAGE);
	}
	if (r == 0)
		r = cb_policy_of(store, &policy, &err);
	if (r < 0)
		return cb_storecmd_fail(err);
	add_policy(&out, &policy);
	return cb_storecmd_print(&out);
}
