/* `cbuild prune`: removes cached steps and what else no image needs. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/strv.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/inputs.h"
#include "builder/report.h"
#include "builder/storecmd.h"
#include "builder/usagefilter.h"
#include "layers/gc.h"

enum { OPT_ALL = 1, OPT_DRY_RUN, OPT_FILTER, OPT_FORCE, OPT_KEEP_DURATION, OPT_KEEP_STORAGE, OPT_QUIET, OPT_ROOT };

const struct cb_opt cb_prune_options[] = {
	{ "all", 'a', CB_OPT_FLAG, OPT_ALL, NULL, "the cached steps of named images too; the images themselves stay",
		NULL },
	{ "dry-run", 'n', CB_OPT_FLAG, OPT_DRY_RUN, NULL, "only say what would go", NULL },
	{ "filter", 0, CB_OPT_VALUE, OPT_FILTER, "KEY=VALUE",
		"only what this holds for: id, parent, type, description, until, named, shared, private, mutable",
		NULL },
	{ "force", 'f', CB_OPT_FLAG, OPT_FORCE, NULL, "without effect: prune never asks", NULL },
	{ "keep-duration", 0, CB_OPT_VALUE, OPT_KEEP_DURATION, "TIME", "keep what was used within TIME (48h, 30d)",
		NULL },
	{ "keep-storage", 0, CB_OPT_VALUE, OPT_KEEP_STORAGE, "SIZE",
		"remove what was not used for longest until the store is no larger", NULL },
	{ "quiet", 'q', CB_OPT_FLAG, OPT_QUIET, NULL, "print the sum only", NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};

struct request {
	struct cb_usage_filter *filter;
	struct cb_gc gc;
	bool quiet, failed;
	const char *root;
};

static bool take(void *ctx, const struct cb_usage_item *item)
{
	return cb_usage_filter_match(((struct request *)ctx)->filter, item);
}

/* Told at once: with a large store it takes a while, and whoever stops it knows how far it came. */
static void gone(void *ctx, const struct cb_usage_item *item)
{
	struct request *request = ctx;
	cleanup_buf struct cb_buf size = { 0 }, title = { 0 };
	cleanup_free char *text = item->title ? cb_inputs_place_text(item->title) : NULL;

	if (request->quiet)
		return;
	cb_num_format_size(&size, item->size);
	cb_storecmd_cut(&title, text ? text : "", 60);
	if (printf("%s  %-10s  %9s  %s\n", item->id, item->type ? item->type : "", cb_buf_str(&size),
		    cb_buf_str(&title)) < 0)
		request->failed = true;
}

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_ALL:
		request->gc.all = cb_opt_bool(value);
		return 0;
	case OPT_DRY_RUN:
		request->gc.dry_run = cb_opt_bool(value);
		return 0;
	case OPT_FILTER:
		return cb_usage_filter_add(request->filter, value, err);
	case OPT_KEEP_DURATION:
		if (!cb_gc_parse_duration(value, &request->gc.keep_seconds))
			return cb_err_set(
				err, CB_ERR_USAGE, "--keep-duration takes a time (48h, 30d), not \"%s\"", value);
		return 0;
	case OPT_KEEP_STORAGE:
		request->gc.limited = true;
		if (!cb_num_size(value, &request->gc.keep_bytes))
			return cb_err_set(err, CB_ERR_USAGE, "--keep-storage takes a size (20g), not \"%s\"", value);
		return 0;
	case OPT_QUIET:
		request->quiet = cb_opt_bool(value);
		return 0;
	case OPT_ROOT:
		request->root = value;
		return 0;
	default: /* --force */
		return 0;
	}
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = {
		.command = "prune", .tables = { cb_prune_options }, .option = take_option, .arg = ret
	};

	return cb_opt_read(&reader, argc, argv, err);
}

static int print_sum(const struct request *request, const struct cb_gc_result *result)
{
	cleanup_buf struct cb_buf out = { 0 };

	cb_buf_adds(&out, request->gc.dry_run ? "Would reclaim: " : "Reclaimed: ");
	cb_num_format_size(&out, result->bytes);
	cb_buf_addf(&out, " (%zu items), ", result->items);
	cb_num_format_size(&out, result->left);
	cb_buf_adds(&out, request->gc.dry_run ? " would be left\n" : " left\n");
	return cb_storecmd_print(&out);
}

int cb_cmd_prune(int argc, char **argv)
{
	CB_CLEANUP(cb_usage_filter_free) struct cb_usage_filter *filter = cb_usage_filter_new();
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_err struct cb_err *err = NULL;
	struct request request = { .filter = filter, .gc = { .take = take, .gone = gone } };
	struct cb_gc_result result = { 0 };
	int r = read_arguments(argc, argv, &request, &err);

	if (r > 0)
		return cb_help_command("prune");
	if (r == 0)
		r = cb_storecmd_open(request.root, &store, &err);
	if (r == 0) {
		request.gc.ctx = &request;
		request.gc.cancel = cb_storecmd_cancel();
		r = cb_gc_run(store, &request.gc, &result, &err);
	}
	if (fflush(stdout) < 0 || request.failed)
		return CB_EXIT_ENVIRONMENT;
	if (r < 0)
		return cb_storecmd_fail(err);
	return print_sum(&request, &result);
}
