/* library: parser */
/*
 * Several files that include each other: NUL parts them, and the Nth is called N - 1. Lines have a place in one of
 * them, checks of them too, and what flattening gives is one plain file of the same instructions.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/strv.h"
#include "parser/check.h"
#include "parser/flatten.h"
#include "parser/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES_MAX 10

struct files {
	const char *data[FILES_MAX];
	size_t len[FILES_MAX];
	char names[FILES_MAX][2];
	size_t n;
};

static void split(struct files *files, const char *data, size_t size)
{
	while (files->n < FILES_MAX) {
		const char *end = size ? memchr(data, '\0', size) : NULL;
		size_t len = end ? (size_t)(end - data) : size;

		files->names[files->n][0] = (char)('0' + files->n);
		files->data[files->n] = data;
		files->len[files->n++] = len;
		if (!end)
			return;
		data += len + 1;
		size -= len + 1;
	}
}

static int read_file(void *ctx, const char *from, const char *path, struct cb_include_file *ret, struct cb_err **err)
{
	const struct files *files = ctx;
	size_t at = (size_t)(*path - '0');

	assert(!from || (*from >= '1' && (size_t)(*from - '0') < files->n));
	if (strlen(path) != 1 || at == 0 || at >= files->n)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "no file %s", path);
	*ret = (struct cb_include_file){ files->names[at], NULL, files->data[at], files->len[at] };
	return 0;
}

static unsigned int lines_of(const char *data, size_t len)
{
	unsigned int n = 1;

	for (size_t i = 0; i < len; i++)
		n += data[i] == '\n';
	return n;
}

/* Every node stands on a line that its file has. */
static void check_places(const struct cb_buildfile *file, const struct files *files)
{
	for (size_t i = 0; i < file->n_nodes; i++) {
		unsigned int line = 0;
		const struct cb_source_file *source = cb_buildfile_place(file, file->nodes[i]->line, &line);
		size_t at = source && source->name ? (size_t)(*source->name - '0') : 0;

		assert(!source || (line >= 1 && at < files->n && line <= lines_of(files->data[at], files->len[at])));
	}
}

static void check(const struct cb_buildfile *file)
{
	cleanup_findings struct cb_findings findings = { 0 };
	struct cb_strv none = { 0 };
	struct cb_check_options opts = { .build_args = &none, .own = true, .portable = true };

	opts.platforms = (struct cb_platform_args){ "linux/amd64", "linux/amd64", "default" };
	cb_check(file, &opts, &findings, NULL);
	for (size_t i = 0; i < findings.n; i++)
		assert(findings.v[i].line >= 1 && findings.v[i].end_line >= findings.v[i].line);
}

static bool resets(const struct cb_buildfile *file)
{
	for (size_t i = 0; i < file->n_stages; i++)
		if (file->stages[i].from->from.reset)
			return true;
	return false;
}

/* White space at the end of a line means nothing: CR there is part of the line end. */
static bool same_text(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	while (n && strchr(" \t\r\v\f", a[n - 1]))
		n--;
	while (m && strchr(" \t\r\v\f", b[m - 1]))
		m--;
	return n == m && !memcmp(a, b, n);
}

/* What it adds stands behind a FROM --reset; everywhere else the instructions are the same. */
static void compare(const struct cb_buildfile *file, struct cb_buf *flat)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *plain = NULL;
	cleanup_err struct cb_err *err = NULL;
	size_t k = 0;
	int r = cb_parse(cb_buf_str(flat), flat->len, &plain, &err);

	if (r < 0)
		fprintf(stderr, "%u: %s\n", err->line, cb_err_msg(err));
	assert(r == 0);
	assert(plain->n_stages == file->n_stages);
	assert(plain->directives.escape == file->directives.escape);
	if (resets(file))
		return;
	for (size_t i = 0; i < file->n_nodes; i++) {
		if (file->nodes[i]->kw == CB_KW_INCLUDE)
			continue;
		assert(k < plain->n_nodes);
		assert(file->nodes[i]->kw == plain->nodes[k]->kw);
		assert(file->nodes[i]->n_heredocs == plain->nodes[k]->n_heredocs);
		assert(same_text(file->nodes[i]->rest, plain->nodes[k++]->rest));
	}
	assert(k == plain->n_nodes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf flat = { 0 };
	struct files files = { 0 };
	const struct cb_includer includer = { read_file, &files, NULL };

	split(&files, (const char *)data, size);
	if (cb_parse_files(files.data[0], files.len[0], &includer, &file, &err) < 0) {
		assert(err && !file);
		return 0;
	}
	check_places(file, &files);
	check(file);
	if (cb_flatten(file, &flat, &err) < 0)
		assert(err && err->code == CB_ERR_INPUT);
	else
		compare(file, &flat);
	return 0;
}
