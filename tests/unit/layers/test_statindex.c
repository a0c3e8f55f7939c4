/* Stat index: hits, misses, racy times, persistence, many files. */
#include "storefix.h"

#include <sys/stat.h>
#include <time.h>

#include "base/timefmt.h"
#include "layers/statindex.h"

static const uint8_t digest_a[CB_DIGEST_SIZE] = { 1, 2, 3 };
static const uint8_t digest_b[CB_DIGEST_SIZE] = { 9 };

static struct stat file(uint64_t ino)
{
	struct stat st = { .st_dev = 5, .st_ino = ino, .st_size = 10 };

	st.st_mtim = (struct timespec){ 1000000000, 123 };
	st.st_ctim = (struct timespec){ 1000000001, 456 };
	return st;
}

static struct cb_stat_index *open_index(struct cb_store *store, const char *scope)
{
	struct cb_stat_index *index = NULL;

	assert_ok(cb_stat_index_open(store, scope, &index, &err));
	return index;
}

static void every_field_counts(void **state)
{
	CB_CLEANUP(cb_stat_index_free) struct cb_stat_index *index = open_index(NULL, "x");
	uint8_t got[CB_DIGEST_SIZE];
	struct stat st = file(1), other;

	(void)state;
	assert_false(cb_stat_index_get(index, &st, got));
	cb_stat_index_put(index, &st, digest_a);
	assert_true(cb_stat_index_get(index, &st, got));
	assert_memory_equal(got, digest_a, CB_DIGEST_SIZE);

#define CHANGED(what)                                                                                                  \
	do {                                                                                                           \
		other = st;                                                                                            \
		other.what++;                                                                                          \
		assert_false(cb_stat_index_get(index, &other, got));                                                   \
	} while (0)
	CHANGED(st_dev);
	CHANGED(st_ino);
	CHANGED(st_size);
	CHANGED(st_mtim.tv_sec);
	CHANGED(st_mtim.tv_nsec);
	CHANGED(st_ctim.tv_sec);
	CHANGED(st_ctim.tv_nsec);

	cb_stat_index_put(index, &st, digest_b);
	assert_true(cb_stat_index_get(index, &st, got));
	assert_memory_equal(got, digest_b, CB_DIGEST_SIZE);
}

/* A file that changed just now may change again without a trace in its times. */
static void racy_times_are_not_kept(void **state)
{
	CB_CLEANUP(cb_stat_index_free) struct cb_stat_index *index = open_index(NULL, "x");
	static const struct {
		const char *name;
		int64_t age_ns;
		bool whole_seconds, kept;
	} cases[] = {
		{ "just now", 0, false, false },
		{ "a tick ago", 4000000, false, false },
		{ "in the future", -5000000000, false, false },
		{ "a second ago", 1000000000, false, true },
		{ "a second ago, coarse", 1000000000, true, false },
		{ "four seconds ago, coarse", 4000000000, true, true },
	};
	struct timespec now;

	(void)state;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - cases[i].age_ns;
		struct stat st = file(i + 1);
		uint8_t got[CB_DIGEST_SIZE];

		print_message("# %s\n", cases[i].name);
		st.st_ctim = (struct timespec){ ns / 1000000000, ns % 1000000000 | 1 };
		if (cases[i].whole_seconds)
			st.st_ctim.tv_nsec = 0;
		cb_stat_index_put(index, &st, digest_a);
		assert_int_equal(cb_stat_index_get(index, &st, got), cases[i].kept);
	}
}

static void survives(void **state)
{
	struct fixture *fx = *state;
	struct cb_stat_index *index = open_index(fx->store, "/ctx");
	struct stat one = file(1), two = file(2), three = file(3);
	uint8_t got[CB_DIGEST_SIZE];

	cb_stat_index_put(index, &one, digest_a);
	cb_stat_index_put(index, &two, digest_b);
	assert_ok(cb_stat_index_flush(index, false, &err));
	cb_stat_index_put(index, &three, digest_b);
	cb_stat_index_free(index); /* three was not flushed */

	reopen(fx);
	index = open_index(fx->store, "/other");
	assert_false(cb_stat_index_get(index, &one, got));
	cb_stat_index_free(index);
	index = open_index(fx->store, "/ctx");
	assert_true(cb_stat_index_get(index, &one, got));
	assert_memory_equal(got, digest_a, CB_DIGEST_SIZE);
	assert_false(cb_stat_index_get(index, &three, got));
	assert_ok(cb_stat_index_flush(index, true, &err)); /* two was not looked at: pruned */
	cb_stat_index_free(index);

	index = open_index(fx->store, "/ctx");
	assert_true(cb_stat_index_get(index, &one, got));
	assert_false(cb_stat_index_get(index, &two, got));
	cb_stat_index_free(index);
}

static void many_files(void **state)
{
	enum { N = 100000 };
	struct fixture *fx = *state;
	struct cb_stat_index *index = open_index(fx->store, "/ctx");
	uint64_t begin = cb_time_mono(), filled, loaded, flushed;
	uint8_t digest[CB_DIGEST_SIZE] = { 0 }, got[CB_DIGEST_SIZE];

	for (uint64_t i = 0; i < N; i++) {
		struct stat st = file(i * 3);

		memcpy(digest, &i, sizeof(i));
		cb_stat_index_put(index, &st, digest);
	}
	filled = cb_time_mono();
	assert_ok(cb_stat_index_flush(index, true, &err));
	flushed = cb_time_mono();
	cb_stat_index_free(index);
	index = open_index(fx->store, "/ctx");
	loaded = cb_time_mono();
	for (uint64_t i = 0; i < N; i++) {
		struct stat st = file(i * 3);

		assert_true(cb_stat_index_get(index, &st, got));
		assert_memory_equal(got, &i, sizeof(i));
	}
	print_message("# fill %.1f ms, flush %.1f ms, load %.1f ms, look up %.1f ms\n", (double)(filled - begin) / 1e6,
		(double)(flushed - filled) / 1e6, (double)(loaded - flushed) / 1e6,
		(double)(cb_time_mono() - loaded) / 1e6);
	cb_stat_index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_counts),
		cmocka_unit_test(racy_times_are_not_kept),
		cmocka_unit_test_setup_teardown(survives, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(many_files, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
