/* layers/layerdiff.h: what is said of each kind of difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "layers/layerdiff.h"
#include "layers/tarwrite.h"

/* The tables below name only what an entry has. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define FILE_ CB_TAR_FILE
#define DIR_ CB_TAR_DIR
#define LINK_ CB_TAR_SYMLINK

struct entry {
	const char *path;
	enum cb_tar_type type;
	const char *text; /* content, or target of a link */
	uint32_t mode, uid;
	int64_t mtime;
};

static const struct {
	const char *name;
	struct entry a[4], b[4];
	int n;
	const char *want;
} rows[] = {
	{ "nothing", { { "f", FILE_, "x" } }, { { "f", FILE_, "x" } }, 0, "" },
	{ "no entries", { { 0 } }, { { 0 } }, 0, "" },
	{ "content", { { "d/f", FILE_, "one\ntwo 12:00\nthree" } }, { { "d/f", FILE_, "one\ntwo 12:01\nthree" } }, 1,
		"d/f: content from byte 12: \"two 12:00\" and \"two 12:01\"" },
	{ "longer", { { "f", FILE_, "x" } }, { { "f", FILE_, "xy" } }, 1, "f: content from byte 1: \"x\" and \"xy\"" },
	{ "empty", { { "f", FILE_, "" } }, { { "f", FILE_, "\x01\x7f" } }, 1,
		"f: content from byte 0: \"\" and \"??\"" },
	{ "content before mode", { { "f", FILE_, "x", 0644 } }, { { "f", FILE_, "y", 0600 } }, 1,
		"f: content from byte 0: \"x\" and \"y\"" },
	{ "mode", { { "f", FILE_, "x", 0644 } }, { { "f", FILE_, "x", 0600 } }, 1, "f: mode 0644 and 0600" },
	{ "owner", { { "f", FILE_, "x", 0, 1 } }, { { "f", FILE_, "x", 0, 2 } }, 1, "f: owner 1:0 and 2:0" },
	{ "time", { { "d", DIR_, "", 0, 0, 5 } }, { { "d", DIR_, "", 0, 0, 6 } }, 1, "d/: time 5 and 6" },
	{ "target", { { "l", LINK_, "a" } }, { { "l", LINK_, "b" } }, 1, "l: link to \"a\" and \"b\"" },
	{ "type", { { "d", DIR_, "" } }, { { "d", FILE_, "x" } }, 1, "d/: a directory and a file" },
	{ "first", { { "a", FILE_, "x" }, { "b", FILE_, "x" } }, { { "b", FILE_, "x" } }, 1, "a: only in the first" },
	{ "second", { { "d", DIR_, "" } }, { { "d", DIR_, "" }, { "d/x", FILE_, "" } }, 1, "d/x: only in the second" },
	{ "a directory goes before names that begin with its name",
		{ { "d", DIR_, "" }, { "d/x", FILE_, "" }, { "d.a", FILE_, "" } },
		{ { "d", DIR_, "" }, { "d.a", FILE_, "" } }, 1, "d/x: only in the first" },
	{ "several", { { "a", FILE_, "1" }, { "b", FILE_, "1" }, { "c", FILE_, "1" } },
		{ { "a", FILE_, "2" }, { "b", FILE_, "2" }, { "c", FILE_, "2" } }, 3,
		"a: content from byte 0: \"1\" and \"2\"; b: content from byte 0: \"1\" and \"2\"" },
	{ "names are cleaned", { { "a\nb", FILE_, "" } }, { { 0 } }, 1, "a?b: only in the first" },
};

static void make(const struct entry *entries, struct cb_buf *out)
{
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *tar = cb_tarwriter_new(cb_sink_buf(out));

	for (size_t i = 0; i < 4 && entries[i].path; i++) {
		const struct entry *e = &entries[i];
		struct cb_tar_entry entry = { .path = e->path, .type = e->type, .mode = e->mode, .uid = e->uid };
		bool file = e->type == CB_TAR_FILE;

		entry.mtime = e->mtime;
		entry.size = file ? strlen(e->text) : 0;
		entry.link = file ? "" : e->text;
		assert_int_equal(cb_tarwriter_entry(tar, &entry, NULL), 0);
		if (file)
			assert_int_equal(cb_tarwriter_data(tar, e->text, entry.size, NULL), 0);
	}
	assert_int_equal(cb_tarwriter_finish(tar, NULL), 0);
}

static int compare(const struct cb_buf *a, const struct cb_buf *b, struct cb_strv *ret, struct cb_err **err)
{
	struct cb_source_mem first = { .data = a->data, .len = a->len }, second = { .data = b->data, .len = b->len };

	return cb_layer_compare(cb_source_mem(&first), cb_source_mem(&second), 2, NULL, ret, err);
}

static void tells(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct cb_buf a = { 0 }, b = { 0 };
		cleanup_strv struct cb_strv got = { 0 };
		cleanup_free char *text = NULL;

		print_message("# %s\n", rows[i].name);
		make(rows[i].a, &a);
		make(rows[i].b, &b);
		assert_int_equal(compare(&a, &b, &got, NULL), rows[i].n);
		text = cb_strv_join(&got, "; ");
		assert_string_equal(text, rows[i].want);
	}
}

/* A difference behind the first block, and one in a hole of the compared blocks. */
static void large(void **state)
{
	static const size_t len = 300000;
	cleanup_free char *x = cb_xcalloc(len + 1, 1);
	cleanup_buf struct cb_buf a = { 0 }, b = { 0 };
	cleanup_strv struct cb_strv got = { 0 };

	(void)state;
	memset(x, 'x', len);
	make((struct entry[4]){ { "f", FILE_, x } }, &a);
	x[200000] = 'y';
	make((struct entry[4]){ { "f", FILE_, x } }, &b);
	assert_int_equal(compare(&a, &b, &got, NULL), 1);
	assert_non_null(strstr(got.v[0], "f: content from byte 200000: \"xxxx"));
}

static void broken(void **state)
{
	cleanup_buf struct cb_buf a = { 0 }, b = { 0 };
	cleanup_strv struct cb_strv got = { 0 };
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	make((struct entry[4]){ { "f", FILE_, "x" } }, &a);
	make((struct entry[4]){ { "f", FILE_, "x" } }, &b);
	b.data[0] ^= 1;
	assert_int_equal(compare(&a, &b, &got, &err), CB_ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells),
		cmocka_unit_test(large),
		cmocka_unit_test(broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
