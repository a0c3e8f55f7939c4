/* Map, vector, buffer, arena, pool, spawn, atomic files, cancellation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/atomic.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "base/pool.h"
#include "base/spawn.h"
#include "base/strv.h"

static void map_keeps_order(void **state)
{
	CB_CLEANUP(cb_map_free) struct cb_map *map = cb_map_new(free);
	const char *key;
	void *value;
	size_t at = 0, seen = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		cleanup_free char *name = cb_xasprintf("k%d", i);

		cb_map_set(map, name, cb_xstrdup(name));
	}
	for (int i = 0; i < 1000; i += 2) {
		cleanup_free char *name = cb_xasprintf("k%d", i);

		assert_true(cb_map_del(map, name));
		assert_false(cb_map_del(map, name));
	}
	cb_map_set(map, "k1", cb_xstrdup("again"));
	assert_int_equal(cb_map_len(map), 500);
	while (cb_map_next(map, &at, &key, &value)) {
		cleanup_free char *name = cb_xasprintf("k%zu", seen * 2 + 1);

		assert_string_equal(key, name);
		assert_string_equal(value, seen ? name : "again");
		seen++;
	}
	assert_int_equal(seen, 500);
	assert_null(cb_map_get(map, "k0"));
}

static void count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void pool_runs_all(void **state)
{
	atomic_int n = 0;
	struct cb_pool *pool = cb_pool_new("test", 4);

	(void)state;
	for (int i = 0; i < 1000; i++)
		cb_pool_submit(pool, i % CB_PRIORITY_N, count, &n);
	cb_pool_drain(pool);
	assert_int_equal(n, 1000);
	cb_pool_submit(pool, CB_PRIORITY_LOW, count, &n);
	cb_pool_free(pool);
	assert_int_equal(n, 1001);
}

static void spawning(void **state)
{
	static const struct {
		const char *script, *input;
		int status;
		const char *out;
	} cases[] = {
		{ "echo hi", NULL, 0, "hi\n" }, { "exit 3", NULL, 3, "" }, { "kill -9 $$", NULL, 128 + 9, "" },
		{ "cat", "some input", 0, "some input" }, { "exec sleep 100", NULL, CB_ERR_LIMIT, "" },
		{ "ls /proc/self/fd | wc -l", NULL, 0, "4\n" }, /* 0, 1, 2 and that of ls itself */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *argv[] = { "sh", "-c", cases[i].script, NULL };
		struct cb_spawn spec = { .argv = argv, .input = cases[i].input, .timeout_ms = 2000 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf out = { 0 };

		print_message("# %s\n", cases[i].script);
		spec.input_len = cases[i].input ? strlen(cases[i].input) : 0;
		if (cases[i].status == CB_ERR_LIMIT)
			spec.timeout_ms = 100;
		assert_int_equal(cb_spawn_run(&spec, &out, NULL, &err), cases[i].status);
		assert_string_equal(cb_buf_str(&out), cases[i].out);
	}
	assert_true(cb_spawn_have("sh"));
	assert_false(cb_spawn_have("no-such-program-here"));
}

static void atomic_files(void **state)
{
	char dir[] = "/tmp/cb-atomic-XXXXXX";
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf got = { 0 };
	cleanup_close int fd = -EBADF;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cb_atomic_write(fd, "f", "one", 3, 0600, &err), 0);
	assert_int_equal(cb_atomic_write(fd, "f", "three", 5, 0600, &err), 0);
	assert_int_equal(cb_file_read_at(fd, "f", 5, &got, &err), 0);
	assert_string_equal(cb_buf_str(&got), "three");
	assert_int_equal(cb_file_read_at(fd, "f", 4, &got, &err), CB_ERR_LIMIT);
	assert_int_equal(cb_atomic_write(fd, "no/f", "x", 1, 0600, &err), CB_ERR_NOT_FOUND);
	assert_int_equal(cb_path_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void arenas(void **state)
{
	CB_CLEANUP(cb_arena_free) struct cb_arena *arena = cb_arena_new();
	char *first = cb_arena_strdup(arena, "first");

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_int_equal((uintptr_t)cb_arena_alloc(arena, (size_t)i % 100 + 1) % 16, 0);
	assert_int_equal(((char *)cb_arena_alloc(arena, 1 << 20))[(1 << 20) - 1], 0);
	assert_string_equal(first, "first");
}

static void errors(void **state)
{
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	assert_int_equal(cb_err_errno(&err, ENOENT, "open %s", "x"), CB_ERR_NOT_FOUND);
	assert_int_equal(cb_err_wrap(&err, CB_ERR_NOT_FOUND, "layer %d", 2), CB_ERR_NOT_FOUND);
	assert_string_equal(cb_err_msg(err), "layer 2: open x: No such file or directory");
	cb_err_locate(&err, 0, 3, 4, 3);
	cb_err_locate(&err, 0, 9, 9, 9);
	assert_int_equal(err->line, 3);
	cb_err_hint(&err, 0, "try %s", "y");
	assert_string_equal(err->hint, "try y");
}

static void cancellation(void **state)
{
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	assert_int_equal(cb_cancel_check(cancel, &err), 0);
	cb_cancel_raise(cancel);
	cb_cancel_raise(cancel);
	assert_int_equal(cb_cancel_check(cancel, &err), CB_ERR_CANCELED);
	assert_int_equal(cb_cancel_check(NULL, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_keeps_order),
		cmocka_unit_test(pool_runs_all),
		cmocka_unit_test(spawning),
		cmocka_unit_test(atomic_files),
		cmocka_unit_test(arenas),
		cmocka_unit_test(errors),
		cmocka_unit_test(cancellation),
	};

	/* What whoever started us left open is not what the tests look for. */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
