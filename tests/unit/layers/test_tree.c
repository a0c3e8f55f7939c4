#include "unit/layers/treebuild.h"

#include <fnmatch.h>
#include <sys/mount.h>

#include "base/map.h"
#include "layers/chown.h"
#include "layers/dest.h"
#include "layers/match.h"
#include "layers/tree.h"

/* --- The merged view ------------------------------------------------------------------------------------------------
 */

struct merge_row {
	const char *name;
	const char *layers[4]; /* bottom first */
	const char *want;      /* what a walk shows; kinds and link targets only */
};

static const struct merge_row merges[] = {
	{ "one layer", { "f a; d b; f b/c; l d >a" }, "f a; d b; f b/c; l d >a" },
	{ "two layers", { "f a; f b", "f b; f c" }, "f a; f b; f c" },
	{ "directories merge", { "f d/a; f d/b", "f d/b; f d/c" }, "d d; f d/a; f d/b; f d/c" },
	{ "whiteout", { "f a; f b", "w a" }, "f b" },
	{ "whiteout of nothing", { "f b", "w a" }, "f b" },
	{ "whiteout of a directory", { "f d/a; f b", "w d" }, "f b" },
	{ "whiteout and again", { "f a", "w a", "f a" }, "f a" },
	{ "whiteout, then a directory", { "f d/old", "w d", "f d/new" }, "d d; f d/new" },
	{ "opaque", { "f d/a; f d/b", "f d/c; o d" }, "d d; f d/c" },
	{ "opaque and above", { "f d/a", "f d/b; o d", "f d/c" }, "d d; f d/b; f d/c" },
	{ "opaque deep", { "f d/e/a", "d d/e; o d/e" }, "d d; d d/e" },
	{ "file hides a directory", { "f d/a", "f d" }, "f d" },
	{ "directory hides a file", { "f d", "f d/a" }, "d d; f d/a" },
	{ "file between two directories", { "f d/a", "f d", "f d/b" }, "d d; f d/b" },
	{ "link hides a directory", { "f d/a", "l d >x" }, "l d >x" },
	{ "whiteout in a subdirectory", { "f d/a; f d/b", "w d/a" }, "d d; f d/b" },
	{ "four layers", { "f a; f b; f c; f d", "w a", "w b; f a", "f x/y; w c" }, "f a; f d; d x; f x/y" },
	{ "device", { "c n >1.3" }, "c n" },
	{ "empty", { "" }, "" },
	{ "hidden below a whiteout", { "f d/e/f/a", "w d/e" }, "d d" },
	{ "names that sort between", { "f a-b; f a/x; f a.b", "f a/y; f a0" },
		"d a; f a/x; f a/y; f a-b; f a.b; f a0" },
};

static int show_entry(
	void *userdata, const char *path, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct cb_err **err)
{
	struct cb_buf *out = userdata;
	struct stat st;
	char *target = NULL;

	assert_int_equal(cb_tree_at_stat(dir, ent, &st, err), 0);
	assert_int_equal(IFTODT(st.st_mode), ent->type);
	cb_buf_addf(out, "%s%c %s", out->len ? "; " : "",
		ent->type == DT_DIR   ? 'd'
		: ent->type == DT_REG ? 'f'
		: ent->type == DT_LNK ? 'l'
				      : 'c',
		path);
	if (ent->type == DT_LNK) {
		assert_int_equal(cb_tree_at_readlink(dir, ent, &target, err), 0);
		cb_buf_addf(out, " >%s", target);
		free(target);
	}
	return 0;
}

static void walk_text(struct cb_tree *tree, struct cb_buf *out)
{
	cleanup_err struct cb_err *err = NULL;

	assert_int_equal(cb_tree_walk(tree, "", show_entry, out, &err), 0);
}

/* Shows a real directory in the order of a walk, in the same form. */
static void dir_text(int fd, struct cb_buf *out)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;

	assert_int_equal(cb_tree_new_plain(fd, NULL, false, &tree, NULL), 0);
	walk_text(tree, out);
}

static size_t build_layers(const struct merge_row *row, int fds[static 4])
{
	size_t n = 0;

	for (; n < ARRAY_SIZE(row->layers) && row->layers[n]; n++) {
		fds[n] = tb_dir();
		tb_build(fds[n], row->layers[n]);
	}
	return n;
}

/* Ordinary users may make whiteouts, but no devices. */
static bool needs_root(const struct merge_row *row)
{
	return strncmp(row->layers[0], "c ", 2) == 0;
}

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void merged_views(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
		cleanup_buf struct cb_buf out = { 0 };
		int fds[4];
		size_t n;

		print_message("# %s\n", merges[i].name);
		if (!tb_root && needs_root(&merges[i])) {
			print_message("# SKIPPED (needs root)\n");
			continue;
		}
		n = build_layers(&merges[i], fds);
		assert_int_equal(cb_tree_new_layers(fds, n, tb_flavour(), &tree, NULL), 0);
		walk_text(tree, &out);
		assert_string_equal(cb_buf_str(&out), merges[i].want);
		close_all(fds, n);
	}
}

/* The kernel is asked for the same. */
static void same_as_overlay(void **state)
{
	size_t mounted = 0;

	(void)state;
	if (!tb_root || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_message("# SKIPPED (needs root): comparison with overlay mounts\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		cleanup_buf struct cb_buf out = { 0 }, options = { 0 };
		cleanup_close int point = tb_dir(), bottom = tb_dir(), fd = -EBADF;
		char path[256];
		int fds[4];
		size_t n = build_layers(&merges[i], fds);

		cb_buf_adds(&options, "lowerdir=");
		for (size_t k = n; k-- > 0;) {
			tb_fd_path(fds[k], path);
			cb_buf_addf(&options, "%s:", path);
		}
		tb_fd_path(bottom, path); /* overlay wants two layers */
		cb_buf_adds(&options, path);
		tb_fd_path(point, path);
		if (mount("overlay", path, "overlay", MS_RDONLY, cb_buf_str(&options)) < 0) {
			print_message("# SKIPPED: no overlay mount: %s\n", strerror(errno));
			close_all(fds, n);
			skip();
		}
		mounted++;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(fd >= 0);
		dir_text(fd, &out);
		assert_int_equal(umount2(path, MNT_DETACH), 0);
		print_message("# %s\n", merges[i].name);
		assert_string_equal(cb_buf_str(&out), merges[i].want);
		close_all(fds, n);
	}
	assert_int_equal(mounted, ARRAY_SIZE(merges));
}

/* The other flavour's mark is data. */
static void flavours(void **state)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	int fds[2] = { tb_dir(), tb_dir() }, d;

	(void)state;
	tb_build(fds[0], "f d/a");
	tb_build(fds[1], "d d");
	d = openat(fds[1], "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fsetxattr(d, "user.overlay.opaque", "y", 1, 0), 0);
	close(d);
	assert_int_equal(cb_tree_new_layers(fds, 2, CB_FLAVOUR_TRUSTED, &tree, NULL), 0);
	walk_text(tree, &out);
	assert_string_equal(cb_buf_str(&out), "d d; f d/a");
	cb_buf_clear(&out);
	tree = cb_tree_free(tree);
	assert_int_equal(cb_tree_new_layers(fds, 2, CB_FLAVOUR_USER, &tree, NULL), 0);
	walk_text(tree, &out);
	assert_string_equal(cb_buf_str(&out), "d d");
	close_all(fds, 2);
}

/* Metadata of a merged directory is the topmost one's; files come from where they are. */
static void by_path(void **state)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_err struct cb_err *err = NULL;
	int fds[3] = { tb_dir(), tb_dir(), tb_dir() }, fd;
	char *target = NULL, data[8] = "";
	struct stat st;

	(void)state;
	tb_build(fds[0], "d d 700; f d/a =low; f d/b =low; l d/l >t");
	tb_build(fds[1], "d d 711; f d/b =mid");
	tb_build(fds[2], "f x =top");
	assert_int_equal(cb_tree_new_layers(fds, 3, tb_flavour(), &tree, NULL), 0);
	assert_int_equal(cb_tree_stat(tree, "d", &st, &err), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(cb_tree_stat(tree, "/d/a", &st, &err), 0);
	assert_int_equal(cb_tree_stat(tree, "d/none", &st, &err), 1);
	assert_int_equal(cb_tree_stat(tree, "d/a/x", &st, &err), 1);
	assert_int_equal(cb_tree_stat(tree, "d/l/x", &st, &err), 1);
	assert_int_equal(cb_tree_stat(tree, "", &st, &err), 0);
	assert_int_equal(cb_tree_open(tree, "d/b", &fd, &err), 0);
	assert_int_equal(read(fd, data, sizeof(data)), 3);
	close(fd);
	assert_string_equal(data, "mid");
	assert_int_equal(cb_tree_open(tree, "d", &fd, &err), CB_ERR_INPUT);
	assert_int_equal(cb_tree_open(tree, "d/l", &fd, &err), CB_ERR_INPUT);
	assert_int_equal(cb_tree_open(tree, "d/zz", &fd, &err), 1);
	assert_int_equal(cb_tree_readlink(tree, "d/l", &target, &err), 0);
	assert_string_equal(target, "t");
	free(target);
	assert_int_equal(cb_tree_readlink(tree, "d/a", &target, &err), CB_ERR_INPUT);
	assert_int_equal(cb_tree_stat(tree, "d/../d", &st, &err), CB_ERR_INTERNAL);
	close_all(fds, 3);
}

/* --- Resolution -----------------------------------------------------------------------------------------------------
 */

static const struct {
	const char *path, *want;
	enum cb_tree_resolve flags;
	int code; /* 0 there, 1 not */
} resolves[] = {
	{ "/a/b/f", "a/b/f", 0, 0 },
	{ "a//b/./f", "a/b/f", 0, 0 },
	{ "", "", 0, 0 },
	{ "/", "", 0, 0 },
	{ "..", "", 0, 0 },
	{ "a/../../a", "a", 0, 0 },
	{ "l", "a/b", 0, 0 },
	{ "l", "l", CB_TREE_NOFOLLOW, 0 },
	{ "l/f", "a/b/f", 0, 0 },
	{ "l/f", "a/b/f", CB_TREE_NOFOLLOW, 0 },
	{ "abs/f", "a/b/f", 0, 0 },
	{ "out", "a", 0, 0 },
	{ "a/b/up", "a", 0, 0 },
	{ "a/b/up/b/f", "a/b/f", 0, 0 },
	{ "l/../f", "a/f", 0, 1 },
	{ "dangling", "no/where", 0, 1 },
	{ "dangling/x", "no/where/x", 0, 1 },
	{ "missing/x/y", "missing/x/y", 0, 1 },
	{ "missing/../a", "a", 0, 0 },
	{ "missing/x/../../l/f", "a/b/f", 0, 0 },
	{ "a/b/f/x", "a/b/f/x", 0, 1 },
	{ "a/b/f/../f", "a/b/f", 0, 0 },
	{ "loop", "resolve loop: too many levels of symbolic links", 0, CB_ERR_INPUT },
	{ "loop", "loop", CB_TREE_NOFOLLOW, 0 },
	{ "a/loop2/x", "resolve a/loop2/x: too many levels of symbolic links", 0, CB_ERR_INPUT },
	{ "pl", "proc/self/root", 0, 1 },
	{ "empty-parts/f", "a/b/f", 0, 0 },
};

static void resolution(void **state)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_close int fd = tb_dir();

	(void)state;
	tb_build(fd, "f a/b/f; l l >a/b; l abs >/a/b; l out >../../../../a; l a/b/up >..; l dangling >/no/where; "
		     "l loop >loop; l a/loop2 >../a/loop2; l pl >/proc/self/root; l empty-parts >.//a/.//b/");
	assert_int_equal(cb_tree_new_plain(fd, NULL, false, &tree, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(resolves); i++) {
		cleanup_err struct cb_err *err = NULL;
		cleanup_free char *got = NULL;
		int r = cb_tree_resolve(tree, resolves[i].path, resolves[i].flags, &got, &err);

		print_message("# %s\n", resolves[i].path);
		assert_int_equal(r, resolves[i].code);
		assert_string_equal(r < 0 ? cb_err_msg(err) : got, resolves[i].want);
	}
}

/* Links that double at every step end at the limit, quickly. */
static void link_bomb(void **state)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_close int fd = tb_dir();
	cleanup_err struct cb_err *err = NULL;
	char *got = NULL;

	(void)state;
	for (int i = 0; i < 40; i++) {
		char name[16], target[64];

		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d/../l%d", i + 1, i + 1);
		assert_int_equal(symlinkat(target, fd, name), 0);
	}
	assert_int_equal(mkdirat(fd, "l40", 0755), 0);
	assert_int_equal(cb_tree_new_plain(fd, NULL, false, &tree, NULL), 0);
	assert_int_equal(cb_tree_resolve(tree, "l0", 0, &got, &err), CB_ERR_INPUT);
}

/* --- Plain trees ----------------------------------------------------------------------------------------------------
 */

static enum cb_path_verdict by_map(void *userdata, const char *path, bool is_dir)
{
	const char *v = cb_map_get(userdata, path);

	(void)is_dir;
	if (!v) /* below a dropped directory everything is dropped */
		return strncmp(path, "out", 3) == 0 || strncmp(path, "maybe", 5) == 0 ? CB_PATH_DROP : CB_PATH_TAKE;
	return *v == 'p' ? CB_PATH_PEEK : *v == 'd' ? CB_PATH_DROP : CB_PATH_TAKE;
}

static void filtered(void **state)
{
	static const char *const rules[][2] = { { "out", "d" }, { "maybe", "p" }, { "maybe/x", "p" },
		{ "maybe/x/y", "t" }, { "maybe2", "p" }, { "maybe2/z", "p" }, { "file", "p" } };
	CB_CLEANUP(cb_map_free) struct cb_map *map = cb_map_new(NULL);
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_close int fd = tb_dir();
	struct cb_path_filter filter = { by_map, map };
	struct stat st;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		cb_map_set(map, rules[i][0], (void *)rules[i][1]);
	tb_build(fd, "f a; f out/x; f maybe/x/y; f maybe/x/n; f maybe/z; f maybe2/z/n; f file; w n");
	assert_int_equal(cb_tree_new_plain(fd, &filter, true, &tree, NULL), 0);
	walk_text(tree, &out);
	assert_string_equal(cb_buf_str(&out), "f a; d maybe; d maybe/x; f maybe/x/y; c n");
	assert_int_equal(cb_tree_stat(tree, "out", &st, NULL), 1);
	assert_int_equal(cb_tree_stat(tree, "out/x", &st, NULL), 1);
	assert_int_equal(cb_tree_stat(tree, "maybe/z", &st, NULL), 1);
	assert_int_equal(cb_tree_stat(tree, "maybe2/z", &st, NULL), 1);
	assert_int_equal(cb_tree_stat(tree, "maybe/x/y", &st, NULL), 0);
	assert_int_equal(cb_tree_stat(tree, "file", &st, NULL), 1);
}

static void names_files(void **state)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_close int fd = tb_dir();
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	tb_build(fd, "f etc/passwd =0123456789; l l >/etc/passwd; p pipe; d d; l zero >/dev/zero");
	assert_int_equal(cb_tree_new_plain(fd, NULL, false, &tree, NULL), 0);
	assert_int_equal(cb_tree_read_file(tree, "/l", 10, &out, &err), 0);
	assert_string_equal(cb_buf_str(&out), "0123456789");
	assert_int_equal(cb_tree_read_file(tree, "/l", 9, &out, &err), CB_ERR_LIMIT);
	assert_int_equal(cb_tree_read_file(tree, "pipe", 9, &out, &err), 1);
	assert_int_equal(cb_tree_read_file(tree, "d", 9, &out, &err), 1);
	assert_int_equal(cb_tree_read_file(tree, "zero", 9, &out, &err), 1);
}

/* A tree deeper than descriptors would last is walked all the same. */
static int count_entry(
	void *userdata, const char *path, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct cb_err **err)
{
	(void)path, (void)dir, (void)ent, (void)err;
	++*(size_t *)userdata;
	return 0;
}

static void deep_walk(void **state)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_close int top = tb_dir();
	cleanup_err struct cb_err *err = NULL;
	int fd = dup(top);
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 700; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		assert_int_equal(mkdirat(fd, "e", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(cb_tree_new_plain(top, NULL, false, &tree, NULL), 0);
	assert_int_equal(cb_tree_walk(tree, "", count_entry, &n, &err), 0);
	assert_int_equal(n, 1400);
}

/* --- Owners ---------------------------------------------------------------------------------------------------------
 */

static const struct {
	const char *text;
	uint32_t uid, gid;
} owners[] = {
	{ "0", 0, 0 },
	{ "5", 5, 5 },
	{ "5:6", 5, 6 },
	{ "root", 0, 0 },
	{ "root:root", 0, 0 },
	{ "bob", 12, 34 },
	{ "bob:adm", 12, 4 },
	{ "bob:7", 12, 7 },
	{ "7:adm", 7, 4 },
	{ "nobody", 0, 0 },
	{ "nobody:adm", 0, 4 },
	{ "bob:none", 12, 34 },
	{ "5:none", 5, 5 },
	{ "5:", 5, 0 },
	{ "bob:", 12, 0 },
	{ ":", 0, 0 },
	{ ":6", 0, 6 },
	{ ":adm", 0, 4 },
	{ "", 0, 0 },
	{ "4294967294", 4294967294u, 4294967294u },
	{ "4294967295", 0, 0 },
	{ "99999999999", 0, 0 },
	{ "-1", 0, 0 },
	{ "short", 0, 0 },
	{ "bad", 0, 0 },
	{ "twice", 1, 1 },
	{ "last", 9, 9 },
};

static void owner_texts(void **state)
{
	static const char passwd[] = "root:x:0:0::/root:/bin/sh\nbob:x:12:34::/:/bin/sh\nshort\nbad:x:q:r::\n"
				     "\ntwice:x:1:1::\ntwice:x:2:2::\n:x:55:55::\nlast:x:9:9";
	static const char group[] = "root:x:0:\nadm:x:4:bob\n:x:66:\n";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		struct cb_owner got;

		print_message("# \"%s\"\n", owners[i].text);
		cb_chown_resolve(owners[i].text, passwd, sizeof(passwd) - 1, group, sizeof(group) - 1, &got);
		assert_int_equal(got.uid, owners[i].uid);
		assert_int_equal(got.gid, owners[i].gid);
	}
	assert_false(cb_chown_needs_files("5:6"));
	assert_false(cb_chown_needs_files("root"));
	assert_false(cb_chown_needs_files(":"));
	assert_true(cb_chown_needs_files("bob"));
	assert_true(cb_chown_needs_files("5:adm"));
}

/* --- WORKDIR --------------------------------------------------------------------------------------------------------
 */

static const struct {
	const char *name, *parents, *path, *want;
	int code;
} workdirs[] = {
	{ "new", "", "/a/b", "d a 700 @1; d a/b 700 @1", 1 },
	{ "below an old one", "d a 711 @44", "/a/b", "d a 711 @44!; d a/b 700 @1", 1 },
	{ "old", "d a/b", "/a/b", "", 0 },
	{ "root", "", "/", "", 0 },
	{ "through a link", "d o; l a >/o", "/a/b", "d o; d o/b 700 @1", 1 },
	{ "through a dangling link", "l a >/o/x", "/a/b", "d o 700 @1; d o/x 700 @1; d o/x/b 700 @1", 1 },
	{ "a link out of the root", "l a >../../etc", "/a", "d etc 700 @1", 1 },
	{ "a file", "f a", "/a", "/a is not a directory", CB_ERR_INPUT },
	{ "below a file", "f a", "/a/b", "/a is not a directory", CB_ERR_INPUT },
	{ "unclean", "", "//a/../b/./c/", "d b 700 @1; d b/c 700 @1", 1 },
};

static void working_directories(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(workdirs); i++) {
		struct cb_dest_attr missing = { .mode = 0700, .time = { .tv_sec = 1, .tv_nsec = 123456789 } };
		CB_CLEANUP(cb_tree_free) struct cb_tree *parents = NULL;
		cleanup_close int below = tb_dir(), upper = tb_dir();
		cleanup_buf struct cb_buf out = { 0 };
		cleanup_err struct cb_err *err = NULL;
		int r;

		print_message("# %s\n", workdirs[i].name);
		tb_build(below, workdirs[i].parents);
		assert_int_equal(cb_tree_new_layers(&below, 1, tb_flavour(), &parents, NULL), 0);
		r = cb_dest_workdir(parents, upper, workdirs[i].path, &missing, &err);
		tb_show(upper, "", &out);
		assert_int_equal(r, workdirs[i].code);
		assert_string_equal(r < 0 ? cb_err_msg(err) : cb_buf_str(&out), workdirs[i].want);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(merged_views), cmocka_unit_test(flavours), cmocka_unit_test(by_path),
		cmocka_unit_test(resolution), cmocka_unit_test(link_bomb), cmocka_unit_test(filtered),
		cmocka_unit_test(names_files), cmocka_unit_test(deep_walk), cmocka_unit_test(owner_texts),
		cmocka_unit_test(working_directories),
		cmocka_unit_test(same_as_overlay), /* last: it changes the mount namespace */
	};

	return tb_run(tests);
}
