/* `cbuild fmt`: the common look of Buildfiles. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "base/strv.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "parser/format.h"
#include "parser/parse.h"

enum { FMT_CHECK = 1, FMT_WRITE };

const struct cb_opt cb_fmt_options[] = {
	{ "check", 0, CB_OPT_FLAG, FMT_CHECK, NULL, "name the files that would change, and fail if there are any",
		NULL },
	{ "write", 'w', CB_OPT_FLAG, FMT_WRITE, NULL, "write the result back to the file", NULL },
	{ 0 },
};

struct request {
	bool check, write;
	struct cb_strv files;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	(void)err;
	*(opt->id == FMT_CHECK ? &request->check : &request->write) = cb_opt_bool(value);
	return 0;
}

/** 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "fmt",
		.tables = { cb_fmt_options },
		.option = take_option,
		.arg = ret,
		.operands = &ret->files };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r != 0)
		return r;
	if (!ret->files.n)
		return cb_err_set(err, CB_ERR_USAGE, "the file is missing (\"-\" is standard input)");
	if (ret->check && ret->write)
		return cb_err_set(err, CB_ERR_USAGE, "--check and --write exclude each other");
	if (ret->write && cb_strv_has(&ret->files, "-"))
		return cb_err_set(err, CB_ERR_USAGE, "--write cannot write back to standard input");
	return 0;
}

/** Replaces @file, through symlinks, keeping its mode. */
static int write_back(const char *file, const struct cb_buf *text, struct cb_err **err)
{
	cleanup_free char *real = realpath(file, NULL);
	struct stat st;

	if (!real || stat(real, &st) < 0)
		return cb_err_errno(err, errno, "%s", file);
	return cb_atomic_write(AT_FDCWD, real, text->data, text->len, st.st_mode & 07777, err);
}

/** Formats one file; *ret_differs says whether it was not formatted. */
static int format_file(const struct request *request, const char *file, bool *ret_differs)
{
	bool from_stdin = !strcmp(file, "-");
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf source = { 0 }, out = { 0 };
	struct cb_report_source where = { .name = from_stdin ? "<stdin>" : file };
	int r;

	if (from_stdin)
		r = cb_fd_read_all(STDIN_FILENO, CB_BUILDFILE_MAX, "standard input", &source, &err);
	else
		r = cb_file_read_at(AT_FDCWD, file, CB_BUILDFILE_MAX, &source, &err);
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	where.data = source.data;
	where.len = source.len;
	r = cb_format(cb_buf_str(&source), source.len, &out, &err);
	if (r < 0)
		return cb_report_fail(err, &where, NULL);
	*ret_differs = source.len != out.len || memcmp(source.data, out.data, out.len) != 0;
	if (request->check) {
		if (*ret_differs)
			printf("%s\n", where.name);
		return CB_EXIT_OK;
	}
	if (request->write)
		r = *ret_differs ? write_back(file, &out, &err) : 0;
	else if (cb_fd_write_all(STDOUT_FILENO, out.data, out.len) < 0)
		r = cb_err_errno(&err, errno, "write standard output");
	return r < 0 ? cb_report_fail(err, NULL, NULL) : CB_EXIT_OK;
}

int cb_cmd_fmt(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	struct request request = { 0 };
	int r = read_arguments(argc, argv, &request, &err), status = CB_EXIT_OK;

	if (r > 0)
		status = cb_help_command("fmt");
	else if (r < 0)
		status = cb_report_fail(err, NULL, NULL);
	for (size_t i = 0; r == 0 && i < request.files.n; i++) {
		bool differs = false;
		int one = format_file(&request, request.files.v[i], &differs);

		if (one == CB_EXIT_OK && request.check && differs)
			one = CB_EXIT_FAILED;
		if (status == CB_EXIT_OK)
			status = one;
	}
	cb_strv_done(&request.files);
	return status;
}
