/* cb_flatten: the text, and that it means the same. */
#include "unit/parser/grammar_cases.h"

#include "parser/flatten.h"
#include "parser/sametree.h"

static const struct {
	const char *name, *data;
} files[] = {
	{ "args", "# syntax=x\n# about V\nARG V=1\n" },
	{ "common", "# shared\r\nENV A=b\nINCLUDE deep\nUSER u" },
	{ "deep", "RUN <<X\necho 1\nX" },
	{ "half", "RUN a \\\n # c" },
	{ "halves", "RUN a \\" },
	{ "twice", "RUN a\nRUN b \\ \\" },
	{ "empty", "" },
	{ "bom", "\xef\xbb\xbfRUN a\n" },
	{ "reset", "FROM --reset=labels b\n" },
};

static int read_file(void *ctx, const char *from, const char *path, struct cb_include_file *ret, struct cb_err **err)
{
	(void)ctx;
	(void)from;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (strcmp(files[i].name, path) != 0)
			continue;
		*ret = (struct cb_include_file){ files[i].name, NULL, files[i].data, strlen(files[i].data) };
		return 0;
	}
	return cb_err_set(err, CB_ERR_NOT_FOUND, "no file %s", path);
}

static const struct grammar_case rows[] = {
	{ "nothing to do", "# syntax=x\n\n\nFROM a  \n\tRUN b \\\n # c\n d\n", NULL },
	{ "included", "INCLUDE args\n\nFROM a\nINCLUDE common\n# last\nRUN z",
		"\n# about V\nARG V=1\n\nFROM a\n# shared\r\nENV A=b\nRUN <<X\necho 1\nX\nUSER u\n# last\nRUN z\n" },
	{ "comments of INCLUDE", "FROM a\n# x\nINCLUDE \\\n# y\n deep\n", "FROM a\n# x\n# y\nRUN <<X\necho 1\nX\n" },
	{ "an instruction ends with its file", "FROM a\nINCLUDE half\nRUN b\n", "FROM a\nRUN a \n # c\nRUN b\n" },
	{ "also without a line end", "FROM a\nINCLUDE halves\nRUN b\n", "FROM a\nRUN a \nRUN b\n" },
	{ "twice", "FROM a\nINCLUDE twice\n",
		"5:1: a file ends with a line that would go on twice (take the escape characters off its end)" },
	{ "no new directive", "INCLUDE empty\n# escape=`\nFROM a\nRUN a\\\nb\n", "\n# escape=`\nFROM a\nRUN a\\\nb\n" },
	{ "byte order mark", "FROM a\nINCLUDE bom\n", "FROM a\nRUN a\n" },
	{ "reset", "FROM \\\n# why\n --reset=user,workdir,healthcheck --platform=x a AS b\nRUN c\n",
		"# why\nFROM --platform=x a AS b\nHEALTHCHECK NONE\nUSER 0\nWORKDIR /\nRUN c\n" },
	{ "reset of both commands", "FROM --reset=cmd,entrypoint a\n", "FROM a\nENTRYPOINT []\nCMD []\n" },
	{ "reset of cmd", "FROM --reset=cmd a\n", "FROM a\nCMD []\n" },
	{ "reset of the entrypoint alone", "FROM --reset=entrypoint a\nUSER b\n",
		"1:14: no plain instruction can clear entrypoint of the base and keep its cmd (add cmd to --reset, or a "
		"CMD to the stage)" },
	{ "with a new CMD", "FROM --reset=entrypoint a\nCMD b\n", "FROM a\nENTRYPOINT []\nCMD b\n" },
	{ "reset of what cannot be", "FROM a\nRUN b\nFROM --reset=volumes b\n",
		"3:14: no plain instruction can clear volumes of the base (a Dockerfile can clear entrypoint, cmd, "
		"healthcheck, user and workdir)" },
	{ "reset of all", "FROM --reset a\n",
		"1:1: no plain instruction can clear volumes of the base (a Dockerfile can clear entrypoint, cmd, "
		"healthcheck, user and workdir)" },
	{ "reset of nothing", "FROM --reset scratch AS x\n", "FROM scratch AS x\n" },
};

static char *flat_text(const char *in)
{
	const struct cb_includer includer = { .read = read_file };
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };

	assert_int_equal(cb_parse_files(in, strlen(in), &includer, &file, NULL), 0);
	if (cb_flatten(file, &out, &err) < 0)
		return error_text(err);
	return cb_buf_take(&out);
}

/* The instructions of the result are those of the input, where neither adds any. */
static void same_instrs(const char *in, const char *flat)
{
	const struct cb_includer includer = { .read = read_file };
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *a = NULL, *b = NULL;
	cleanup_buf struct cb_buf flat_again = { 0 };
	size_t k = 0;

	assert_int_equal(cb_parse_files(in, strlen(in), &includer, &a, NULL), 0);
	assert_int_equal(cb_parse(flat, strlen(flat), &b, NULL), 0);
	assert_int_equal(a->directives.escape, b->directives.escape);
	for (size_t i = 0; i < a->n_nodes; i++) {
		if (a->nodes[i]->kw == CB_KW_INCLUDE)
			continue;
		assert_true(k < b->n_nodes);
		assert_int_equal(a->nodes[i]->n_heredocs, b->nodes[k]->n_heredocs);
		assert_string_equal(a->nodes[i]->rest, b->nodes[k++]->rest);
	}
	assert_int_equal(k, b->n_nodes);
	assert_int_equal(cb_flatten(b, &flat_again, NULL), 0);
	assert_string_equal(cb_buf_str(&flat_again), flat);
}

static void flattens(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *got = flat_text(rows[i].in);

		print_message("# %s\n", rows[i].name);
		assert_string_equal(got, rows[i].want ? rows[i].want : rows[i].in);
		if (!strstr(rows[i].in, "--reset") && strncmp(got, "5:1:", 4) != 0)
			same_instrs(rows[i].in, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(flattens) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
