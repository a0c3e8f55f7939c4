/* Physical to logical lines: white space, comments, continuations, directives, limits. */
#include "unit/parser/grammar_cases.h"

static const struct grammar_case cases[] = {
	{ "one line", "FROM a", "(from \"a\")" },
	{ "line end", "FROM a\n", "(from \"a\")" },
	{ "CR LF", "FROM a\r\nRUN b\r\n", "(from \"a\")\n(run \"b\")" },
	{ "several CR", "RUN a\r\r\n", "(run \"a\")" },
	{ "CR inside stays", "RUN a\rb\n", "(run \"a\\rb\")" },
	{ "byte order mark",
		"\xef\xbb\xbf"
		"FROM a\n",
		"(from \"a\")" },
	{ "byte order mark before a directive", "\xef\xbb\xbf#escape=`\nRUN a`\nb", "(run \"ab\")" },
	{ "byte order mark later is data", "FROM a\n\xef\xbb\xbfRUN b", "(from \"a\")\n(\xef\xbb\xbfrun)" },
	{ "leading blanks", "  \t FROM a", "(from \"a\")" },
	{ "leading Unicode white space", "\xc2\xa0\xe3\x80\x80RUN a", "(run \"a\")" },
	{ "trailing blanks", "RUN a  \t ", "(run \"a\")" },
	{ "trailing Unicode white space", "RUN a\xc2\x85\xe2\x80\x83", "(run \"a\")" },
	{ "blank lines between", "\n\nFROM a\n\n \t\nRUN b\n\n", "(from \"a\")\n(run \"b\")" },

	{ "continuation joins with nothing", "RUN a\\\nb", "(run \"ab\")" },
	{ "continuation keeps blanks before", "RUN a \\\nb", "(run \"a b\")" },
	{ "continuation line keeps its blanks", "RUN a\\\n   b", "(run \"a   b\")" },
	{ "blanks behind the escape", "RUN a\\ \t \nb", "(run \"ab\")" },
	{ "VT behind the escape is data", "RUN a\\\v\nENV b c", "(run \"a\\\\\")\n(env \"b\" \"c\" \"\")" },
	{ "CR LF behind the escape", "RUN a\\\r\nb\r\n", "(run \"ab\")" },
	{ "two escapes are data", "RUN a\\\\\nENV b c", "(run \"a\\\\\\\\\")\n(env \"b\" \"c\" \"\")" },
	{ "three escapes are data too", "RUN a\\\\\\\nENV b c", "(run \"a\\\\\\\\\\\\\")\n(env \"b\" \"c\" \"\")" },
	{ "escape, blank, escape continues", "RUN a\\ \\\nb", "(run \"a\\\\ b\")" },
	{ "three lines", "RUN a\\\nb\\\nc", "(run \"abc\")" },
	{ "line of the escape only", "RUN a\\\n\\\nb", "(run \"ab\")" },
	{ "first line of the escape only", "\\\nRUN a", "(run \"a\")" },
	{ "escape only, then blanks", "\\\n  RUN a", "(run \"a\")" },
	{ "blanks, escape", "RUN a\\\n  \\\nb", "(run \"a  b\")" },
	{ "continuation at the end of the file", "RUN a\\", "(run \"a\")" },
	{ "continuation and line end at the end", "RUN a \\\n", "(run \"a\")" },
	{ "nothing but an escape", "\\", "()" },
	{ "blank line inside", "RUN a\\\n\nb", "(run \"ab\")" },
	{ "blank lines inside", "RUN a\\\n \n\t\n\r\n b", "(run \"a b\")" },
	{ "blank line inside ends the file", "RUN a\\\n\n", "(run \"a\")" },
	{ "keyword over lines", "RU\\\nN a", "(run \"a\")" },
	{ "arguments on the next line", "RUN\\\n a", "(run \"a\")" },
	{ "keyword runs into the next line", "RUN\\\na", "(runa)" },
	{ "continued into an instruction", "RUN a \\\nRUN b", "(run \"a RUN b\")" },

	{ "comment", "# x\nFROM a", "(from \"a\")" },
	{ "indented comment", "  \t# x\nFROM a", "(from \"a\")" },
	{ "comment behind Unicode space", "\xc2\xa0# x\nFROM a", "(from \"a\")" },
	{ "comment at the end", "FROM a\n# x", "(from \"a\")" },
	{ "hash later is data", "RUN a # b", "(run \"a # b\")" },
	{ "hash in FROM is a word", "FROM a # b", "(from \"a\" \"#\" \"b\")" },
	{ "comment inside", "RUN a \\\n# x\nb", "(run \"a b\")" },
	{ "indented comment inside", "RUN a \\\n   # x\n  b", "(run \"a   b\")" },
	{ "comment inside does not continue", "RUN a \\\n# x \\\nb\nRUN c", "(run \"a b\")\n(run \"c\")" },
	{ "comment does not continue", "# x \\\nFROM a", "(from \"a\")" },
	{ "comment last inside", "RUN a \\\n# x", "(run \"a\")" },
	{ "comments only inside", "RUN \\\n# x\n# y\na", "(run \"a\")" },
	{ "piece that starts with a hash", "RUN a \\\n b#c", "(run \"a  b#c\")" },

	{ "escape directive", "# escape=`\nRUN a`\nb", "(run \"ab\")" },
	{ "escape directive makes the backslash data", "# escape=`\nRUN a\\\nRUN b", "(run \"a\\\\\")\n(run \"b\")" },
	{ "escape directive, backslash", "# escape=\\\nRUN a\\\nb", "(run \"ab\")" },
	{ "directive without blanks", "#escape=`\nRUN a`\nb", "(run \"ab\")" },
	{ "directive with blanks", "#  escape\t =  `  \nRUN a`\nb", "(run \"ab\")" },
	{ "directive with blanks before", "   # escape=`\nRUN a`\nb", "(run \"ab\")" },
	{ "directive in capitals", "# ESCape=`\nRUN a`\nb", "(run \"ab\")" },
	{ "directive with CR LF", "# escape=`\r\nRUN a`\r\nb", "(run \"ab\")" },
	{ "several directives", "# syntax=x\n# escape=`\n# check=skip=all\nRUN a`\nb", "(run \"ab\")" },
	{ "blank line ends directives", "\n# escape=`\nRUN a`\nENV b c", "(run \"a`\")\n(env \"b\" \"c\" \"\")" },
	{ "comment ends directives", "# x\n# escape=`\nRUN a`\nENV b c", "(run \"a`\")\n(env \"b\" \"c\" \"\")" },
	{ "unknown key ends directives", "# x=y\n# escape=`\nRUN a`\nENV b c", "(run \"a`\")\n(env \"b\" \"c\" \"\")" },
	{ "key with a dash is none", "# x-escape=`\nRUN a`\nENV b c", "(run \"a`\")\n(env \"b\" \"c\" \"\")" },
	{ "two hashes are none", "## escape=`\nRUN a`\nENV b c", "(run \"a`\")\n(env \"b\" \"c\" \"\")" },
	{ "shebang ends directives", "#!/x\n# escape=`\nRUN a`\nENV b c", "(run \"a`\")\n(env \"b\" \"c\" \"\")" },
	{ "instruction ends directives", "FROM a\n# escape=`\nRUN a`\nENV b c",
		"(from \"a\")\n(run \"a`\")\n(env \"b\" \"c\" \"\")" },
	{ "no value is no directive", "# escape=\nRUN a\\\nb", "(run \"ab\")" },
	{ "blank value", "# escape= \nFROM a", "1:10: invalid escape character \" \" (it can only be \\ or `)" },
	{ "wrong escape", "# escape=x\nFROM a", "1:10: invalid escape character \"x\" (it can only be \\ or `)" },
	{ "long escape", "#escape=``\nFROM a", "1:9: invalid escape character \"``\" (it can only be \\ or `)" },
	{ "escape twice", "# escape=`\n# escape=`\nFROM a", "2:1: only one escape parser directive can be used" },
	{ "syntax twice", "# syntax=a\n# SYNTAX=b\nFROM a", "2:1: only one syntax parser directive can be used" },
	{ "check twice", "#check=a\n #check=b\nFROM a", "2:2: only one check parser directive can be used" },
	{ "twice, but behind the directives", "# escape=`\n\n# escape=`\nFROM a", "(from \"a\")" },

	{ "empty", "", "the Buildfile cannot be empty" },
	{ "comments only", "# a\n\n  # b\n", "the Buildfile has no instructions" },
	{ "blank", " \n", "the Buildfile has no instructions" },
	{ "byte order mark only", "\xef\xbb\xbf", "the Buildfile has no instructions" },
	{ "UTF-16",
		"\xff\xfe"
		"F",
		"1:1: the Buildfile is encoded in UTF-16 (save it as UTF-8)" },
};

static void logical_lines(void **state)
{
	(void)state;
	run_cases(cases, ARRAY_SIZE(cases), node_text);
}

static void nul_byte(void **state)
{
	static const char in[] = "FROM a\nRUN b\0c\n";
	struct cb_buildfile *file = NULL;
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	assert_int_equal(cb_parse_nodes(in, sizeof(in) - 1, &file, &err), CB_ERR_INPUT);
	assert_int_equal(err->line, 2);
	assert_string_equal(err->msg, "a NUL byte cannot stand in a Buildfile");
}

/* "RUN " and as many bytes as make @len, between @before and @after. */
static char *long_line(const char *before, size_t len, const char *after)
{
	cleanup_buf struct cb_buf buf = { 0 };

	cb_buf_adds(&buf, before);
	cb_buf_adds(&buf, "RUN ");
	for (size_t i = 4; i < len; i++)
		cb_buf_addc(&buf, 'x');
	cb_buf_adds(&buf, after);
	return cb_buf_take(&buf);
}

static void line_limit(void **state)
{
	static const char too_long[] = "2:65536: the line is longer than the allowed 65535 bytes";
	static const struct {
		const char *before;
		size_t len;
		const char *after, *want;
	} rows[] = {
		{ "FROM a\n", 65535, "\n", NULL },
		{ "FROM a\n", 65535, "", NULL },
		{ "FROM a\n", 65536, "\n", too_long },
		{ "FROM a\n", 65536, "", too_long },
		{ "FROM a\n", 65535, "\r\n", too_long },
		{ "RUN <<E\n", 65536, "\nE\n", too_long },
		{ "# x\n# ", 65536, "\nFROM a", too_long },
		{ "RUN a \\\n", 65536, "", too_long },
		{ "RUN a \\\n", 65535, "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *in = long_line(rows[i].before, rows[i].len, rows[i].after);
		cleanup_free char *got = node_text(in);

		if (rows[i].want)
			assert_string_equal(got, rows[i].want);
		else
			assert_int_equal(got[0], '(');
	}
}

static void directives(void **state)
{
	static const struct {
		const char *in, *syntax, *check;
		char escape;
	} rows[] = {
		{ "FROM a", NULL, NULL, '\\' },
		{ "# syntax=docker/dockerfile:1 --x y\nFROM a", "docker/dockerfile:1", NULL, '\\' },
		{ "# syntax = a/b \n# check = skip=all;error=true x\n#escape=`\nFROM a", "a/b", "skip=all;error=true",
			'`' },
		{ "#!/usr/bin/env cbuild\n# syntax=a\n# check=b\n# escape=`\nFROM a", "a", "b", '\\' },
		{ "#!x\n# y\n# syntax=a\nFROM a", NULL, NULL, '\\' },
		{ "#!x", NULL, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;

		if (!rows[i].escape) {
			assert_int_equal(cb_parse_nodes(rows[i].in, strlen(rows[i].in), &file, NULL), CB_ERR_INPUT);
			continue;
		}
		assert_int_equal(cb_parse_nodes(rows[i].in, strlen(rows[i].in), &file, NULL), 0);
		assert_true(cb_str_eq(file->directives.syntax.s, rows[i].syntax));
		assert_true(cb_str_eq(file->directives.check.s, rows[i].check));
		assert_int_equal(file->directives.escape, rows[i].escape);
	}
}

static void directive_places(void **state)
{
	static const char in[] = "# syntax=a\n  #  check =  b\nFROM x";
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;

	(void)state;
	assert_int_equal(cb_parse_nodes(in, strlen(in), &file, NULL), 0);
	assert_int_equal(file->directives.syntax.line, 1);
	assert_int_equal(file->directives.syntax.col, 10);
	assert_int_equal(file->directives.check.line, 2);
	assert_int_equal(file->directives.check.col, 15);
}

/* The comments above the last node, joined. */
static char *comments_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	const struct cb_node *node;

	assert_int_equal(cb_parse_nodes(in, strlen(in), &file, NULL), 0);
	node = file->nodes[file->n_nodes - 1];
	for (size_t i = 0; i < node->comments.n; i++)
		cb_buf_addf(
			&out, "%u:%u %s|", node->comments.v[i].line, node->comments.v[i].col, node->comments.v[i].s);
	return cb_buf_take(&out);
}

static void comments(void **state)
{
	static const struct grammar_case rows[] = {
		{ "none", "FROM a", "" },
		{ "one", "# x y \nFROM a", "1:3 x y|" },
		{ "two", "#x\n  #  y\nFROM a", "1:2 x|2:6 y|" },
		{ "blank lines do not part them", "# x\n\n# y\n\nFROM a", "1:3 x|3:3 y|" },
		{ "an empty comment does", "# x\n#\n# y\nFROM a", "3:3 y|" },
		{ "blank comment", "# x\n#  \t\nFROM a", "" },
		{ "used up by an instruction", "# x\nFROM a\nRUN b", "" },
		{ "of the second", "# x\nFROM a\n# y\nRUN b", "3:3 y|" },
		{ "directives are none", "# syntax=x\n# y\nFROM a", "2:3 y|" },
		{ "comments inside are none", "# x\nRUN a \\\n# y\n b", "1:3 x|" },
		{ "body lines are none", "RUN <<E\n# x\nE\nRUN b", "" },
		{ "check comment", "# check=skip=all\nFROM a\n# check=skip=X\nRUN b", "3:3 check=skip=X|" },
	};

	(void)state;
	run_cases(rows, ARRAY_SIZE(rows), comments_text);
}

static char *warnings_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_buf struct cb_buf out = { 0 };

	assert_int_equal(cb_parse_nodes(in, strlen(in), &file, NULL), 0);
	for (size_t i = 0; i < file->n_warnings; i++)
		cb_buf_addf(&out, "%u %s|", file->warnings[i].line, file->warnings[i].rule);
	return cb_buf_take(&out);
}

static void warnings(void **state)
{
	static const struct grammar_case rows[] = {
		{ "none", "RUN a \\\n b", "" },
		{ "comment is not blank", "RUN a \\\n# x\n b", "" },
		{ "at the last line", "RUN a \\\n\n b \\\n c\n", "4 NoEmptyContinuation|" },
		{ "once an instruction", "RUN a \\\n\n\n \n b\n", "5 NoEmptyContinuation|" },
		{ "twice", "RUN a \\\n\n b\nRUN c \\\n\n d", "3 NoEmptyContinuation|6 NoEmptyContinuation|" },
		{ "end of file", "RUN a \\\n\n", "2 NoEmptyContinuation|" },
		{ "before the bodies", "RUN \\\n\n <<E\nx\nE\n", "3 NoEmptyContinuation|" },
	};

	(void)state;
	run_cases(rows, ARRAY_SIZE(rows), warnings_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logical_lines),
		cmocka_unit_test(nul_byte),
		cmocka_unit_test(line_limit),
		cmocka_unit_test(directives),
		cmocka_unit_test(directive_places),
		cmocka_unit_test(comments),
		cmocka_unit_test(warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
