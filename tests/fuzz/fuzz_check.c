/* library: parser */
/* Checks and fixes of any file: places are inside, a mended file parses to the same meaning. */
#include <assert.h>
#include <stdint.h>

#include "base/strv.h"
#include "parser/fix.h"
#include "parser/outline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool split_platform(const char *text, char **ret_os, char **ret_arch)
{
	*ret_os = cb_xstrdup("linux");
	*ret_arch = cb_xstrdup(text);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_findings struct cb_findings findings = { 0 };
	cleanup_outline struct cb_outline outline = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct cb_strv none = { 0 };
	struct cb_check_options opts = { .build_args = &none, .own = true, .split_platform = split_platform };
	const char *text = (const char *)data;
	size_t n = 0;

	opts.platforms = (struct cb_platform_args){ "linux/amd64", "linux/amd64", "default" };
	if (cb_parse(text, size, &file, NULL) < 0)
		return 0;
	cb_outline(file, &opts, &outline, NULL);
	cb_check(file, &opts, &findings, NULL);
	for (size_t i = 0; i < findings.n; i++)
		assert(findings.v[i].line >= 1 && findings.v[i].end_line >= findings.v[i].line);
	/* cb_fix says CB_ERR_INTERNAL when what it made is not what was there. */
	if (cb_fix(text, size, file, &findings, &out, &n, &err) < 0)
		assert(err && err->code == CB_ERR_UNSUPPORTED);
	return 0;
}
