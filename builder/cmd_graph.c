/* cbuild graph: the plan of a build, without building and without asking a registry. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/plan.h"
#include "builder/reading.h"
#include "builder/report.h"
#include "builder/settings.h"

const struct cb_opt cb_graph_options[] = {
	{ "format", 0, CB_OPT_VALUE, CB_SETTINGS_EXTRA_ID, "FORMAT", "text, dot (graphviz) or json", "text|dot|json" },
	{ 0 },
};

static int set_format(void *arg, int id, const char *value, struct cb_err **err)
{
	static const char *const names[] = { [CB_PLAN_TEXT] = "text", [CB_PLAN_DOT] = "dot", [CB_PLAN_JSON] = "json" };

	(void)id;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			*(enum cb_plan_format *)arg = (enum cb_plan_format)i;
			return 0;
		}
	}
	cb_err_set(err, CB_ERR_USAGE, "--format: unknown format \"%s\"", value);
	return cb_err_hint(err, CB_ERR_USAGE, "the formats are text, dot and json");
}

static int make_plan(const struct cb_settings *settings, const struct cb_buildfile *file, struct cb_contexts *contexts,
	struct cb_plan **ret, struct cb_err **err)
{
	struct cb_plan_options options = { .settings = settings, .contexts = contexts, .file = file };
	cleanup_free struct cb_platform *platforms = NULL;
	int r = cb_settings_platforms(settings, &platforms, &options.n_targets, err);

	cb_platform_host(&options.build);
	options.targets = platforms;
	return r < 0 ? r : cb_plan_new(&options, ret, err);
}

static int print_graph(const struct cb_settings *settings, enum cb_plan_format format)
{
	cleanup_reading struct cb_reading reading = { 0 };
	CB_CLEANUP(cb_plan_free) struct cb_plan *plan = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	int r = cb_reading_open(settings, &reading, &err);

	if (r == 0)
		r = make_plan(settings, reading.parsed, reading.contexts, &plan, &err);
	if (r < 0)
		return cb_reading_fail(&reading, err);
	cb_plan_print(plan, format, &out);
	if (cb_fd_write_all(STDOUT_FILENO, cb_buf_str(&out), out.len) < 0) {
		cb_err_errno(&err, errno, "write the graph");
		return cb_report_fail(err, NULL, NULL);
	}
	return CB_EXIT_OK;
}

int cb_cmd_graph(int argc, char **argv)
{
	cleanup_settings struct cb_settings settings;
	cleanup_err struct cb_err *err = NULL;
	enum cb_plan_format format = CB_PLAN_TEXT;
	struct cb_settings_extra extra = { cb_graph_options, set_format, &format };
	int r;

	cb_settings_init(&settings);
	r = cb_settings_parse_extra(&settings, &extra, argc, argv, environ, &err);
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	if (r > 0)
		return cb_help_command("graph");
	return print_graph(&settings, format);
}
