/* What remote caches hand out: documents of records, ActionResult messages, lists of files. Well-formed and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "layers/cachedoc.h"
#include "layers/filelist.h"
#include "layers/remotecache.h"

#define HEX64 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define BLOB "{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX64 "\",\"size\":5}"
#define RECORDS(list, keys) "{\"version\":2,\"records\":[" list "],\"keys\":{" keys "}}"
#define KEY(at) "\"" HEX64 "\":" at

/* ---- documents ------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name, *in;
	int code;
	size_t records;
} documents[] = {
	{ "a record", RECORDS("{\"at\":7,\"blobs\":[" BLOB "],\"record\":{\"x\":1}}", KEY("0")), 0, 1 },
	{ "no records", RECORDS("", ""), 0, 0 },
	{ "a record without a key", RECORDS("{\"at\":7,\"blobs\":[],\"record\":{}}", ""), 0, 0 },
	{ "of another version", "{\"version\":1,\"records\":{\"a\":7}}", 0, 0 },
	{ "of no version", "{}", 0, 0 },
	{ "equal records are one",
		RECORDS("{\"at\":7,\"blobs\":[],\"record\":{\"x\":1}},{\"at\":8,\"blobs\":[],\"record\":{\"x\":1}}",
			KEY("1")),
		0, 1 },
	{ "the same key twice: the last", RECORDS("{\"at\":7,\"blobs\":[],\"record\":{}}", KEY("9") "," KEY("0")), 0,
		1 },
	{ "nothing", "", CB_ERR_CORRUPT, 0 },
	{ "an array", "[]", CB_ERR_CORRUPT, 0 },
	{ "a version of another type", "{\"version\":\"2\"}", CB_ERR_CORRUPT, 0 },
	{ "no list of records", "{\"version\":2,\"records\":{},\"keys\":{}}", CB_ERR_CORRUPT, 0 },
	{ "no keys", "{\"version\":2,\"records\":[]}", CB_ERR_CORRUPT, 0 },
	{ "a record that is none", RECORDS("7", ""), CB_ERR_CORRUPT, 0 },
	{ "a record without a record", RECORDS("{\"at\":7,\"blobs\":[]}", ""), CB_ERR_CORRUPT, 0 },
	{ "a time that is none", RECORDS("{\"at\":\"x\",\"blobs\":[],\"record\":{}}", ""), CB_ERR_CORRUPT, 0 },
	{ "a blob that is none", RECORDS("{\"at\":7,\"blobs\":[{}],\"record\":{}}", ""), CB_ERR_CORRUPT, 0 },
	{ "a blob of negative size",
		RECORDS("{\"at\":7,\"blobs\":[{\"mediaType\":\"a\",\"digest\":\"sha256:" HEX64
			"\",\"size\":-1}],\"record\":{}}",
			""),
		CB_ERR_CORRUPT, 0 },
	{ "a key that leads nowhere", RECORDS("", KEY("0")), CB_ERR_CORRUPT, 0 },
	{ "a negative index", RECORDS("{\"at\":7,\"blobs\":[],\"record\":{}}", KEY("-1")), CB_ERR_CORRUPT, 0 },
	{ "an index of another type", RECORDS("{\"at\":7,\"blobs\":[],\"record\":{}}", KEY("null")), CB_ERR_CORRUPT,
		0 },
	{ "a key that is no digest", RECORDS("{\"at\":7,\"blobs\":[],\"record\":{}}", "\"../x\":0"), CB_ERR_CORRUPT,
		0 },
	{ "half a document", "{\"version\":2,\"records\":[", CB_ERR_CORRUPT, 0 },
};

static void parsing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = NULL;
		CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *again = NULL;
		cleanup_free char *text = NULL, *second = NULL;
		cleanup_err struct cb_err *err = NULL;
		size_t len;
		int r = cb_cachedoc_parse(documents[i].in, strlen(documents[i].in), &doc, &err);

		print_message("# %s\n", documents[i].name);
		assert_int_equal(r, documents[i].code);
		if (r < 0)
			continue;
		assert_int_equal(cb_cachedoc_records(doc), documents[i].records);
		text = cb_cachedoc_write(doc, &len);
		assert_int_equal(cb_cachedoc_parse(text, len, &again, NULL), 0);
		assert_true(cb_cachedoc_covers(again, doc) && cb_cachedoc_covers(doc, again));
		second = cb_cachedoc_write(again, &len);
		assert_string_equal(text, second);
	}
}

static void deep_nesting_is_refused(void **state)
{
	cleanup_buf struct cb_buf text = { 0 };
	CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = NULL;

	(void)state;
	cb_buf_adds(&text, "{\"version\":2,\"keys\":{},\"records\":");
	for (size_t i = 0; i < 100000; i++)
		cb_buf_addc(&text, '[');
	assert_int_equal(cb_cachedoc_parse(text.data, text.len, &doc, NULL), CB_ERR_CORRUPT);
}

static struct cb_digest key_of(const char *name)
{
	struct cb_digest key;

	cb_digest_of(name, strlen(name), &key);
	return key;
}

/* A record of @value that needs the blobs named by the letters of @blobs, under the key @name. */
static void put(struct cb_cachedoc *doc, const char *name, int value, int64_t at, const char *blobs)
{
	struct cb_descriptor list[8] = { 0 };
	cleanup_free char *text = cb_xasprintf("{\"v\":%d}", value);
	struct cb_digest key = key_of(name);
	size_t n = strlen(blobs);

	for (size_t i = 0; i < n; i++) {
		struct cb_digest digest;

		cb_digest_of(&blobs[i], 1, &digest);
		cb_descriptor_init(&list[i], "a/b", &digest, 1);
	}
	assert_int_equal(cb_cachedoc_put(doc, &key, text, strlen(text), at, list, n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		cb_descriptor_done(&list[i]);
}

static int value_of(const struct cb_cachedoc *doc, const char *name)
{
	struct cb_digest key = key_of(name);
	const char *text = cb_cachedoc_get(doc, &key);

	return text ? atoi(strchr(text, ':') + 1) : 0;
}

static const struct {
	const char *name;
	struct cb_cachedoc_limits limits;
	int a, b, c, d, e; /* what is under these keys; 0: nothing */
	const char *blobs; /* how many */
} merges[] = {
	{ "no limits", { 0 }, 1, 2, 30, 40, 50, "6" },
	{ "by age", { .not_before = 10 }, 1, 2, 30, 40, 0, "5" },
	{ "by number", { .records = 3 }, 1, 2, 30, 0, 0, "4" },
	{ "by blobs", { .blobs = 4 }, 1, 2, 30, 0, 0, "4" },
	{ "by bytes", { .bytes = 1100 }, 1, 2, 30, 0, 0, "4" },
	{ "nothing fits", { .records = 1, .not_before = 1000 }, 0, 0, 0, 0, 0, "0" },
};

static void merging(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *mine = cb_cachedoc_new();
		CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *theirs = cb_cachedoc_new();
		cleanup_free struct cb_descriptor *blobs = NULL;
		char count[8];
		size_t n;

		print_message("# %s\n", merges[i].name);
		put(mine, "a", 1, 100, "xy");
		put(mine, "b", 2, 100, "yz");
		put(theirs, "b", 20, 90, "q"); /* older than mine: nobody sees it again */
		put(theirs, "c", 30, 90, "w");
		put(theirs, "d", 40, 50, "v");
		put(theirs, "e", 50, 5, "u");
		cb_cachedoc_merge(mine, theirs, &merges[i].limits);
		assert_int_equal(value_of(mine, "a"), merges[i].a);
		assert_int_equal(value_of(mine, "b"), merges[i].b);
		assert_int_equal(value_of(mine, "c"), merges[i].c);
		assert_int_equal(value_of(mine, "d"), merges[i].d);
		assert_int_equal(value_of(mine, "e"), merges[i].e);
		blobs = cb_cachedoc_blobs(mine, &n);
		snprintf(count, sizeof(count), "%zu", n);
		assert_string_equal(count, merges[i].blobs);
	}
}

static void records_without_their_blobs_go(void **state)
{
	CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = cb_cachedoc_new();
	CB_CLEANUP(cb_map_free) struct cb_map *gone = cb_map_new(NULL);
	struct cb_digest y;

	(void)state;
	put(doc, "a", 1, 1, "xy");
	put(doc, "b", 2, 1, "x");
	put(doc, "c", 2, 1, "x");
	assert_int_equal(cb_cachedoc_records(doc), 2);
	cb_digest_of("y", 1, &y);
	cb_map_set(gone, y.text, gone);
	cb_cachedoc_drop_blobs(doc, gone);
	assert_int_equal(value_of(doc, "a"), 0);
	assert_int_equal(value_of(doc, "b"), 2);
	assert_int_equal(value_of(doc, "c"), 2);
	put(doc, "b", 3, 1, "");
	put(doc, "c", 3, 1, "");
	assert_int_equal(cb_cachedoc_records(doc), 1);
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *in;
	size_t len;
	const char *want; /* NULL: it is none */
} messages[] = {
	{ "only the record", "\x2a\x02hi", 4, "hi" },
	{ "an empty record", "\x2a\x00", 2, "" },
	{ "behind files and an exit code",
		"\x12\x03"
		"abc"
		"\x20\x07"
		"\x2a\x02hi",
		11, "hi" },
	{ "an exit code of ten bytes", "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x2a\x01x", 14, "x" },
	{ "what servers add behind it is not read", "\x2a\x02hi\x4a\x7f", 6, "hi" },
	{ "nothing", "", 0, NULL },
	{ "no record",
		"\x12\x03"
		"abc",
		5, NULL },
	{ "half a tag", "\xaa", 1, NULL },
	{ "a tag without an end", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, NULL },
	{ "longer than the message", "\x2a\x7fhi", 4, NULL },
	{ "a length of 2^64-1", "\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi", 13, NULL },
	{ "a group", "\x2b\x02hi", 4, NULL },
	{ "a fixed number", "\x29\x02hihihihi", 10, NULL },
	{ "the record as a number", "\x28\x02", 2, NULL },
};

static void action_results(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		cleanup_buf struct cb_buf got = { 0 };
		/* A copy of its own length, for the sanitizer to see reading beyond it. */
		cleanup_free char *in = cb_xmemdup(messages[i].in, CB_MAX(messages[i].len, (size_t)1));
		int r = cb_action_result_read(in, messages[i].len, &got);

		print_message("# %s\n", messages[i].name);
		assert_int_equal(r, messages[i].want ? 0 : 1);
		if (messages[i].want)
			assert_string_equal(cb_buf_str(&got), messages[i].want);
	}
}

static void action_result_round_trip(void **state)
{
	cleanup_buf struct cb_buf message = { 0 }, got = { 0 };
	struct cb_descriptor blobs[2] = { 0 };
	struct cb_digest digest;

	(void)state;
	cb_digest_of("x", 1, &digest);
	cb_descriptor_init(&blobs[0], "a", &digest, UINT64_MAX / 2);
	cb_descriptor_init(&blobs[1], "a", &digest, 0);
	cb_action_result_write("{\"a\":1}", 7, blobs, 2, &message);
	assert_int_equal(cb_action_result_read(message.data, message.len, &got), 0);
	assert_string_equal(cb_buf_str(&got), "{\"a\":1}");
	for (size_t len = 0; len < message.len; len++) {
		cleanup_free char *part = cb_xmemdup(message.data, CB_MAX(len, (size_t)1));

		cb_buf_clear(&got);
		assert_int_equal(cb_action_result_read(part, len, &got), 1);
	}
	cb_descriptor_done(&blobs[0]);
	cb_descriptor_done(&blobs[1]);
}

/* ---- lists of files ------------------------------------------------------------------------------------------- */

/* Every prefix and every changed byte: an error, or another list, but nothing worse. */
static void hostile_lists(void **state)
{
	struct cb_content_files files = { 0 };
	cleanup_buf struct cb_buf packed = { 0 };
	size_t refused = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		cleanup_free char *path = cb_xasprintf("dir/file-%d", i);
		struct cb_content_file file = { .mode = 0100644, .size = 5 };

		file.path = cb_xstrdup(path);
		CB_GROW(files.v, files.cap, files.n + 1);
		files.v[files.n++] = file;
	}
	assert_int_equal(cb_filelist_pack(&files, &packed, NULL), 0);
	cb_content_files_done(&files);
	for (size_t len = 0; len < packed.len; len++) {
		cleanup_free char *part = cb_xmemdup(packed.data, CB_MAX(len, (size_t)1));
		struct cb_content_files got = { 0 };

		assert_true(cb_filelist_unpack(part, len, &got, NULL) < 0);
		cb_content_files_done(&got);
	}
	for (size_t at = 0; at < packed.len; at++) {
		cleanup_free char *part = cb_xmemdup(packed.data, packed.len);
		struct cb_content_files got = { 0 };

		part[at] = (char)(part[at] ^ 0xff);
		refused += cb_filelist_unpack(part, packed.len, &got, NULL) < 0;
		cb_content_files_done(&got);
	}
	assert_true(refused > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(merging),
		cmocka_unit_test(records_without_their_blobs_go),
		cmocka_unit_test(action_results),
		cmocka_unit_test(action_result_round_trip),
		cmocka_unit_test(hostile_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
