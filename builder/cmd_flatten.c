/* `cbuild flatten`: the plain Dockerfile that a Buildfile with INCLUDE and FROM --reset stands for. */
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "builder/command.h"
#include "builder/context.h"
#include "builder/help.h"
#include "builder/include.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "parser/flatten.h"

enum { FLATTEN_FILE = 1 };

const struct cb_opt cb_flatten_options[] = {
	{ "file", 'f', CB_OPT_VALUE, FLATTEN_FILE, "FILE", "the Buildfile (\"-\" is standard input)", "file" },
	{ 0 },
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct cb_settings *settings = arg;

	(void)opt;
	(void)err;
	free(settings->file);
	settings->file = cb_xstrdup(value);
	return 0;
}

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct cb_settings *settings = arg;

	if (settings->context)
		return cb_err_set(
			err, CB_ERR_USAGE, "one context, please: \"%s\" and \"%s\" are two", settings->context, value);
	settings->context = cb_xstrdup(value);
	return 0;
}

/** 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct cb_settings *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "flatten",
		.tables = { cb_flatten_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r == 0 && !ret->context)
		return cb_err_set(err, CB_ERR_USAGE, "the context is missing");
	return r;
}

static int flatten(const struct cb_settings *settings)
{
	__attribute__((cleanup(cb_context_file_done))) struct cb_context_file file = { 0 };
	CB_CLEANUP(cb_includes_free) struct cb_includes *includes = NULL;
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *parsed = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct cb_report_source source = { 0 };
	int r = cb_context_read_file(settings, &file, &err);

	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	includes = cb_includes_new(settings->context, file.path);
	r = cb_parse_files(cb_buf_str(&file.data), file.data.len, cb_includes_reader(includes), &parsed, &err);
	if (r == 0) {
		r = cb_flatten(parsed, &out, &err);
		if (r < 0)
			cb_buildfile_localise(parsed, err);
	}
	if (r < 0) {
		source = (struct cb_report_source){ .name = file.shown, .data = file.data.data, .len = file.data.len };
		cb_includes_report(includes, &source);
		return cb_report_fail(err, &source, NULL);
	}
	if (cb_fd_write_all(STDOUT_FILENO, cb_buf_str(&out), out.len) < 0) {
		cb_err_errno(&err, errno, "write standard output");
		return cb_report_fail(err, NULL, NULL);
	}
	return CB_EXIT_OK;
}

int cb_cmd_flatten(int argc, char **argv)
{
	cleanup_settings struct cb_settings settings;
	cleanup_err struct cb_err *err = NULL;
	int r;

	cb_settings_init(&settings);
	r = read_arguments(argc, argv, &settings, &err);
	if (r > 0)
		return cb_help_command("flatten");
	return r < 0 ? cb_report_fail(err, NULL, NULL) : flatten(&settings);
}
