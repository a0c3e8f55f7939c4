#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "runtime/user.h"

static const char passwd[] = "# comment\n"
			     "root:x:0:0:root:/root:/bin/sh\n"
			     "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
			     "broken line\n"
			     "bad:x:abc:1::/:/bin/sh\n"
			     ":x:7:7::/:/bin/sh\n"
			     "app:x:1000:1001:An App:/home/app:/bin/sh\n"
			     "app:x:2000:2000:second of the name:/second:/bin/sh\n"
			     "nohome:x:1002:1002::\n"
			     "last:x:1003:1003::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "wheel:x:10:root,app\n"
			    "adm:x:4:daemon,root\n"
			    "app:x:1001:\n"
			    "audio:x:29:app,other\n"
			    "apps:x:30:application\n"
			    "short:x:31\n"
			    "last:x:1003:last";

static const struct {
	const char *name, *spec, *want; /* uid gid [groups] home, or the message */
	int code;
} cases[] = {
	{ "nothing is root, with its groups", NULL, "0 0 [0 10 4] /root", 0 },
	{ "empty", "", "0 0 [0 10 4] /root", 0 },
	{ "root", "root", "0 0 [0 10 4] /root", 0 },
	{ "zero", "0", "0 0 [0 10 4] /root", 0 },
	{ "name, the first of two", "app", "1000 1001 [1001 10 29] /home/app", 0 },
	{ "known number", "1000", "1000 1001 [1001 10 29] /home/app", 0 },
	{ "unknown number has group 0", "4242", "4242 0 [0] /", 0 },
	{ "no home field", "nohome", "1002 1002 [1002] /", 0 },
	{ "last line without newline", "last", "1003 1003 [1003] /last", 0 },
	{ "number and number: nothing is looked up", "1000:5", "1000 5 [5] /home/app", 0 },
	{ "root and number", "root:7", "0 7 [7] /root", 0 },
	{ "name and group: only that group", "app:audio", "1000 29 [29] /home/app", 0 },
	{ "name and number", "app:77", "1000 77 [77] /home/app", 0 },
	{ "number and group name", "55:wheel", "55 10 [10] /", 0 },
	{ "empty group", "app:", "1000 1001 [1001 10 29] /home/app", 0 },
	{ "empty user", ":audio", "0 29 [29] /root", 0 },
	{ "unknown name", "nobody", "user nobody: not in /etc/passwd of the image", CB_ERR_INPUT },
	{ "unknown group", "app:nope", "group nope: not in /etc/group of the image", CB_ERR_INPUT },
	{ "a line that does not parse is no user", "bad", "user bad: not in /etc/passwd of the image", CB_ERR_INPUT },
	{ "number too big", "4294967295", "id 4294967295 is out of range 0-2147483647", CB_ERR_INPUT },
	{ "group too big", "0:99999999999", "id 99999999999 is out of range 0-2147483647", CB_ERR_INPUT },
	{ "sign", "-1", "user -1: not in /etc/passwd of the image", CB_ERR_INPUT },
	{ "comment is no user", "# comment", "user # comment: not in /etc/passwd of the image", CB_ERR_INPUT },
};

static void format(struct cb_buf *out, const struct cb_user *user)
{
	cb_buf_addf(out, "%u %u [", (unsigned int)user->uid, (unsigned int)user->gid);
	for (size_t i = 0; i < user->n_groups; i++)
		cb_buf_addf(out, "%s%u", i ? " " : "", (unsigned int)user->groups[i]);
	cb_buf_addf(out, "] %s", user->home);
}

static void resolve_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_err struct cb_err *err = NULL;
		cleanup_user struct cb_user user = { 0 };
		cleanup_buf struct cb_buf got = { 0 };
		print_message("# %s\n", cases[i].name);
		int r = cb_user_resolve(
			cases[i].spec, passwd, sizeof(passwd) - 1, group, sizeof(group) - 1, &user, &err);
		assert_int_equal(r, cases[i].code);
		if (r == 0)
			format(&got, &user);
		assert_string_equal(r < 0 ? cb_err_msg(err) : cb_buf_str(&got), cases[i].want);
	}
}

/* FROM scratch: no files at all. */
static void resolve_without_files(void **state)
{
	static const struct {
		const char *spec, *want;
	} rows[] = { { "", "0 0 [0] /" }, { "root", "0 0 [0] /" }, { "12", "12 0 [0] /" }, { "12:13", "12 13 [13] /" },
		{ "root:root", "0 0 [0] /" }, { "app", NULL } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_user struct cb_user user = { 0 };
		cleanup_buf struct cb_buf got = { 0 };
		int r = cb_user_resolve(rows[i].spec, NULL, 0, NULL, 0, &user, NULL);
		assert_int_equal(r, rows[i].want ? 0 : CB_ERR_INPUT);
		if (r < 0)
			continue;
		format(&got, &user);
		assert_string_equal(cb_buf_str(&got), rows[i].want);
	}
}

static void too_many_groups(void **state)
{
	cleanup_buf struct cb_buf big = { 0 };
	cleanup_user struct cb_user user = { 0 };
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	for (int i = 0; i < CB_USER_GROUPS_MAX + 5; i++)
		cb_buf_addf(&big, "g%d:x:%d:app\n", i, i + 5000);
	assert_int_equal(
		cb_user_resolve("app", passwd, sizeof(passwd) - 1, big.data, big.len, &user, &err), CB_ERR_LIMIT);
	assert_non_null(strstr(cb_err_msg(err), "more than 4096 groups"));
}

static void numeric_needs_no_files(void **state)
{
	static const struct {
		const char *spec;
		bool want;
	} rows[] = { { "1:2", true }, { "root:root", true }, { "0:root", true }, { "1", false }, { "root", false },
		{ "app:1", false }, { "1:app", false }, { "", false }, { NULL, false }, { "1:", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cb_user_is_numeric(rows[i].spec), rows[i].want);
}

static void owner_table(void **state)
{
	static const struct {
		const char *spec;
		int code;
		uid_t uid;
		gid_t gid;
	} rows[] = { { "7", 0, 7, 7 }, { "7:8", 0, 7, 8 }, { "app", 0, 1000, 1001 }, { "app:audio", 0, 1000, 29 },
		{ "root", 0, 0, 0 }, { "1000", 0, 1000, 1000 }, { "1:adm", 0, 1, 4 }, { "nobody", CB_ERR_INPUT, 0, 0 },
		{ "1:nope", CB_ERR_INPUT, 0, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uid_t uid = 99;
		gid_t gid = 99;
		int r = cb_user_resolve_owner(
			rows[i].spec, passwd, sizeof(passwd) - 1, group, sizeof(group) - 1, &uid, &gid, NULL);
		assert_int_equal(r, rows[i].code);
		assert_int_equal(uid, r < 0 ? 99 : rows[i].uid);
		assert_int_equal(gid, r < 0 ? 99 : rows[i].gid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolve_table),
		cmocka_unit_test(resolve_without_files),
		cmocka_unit_test(too_many_groups),
		cmocka_unit_test(numeric_needs_no_files),
		cmocka_unit_test(owner_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
