/* cbuild check, and the answers of cbuild build --call. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "base/path.h"
#include "builder/check_bases.h"
#include "builder/check_report.h"
#include "builder/check_source.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/reading.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "parser/fix.h"

enum { CHECK_FORMAT = CB_SETTINGS_EXTRA_ID, CHECK_FAIL_ON, CHECK_FIX, CHECK_PORTABLE, CHECK_STANDARD };

const struct cb_opt cb_check_options_table[] = {
	{ "fail-on", 0, CB_OPT_VALUE, CHECK_FAIL_ON, "SEVERITY", "exit with 1 for findings of this severity or worse",
		"error|warning|info|style|never" },
	{ "fix", 0, CB_OPT_FLAG, CHECK_FIX, NULL, "mend in the file what can be mended mechanically", NULL },
	{ "format", 0, CB_OPT_VALUE, CHECK_FORMAT, "FORMAT", "tty, json, sarif, github, gitlab, checkstyle or junit",
		"tty|json|sarif|github|gitlab|checkstyle|junit" },
	{ "portable", 0, CB_OPT_FLAG, CHECK_PORTABLE, NULL, "warn about what docker build does not understand", NULL },
	{ "standard", 0, CB_OPT_FLAG, CHECK_STANDARD, NULL, "only the rules that BuildKit has too", NULL },
	{ 0 },
};

struct request {
	enum cb_check_format format;
	bool own, portable, fix, never;
	bool ask; /* registries for base images */
	enum cb_severity fail_on;
};

/* Everything that is open while a file is checked. */
struct work {
	struct cb_reading reading;
	struct cb_check_bases *bases;
};

static void work_done(struct work *work)
{
	cb_check_bases_free(work->bases);
	cb_reading_done(&work->reading);
}

static int write_out(struct cb_buf *out, struct cb_err **err)
{
	if (cb_fd_write_all(STDOUT_FILENO, cb_buf_str(out), out->len) < 0)
		return cb_err_errno(err, errno, "write standard output");
	return 0;
}

static int source_of(
	const struct work *work, const struct cb_settings *settings, struct cb_check_source *ret, struct cb_err **err)
{
	*ret = (struct cb_check_source){ .settings = settings,
		.contexts = work->reading.contexts,
		.file = work->reading.parsed,
		.bases = work->bases };
	cb_platform_host(&ret->target);
	if (settings->platforms.n)
		return cb_platform_parse(settings->platforms.v[0], &ret->target, err);
	return 0;
}

static bool fails(const struct cb_findings *findings, const struct request *request)
{
	cleanup_free char *failure = cb_findings_failure(findings);

	for (size_t i = 0; i < findings->n && !request->never; i++)
		if (findings->v[i].rule->severity <= request->fail_on)
			return true;
	return failure != NULL;
}

/* ---- --fix ---------------------------------------------------------------------------------------------------- */

static int fix(struct work *work, const struct cb_settings *settings, struct cb_err **err)
{
	cleanup_findings struct cb_findings findings = { 0 };
	cleanup_free char *real = NULL;
	cleanup_buf struct cb_buf fixed = { 0 };
	struct cb_check_source source;
	struct stat st;
	size_t n = 0;
	int r;

	if (!work->reading.file.path)
		return cb_err_set(err, CB_ERR_USAGE, "--fix needs a file of this machine");
	r = source_of(work, settings, &source, err);
	if (r == 0)
		r = cb_check_run(&source, &findings, err);
	if (r == 0)
		r = cb_fix(work->reading.file.data.data ? work->reading.file.data.data : "",
			work->reading.file.data.len, work->reading.parsed, &findings, &fixed, &n, err);
	if (r < 0 || !n)
		return r;
	/* What a symbolic link points to is replaced, not the link. */
	real = realpath(work->reading.file.path, NULL);
	if (!real || stat(real, &st) < 0)
		return cb_err_errno(err, errno, "%s", work->reading.file.path);
	r = cb_atomic_write(AT_FDCWD, real, fixed.data, fixed.len, st.st_mode & 07777, err);
	if (r < 0)
		return r;
	/* The new file is the caller's, with the caller's umask: as far as possible it becomes what the old one was. */
	if (chown(real, st.st_uid, st.st_gid) < 0 || chmod(real, st.st_mode & 07777) < 0)
		fprintf(stderr, "%s: owner or mode could not be kept\n", work->reading.file.shown);
	fprintf(stderr, "%s: %zu %s fixed\n", work->reading.file.shown, n, n == 1 ? "finding" : "findings");
	cb_buf_done(&work->reading.file.data);
	work->reading.file.data = fixed;
	fixed = (struct cb_buf){ 0 };
	return cb_reading_parse(&work->reading, settings, err);
}

/* ---- the answers ---------------------------------------------------------------------------------------------- */

static int answer_check(
	struct work *work, const struct cb_settings *settings, const struct request *request, struct cb_err **err)
{
	cleanup_findings struct cb_findings findings = { 0 };
	cleanup_buf struct cb_buf out = { 0 };
	struct cb_check_source source;
	int r = request->fix ? fix(work, settings, err) : 0;
	int printed;

	if (r == 0)
		r = source_of(work, settings, &source, err);
	if (r < 0)
		return r;
	source.own = request->own;
	source.portable = request->portable;
	r = cb_check_run(&source, &findings, err);
	cb_check_print(request->format, &findings, &work->reading.source, &out);
	printed = write_out(&out, r < 0 ? NULL : err);
	if (r < 0 || printed < 0)
		return r < 0 ? r : printed;
	return fails(&findings, request) && !settings->call_ignore_status ? CB_EXIT_FAILED : CB_EXIT_OK;
}

static int answer_outline(struct work *work, const struct cb_settings *settings, struct cb_err **err)
{
	cleanup_outline struct cb_outline outline = { 0 };
	cleanup_buf struct cb_buf out = { 0 };
	const struct cb_stage *target = &work->reading.parsed->stages[work->reading.parsed->n_stages - 1];
	struct cb_check_source source;
	int r = source_of(work, settings, &source, err);

	if (r == 0)
		r = cb_check_outline(&source, &outline, err);
	if (r < 0)
		return r;
	if (settings->target)
		target = cb_buildfile_stage(work->reading.parsed, settings->target);
	cb_check_print_outline(&outline, target, settings->call_json, &out);
	return write_out(&out, err);
}

static int answer_targets(struct work *work, const struct cb_settings *settings, struct cb_err **err)
{
	cleanup_buf struct cb_buf out = { 0 };

	cb_check_print_targets(work->reading.parsed, settings->call_json, &out);
	return write_out(&out, err);
}

static int answer(const struct cb_settings *settings, const struct request *request)
{
	__attribute__((cleanup(work_done))) struct work work = { 0 };
	cleanup_err struct cb_err *err = NULL;
	int r = cb_reading_open(settings, &work.reading, &err);

	work.bases = cb_check_bases_new(settings, request->ask, work.reading.build);
	if (r == 0 && settings->call == CB_CALL_OUTLINE)
		r = answer_outline(&work, settings, &err);
	else if (r == 0 && settings->call == CB_CALL_TARGETS)
		r = answer_targets(&work, settings, &err);
	else if (r == 0)
		r = answer_check(&work, settings, request, &err);
	return r < 0 ? cb_reading_fail(&work.reading, err) : r;
}

int cb_check_call(const struct cb_settings *settings)
{
	struct request request = { .format = settings->call_json ? CB_CHECK_JSON : CB_CHECK_TTY };

	request.fail_on = CB_SEVERITY_STYLE;
	request.ask = settings->call == CB_CALL_CHECK;
	return answer(settings, &request);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static int set(void *arg, int id, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (id) {
	case CHECK_FORMAT:
		if (!cb_check_format_parse(value, &request->format))
			return cb_err_set(err, CB_ERR_USAGE, "--format: unknown format \"%s\"", value);
		return 0;
	case CHECK_FAIL_ON:
		request->never = !strcmp(value, "never");
		if (!request->never && !cb_severity_parse(value, &request->fail_on))
			return cb_err_set(err, CB_ERR_USAGE,
				"--fail-on is error, warning, info, style or never, not \"%s\"", value);
		return 0;
	case CHECK_FIX:
		request->fix = cb_opt_bool(value);
		return 0;
	case CHECK_PORTABLE:
		request->portable = cb_opt_bool(value);
		return 0;
	default:
		request->own = !cb_opt_bool(value);
		return 0;
	}
}

/* The operand may be the Buildfile itself: then its directory is the context. */
static void take_file(struct cb_settings *settings)
{
	struct stat st;

	if (settings->file)
		return;
	if (!strcmp(settings->context, "-")) {
		settings->file = settings->context;
		settings->context = cb_xstrdup(".");
	} else if (stat(settings->context, &st) == 0 && S_ISREG(st.st_mode)) {
		settings->file = settings->context;
		settings->context = cb_path_dir(settings->file);
	}
}

int cb_cmd_check(int argc, char **argv)
{
	struct request request = { .own = true, .fail_on = CB_SEVERITY_WARNING };
	struct cb_settings_extra extra = { cb_check_options_table, set, &request };
	cleanup_settings struct cb_settings settings;
	cleanup_err struct cb_err *err = NULL;
	int r;

	cb_settings_init(&settings);
	r = cb_settings_parse_extra(&settings, &extra, argc, argv, environ, &err);
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	if (r > 0)
		return cb_help_command("check");
	if (settings.call_json)
		request.format = CB_CHECK_JSON;
	request.ask = settings.pull;
	take_file(&settings);
	return answer(&settings, &request);
}
