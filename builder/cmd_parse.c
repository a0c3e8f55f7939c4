/* `cbuild parse`: validates a Buildfile, or prints the tree of its grammar. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/include.h"
#include "builder/report.h"
#include "parser/dump.h"
#include "parser/parse.h"

enum { PARSE_FORMAT = 1 };

const struct cb_opt cb_parse_options[] = {
	{ "format", 0, CB_OPT_VALUE, PARSE_FORMAT, "FORMAT", "print the tree: json or sexp", "json|sexp" },
	{ 0 },
};

struct request {
	const char *format, *file;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	(void)opt;
	if (strcmp(value, "json") != 0 && strcmp(value, "sexp") != 0)
		return cb_err_set(err, CB_ERR_USAGE, "--format is json or sexp, not \"%s\"", value);
	request->format = value;
	return 0;
}

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (request->file)
		return cb_err_set(
			err, CB_ERR_USAGE, "one file, please: \"%s\" and \"%s\" are two", request->file, value);
	request->file = value;
	return 0;
}

/** 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "parse",
		.tables = { cb_parse_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r == 0 && !ret->file)
		return cb_err_set(err, CB_ERR_USAGE, "the file is missing (\"-\" is standard input)");
	return r;
}

static int read_source(const char *file, struct cb_buf *out, struct cb_err **err)
{
	if (!strcmp(file, "-"))
		return cb_fd_read_all(STDIN_FILENO, CB_BUILDFILE_MAX, "standard input", out, err);
	return cb_file_read_at(AT_FDCWD, file, CB_BUILDFILE_MAX, out, err);
}

/** Without a context, files are included from the directory of the file. */
static struct cb_includes *includes_of(const struct request *request)
{
	bool from_file = strcmp(request->file, "-") != 0;
	cleanup_free char *dir = from_file ? cb_path_dir(request->file) : cb_xstrdup(".");

	return cb_includes_new(dir, from_file ? request->file : NULL);
}

static int parse_source(
	const struct request *request, const struct cb_buf *source, struct cb_includes *includes, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	const char *data = source->data ? source->data : "";
	int r;

	if (!request->format)
		return cb_parse_files(data, source->len, cb_includes_reader(includes), &file, err);
	r = cb_parse_nodes(data, source->len, &file, err);
	if (r < 0)
		return r;
	if (!strcmp(request->format, "json"))
		cb_dump_json(file, &out);
	else
		cb_dump_sexp(file, &out);
	if (cb_fd_write_all(STDOUT_FILENO, out.data, out.len) < 0)
		return cb_err_errno(err, errno, "write standard output");
	return 0;
}

int cb_cmd_parse(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf source = { 0 };
	CB_CLEANUP(cb_includes_free) struct cb_includes *includes = NULL;
	struct cb_report_source where = { 0 };
	struct request request = { 0 };
	int r;

	r = read_arguments(argc, argv, &request, &err);
	if (r > 0)
		return cb_help_command("parse");
	if (r < 0 || read_source(request.file, &source, &err) < 0)
		return cb_report_fail(err, NULL, NULL);
	where.name = strcmp(request.file, "-") ? request.file : "<stdin>";
	where.data = source.data;
	where.len = source.len;
	includes = includes_of(&request);
	if (parse_source(&request, &source, includes, &err) < 0) {
		cb_includes_report(includes, &where);
		return cb_report_fail(err, &where, NULL);
	}
	return CB_EXIT_OK;
}
