/* The printed tree: JSON byte for byte, and S-expressions. */
#include <jansson.h>

#include "unit/parser/grammar_cases.h"

static char *json_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_buf struct cb_buf out = { 0 };

	assert_int_equal(cb_parse_nodes(in, strlen(in), &file, NULL), 0);
	cb_dump_json(file, &out);
	return cb_buf_take(&out);
}

static const struct grammar_case rows[] = {
	{ "plain", "FROM a\n",
		"[\n  {\"instruction\": \"from\", \"flags\": [], \"args\": [\"a\"], \"json\": false, \"original\": \"FROM a\", "
		"\"line\": 1, \"end_line\": 1, \"child\": null, \"heredocs\": []}\n]\n" },
	{ "all keys", "\nOnbuild run --a=b \\\n  <<-'E' 3<<F  \n\tx\n\tE\nF\n",
		"[\n  {\"instruction\": \"onbuild\", \"flags\": [], \"args\": [], \"json\": false, \"original\": \"Onbuild run "
		"--a=b   <<-'E' 3<<F  \", \"line\": 2, \"end_line\": 6, \"child\": {\"instruction\": \"run\", \"flags\": "
		"[\"--a=b\"], \"args\": [\"<<-'E' 3<<F\"], \"json\": false, \"original\": \"run --a=b   <<-'E' 3<<F\", "
		"\"line\": 2, \"end_line\": 6, \"child\": null, \"heredocs\": []}, \"heredocs\": [{\"name\": \"E\", "
		"\"content\": \"\\tx\\n\", \"expand\": false, \"chomp\": true, \"fd\": 0}, {\"name\": \"F\", \"content\": "
		"\"\", \"expand\": true, \"chomp\": false, \"fd\": 3}]}\n]\n" },
	{ "two nodes", "CMD [\"a\", \"\\u0001\"]\nENV a b",
		"[\n  {\"instruction\": \"cmd\", \"flags\": [], \"args\": [\"a\", \"\\u0001\"], \"json\": true, \"original\": "
		"\"CMD [\\\"a\\\", \\\"\\\\u0001\\\"]\", \"line\": 1, \"end_line\": 1, \"child\": null, \"heredocs\": []},\n  "
		"{\"instruction\": \"env\", \"flags\": [], \"args\": [\"a\", \"b\", \"\"], \"json\": false, \"original\": "
		"\"ENV a b\", \"line\": 2, \"end_line\": 2, \"child\": null, \"heredocs\": []}\n]\n" },
	{ "unknown", "FOO b",
		"[\n  {\"instruction\": \"foo\", \"flags\": [], \"args\": [], \"json\": false, \"original\": \"FOO b\", "
		"\"line\": 1, \"end_line\": 1, \"child\": null, \"heredocs\": []}\n]\n" },
	{ "bytes", "RUN \xc3\xa4\xff\x7f\x01\"\\",
		"[\n  {\"instruction\": \"run\", \"flags\": [], \"args\": [\"\xc3\xa4\xef\xbf\xbd\\u007f\\u0001\\\"\"], \"json\": "
		"false, \"original\": \"RUN \xc3\xa4\xef\xbf\xbd\\u007f\\u0001\\\"\", \"line\": 1, \"end_line\": 1, \"child\": "
		"null, \"heredocs\": []}\n]\n" },
};

static void json(void **state)
{
	(void)state;
	run_cases(rows, ARRAY_SIZE(rows), json_text);
}

/* Another JSON reader gets every byte of an odd file back. */
static void json_reads_back(void **state)
{
	cleanup_buf struct cb_buf in = { 0 };
	cleanup_free char *text = NULL;
	json_t *doc;

	(void)state;
	cb_buf_adds(&in, "RUN <<'E'\n");
	for (int c = 1; c < 0x80; c++) {
		if (c != '\n')
			cb_buf_addc(&in, (char)c);
	}
	cb_buf_adds(&in, "\xe2\x80\xa8\xf0\x9f\x98\x80\nE\n");
	text = json_text(cb_buf_str(&in));
	doc = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	assert_int_equal(json_array_size(doc), 1);
	assert_memory_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(json_array_get(doc, 0), "heredocs"), 0), "content")),
		in.data + strlen("RUN <<'E'\n"), in.len - strlen("RUN <<'E'\n") - strlen("E\n"));
	json_decref(doc);
}

static void sexp(void **state)
{
	static const struct grammar_case cases[] = {
		{ "every part", "COPY --a --b=c <<-'E' 2<<F /d\nE\nx\nF\n",
			"(copy (\"--a\" \"--b=c\") \"<<-'E'\" \"2<<F\" \"/d\" (heredoc :raw :chomp \"E\" \"\") (heredoc :fd 2 \"F\" "
			"\"x\\n\"))" },
		{ "exec form", "ONBUILD --x CMD --y [\"a\"]", "(onbuild (\"--x\") (cmd (\"--y\") :json \"a\"))" },
		{ "bytes", "RUN \xff\x01", "(run \"\xef\xbf\xbd\\u0001\")" },
	};

	(void)state;
	run_cases(cases, ARRAY_SIZE(cases), node_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json),
		cmocka_unit_test(json_reads_back),
		cmocka_unit_test(sexp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
