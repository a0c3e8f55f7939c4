/* layers/diff.h: each case of overlay's upper format, with the kernel's own overlay where there is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "layers/apply.h"
#include "layers/diff.h"
#include "layers/tarread.h"
#include "layers/tree.h"
#include "unit/layers/treedump.h"

/** Where one case plays: base and upper are layers, merged is what the shell commands see. */
struct stage {
	char path[64];
	int dirfd, base, upper;
};

static void run_in(const char *dir, const char *sub, const char *script)
{
	cleanup_free char *cmd = cb_xasprintf("cd %s/%s && { %s\n} >/dev/null", dir, sub, script);

	if (system(cmd) != 0)
		fail_msg("%s", cmd);
}

static void stage_open(struct stage *s)
{
	s->dirfd = tmp_make(s->path);
	assert_true(s->dirfd >= 0);
	run_in(s->path, ".", "mkdir base upper work merged");
	s->base = openat(s->dirfd, "base", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->upper = openat(s->dirfd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void stage_close(struct stage *s)
{
	close(s->dirfd);
	close(s->base);
	close(s->upper);
	tmp_remove(s->path);
}

/** Runs @script in an overlay of base and upper. */
static void in_overlay(struct stage *s, const char *script)
{
	cleanup_free char *merged = cb_xasprintf("%s/merged", s->path);
	cleanup_free char *options = cb_xasprintf(
		"lowerdir=%s/base,upperdir=%s/upper,workdir=%s/work,redirect_dir=off,index=off,metacopy=off,xino=off",
		s->path, s->path, s->path);

	if (mount("overlay", merged, "overlay", 0, options) < 0)
		fail_msg("mount overlay: %s", strerror(errno));
	run_in(s->path, "merged", script);
	assert_int_equal(umount2(merged, MNT_DETACH), 0);
}

/** One line an entry, as the archive has it. */
static void dump_tar(struct cb_buf *out, const struct cb_buf *tar)
{
	struct cb_source_mem mem = { tar->data, tar->len, 0 };
	CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *r = cb_tarreader_new(cb_source_mem(&mem));
	cleanup_err struct cb_err *err = NULL;
	const struct cb_tar_item *item;
	int code;

	while ((code = cb_tarreader_next(r, &item, &err)) == 0) {
		const void *data;
		uint64_t at;
		ssize_t n;

		cb_buf_addf(out, "%s %c %o", item->path, (char)item->type, item->mode);
		if (item->uid || item->gid)
			cb_buf_addf(out, " %u:%u", item->uid, item->gid);
		if (item->link[0])
			cb_buf_addf(out, " -> %s", item->link);
		if (item->type == CB_TAR_CHAR || item->type == CB_TAR_BLOCK_DEV)
			cb_buf_addf(out, " %u,%u", item->major, item->minor);
		for (size_t i = 0; i < item->n_xattrs; i++)
			cb_buf_addf(out, " %s=%zu", item->xattrs[i].name, item->xattrs[i].len);
		n = cb_tarreader_data(r, &data, &at, &err);
		if (n > 0)
			cb_buf_addf(out, " \"%.*s\"", (int)CB_MIN(n, 40), (const char *)data);
		cb_buf_addc(out, '\n');
	}
	assert_string_equal(cb_err_msg(err), "");
	assert_int_equal(code, 1);
	assert_int_equal(cb_tarreader_drain(r, NULL), 0);
}

static int diff(struct stage *s, const struct cb_diff_spec *like, struct cb_buf *tar, struct cb_diff_stats *stats)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	struct cb_diff_spec spec = *like;
	cleanup_err struct cb_err *err = NULL;
	int r;

	assert_int_equal(cb_tree_new_layers(&s->base, 1, CB_FLAVOUR_TRUSTED, &tree, NULL), 0);
	spec.fs_fd = s->upper;
	spec.parents = tree;
	r = cb_diff_tar(&spec, cb_sink_buf(tar), stats, &err);
	assert_string_equal(cb_err_msg(err), "");
	return r;
}

static const char base_script[] =
	"umask 022; mkdir -p d/sub h e && echo one >d/1 && echo two >d/2 && echo s >d/sub/s && echo file >f && "
	"echo x >h/1 && ln h/1 h/2 && ln -s f link && find . -exec touch -h -d @1000 {} +";

static const struct {
	const char *name;
	const char *script; /* in the overlay */
	const char *want;
} cases[] = {
	{ "nothing", ":", "" },
	{ "a new file", "echo n >n", "n 0 644 \"n\n\"\n" },
	{ "a new file in an old directory", "echo n >d/n", "d/ 5 755\nd/n 0 644 \"n\n\"\n" },
	{ "deep: each parent once", "echo n >d/sub/n; echo n >d/sub/o",
		"d/ 5 755\nd/sub/ 5 755\nd/sub/n 0 644 \"n\n\"\nd/sub/o 0 644 \"n\n\"\n" },
	{ "deletion of a file", "rm f", ".wh.f 0 0\n" },
	{ "deletions stand where the names would", "rm d/1 d/2; echo n >d/0; echo n >d/15",
		"d/ 5 755\nd/0 0 644 \"n\n\"\nd/.wh.1 0 0\nd/15 0 644 \"n\n\"\nd/.wh.2 0 0\n" },
	{ "deletion of a directory", "rm -r d", ".wh.d 0 0\n" },
	{ "many deletions: whiteouts may share an inode", "rm f link d/1 d/2 h/1",
		"d/ 5 755\nd/.wh.1 0 0\nd/.wh.2 0 0\n.wh.f 0 0\nh/ 5 755\nh/.wh.1 0 0\n.wh.link 0 0\n" },
	{ "made and deleted", "echo n >n; rm n", "" },
	{ "made and deleted in an old directory", "echo n >d/n; rm d/n; touch -d @1000 d", "" },
	{ "deleted and made again", "rm -r d; mkdir d; echo n >d/1",
		"d/ 5 755\nd/1 0 644 \"n\n\"\nd/.wh.2 0 0\nd/.wh.sub 0 0\n" },
	{ "deleted and made again, partly the same", "rm -r d; mkdir -p d/sub; echo s >d/sub/s; touch -d @1000 d/sub/s",
		"d/ 5 755\nd/.wh.1 0 0\nd/.wh.2 0 0\n" },
	{ "new directory, opaque without need", "mkdir new; echo n >new/n", "new/ 5 755\nnew/n 0 644 \"n\n\"\n" },
	{ "new directory moved", "mkdir new; echo n >new/n; mv new other", "other/ 5 755\nother/n 0 644 \"n\n\"\n" },
	{ "directory becomes a file", "rm -r d; echo n >d", "d 0 644 \"n\n\"\n" },
	{ "file becomes a directory", "rm f; mkdir f; echo n >f/n", "f/ 5 755\nf/n 0 644 \"n\n\"\n" },
	{ "symlink becomes a directory", "rm link; mkdir link", "link/ 5 755\n" },
	{ "file becomes a symlink", "rm f; ln -s d f", "f 2 777 -> d\n" },
	{ "moved there and back", "mv f t; mv t f", "" },
	{ "chmod and back", "chmod 600 f; chmod 644 f", "" },
	{ "touched to the same time", "touch -d @1000 f", "" },
	{ "touched", "touch -d @1001 f", "f 0 644 \"file\n\"\n" },
	{ "other content, same size and time", "echo FILE >f; touch -d @1000 f", "f 0 644 \"FILE\n\"\n" },
	{ "other target, same length and time", "ln -sfn d link; touch -h -d @1000 link", "link 2 777 -> d\n" },
	{ "mode", "chmod 600 f", "f 0 600 \"file\n\"\n" },
	{ "owner", "chown 5:6 f", "f 0 644 5:6 \"file\n\"\n" },
	{ "owner of a symlink", "chown -h 5:6 link", "link 2 777 5:6 -> f\n" },
	{ "mode of a directory", "chmod 700 d", "d/ 5 700\n" },
	{ "time of a directory is no change", "touch -d @5 d", "" },
	{ "capability", "setcap cap_net_raw+ep f || true; getcap f | grep -q net_raw",
		"f 0 644 security.capability=20 \"file\n\"\n" },
	{ "capability there and back", "setcap cap_net_raw+ep f && setcap -r f", "" },
	{ "other xattrs are not carried", "setfattr -n user.x -v y f 2>/dev/null || true; chmod 600 f",
		"f 0 600 \"file\n\"\n" },
	{ "write to one of two hard links", "echo new >h/1", "h/ 5 755\nh/1 0 644 \"new\n\"\n" },
	{ "a new hard link to an old file", "ln f zz", "zz 0 644 \"file\n\"\nf 1 644 -> zz\n" },
	{ "a new hard link that comes first", "ln f a", "a 0 644 \"file\n\"\nf 1 644 -> a\n" },
	{ "hard links across directories", "ln d/1 e/1",
		"e/ 5 755\ne/1 0 644 \"one\n\"\nd/ 5 755\nd/1 1 644 -> e/1\n" },
	{ "new hard links", "echo n >n; ln n o; ln n d/p",
		"d/ 5 755\nd/p 0 644 \"n\n\"\nn 1 644 -> d/p\no 1 644 -> d/p\n" },
	{ "hard-linked symlinks", "ln -s x l1; ln l1 l2", "l1 2 777 -> x\nl2 1 777 -> l1\n" },
	{ "root's mode is no entry", "chmod 700 .", "" },
	{ "fifo and device", "mkfifo p; mknod c c 1 3; chmod 600 p c", "c 3 600 1,3\np 6 600\n" },
	{ "set-id and sticky", "chmod 4755 f; chmod 1777 d", "d/ 5 1777\nf 0 4755 \"file\n\"\n" },
	{ "names sort as bytes, directory by directory", "mkdir a a.b; echo 1 >a/x; echo 2 >a-; echo 3 >a.b/y",
		"a/ 5 755\na/x 0 644 \"1\n\"\na- 0 644 \"2\n\"\na.b/ 5 755\na.b/y 0 644 \"3\n\"\n" },
};

static void table(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct cb_buf tar = { 0 }, dump = { 0 };
		const struct cb_diff_spec spec = { .flavour = CB_FLAVOUR_TRUSTED };
		struct stage s;

		print_message("# %s\n", cases[i].name);
		stage_open(&s);
		run_in(s.path, "base", base_script);
		in_overlay(&s, cases[i].script);
		assert_int_equal(diff(&s, &spec, &tar, NULL), 0);
		dump_tar(&dump, &tar);
		assert_string_equal(cb_buf_str(&dump), cases[i].want);
		stage_close(&s);
	}
}

/*
 * The circle: what a layer's tar says, unpacked over the parents, is what the container saw. Through our own unpacker
 * and the kernel's overlay, for all cases.
 */
static void applied_again(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct cb_diff_spec spec = { .flavour = CB_FLAVOUR_TRUSTED };
		const struct cb_apply_spec apply = { .layer = true, .flavour = CB_FLAVOUR_TRUSTED };
		cleanup_buf struct cb_buf tar = { 0 }, again = { 0 }, want = { 0 }, got = { 0 };
		struct cb_apply_spec target = apply;
		struct cb_source_mem mem;
		struct cb_tree *tree = NULL;
		struct stage s;
		int fds[2];

		print_message("# %s\n", cases[i].name);
		stage_open(&s);
		run_in(s.path, "base", base_script);
		in_overlay(&s, cases[i].script);
		assert_int_equal(diff(&s, &spec, &tar, NULL), 0);

		run_in(s.path, ".", "mkdir again");
		target.dirfd = openat(s.dirfd, "again", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		mem = (struct cb_source_mem){ tar.data, tar.len, 0 };
		assert_int_equal(cb_apply(&target, cb_source_mem(&mem), NULL, NULL), 0);

		fds[0] = s.base;
		fds[1] = s.upper;
		assert_int_equal(cb_tree_new_layers(fds, 2, CB_FLAVOUR_TRUSTED, &tree, NULL), 0);
		assert_int_equal(cb_export_tar(tree, &(int64_t){ 0 }, cb_sink_buf(&again), NULL, NULL), 0);
		dump_tar(&want, &again);
		cb_tree_free(tree);

		cb_buf_clear(&again);
		fds[1] = target.dirfd;
		assert_int_equal(cb_tree_new_layers(fds, 2, CB_FLAVOUR_TRUSTED, &tree, NULL), 0);
		assert_int_equal(cb_export_tar(tree, &(int64_t){ 0 }, cb_sink_buf(&again), NULL, NULL), 0);
		dump_tar(&got, &again);
		cb_tree_free(tree);
		assert_string_equal(cb_buf_str(&got), cb_buf_str(&want));
		close(target.dirfd);
		stage_close(&s);
	}
}

/** What no overlay mount makes, or what needs options. */
static void sockets_are_left_out(void **state)
{
	const struct cb_diff_spec spec = { .flavour = CB_FLAVOUR_TRUSTED };
	cleanup_buf struct cb_buf tar = { 0 }, dump = { 0 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct cb_diff_stats stats = { 0 };
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stage s;

	(void)state;
	stage_open(&s);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/upper/sock", s.path);
	assert_int_equal(bind(fd, (void *)&addr, sizeof(addr)), 0);
	run_in(s.path, "upper", "umask 022; echo f >f; chown 0:0 f 2>/dev/null || true");
	assert_int_equal(diff(&s, &spec, &tar, &stats), 0);
	dump_tar(&dump, &tar);
	assert_int_equal(stats.sockets, 1);
	assert_int_equal(stats.entries, 1);
	assert_int_equal(stats.bytes, tar.len);
	assert_non_null(strstr(cb_buf_str(&dump), "f 0 644"));
	stage_close(&s);
}

static void stubs_are_left_out(void **state)
{
	static const char *const stubs[] = { "etc/resolv.conf", "proc", "d/stub" };
	const struct cb_diff_spec spec = {
		.flavour = CB_FLAVOUR_TRUSTED, .stubs = stubs, .n_stubs = ARRAY_SIZE(stubs)
	};
	cleanup_buf struct cb_buf tar = { 0 }, dump = { 0 };
	struct stage s;

	(void)state;
	if (geteuid() != 0)
		skip();
	stage_open(&s);
	run_in(s.path, "base", "mkdir etc d");
	run_in(s.path, "upper",
		"umask 022; mkdir -p etc proc/x d; touch etc/resolv.conf d/stub; echo h >d/real; echo n >stub");
	assert_int_equal(diff(&s, &spec, &tar, NULL), 0);
	dump_tar(&dump, &tar);
	assert_string_equal(cb_buf_str(&dump), "d/ 5 755\nd/real 0 644 \"h\n\"\nstub 0 644 \"n\n\"\n");
	stage_close(&s);
}

/** Only the store's own flavour is a mark. */
static void flavours(void **state)
{
	static const struct {
		enum cb_flavour flavour;
		const char *xattr;
		const char *want;
	} marks[] = {
		{ CB_FLAVOUR_TRUSTED, "trusted.overlay.opaque", "d/ 5 700\nd/.wh.gone 0 0\n" },
		{ CB_FLAVOUR_TRUSTED, "user.overlay.opaque", "d/ 5 700\n" },
		{ CB_FLAVOUR_USER, "user.overlay.opaque", "d/ 5 700\nd/.wh.gone 0 0\n" },
		{ CB_FLAVOUR_USER, "trusted.overlay.opaque", "d/ 5 700\n" },
	};

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		const struct cb_diff_spec spec = { .flavour = marks[i].flavour };
		cleanup_buf struct cb_buf tar = { 0 }, dump = { 0 };
		cleanup_close int fd = -EBADF;
		struct stage s;

		stage_open(&s);
		run_in(s.path, "base", "mkdir d; echo g >d/gone");
		run_in(s.path, "upper", "mkdir -m 700 d");
		fd = openat(s.upper, "d", O_RDONLY | O_CLOEXEC);
		if (fsetxattr(fd, marks[i].xattr, "y", 1, 0) < 0) {
			stage_close(&s);
			skip(); /* no user xattrs here */
		}
		assert_int_equal(diff(&s, &spec, &tar, NULL), 0);
		dump_tar(&dump, &tar);
		assert_string_equal(cb_buf_str(&dump), marks[i].want);
		stage_close(&s);
	}
}

static int64_t time_of_only_entry(const struct cb_buf *tar)
{
	struct cb_source_mem mem = { tar->data, tar->len, 0 };
	CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *r = cb_tarreader_new(cb_source_mem(&mem));
	const struct cb_tar_item *item = NULL;

	assert_int_equal(cb_tarreader_next(r, &item, NULL), 0);
	return item->mtime.tv_sec;
}

static void clamped_times(void **state)
{
	static const struct {
		const char *make, *time;
		bool clamp;
		int64_t want;
	} times[] = {
		{ "touch", "@2000.9", false, 2000 },
		{ "touch", "@2000", true, 1500 },
		{ "touch", "@1400", true, 1400 },
		{ "mkdir", "@1400", true, 1400 },
		/* CB_DIFF_NSEC_CHANGED */
		{ "mkdir", "@1400.999999001", false, 1400 },
		{ "mkdir", "@1400.999999001", true, 1500 },
		{ "touch", "@1400.999999001", true, 1400 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		const struct cb_diff_spec spec = {
			.flavour = CB_FLAVOUR_TRUSTED, .clamp = times[i].clamp, .epoch = 1500
		};
		cleanup_free char *script = cb_xasprintf("%s f && touch -d %s f", times[i].make, times[i].time);
		cleanup_buf struct cb_buf tar = { 0 };
		struct stage s;

		stage_open(&s);
		run_in(s.path, "upper", script);
		assert_int_equal(diff(&s, &spec, &tar, NULL), 0);
		assert_int_equal(time_of_only_entry(&tar), times[i].want);
		stage_close(&s);
	}
}

/* Deeper than what stays open, wide at each level, and a canceled one. */
static void deep(void **state)
{
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	struct cb_diff_spec spec = { .flavour = CB_FLAVOUR_TRUSTED };
	cleanup_buf struct cb_buf tar = { 0 };
	struct cb_diff_stats stats = { 0 };
	struct stage s;

	(void)state;
	stage_open(&s);
	run_in(s.path, "base", "for i in $(seq 100); do mkdir d; echo x >z; cd d; done");
	run_in(s.path, "upper", "for i in $(seq 100); do mkdir d; echo y >a; echo yy >z; cd d; done");
	assert_int_equal(diff(&s, &spec, &tar, &stats), 0);
	/* The innermost directory is the same and empty. */
	assert_int_equal(stats.entries, 299);
	cb_cancel_raise(cancel);
	spec.cancel = cancel;
	spec.fs_fd = s.upper;
	assert_int_equal(cb_diff_tar(&spec, cb_sink_buf(&tar), NULL, NULL), CB_ERR_CANCELED);
	stage_close(&s);
}

static void export_to_a_directory(void **state)
{
	cleanup_buf struct cb_buf dump = { 0 };
	struct cb_tree *tree = NULL;
	cleanup_close int out = -EBADF;
	struct stage s;
	int fds[2];

	(void)state;
	if (geteuid() != 0)
		skip();
	stage_open(&s);
	run_in(s.path, "base",
		"umask 022; mkdir d keep; echo 1 >d/1; ln d/1 d/2; echo old >f; mkfifo p; ln -s /etc/passwd l; chmod 555 keep; "
		"chown 7:7 f; find . -exec touch -h -d @500 {} +");
	run_in(s.path, "upper", "umask 022; echo new >f; mknod gone c 0 0; chmod 4755 f; touch -d @600 f");
	run_in(s.path, ".",
		"mkdir out out/elsewhere; ln -s elsewhere out/d; ln -s /etc/hostname out/f; echo x >out/mine");
	out = openat(s.dirfd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[0] = s.base;
	fds[1] = s.upper;
	assert_int_equal(cb_tree_new_layers(fds, 2, CB_FLAVOUR_TRUSTED, &tree, NULL), 0);
	assert_int_equal(cb_export_local(tree, NULL, out, NULL, NULL), 0);
	/* Twice: everything is replaced. */
	assert_int_equal(cb_export_local(tree, NULL, out, NULL, NULL), 0);
	dump_dir(&dump, out, "", DUMP_OWNERS | DUMP_INODES);
	assert_string_equal(cb_buf_str(&dump), "d d 755 0:0\n"
					       "d/1 f 644 0:0 n2 2 \"1\n\"\n"
					       "d/2 f 644 0:0 n2 2 \"1\n\"\n"
					       "elsewhere d 755 0:0\n"
					       "f f 4755 0:0 4 \"new\n\"\n"
					       "keep d 555 0:0\n"
					       "l l 777 0:0 -> /etc/passwd\n"
					       "mine f 644 0:0 2 \"x\n\"\n");
	cb_tree_free(tree);
	stage_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(applied_again),
		cmocka_unit_test(sockets_are_left_out),
		cmocka_unit_test(stubs_are_left_out),
		cmocka_unit_test(flavours),
		cmocka_unit_test(clamped_times),
		cmocka_unit_test(deep),
		cmocka_unit_test(export_to_a_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
