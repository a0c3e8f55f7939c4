/*
 * Golden trees: golden/parse/NAME.Buildfile must print as NAME.json and NAME.sexp. With CB_GOLDEN_UPDATE set in the
 * environment the files are written instead; look at the difference before committing it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "unit/parser/grammar_cases.h"

#define FOLDER CB_TEST_DATA "/golden/parse"

static void read_file(const char *path, struct cb_buf *out)
{
	cleanup_err struct cb_err *err = NULL;

	if (cb_file_read_at(AT_FDCWD, path, (size_t)1 << 20, out, &err) < 0)
		fail_msg("%s: %s", path, cb_err_msg(err));
}

static void compare(const char *path, struct cb_buf *got)
{
	cleanup_buf struct cb_buf want = { 0 };

	if (getenv("CB_GOLDEN_UPDATE")) {
		FILE *file = fopen(path, "we");

		assert_non_null(file);
		assert_int_equal(fwrite(cb_buf_str(got), 1, got->len, file), got->len);
		fclose(file);
		return;
	}
	read_file(path, &want);
	if (strcmp(cb_buf_str(got), cb_buf_str(&want)) != 0)
		print_message("# %s\n", path);
	assert_string_equal(cb_buf_str(got), cb_buf_str(&want));
}

static void check(const char *name)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_buf struct cb_buf in = { 0 }, json = { 0 }, sexp = { 0 };
	cleanup_free char *in_path = cb_xasprintf(FOLDER "/%s.Buildfile", name);
	cleanup_free char *json_path = cb_xasprintf(FOLDER "/%s.json", name);
	cleanup_free char *sexp_path = cb_xasprintf(FOLDER "/%s.sexp", name);

	read_file(in_path, &in);
	assert_int_equal(cb_parse_nodes(cb_buf_str(&in), in.len, &file, NULL), 0);
	cb_dump_json(file, &json);
	cb_dump_sexp(file, &sexp);
	compare(json_path, &json);
	compare(sexp_path, &sexp);
}

static void golden_trees(void **state)
{
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;
	size_t n = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		cleanup_free char *name = cb_xstrdup(entry->d_name);

		if (!cb_str_ends(name, ".Buildfile"))
			continue;
		name[strlen(name) - strlen(".Buildfile")] = '\0';
		check(name);
		n++;
	}
	closedir(dir);
	assert_true(n >= 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(golden_trees) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
