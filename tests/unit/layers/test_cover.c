/* Things lent to a plain root, and trees of hard links. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "layers/cover.h"
#include "layers/linktree.h"

static char top[64];
static int root, aside;

static int make_dir(int at, const char *name)
{
	assert_return_code(mkdirat(at, name, 0755), errno);
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_return_code(fd, errno);
	return fd;
}

static void put_file(int at, const char *name, const char *text)
{
	cleanup_close int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_return_code(fd, errno);
	assert_return_code(cb_fd_write_all(fd, text, strlen(text)), errno);
}

static void is_file(int at, const char *name, const char *want)
{
	cleanup_buf struct cb_buf text = { 0 };

	assert_int_equal(cb_file_read_at(at, name, 4096, &text, NULL), 0);
	assert_string_equal(cb_buf_str(&text), want);
}

static int setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/cover-test-XXXXXX");
	assert_non_null(mkdtemp(top));
	cleanup_close int at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	root = make_dir(at, "root");
	aside = make_dir(at, "aside");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(root);
	close(aside);
	return cb_path_remove_tree(AT_FDCWD, top, NULL);
}

/* Where a target leads, in a root with the links l -> d, dangling -> d/new and out -> ../../../etc. */
static const struct {
	const char *target, *real;
} places[] = {
	{ "/d", "d" },
	{ "/l", "d" },
	{ "/d/x/y", "d/x/y" },
	{ "/l/x", "d/x" },
	{ "/dangling", "d/new" },
	{ "/dangling/in", "d/new/in" },
	{ "/out/z", "etc/z" },
	{ "/n/e/w", "n/e/w" },
};

static void lent_and_taken_back(void **state)
{
	const struct timespec times[2] = { { 1000, 0 }, { 2000, 0 } };
	struct stat st;

	(void)state;
	close(make_dir(root, "d"));
	close(make_dir(root, "etc"));
	put_file(root, "d/kept", "kept");
	assert_return_code(symlinkat("d", root, "l"), errno);
	assert_return_code(symlinkat("d/new", root, "dangling"), errno);
	assert_return_code(symlinkat("../../../etc", root, "out"), errno);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		CB_CLEANUP(cb_cover_free) struct cb_cover *cover = NULL;
		cleanup_err struct cb_err *err = NULL;

		print_message("# %s\n", places[i].target);
		assert_return_code(utimensat(root, "d", times, 0), errno);
		close(make_dir(aside, CB_COVER_LENT));
		put_file(aside, CB_COVER_LENT "/mine", "mine");
		assert_int_equal(cb_cover_put(root, places[i].target, aside, &cover, &err), 0);
		cleanup_free char *mine = cb_xasprintf("%s/mine", places[i].real);
		is_file(root, mine, "mine");
		put_file(root, mine, "changed");
		assert_int_equal(cb_cover_take(cover, &err), 0);
		is_file(aside, CB_COVER_LENT "/mine", "changed");
		is_file(root, "d/kept", "kept");
		assert_int_equal(cb_cover_kept(cover) != NULL, strcmp(places[i].real, "d") == 0);
		assert_return_code(fstatat(root, "d", &st, 0), errno);
		assert_int_equal(st.st_mtim.tv_sec, 2000);
		/* What was made on the way has gone again. */
		assert_int_equal(faccessat(root, "n", F_OK, 0), -1);
		assert_int_equal(faccessat(root, "d/x", F_OK, 0), -1);
		assert_int_equal(cb_path_remove_tree(aside, CB_COVER_LENT, &err), 0);
	}
}

static void what_a_program_does(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	struct cb_cover *cover = NULL;

	(void)state;
	/* A file that is put beside it keeps the directories that were made. */
	close(make_dir(aside, CB_COVER_LENT));
	assert_int_equal(cb_cover_put(root, "/a/b/c", aside, &cover, &err), 0);
	put_file(root, "a/beside", "x");
	assert_int_equal(cb_cover_take(cover, &err), 0);
	cover = cb_cover_free(cover);
	is_file(root, "a/beside", "x");
	assert_int_equal(faccessat(root, "a/b", F_OK, 0), -1);

	/* Moved away: that is said. */
	assert_int_equal(cb_cover_put(root, "/a", aside, &cover, &err), 0);
	assert_return_code(renameat(root, "a", root, "elsewhere"), errno);
	assert_int_equal(cb_cover_take(cover, &err), 1);
	cover = cb_cover_free(cover);
	assert_int_equal(cb_path_remove_tree(aside, CB_COVER_KEPT, &err), 0);

	/* A directory on a file, a file on a directory, the root. */
	put_file(root, "f", "x");
	close(make_dir(aside, CB_COVER_LENT));
	assert_int_equal(cb_cover_put(root, "/f", aside, &cover, &err), CB_ERR_INPUT);
	err = cb_err_free(err);
	assert_int_equal(cb_cover_put(root, "/", aside, &cover, &err), CB_ERR_INPUT);
	err = cb_err_free(err);
	assert_int_equal(cb_path_remove_tree(aside, CB_COVER_LENT, &err), 0);
	put_file(aside, CB_COVER_LENT, "file");
	assert_int_equal(cb_cover_put(root, "/elsewhere", aside, &cover, &err), CB_ERR_INPUT);
	is_file(root, "f", "x");
}

static ino_t inode(int at, const char *name, nlink_t links)
{
	struct stat st;

	assert_return_code(fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW), errno);
	if (links)
		assert_int_equal(st.st_nlink, links);
	return st.st_ino;
}

static void trees_of_links(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	struct stat st;

	(void)state;
	cleanup_close int cache = make_dir(root, "cache");
	close(make_dir(cache, "d"));
	assert_return_code(fchmodat(cache, "d", 02750, 0), errno);
	put_file(cache, "d/f", "one");
	put_file(cache, "g", "two");
	assert_return_code(linkat(cache, "g", cache, "again", 0), errno);
	assert_return_code(symlinkat("nowhere", cache, "l"), errno);

	assert_int_equal(cb_linktree_make(cache, aside, "t", false, NULL, &err), 0);
	assert_true(inode(aside, "t/d/f", 2) == inode(cache, "d/f", 2));
	assert_true(inode(aside, "t/again", 4) == inode(cache, "g", 4));
	assert_return_code(fstatat(aside, "t/d", &st, 0), errno);
	assert_int_equal(st.st_mode, S_IFDIR | 02750);

	/* The old tree goes, one file has got a name outside: that one is parted, links inside stay links. */
	cleanup_close int t = openat(aside, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cb_path_remove_tree(root, "cache", &err), 0);
	assert_return_code(linkat(t, "d/f", root, "layer", 0), errno);
	assert_int_equal(cb_linktree_part(t, NULL, &err), 0);
	assert_true(inode(t, "d/f", 1) != inode(root, "layer", 1));
	is_file(t, "d/f", "one");
	assert_true(inode(t, "g", 2) == inode(t, "again", 2));

	assert_int_equal(cb_linktree_make(t, aside, "own", true, NULL, &err), 0);
	assert_true(inode(aside, "own/d/f", 1) != inode(t, "d/f", 1));
	is_file(aside, "own/again", "two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lent_and_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_program_does, setup, teardown),
		cmocka_unit_test_setup_teardown(trees_of_links, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
