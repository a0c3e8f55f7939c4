/* Helpers of the tests of checks: what is found in a Buildfile as one string. */
#ifndef CB_TESTS_CHECK_CASES_H
#define CB_TESTS_CHECK_CASES_H

#include "parser/check.h"
#include "unit/parser/grammar_cases.h"

static inline bool looks_like_reference(const char *text)
{
	return *text != ':' && !cb_str_ends(text, ":") &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-/:@")] == '\0';
}

static inline bool split_platform(const char *text, char **ret_os, char **ret_arch)
{
	const char *slash = strchr(text, '/');

	if (!slash || !slash[1])
		return false;
	*ret_os = cb_xstrndup(text, (size_t)(slash - text));
	*ret_arch = cb_xstrndup(slash + 1, strcspn(slash + 1, "/"));
	return true;
}

/* "line Rule: message", joined by "; "; an error at the end as "! message". @options may be NULL. */
static inline char *findings_text(const char *in, const struct cb_check_options *options)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_findings struct cb_findings findings = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct cb_strv none = { 0 };
	struct cb_check_options opts = { 0 };

	if (options)
		opts = *options;
	if (!opts.build_args)
		opts.build_args = &none;
	opts.platforms = (struct cb_platform_args){ "linux/amd64", "linux/amd64", "default" };
	opts.is_reference = looks_like_reference;
	opts.split_platform = split_platform;
	if (cb_parse(in, strlen(in), &file, &err) < 0)
		return error_text(err);
	cb_check(file, &opts, &findings, &err);
	for (size_t i = 0; i < findings.n; i++)
		cb_buf_addf(&out, "%s%u %s: %s", out.len ? "; " : "", findings.v[i].line, findings.v[i].rule->name,
			findings.v[i].msg);
	if (err) {
		cleanup_free char *text = error_text(err);

		cb_buf_addf(&out, "%s! %s", out.len ? "; " : "", text);
	}
	return cb_buf_take(&out);
}

/* One row: rules found, "2 Rule, 3 Rule"; messages are compared by other tables. */
static inline char *rules_text(const char *in, const struct cb_check_options *options)
{
	cleanup_free char *full = findings_text(in, options);
	cleanup_buf struct cb_buf out = { 0 };

	for (char *p = full; *p;) {
		char *end = strstr(p, "; ");
		char *colon = strchr(p, ':');

		if (*p == '!') {
			cb_buf_addf(&out, "%s%s", out.len ? ", " : "", p);
			break;
		}
		cb_buf_addf(&out, "%s%.*s", out.len ? ", " : "", (int)(colon - p), p);
		p = end ? end + 2 : p + strlen(p);
	}
	return cb_buf_take(&out);
}

#endif
