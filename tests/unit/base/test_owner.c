/* Records of owners: the two forms, what is no record, and the files of a process with one id. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/owner.h"

static const struct {
	const char *name;
	mode_t mode;
	struct cb_owner_record record;
	unsigned int major, minor;
} both_ways[] = {
	{ "file", S_IFREG, { 1000, 42, 0, 0 }, 0, 0 },
	{ "directory", S_IFDIR, { 0, 8, 0, 0 }, 0, 0 },
	{ "largest ids", S_IFREG, { UINT32_MAX - 1, UINT32_MAX - 1, 0, 0 }, 0, 0 },
	{ "link", S_IFLNK, { 12, 13, 0, 0 }, 0, 0 },
	{ "fifo", S_IFIFO, { 1, 0, 0, 0 }, 0, 0 },
	{ "character device", S_IFSOCK, { 0, 0, S_IFCHR, 0 }, 1, 3 },
	{ "block device, large numbers", S_IFSOCK, { 0, 6, S_IFBLK, 0 }, 0xfff, 0xfffff },
};

static void encode_and_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(both_ways); i++) {
		struct cb_owner_record got = { 0 }, want = both_ways[i].record;
		char value[CB_OWNER_VALUE_MAX];

		want.rdev = makedev(both_ways[i].major, both_ways[i].minor);
		size_t len = cb_owner_encode(both_ways[i].mode, &want, value);

		print_message("# %s\n", both_ways[i].name);
		assert_true(cb_owner_decode(both_ways[i].mode, value, len, &got));
		assert_int_equal(got.uid, want.uid);
		assert_int_equal(got.gid, want.gid);
		assert_int_equal(got.type, want.type);
		assert_int_equal(got.rdev, want.rdev);
	}
}

static const struct {
	const char *value;
	bool ok;
} texts[] = {
	{ "1:2", true },
	{ "4294967294:0", true },
	{ "4294967295:0", false },
	{ "0:4294967295", false },
	{ "99999999999999999999:0", false },
	{ "", false },
	{ ":", false },
	{ "1", false },
	{ "1:", false },
	{ "1:2:3", false },
	{ "-1:2", false },
	{ "1:-2", false },
	{ " 1:2", false },
	{ "1: 2", false },
	{ "0x1:2", false },
	{ "root:root", false },
	{ "1:0000000000000000000000000000000000000000000000000000000000000000000002", false },
};

static void anything_may_be_stored(void **state)
{
	struct cb_owner_record got;
	char junk[20];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		print_message("# \"%s\"\n", texts[i].value);
		assert_int_equal(cb_owner_decode(S_IFREG, texts[i].value, strlen(texts[i].value), &got), texts[i].ok);
	}
	memset(junk, 0xff, sizeof(junk));
	assert_false(cb_owner_decode(S_IFLNK, junk, sizeof(junk), &got));
	assert_false(cb_owner_decode(S_IFLNK, junk, 4, &got));

	/* A device on what is no socket, and a type that is no device, are none; a whiteout is one. */
	const struct cb_owner_record device = { .type = S_IFCHR, .rdev = makedev(1, 3) };
	const struct cb_owner_record dir = { .type = S_IFDIR, .rdev = makedev(1, 3) };
	const struct cb_owner_record whiteout = { .type = S_IFCHR };
	char value[CB_OWNER_VALUE_MAX];
	size_t len = cb_owner_encode(S_IFLNK, &device, value);
	assert_false(cb_owner_decode(S_IFLNK, value, len, &got));
	len = cb_owner_encode(S_IFSOCK, &dir, value);
	assert_false(cb_owner_decode(S_IFSOCK, value, len, &got));
	len = cb_owner_encode(S_IFSOCK, &whiteout, value);
	assert_true(cb_owner_decode(S_IFSOCK, value, len, &got));
	assert_int_equal(got.rdev, 0);
}

static void expect(int dir, const char *name, uid_t uid, gid_t gid)
{
	struct stat st;

	assert_int_equal(cb_owner_fstatat(dir, name, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

/* What a process that cannot chown records, and reads back. */
static void as_one_id(int dir)
{
	cleanup_close int fd = openat(dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	cb_owner_ask_again();
	assert_true(cb_owner_recorded());
	assert_int_equal(cb_owner_fchown(fd, 5, 6), 0);
	expect(dir, "file", 5, 6);
	assert_int_equal(cb_owner_fstat(fd, &st), 0);
	assert_int_equal(st.st_gid, 6);
	assert_int_equal(cb_owner_fchownat(dir, "file", 7, 0), 0);
	assert_int_equal(renameat(dir, "file", dir, "other"), 0);
	expect(dir, "other", 7, 0);
	cleanup_close int path = openat(dir, "other", O_PATH | O_CLOEXEC);
	assert_int_equal(cb_owner_fstat(path, &st), 0);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(cb_owner_fchownat(dir, "other", 0, 0), 0);
	expect(dir, "other", geteuid(), getegid());
	assert_int_equal(cb_owner_fchownat(dir, "missing", 1, 1), -1);
	assert_int_equal(errno, ENOENT);
}

static void files_of_one_id(void **state)
{
	char path[] = "/var/tmp/cbuild-owner.XXXXXX";
	int status;

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(chmod(path, 0777), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
					      setresuid(65534, 65534, 65534) < 0))
			_exit(1);
		as_one_id(dir);
		(void)unlinkat(dir, "other", 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)rmdir(path);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encode_and_decode),
		cmocka_unit_test(anything_may_be_stored),
		cmocka_unit_test(files_of_one_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
