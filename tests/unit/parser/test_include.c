/* INCLUDE: what is read in its place, where errors are, and what is refused. FROM --reset. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/parser/grammar_cases.h"

/* A file system of the test: names and contents. */
static const struct {
	const char *name, *data;
} files[] = {
	{ "args", "# syntax=docker/dockerfile:1\nARG V=1\n" },
	{ "common", "# shared\nENV A=b\nINCLUDE deep\nUSER u" },
	{ "deep", "WORKDIR /d\nRUN <<X\necho 1\nX\n" },
	{ "empty", "" },
	{ "comments", "# nothing\n\n" },
	{ "loop", "INCLUDE loop2\n" },
	{ "loop2", "\nINCLUDE loop\n" },
	{ "self", "INCLUDE Buildfile\n" },
	{ "bad", "ENV A=b\nCOPY x\n" },
	{ "unknown", "\n\nFOO\n" },
	{ "open", "RUN <<X\nINCLUDE empty\n" },
	{ "half", "RUN a \\" },
	{ "stage", "FROM b AS b\nRUN two\n" },
	{ "tick", "# escape=`\nRUN a `\n b\n" },
};

static int read_file(void *ctx, const char *from, const char *path, struct cb_include_file *ret, struct cb_err **err)
{
	(void)ctx;
	(void)from;
	if (strcmp(path, "Buildfile") == 0) {
		*ret = (struct cb_include_file){ "Buildfile", "main", "", 0 };
		return 0;
	}
	if (strncmp(path, "chain", 5) == 0) {
		static char names[64][16], data[64][32];
		static size_t n;
		size_t at = n++ % 64;

		snprintf(names[at], sizeof(names[at]), "chain%zu", n);
		snprintf(data[at], sizeof(data[at]), "INCLUDE chain%zu\n", n + 1);
		*ret = (struct cb_include_file){ names[at], NULL, data[at], strlen(data[at]) };
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (strcmp(files[i].name, path) != 0)
			continue;
		*ret = (struct cb_include_file){ files[i].name, NULL, files[i].data, strlen(files[i].data) };
		return 0;
	}
	return cb_err_set(err, CB_ERR_NOT_FOUND, "no file %s", path);
}

/* "FILE:LINE KEYWORD" of globals and stages. */
static void add_instr(struct cb_buf *out, const struct cb_buildfile *file, const struct cb_instr *instr)
{
	unsigned int line;
	const struct cb_source_file *source = cb_buildfile_place(file, instr->node->line, &line);

	cb_buf_addf(out, "%s%s:%u %s", out->len ? ", " : "", source->name ? source->name : "-", line,
		cb_keyword_upper(instr->kw));
}

static void show(struct cb_buf *out, const struct cb_buildfile *file)
{
	for (size_t i = 0; i < file->n_globals; i++)
		add_instr(out, file, &file->globals[i]);
	for (size_t i = 0; i < file->n_stages; i++) {
		add_instr(out, file, file->stages[i].from);
		for (size_t k = 0; k < file->stages[i].n_instrs; k++)
			add_instr(out, file, &file->stages[i].instrs[k]);
	}
}

static const struct {
	const char *name, *in, *want;
} rows[] = {
	{ "in a stage, nested", "FROM a\nINCLUDE common\nRUN z\n",
		"-:1 FROM, common:2 ENV, deep:1 WORKDIR, deep:2 RUN, common:4 USER, -:3 RUN" },
	{ "before FROM", "INCLUDE args\nFROM a\n", "args:2 ARG, -:2 FROM" },
	{ "a stage", "FROM a\ninclude stage\nRUN c\n", "-:1 FROM, stage:1 FROM, stage:2 RUN, -:3 RUN" },
	{ "twice", "FROM a\nINCLUDE deep\nINCLUDE deep\n",
		"-:1 FROM, deep:1 WORKDIR, deep:2 RUN, deep:1 WORKDIR, deep:2 RUN" },
	{ "nothing in it", "FROM a\nINCLUDE empty\nINCLUDE comments\n", "-:1 FROM" },
	{ "a continuation ends with its file", "FROM a\nINCLUDE half\nRUN b\n", "-:1 FROM, half:1 RUN, -:3 RUN" },
	{ "not there", "FROM a\nINCLUDE  gone\n", "-:2:10: no file gone" },
	{ "cycle", "FROM a\nINCLUDE loop\n", "loop2:2:9: loop includes itself" },
	{ "of the Buildfile", "FROM a\nINCLUDE self\n", "self:1:9: Buildfile includes itself" },
	{ "too deep", "FROM a\nINCLUDE chain\n", "INCLUDE is nested more than 16 deep" },
	{ "error of a typed instruction", "FROM a\nINCLUDE bad\n", "bad:2:6: COPY requires at least two arguments" },
	{ "error of a keyword", "FROM a\nINCLUDE unknown\n", "unknown:3:1: unknown instruction: \"FOO\"" },
	{ "here-document does not reach out", "FROM a\nINCLUDE open\nX\n",
		"open:1:5: the here-document \"X\" does not end" },
	{ "another escape character", "FROM a\nINCLUDE tick\n",
		"tick:1:1: an included file cannot have another escape character" },
	{ "same escape character", "# escape=`\nFROM a\nINCLUDE tick\n", "-:2 FROM, tick:2 RUN" },
	{ "instruction before FROM", "INCLUDE bad\nFROM a\n", "bad:2:6: COPY requires at least two arguments" },
	{ "no argument", "FROM a\nINCLUDE\n", "-:2:1: INCLUDE requires exactly one argument" },
	{ "variable", "FROM a\nINCLUDE $x\n", "-:2:9: INCLUDE does not expand variables" },
	{ "flag", "FROM a\nINCLUDE --x a\n", "-:2:9: unknown flag: --x" },
	{ "ONBUILD", "FROM a\nONBUILD INCLUDE empty\n", "-:2:9: INCLUDE isn't allowed as an ONBUILD trigger" },
	{ "in a here-document", "FROM a\nRUN <<X\nINCLUDE gone\nX\n", "-:1 FROM, -:2 RUN" },
	{ "after other files", "FROM a\nINCLUDE common\nINCLUDE bad\n",
		"bad:2:6: COPY requires at least two arguments" },
	{ "after it", "FROM a\nINCLUDE common\nCOPY x\n", "-:3:6: COPY requires at least two arguments" },
};

static void include_rows(void **state)
{
	const struct cb_includer includer = { .read = read_file, .id = "main" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf got = { 0 };

		print_message("# %s\n", rows[i].name);
		if (cb_parse_files(rows[i].in, strlen(rows[i].in), &includer, &file, &err) < 0)
			cb_buf_addf(&got, "%s:%u:%u: %s", err->file ? err->file : "-", err->line, err->col,
				cb_err_msg(err));
		else
			show(&got, file);
		if (!strstr(cb_buf_str(&got), rows[i].want))
			fail_msg("got \"%s\", want \"%s\"", cb_buf_str(&got), rows[i].want);
	}
}

static void refused_without_context(void **state)
{
	static const char in[] = "FROM a\nINCLUDE b\n";
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	assert_int_equal(cb_parse(in, strlen(in), &file, &err), CB_ERR_INPUT);
	assert_int_equal(err->line, 2);
}

/* Small files that include each other in pairs would be 2^16 inclusions. */
static int read_pair(void *ctx, const char *from, const char *path, struct cb_include_file *ret, struct cb_err **err)
{
	static const char *const names[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13",
		"14", "15", "16" };
	static char data[17][64];
	int depth = atoi(path);

	(void)ctx;
	(void)from;
	(void)err;
	snprintf(data[depth], sizeof(data[depth]), depth < 15 ? "INCLUDE %d\nINCLUDE %d\n" : "ENV a=b\n", depth + 1,
		depth + 1);
	*ret = (struct cb_include_file){ names[depth], NULL, data[depth], strlen(data[depth]) };
	return 0;
}

static void number_is_limited(void **state)
{
	static const char in[] = "FROM a\nINCLUDE 1\n";
	const struct cb_includer includer = { .read = read_pair };
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	assert_int_equal(cb_parse_files(in, strlen(in), &includer, &file, &err), CB_ERR_LIMIT);
	assert_non_null(strstr(cb_err_msg(err), "files are included"));
}

static const struct {
	const char *in;
	unsigned int want;
} resets[] = {
	{ "FROM a", 0 },
	{ "FROM --reset a", CB_RESET_ALL },
	{ "FROM --reset=cmd a", CB_RESET_CMD },
	{ "FROM --reset=labels,env --platform=x a AS b", CB_RESET_LABELS | CB_RESET_ENV },
	{ "FROM --reset=volumes,expose,entrypoint,cmd,env,labels,user,workdir,healthcheck,onbuild a", CB_RESET_ALL },
};

static void reset_parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(resets); i++) {
		CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;

		assert_int_equal(cb_parse(resets[i].in, strlen(resets[i].in), &file, NULL), 0);
		assert_int_equal(file->stages[0].from->from.reset, resets[i].want);
		assert_string_equal(file->stages[0].base.s, "a");
	}
}

static const struct grammar_case bad_resets[] = {
	{ "unknown part", "FROM --reset=cdm a", "1:14: flag --reset: unknown part \"cdm\" (did you mean \"cmd\"?)" },
	{ "empty", "FROM --reset= a",
		"1:14: flag --reset: unknown part \"\" (the parts are volumes, expose, entrypoint, cmd, env, labels, "
		"user, workdir, healthcheck, onbuild)" },
	{ "twice", "FROM --reset --reset=cmd a", "1:14: flag --reset is given twice" },
};

static void reset_errors(void **state)
{
	(void)state;
	run_cases(bad_resets, ARRAY_SIZE(bad_resets), check_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(include_rows), cmocka_unit_test(refused_without_context),
		cmocka_unit_test(number_is_limited), cmocka_unit_test(reset_parts), cmocka_unit_test(reset_errors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
