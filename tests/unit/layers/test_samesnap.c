/* Prints of snapshots: what makes two results different, and what does not. */
#include "unit/layers/treebuild.h"

#include "layers/samesnap.h"

static int64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int print_tree(const char *text, const char *xattr, bool content, struct cb_digest *ret)
{
	struct cb_print_spec spec = { .flavour = tb_flavour(), .content = content };
	cleanup_err struct cb_err *err = NULL;
	cleanup_close int fd = -EBADF;
	int r;

	spec.began = now(CLOCK_REALTIME_COARSE);
	fd = tb_dir();
	tb_build(fd, text);
	if (xattr) {
		cleanup_close int file = openat(fd, "x", O_RDONLY | O_CLOEXEC);

		assert_int_equal(fsetxattr(file, xattr, "1", 1, 0), 0);
	}
	spec.ended = now(CLOCK_REALTIME);
	spec.fs_fd = fd;
	r = cb_snapshot_print(&spec, ret, &err);
	assert_true(r >= 0);
	return r;
}

static const struct {
	const char *name, *a, *b;
	bool same, root;
} rows[] = {
	{ "the same", "f d/a =x; l d/l >a", "f d/a =x; l d/l >a", true, false },
	{ "made in another order", "f a =x; f b =y", "f b =y; f a =x", true, false },
	{ "content of the same size", "f a =x", "f a =y", false, false },
	{ "size", "f a =x", "f a =xx", false, false },
	{ "mode", "f a 644", "f a 600", false, false },
	{ "setuid", "f a 755", "f a 4755", false, false },
	{ "mode of a directory", "d d", "d d 700", false, false },
	{ "owner", "f a 1:1", "f a 2:1", false, true },
	{ "group", "f a 1:1", "f a 1:2", false, true },
	{ "owner of a link", "l l 1:1 >x", "l l 2:1 >x", false, true },
	{ "name", "f a", "f b", false, false },
	{ "one more file", "f a", "f a; f b", false, false },
	{ "one more empty directory", "f a", "f a; d b", false, false },
	{ "type", "f a", "d a", false, false },
	{ "fifo", "f a", "p a", false, false },
	{ "link target", "l l >a", "l l >b", false, false },
	{ "link and file", "l l >a", "f l =a", false, false },
	{ "hard link and copy", "f a =x; h b >a", "f a =x; f b =x", false, false },
	{ "the same hard links", "f a =x; h b >a", "f a =x; h b >a", true, false },
	{ "other hard links", "f a =x; h b >a; f c =x", "f a =x; f b =x; h c >a", false, false },
	{ "whiteout and nothing", "f a; w gone", "f a", false, true },
	{ "whiteout and file", "w a", "f a", false, true },
	{ "the same whiteouts", "w gone", "w gone", true, true },
	{ "device numbers", "c n >1.3", "c n >1.5", false, true },
	{ "opaque", "d d; o d", "d d", false, false },
	{ "a time that was chosen", "f a @1000 =x", "f a @2000 =x", false, false },
	{ "a chosen time that is the same", "f a @1000 =x", "f a @1000 =x", true, false },
	{ "a chosen time and the clock's", "f a @1000 =x", "f a =x", false, false },
	{ "a chosen time of a directory", "d d @1000", "d d @2000", false, false },
	{ "structure does not run together", "d a; f b/c", "f a/b/c", false, false },
};

static void differences(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cb_digest a, b;

		print_message("# %s\n", rows[i].name);
		if (rows[i].root && !tb_root) {
			print_message("# SKIPPED (needs root)\n");
			continue;
		}
		assert_int_equal(print_tree(rows[i].a, NULL, true, &a), 0);
		assert_int_equal(print_tree(rows[i].b, NULL, true, &b), 0);
		assert_int_equal(cb_digest_equal(&a, &b), rows[i].same);
	}
}

/* The shape does not know content and attributes; everything else it does. */
static void shapes(void **state)
{
	struct cb_digest a, b;

	(void)state;
	print_tree("f a =x", NULL, false, &a);
	print_tree("f a =y", NULL, false, &b);
	assert_true(cb_digest_equal(&a, &b));
	print_tree("f a =xy", NULL, false, &b);
	assert_false(cb_digest_equal(&a, &b));
	print_tree("f a 600 =x", NULL, false, &b);
	assert_false(cb_digest_equal(&a, &b));
	print_tree("f x", NULL, false, &a);
	print_tree("f x", "user.cbuild", false, &b);
	assert_true(cb_digest_equal(&a, &b));
}

static void attributes(void **state)
{
	struct cb_digest plain, with, noted;
	const char *origin = tb_root ? "trusted.overlay.origin" : "user.overlay.origin";
	const char *redirect = tb_root ? "trusted.overlay.redirect" : "user.overlay.redirect";

	(void)state;
	print_tree("f x", NULL, true, &plain);
	print_tree("f x", "user.cbuild", true, &with);
	assert_false(cb_digest_equal(&plain, &with));
	/* What overlayfs notes is no difference; what it finds elsewhere cannot be compared. */
	print_tree("f x", origin, true, &noted);
	assert_true(cb_digest_equal(&plain, &noted));
	assert_int_equal(print_tree("f x", redirect, true, &with), 1);
}

static void too_deep(void **state)
{
	cleanup_close int fd = tb_dir(), at = dup(fd);
	struct cb_print_spec spec = { .fs_fd = fd, .flavour = tb_flavour() };
	struct cb_digest digest;

	(void)state;
	for (int i = 0; i < CB_PRINT_DEPTH_MAX + 10; i++) {
		int next;

		assert_int_equal(mkdirat(at, "d", 0755), 0);
		next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = next;
	}
	assert_int_equal(cb_snapshot_print(&spec, &digest, NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(differences),
		cmocka_unit_test(shapes),
		cmocka_unit_test(attributes),
		cmocka_unit_test(too_deep),
	};

	return tb_run(tests);
}
