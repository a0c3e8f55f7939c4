/* layers/archive.h: what ADD takes for an archive, and where its entries go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "layers/archive.h"
#include "layers/dest.h"
#include "layers/tarwrite.h"
#include "unit/layers/treedump.h"

/* The tables below name only what an entry has. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct scene {
	char path[64];
	int dirfd, base, upper;
	struct cb_tree *parents;
	struct cb_dest *dest;
};

static void run_in(const char *dir, const char *script)
{
	cleanup_free char *cmd = cb_xasprintf("cd %s && umask 022 && { %s\n} >/dev/null 2>&1", dir, script);

	if (system(cmd) != 0)
		fail_msg("%s", cmd);
}

static void scene_open(struct scene *s)
{
	s->dirfd = tmp_make(s->path);
	assert_true(s->dirfd >= 0);
	run_in(s->path,
		"mkdir base upper && cd base && mkdir -p usr/lib etc dst/old && chmod 700 usr/lib && "
		"ln -s usr/lib lib && ln -s /usr/lib dst/abs && ln -s ../../../../etc dst/up && echo x >dst/file && "
		"ln -s /nowhere dst/dangling");
	s->base = openat(s->dirfd, "base", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->upper = openat(s->dirfd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cb_tree_new_layers(&s->base, 1, CB_FLAVOUR_TRUSTED, &s->parents, NULL), 0);
	assert_int_equal(cb_dest_new(s->parents, s->upper, &s->dest, NULL), 0);
}

static void scene_close(struct scene *s)
{
	cb_dest_free(s->dest);
	cb_tree_free(s->parents);
	close(s->dirfd);
	close(s->base);
	close(s->upper);
	tmp_remove(s->path);
}

/** As the build does it: below /dst, through symlinks of the file system. */
static int open_dir(void *arg, const char *path, int *ret_fd, struct cb_err **err)
{
	const struct cb_dest_attr missing = { .mode = 0755 };
	struct scene *s = arg;
	cleanup_free char *full = cb_xasprintf("/dst/%s", path);
	cleanup_free char *canonical = NULL;
	int r = cb_dest_resolve(s->dest, full, CB_TREE_FOLLOW, &canonical, err);

	if (r < 0)
		return r;
	r = cb_dest_mkdirs(s->dest, canonical, &missing, ret_fd, err);
	return r < 0 ? r : 0;
}

struct entry {
	char type;
	const char *path, *link, *data;
};

static int extract(struct scene *s, const struct entry *entries, bool chown, struct cb_err **err)
{
	cleanup_buf struct cb_buf tar = { 0 };
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *w = cb_tarwriter_new(cb_sink_buf(&tar));
	struct cb_archive_spec spec = {
		.dest = { .open_dir = open_dir, .arg = s }, .chown = chown, .uid = 11, .gid = 12
	};
	cleanup_close int fd = openat(s->dirfd, "archive", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r;

	for (; entries->type; entries++) {
		const struct cb_tar_entry entry = { .path = entries->path,
			.type = (enum cb_tar_type)entries->type,
			.mode = entries->type == '5' ? 0750 : 0640,
			.uid = 1,
			.gid = 2,
			.size = entries->data ? strlen(entries->data) : 0,
			.mtime = 77,
			.link = entries->link };

		assert_int_equal(cb_tarwriter_entry(w, &entry, NULL), 0);
		assert_int_equal(cb_tarwriter_data(w, entries->data, entry.size, NULL), 0);
	}
	assert_int_equal(cb_tarwriter_finish(w, NULL), 0);
	/* Unpackers do not look beyond the end. */
	cb_buf_adds(&tar, "anything");
	assert_int_equal(cb_fd_write_all(fd, tar.data, tar.len), 0);
	spec.fd = fd;
	r = cb_archive_extract(&spec, NULL, err);
	return r < 0 ? r : cb_dest_finish(s->dest, err);
}

static const struct {
	const char *name;
	struct entry entries[6];
	bool chown;
	int code;
	const char *want; /* the snapshot, or part of the message */
} cases[] = {
	{ "owners and modes of the archive", { { '5', "d" }, { '0', "d/f", .data = "x" } }, false, 0,
		"dst d 755 0:0\ndst/d d 750 1:2\ndst/d/f f 640 1:2 1 \"x\"\n" },
	{ "--chown", { { '0', "d/f", .data = "x" }, { '2', "s", .link = "f" } }, true, 0,
		"dst d 755 0:0\ndst/d d 755 0:0\ndst/d/f f 640 11:12 1 \"x\"\ndst/s l 777 11:12 -> f\n" },
	{ "the archive's root leaves the destination alone", { { '5', "./" }, { '0', "./f" } }, false, 0,
		"dst d 755 0:0\ndst/f f 640 1:2 0\n" },
	{ "nothing", { { 0 } }, false, 0, "dst d 755 0:0\n" },
	{ "through an absolute symlink of the file system", { { '0', "abs/f" } }, false, 0,
		"dst d 755 0:0\nusr d 755 0:0\nusr/lib d 700 0:0\nusr/lib/f f 640 1:2 0\n" },
	{ "through a symlink that climbs", { { '0', "up/f" } }, false, 0,
		"dst d 755 0:0\netc d 755 0:0\netc/f f 640 1:2 0\n" },
	{ "through a dangling symlink", { { '0', "dangling/f" } }, false, 0,
		"dst d 755 0:0\nnowhere d 755 0:0\nnowhere/f f 640 1:2 0\n" },
	{ "through a symlink of the archive", { { '2', "l", .link = "/etc" }, { '0', "l/f" } }, false, 0,
		"dst d 755 0:0\ndst/l l 777 1:2 -> /etc\netc d 755 0:0\netc/f f 640 1:2 0\n" },
	{ "a symlink of the archive to outside stays inside", { { '2', "l", .link = "../../../tmp" }, { '0', "l/f" } },
		false, 0, "dst d 755 0:0\ndst/l l 777 1:2 -> ../../../tmp\ntmp d 755 0:0\ntmp/f f 640 1:2 0\n" },
	{ "a directory replaces a symlink", { { '0', "abs/f" }, { '5', "abs" }, { '0', "abs/g" } }, false, 0,
		"dst d 755 0:0\ndst/abs d 750 1:2\ndst/abs/g f 640 1:2 0\nusr d 755 0:0\nusr/lib d 700 0:0\n"
		"usr/lib/f f 640 1:2 0\n" },
	{ "a file replaces a symlink", { { '0', "abs", .data = "x" } }, false, 0,
		"dst d 755 0:0\ndst/abs f 640 1:2 1 \"x\"\n" },
	{ "a directory that exists gets the archive's mode", { { '5', "old" } }, false, 0,
		"dst d 755 0:0\ndst/old d 750 1:2\n" },
	{ "a file in the way", { { '0', "file/f" } }, false, CB_ERR_INPUT, "" },
	{ "hard links count from the archive's root", { { '0', "d/a", .data = "x" }, { '1', "b", .link = "d/a" } },
		false, 0, "dst d 755 0:0\ndst/b f 640 1:2 1 \"x\"\ndst/d d 755 0:0\ndst/d/a f 640 1:2 1 \"x\"\n" },
	{ "hard link to a file of the image", { { '1', "b", .link = "file" } }, false, CB_ERR_CORRUPT,
		"hard link to something that is not in the archive" },
	{ "names to outside", { { '0', "../f" } }, false, CB_ERR_CORRUPT, "leads out of the archive" },
	{ "reserved names", { { '0', ".wh.file" } }, false, CB_ERR_CORRUPT, "reserved" },
	{ "reserved names above", { { '0', ".wh.d/file" } }, false, CB_ERR_CORRUPT, "reserved" },
};

static void table(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct cb_buf dump = { 0 };
		cleanup_err struct cb_err *err = NULL;
		struct scene s;
		int r;

		print_message("# %s\n", cases[i].name);
		scene_open(&s);
		r = extract(&s, cases[i].entries, cases[i].chown, &err);
		if (r != cases[i].code)
			print_message("%s\n", cb_err_msg(err));
		assert_int_equal(r, cases[i].code);
		if (r == 0) {
			dump_dir(&dump, s.upper, "", DUMP_OWNERS);
			assert_string_equal(cb_buf_str(&dump), cases[i].want);
		} else if (!strstr(cb_err_msg(err), cases[i].want)) {
			fail_msg("\"%s\" is not in \"%s\"", cases[i].want, cb_err_msg(err));
		}
		scene_close(&s);
	}
}

static void sniffs_content(void **state)
{
	static const struct {
		const char *make; /* writes "it" */
		int want;
	} files[] = {
		{ "tar cf it src", 1 },
		{ "tar czf it src", 1 },
		{ "tar cjf it src", 1 },
		{ "tar cJf it src", 1 },
		{ "tar c src | zstd -q >it", 1 },
		{ "tar --format=v7 -cf it src", 1 },
		{ "tar --format=pax -cf it src", 1 },
		{ "cp src/f it", 0 },
		{ ": >it", 0 },
		{ "head -c 1024 /dev/zero >it", 0 },
		{ "head -c 4096 /dev/urandom >it", 0 },
		{ "gzip -c src/f >it", 0 },
		{ "xz -c src/f >it", 0 },
		{ "bzip2 -c src/f >it", 0 },
		{ "tar czf - src | head -c 20 >it", 0 },
		{ "tar cf - src | head -c 500 >it", 0 },
		{ "printf '\\037\\213\\010garbage' >it", 0 },
		{ "printf 'BZh9garbage' >it", 0 },
		{ "tar cf - src | sed s/ustar/xstar/ >it", 0 },
	};
	char path[64];
	cleanup_close int dirfd = tmp_make(path);

	(void)state;
	run_in(path, "mkdir src && seq 1000 >src/f");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_err struct cb_err *err = NULL;
		cleanup_close int fd = -EBADF;
		char byte;

		print_message("# %s\n", files[i].make);
		run_in(path, files[i].make);
		fd = openat(dirfd, "it", O_RDONLY | O_CLOEXEC);
		/* Wherever the file's offset is. */
		(void)!read(fd, &byte, 1);
		assert_int_equal(cb_archive_is_tar(fd, &err), files[i].want);
		assert_string_equal(cb_err_msg(err), "");
	}
	tmp_remove(path);
}

static void every_wrapping(void **state)
{
	static const char *const makes[] = { "tar cf", "tar czf", "tar cjf", "tar cJf", "tar --zstd -cf" };

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(makes); i++) {
		cleanup_free char *make = cb_xasprintf("mkdir src && seq 100000 >src/f && %s it src", makes[i]);
		cleanup_free char *compare = cb_xasprintf("cmp src/f upper/dst/src/f");
		struct cb_archive_spec spec = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_close int fd = -EBADF;
		struct scene s;

		print_message("# %s\n", makes[i]);
		scene_open(&s);
		run_in(s.path, make);
		fd = openat(s.dirfd, "it", O_RDONLY | O_CLOEXEC);
		spec.fd = fd;
		spec.dest = (struct cb_archive_dest){ .open_dir = open_dir, .arg = &s };
		assert_int_equal(cb_archive_extract(&spec, NULL, &err), 0);
		run_in(s.path, compare);
		scene_close(&s);

		/* Cut short it is an error, never half a result that looks whole. */
		scene_open(&s);
		run_in(s.path, make);
		run_in(s.path, "truncate -s $(($(stat -c %s it) / 2)) it");
		cb_closep(&fd);
		fd = openat(s.dirfd, "it", O_RDONLY | O_CLOEXEC);
		spec.fd = fd;
		assert_int_equal(cb_archive_extract(&spec, NULL, &err), CB_ERR_CORRUPT);
		scene_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(sniffs_content),
		cmocka_unit_test(every_wrapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
