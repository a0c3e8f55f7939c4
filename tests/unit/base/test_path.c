/* Lexical paths, and resolution that must not leave its root: every row runs with openat2 and with the walk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "base/path.h"

static void cleaning(void **state)
{
	static const struct {
		const char *in, *want, *abs;
	} cases[] = {
		{ "", ".", "/" },
		{ ".", ".", "/" },
		{ "/", "/", "/" },
		{ "//", "/", "/" },
		{ "a/b", "a/b", "/a/b" },
		{ "a//b/", "a/b", "/a/b" },
		{ "a/./b", "a/b", "/a/b" },
		{ "a/../b", "b", "/b" },
		{ "../a", "../a", "/a" },
		{ "../../a", "../../a", "/a" },
		{ "a/../..", "..", "/" },
		{ "/..", "/", "/" },
		{ "/../a", "/a", "/a" },
		{ "a/b/../..", ".", "/" },
		{ "../a/..", "..", "/" },
		{ "...", "...", "/..." },
		{ "/a/../../b", "/b", "/b" },
		{ "a/..b", "a/..b", "/a/..b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *clean = cb_path_clean(cases[i].in), *abs = cb_path_abs(cases[i].in);

		print_message("# \"%s\"\n", cases[i].in);
		assert_string_equal(clean, cases[i].want);
		assert_string_equal(abs, cases[i].abs);
	}
}

static void belonging(void **state)
{
	(void)state;
	assert_true(cb_path_below("/a/b", "/a"));
	assert_true(cb_path_below("/a", "/a"));
	assert_false(cb_path_below("/ab", "/a"));
	assert_true(cb_path_below("/x", "/"));
	assert_true(cb_path_below("a", "."));
	assert_false(cb_path_below("../a", "."));
}

struct sandbox {
	char path[64];
	int root;
};

/* outside/secret and root/{dir/file, up -> .., abs -> /dir, out -> ../outside, loop -> loop, far ->
 * /../../outside/secret} */
static int make(void **state)
{
	struct sandbox *s = cb_new0(struct sandbox);
	cleanup_close int top = -EBADF;

	strcpy(s->path, "/tmp/cb-path-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	top = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(top, "outside", 0755), 0);
	assert_int_equal(cb_atomic_write(top, "outside/secret", "s", 1, 0644, NULL), 0);
	assert_int_equal(mkdirat(top, "root", 0755), 0);
	s->root = openat(top, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(s->root, "dir", 0755), 0);
	assert_int_equal(cb_atomic_write(s->root, "dir/file", "f", 1, 0644, NULL), 0);
	assert_int_equal(symlinkat("..", s->root, "up"), 0);
	assert_int_equal(symlinkat("/dir", s->root, "abs"), 0);
	assert_int_equal(symlinkat("../outside", s->root, "out"), 0);
	assert_int_equal(symlinkat("loop", s->root, "loop"), 0);
	assert_int_equal(symlinkat("/../../outside/secret", s->root, "far"), 0);
	assert_int_equal(symlinkat("file", s->root, "dir/link"), 0);
	assert_int_equal(symlinkat("/new", s->root, "dangling"), 0);
	*state = s;
	return 0;
}

static int drop(void **state)
{
	struct sandbox *s = *state;
	cleanup_err struct cb_err *err = NULL;

	close(s->root);
	assert_int_equal(cb_path_remove_tree(AT_FDCWD, s->path, &err), 0);
	assert_int_equal(access(s->path, F_OK), -1);
	free(s);
	return 0;
}

static void resolving(void **state)
{
	static const struct {
		const char *path;
		int flags, errnum;
		const char *content; /* NULL: a directory */
	} cases[] = {
		{ "dir/file", O_RDONLY, 0, "f" },
		{ "/dir/file", O_RDONLY, 0, "f" },
		{ "../../dir/file", O_RDONLY, 0, "f" },
		{ "abs/file", O_RDONLY, 0, "f" },
		{ "up/up/dir/link", O_RDONLY, 0, "f" },
		{ "dir/../dir/./file", O_RDONLY, 0, "f" },
		{ "/", O_RDONLY | O_DIRECTORY, 0, NULL },
		{ "up", O_RDONLY | O_DIRECTORY, 0, NULL },
		{ "dir/", O_RDONLY, 0, NULL },
		{ "out/secret", O_RDONLY, ENOENT, NULL },
		{ "../outside/secret", O_RDONLY, ENOENT, NULL },
		{ "far", O_RDONLY, ENOENT, NULL },
		{ "loop", O_RDONLY, ELOOP, NULL },
		{ "dir/link", O_RDONLY | O_NOFOLLOW, ELOOP, NULL },
		{ "dir/file/", O_RDONLY, ENOTDIR, NULL },
		{ "dir/file/x", O_RDONLY, ENOTDIR, NULL },
		{ "nothing", O_RDONLY, ENOENT, NULL },
		{ "", O_RDONLY, ENOENT, NULL },
	};
	struct sandbox *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		size_t k = i / 2;
		cleanup_close int fd = -EBADF;
		char got[8] = "";

		cb_path_force_walk(i % 2);
		print_message("# %s, %s\n", cases[k].path, i % 2 ? "walk" : "openat2");
		errno = 0;
		fd = cb_path_open_in_root(s->root, cases[k].path, cases[k].flags, 0);
		if (cases[k].errnum) {
			assert_int_equal(fd, -1);
			assert_int_equal(errno, cases[k].errnum);
			continue;
		}
		assert_true(fd >= 0);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		if (cases[k].content) {
			assert_int_equal(read(fd, got, 7), (ssize_t)strlen(cases[k].content));
			assert_string_equal(got, cases[k].content);
		}
	}
	cb_path_force_walk(false);
}

static void creating_through_a_dangling_link(void **state)
{
	struct sandbox *s = *state;

	for (int i = 0; i < 2; i++) {
		cleanup_close int fd = -EBADF;

		cb_path_force_walk(i);
		fd = cb_path_open_in_root(s->root, "dangling", O_WRONLY | O_CREAT, 0644);
		assert_true(fd >= 0);
		assert_int_equal(faccessat(s->root, "new", F_OK, 0), 0);
		assert_int_equal(unlinkat(s->root, "new", 0), 0);
	}
	cb_path_force_walk(false);
}

static void beneath_refuses_links(void **state)
{
	struct sandbox *s = *state;

	for (int i = 0; i < 2; i++) {
		cb_path_force_walk(i);
		assert_int_equal(cb_path_open_beneath(s->root, "abs/file", O_RDONLY, 0), -1);
		assert_int_equal(errno, ELOOP);
		assert_int_equal(cb_path_open_beneath(s->root, "dir/../../outside", O_RDONLY, 0), -1);
		assert_int_equal(errno, EXDEV);
		assert_int_equal(close(cb_path_open_beneath(s->root, "dir/file", O_RDONLY, 0)), 0);
	}
	cb_path_force_walk(false);
}

static void making_directories(void **state)
{
	struct sandbox *s = *state;

	for (int i = 0; i < 2; i++) {
		cleanup_err struct cb_err *err = NULL;
		int fd;

		cb_path_force_walk(i);
		fd = cb_path_mkdirs_in_root(s->root, "abs/x/../y/z", 0750);
		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(faccessat(s->root, "dir/y/z", F_OK, 0), 0);
		assert_int_equal(faccessat(s->root, "dir/x", F_OK, 0), -1);
		assert_int_equal(cb_path_mkdirs_in_root(s->root, "dir/file/x", 0755), -1);
		assert_int_equal(cb_path_remove_tree(s->root, "dir/y", &err), 0);
	}
	cb_path_force_walk(false);
}

static void removing_follows_nothing(void **state)
{
	struct sandbox *s = *state;
	cleanup_err struct cb_err *err = NULL;

	assert_int_equal(mkdirat(s->root, "tree", 0755), 0);
	assert_int_equal(mkdirat(s->root, "tree/closed", 0), 0);
	assert_int_equal(symlinkat("../dir", s->root, "tree/link"), 0);
	assert_int_equal(cb_path_remove_tree(s->root, "tree", &err), 0);
	assert_int_equal(faccessat(s->root, "dir/file", F_OK, 0), 0);
	assert_int_equal(faccessat(s->root, "tree", F_OK, 0), -1);
	assert_int_equal(cb_path_remove_tree(s->root, "tree", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cleaning),
		cmocka_unit_test(belonging),
		cmocka_unit_test_setup_teardown(resolving, make, drop),
		cmocka_unit_test_setup_teardown(creating_through_a_dangling_link, make, drop),
		cmocka_unit_test_setup_teardown(beneath_refuses_links, make, drop),
		cmocka_unit_test_setup_teardown(making_directories, make, drop),
		cmocka_unit_test_setup_teardown(removing_follows_nothing, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
