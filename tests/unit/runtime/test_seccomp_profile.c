/* Profiles in docker's format: what they refuse, and what the filters made of them answer. */
#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <seccomp.h>

#include "runtime/seccomp_profile.h"
#include "unit/runtime/bpf.h"

#define ALLOW SECCOMP_RET_ALLOW
#define ERRNO(n) (SECCOMP_RET_ERRNO | (n))
#define RULE(members) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{" members "}]}"
#define ALLOWED(members) RULE("\"action\":\"SCMP_ACT_ALLOW\"," members)

/* An x86_64 with Linux 6.1 and docker's capabilities. */
static const struct cb_seccomp_host host = { .arch = SCMP_ARCH_X86_64, .kernel = 6, .major = 1, .caps = 0xa80425fb };

static const struct {
	const char *name, *profile;
	uint32_t nr;
	uint64_t arg0, arg1;
	uint32_t want;
} calls[] = {
	{ "an empty list refuses all", "{\"defaultAction\":\"SCMP_ACT_ERRNO\"}", 39, 0, 0, ERRNO(38) },
	{ "and one that allows", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[]}", 39, 0, 0, ALLOW },
	{ "what is named", ALLOWED("\"names\":[\"getpid\",\"mkdir\"]"), 39, 0, 0, ALLOW },
	{ "the second name", ALLOWED("\"names\":[\"getpid\",\"mkdir\"]"), 83, 0, 0, ALLOW },
	{ "what is not", ALLOWED("\"names\":[\"getpid\",\"mkdir\"]"), 82, 0, 0, ERRNO(1) },
	{ "what is younger than all names", ALLOWED("\"names\":[\"getpid\",\"mkdir\"]"), 84, 0, 0, ERRNO(38) },
	{ "the old way of one name", ALLOWED("\"name\":\"getpid\""), 39, 0, 0, ALLOW },
	{ "an errno of its own", RULE("\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95"), 39, 0, 0,
		ERRNO(95) },
	{ "a default errno",
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13,\"syscalls\":[{\"names\":[\"mkdir\"],"
		"\"action\":\"SCMP_ACT_ALLOW\"}]}",
		39, 0, 0, ERRNO(13) },
	{ "kill", RULE("\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_KILL\""), 39, 0, 0, SECCOMP_RET_KILL_THREAD },
	{ "kill the process", RULE("\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_KILL_PROCESS\""), 39, 0, 0,
		SECCOMP_RET_KILL_PROCESS },
	{ "trap", RULE("\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_TRAP\""), 39, 0, 0, SECCOMP_RET_TRAP },
	{ "log", RULE("\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_LOG\""), 39, 0, 0, SECCOMP_RET_LOG },
	{ "an argument that is equal",
		ALLOWED("\"names\":[\"socket\"],\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"), 41, 1, 0,
		ALLOW },
	{ "and one that is not",
		ALLOWED("\"names\":[\"socket\"],\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"), 41, 2, 0,
		ERRNO(1) },
	{ "the high half counts",
		ALLOWED("\"names\":[\"socket\"],\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"), 41,
		0x100000001, 0, ERRNO(1) },
	{ "less", ALLOWED("\"names\":[\"socket\"],\"args\":[{\"index\":0,\"value\":12,\"op\":\"SCMP_CMP_LT\"}]"), 41,
		11, 0, ALLOW },
	{ "not less", ALLOWED("\"names\":[\"socket\"],\"args\":[{\"index\":0,\"value\":12,\"op\":\"SCMP_CMP_LT\"}]"),
		41, 12, 0, ERRNO(1) },
	{ "at least", ALLOWED("\"names\":[\"socket\"],\"args\":[{\"index\":1,\"value\":3,\"op\":\"SCMP_CMP_GE\"}]"), 41,
		0, 3, ALLOW },
	{ "masked, no bit is set",
		ALLOWED("\"names\":[\"clone\"],\"args\":[{\"index\":0,\"value\":2114060288,\"op\":\"SCMP_CMP_MASKED_EQ\"}]"),
		56, 17, 0, ALLOW },
	{ "masked, a bit is set",
		ALLOWED("\"names\":[\"clone\"],\"args\":[{\"index\":0,\"value\":2114060288,\"op\":\"SCMP_CMP_MASKED_EQ\"}]"),
		56, 0x10000000, 0, ERRNO(1) },
	{ "masked, with a value",
		ALLOWED("\"names\":[\"clone\"],\"args\":[{\"index\":0,\"value\":240,\"valueTwo\":16,\"op\":\"SCMP_CMP_MASKED_EQ\"}]"),
		56, 0x1f, 0, ALLOW },
	{ "two arguments must both hold",
		ALLOWED("\"names\":[\"socket\"],\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
			"{\"index\":1,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]"),
		41, 1, 3, ERRNO(1) },
	{ "two conditions on one are alternatives",
		ALLOWED("\"names\":[\"socket\"],\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
			"{\"index\":0,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]"),
		41, 2, 0, ALLOW },
	{ "a capability that steps have",
		ALLOWED("\"names\":[\"chroot\"],\"includes\":{\"caps\":[\"CAP_SYS_CHROOT\"]}"), 161, 0, 0, ALLOW },
	{ "one that they do not have", ALLOWED("\"names\":[\"mount\"],\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}"),
		165, 0, 0, ERRNO(38) },
	{ "all of them are needed",
		ALLOWED("\"names\":[\"mount\"],\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_SYS_ADMIN\"]}"), 165, 0, 0,
		ERRNO(38) },
	{ "excluded by one that they have", ALLOWED("\"names\":[\"mkdir\"],\"excludes\":{\"caps\":[\"CAP_CHOWN\"]}"),
		83, 0, 0, ERRNO(38) },
	{ "not excluded by one that they do not have",
		ALLOWED("\"names\":[\"mkdir\"],\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}"), 83, 0, 0, ALLOW },
	{ "this architecture", ALLOWED("\"names\":[\"mkdir\"],\"includes\":{\"arches\":[\"arm64\",\"amd64\"]}"), 83, 0,
		0, ALLOW },
	{ "another one", ALLOWED("\"names\":[\"mkdir\"],\"includes\":{\"arches\":[\"s390\",\"s390x\"]}"), 83, 0, 0,
		ERRNO(38) },
	{ "this kernel", ALLOWED("\"names\":[\"ptrace\"],\"includes\":{\"minKernel\":\"4.8\"}"), 101, 0, 0, ALLOW },
	{ "exactly this kernel", ALLOWED("\"names\":[\"ptrace\"],\"includes\":{\"minKernel\":\"6.1\"}"), 101, 0, 0,
		ALLOW },
	{ "a later one", ALLOWED("\"names\":[\"ptrace\"],\"includes\":{\"minKernel\":\"6.12\"}"), 101, 0, 0,
		ERRNO(38) },
	{ "nothing is null",
		ALLOWED("\"names\":[\"mkdir\"],\"args\":null,\"includes\":{},\"excludes\":null,\"comment\":\"\""), 83,
		0, 0, ALLOW },
};

static void call_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct seccomp_data data = {
			.nr = (int)calls[i].nr, .arch = AUDIT_ARCH_X86_64, .args = { calls[i].arg0, calls[i].arg1 }
		};
		cleanup_strv struct cb_strv unknown = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf code = { 0 };

		print_message("# %s\n", calls[i].name);
		int r = cb_seccomp_profile_compile(
			"p.json", calls[i].profile, strlen(calls[i].profile), &host, &code, &unknown, &err);
		if (r < 0)
			fail_msg("%s", cb_err_msg(err));
		assert_int_equal(
			bpf_run((const struct sock_filter *)code.data, code.len / sizeof(struct sock_filter), &data, 0),
			calls[i].want);
	}
}

static const struct {
	const char *name, *profile, *want;
} wrong[] = {
	{ "no JSON", "{\n \"defaultAction\" }", "p.json:2:18: ':' expected near '}'" },
	{ "a key twice", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n\"defaultAction\":\"SCMP_ACT_ALLOW\"}",
		"p.json:2:15: duplicate object key" },
	{ "not an object", "[]", "p.json:1:1: an object is expected" },
	{ "nothing in it", "{}", "p.json:1:1: defaultAction is missing or no text" },
	{ "an unknown action", "{\n  \"defaultAction\": \"ALLOW\"\n}",
		"p.json:2:20: defaultAction: unknown action \"ALLOW\"" },
	{ "a member that nobody knows", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n  \"syscals\":[]}",
		"p.json:2:13: syscals: unknown member \"syscals\" (did you mean \"syscalls\"?)" },
	{ "one in a rule", ALLOWED("\"names\":[\"mkdir\"],\"arg\":[]"),
		"syscalls[0].arg: unknown member \"arg\" (did you mean \"args\"?)" },
	{ "one in a condition", ALLOWED("\"names\":[\"mkdir\"],\"includes\":{\"cap\":[]}"),
		"syscalls[0].includes.cap: unknown member \"cap\"" },
	{ "nobody to notify", "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}",
		"p.json:1:18: defaultAction: SCMP_ACT_NOTIFY is not supported" },
	{ "a list that is none", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}",
		"p.json:1:46: syscalls: a list of at most 4096 rules is expected" },
	{ "a rule without names", ALLOWED("\"names\":[]"),
		"syscalls[0].names: names: a list of system calls is expected" },
	{ "names and name", ALLOWED("\"names\":[\"a\"],\"name\":\"b\""), "\"name\" and \"names\" exclude each other" },
	{ "a name that is a number", ALLOWED("\"names\":[\"mkdir\",\n 7]"),
		"p.json:2:2: syscalls[0].names[1]: the name of a system call is expected" },
	{ "a rule without an action", RULE("\"names\":[\"mkdir\"]"), "p.json:1:47: syscalls[0]: action is missing" },
	{ "too large an errno", RULE("\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":4096"),
		"syscalls[0].errnoRet: a number from 0 to 4095 is expected" },
	{ "the seventh argument",
		ALLOWED("\"names\":[\"mkdir\"],\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"),
		"syscalls[0].args[0].index: a system call has the arguments 0 to 5" },
	{ "an operator", ALLOWED("\"names\":[\"mkdir\"],\"args\":[{\"index\":0,\"value\":1,\"op\":\"==\"}]"),
		"syscalls[0].args[0].op: unknown operator \"==\"" },
	{ "no value", ALLOWED("\"names\":[\"mkdir\"],\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_EQ\"}]"),
		"syscalls[0].args[0]: value: a number" },
	{ "a negative value",
		ALLOWED("\"names\":[\"mkdir\"],\"args\":[{\"index\":0,\"value\":-1,\"op\":\"SCMP_CMP_EQ\"}]"),
		"syscalls[0].args[0].value: value: a number" },
	{ "a capability", ALLOWED("\"names\":[\"mkdir\"],\"includes\":{\"caps\":[\"SYS_ADMIN\"]}"),
		"syscalls[0].includes.caps[0]: unknown capability \"SYS_ADMIN\"" },
	{ "a kernel", ALLOWED("\"names\":[\"mkdir\"],\"includes\":{\"minKernel\":\"4.8.1\"}"),
		"syscalls[0].includes.minKernel: a version like \"4.8\" is expected" },
	{ "an architecture", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"x86_64\"]}",
		"architectures[0]: unknown architecture \"x86_64\"" },
	{ "two lists of architectures", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[],\"archMap\":[]}",
		"\"architectures\" and \"archMap\" exclude each other" },
};

static void wrong_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		cleanup_strv struct cb_strv unknown = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf code = { 0 };

		print_message("# %s\n", wrong[i].name);
		assert_int_equal(cb_seccomp_profile_compile("p.json", wrong[i].profile, strlen(wrong[i].profile), &host,
					 &code, &unknown, &err),
			CB_ERR_USAGE);
		if (!strstr(cb_err_msg(err), wrong[i].want))
			fail_msg("it says: %s", cb_err_msg(err));
	}
}

/* The host's other architectures have numbers of their own; those that are not named end the process. */
static void other_architectures(void **state)
{
	static const char profile[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":["
		"{\"architecture\":\"SCMP_ARCH_AARCH64\",\"subArchitectures\":[\"SCMP_ARCH_ARM\"]},"
		"{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\"]},"
		"{\"architecture\":\"SCMP_ARCH_LOONGARCH64\",\"subArchitectures\":null}],"
		"\"syscalls\":[{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_ALLOW\"}]}";
	static const struct {
		uint32_t host, arch;
		int nr;
		uint32_t want;
	} rows[] = {
		{ SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 39, ALLOW },
		{ SCMP_ARCH_X86_64, AUDIT_ARCH_I386, 20, ALLOW },
		{ SCMP_ARCH_X86_64, AUDIT_ARCH_I386, 39, ERRNO(1) },
		{ SCMP_ARCH_X86_64, AUDIT_ARCH_ARM, 20, SECCOMP_RET_KILL_PROCESS },
		{ SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, 172, ALLOW },
		{ SCMP_ARCH_AARCH64, AUDIT_ARCH_ARM, 20, ALLOW },
		{ SCMP_ARCH_AARCH64, AUDIT_ARCH_X86_64, 39, SECCOMP_RET_KILL_PROCESS },
		{ SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64, 172, ALLOW },
		{ SCMP_ARCH_PPC64LE, AUDIT_ARCH_PPC64LE, 20, ALLOW },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct cb_seccomp_host where = {
			.arch = rows[i].host, .kernel = 6, .major = 1, .caps = host.caps
		};
		const struct seccomp_data data = { .nr = rows[i].nr, .arch = rows[i].arch };
		cleanup_strv struct cb_strv unknown = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf code = { 0 };

		print_message("# row %zu\n", i);
		if (cb_seccomp_profile_compile("p.json", profile, strlen(profile), &where, &code, &unknown, &err) < 0)
			fail_msg("%s", cb_err_msg(err));
		assert_int_equal(
			bpf_run((const struct sock_filter *)code.data, code.len / sizeof(struct sock_filter), &data, 0),
			rows[i].want);
	}
}

static void unknown_names(void **state)
{
	static const char open[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\",\"nonesuch\"],"
		"\"action\":\"SCMP_ACT_ERRNO\"}]}";
	static const char closed[] = ALLOWED("\"names\":[\"mkdir\",\"nonesuch\"]");
	cleanup_strv struct cb_strv unknown = { 0 };
	cleanup_buf struct cb_buf code = { 0 }, other = { 0 };

	(void)state;
	assert_int_equal(cb_seccomp_profile_compile("p", closed, strlen(closed), &host, &code, &unknown, NULL), 0);
	assert_int_equal(unknown.n, 0);
	assert_int_equal(cb_seccomp_profile_compile("p", open, strlen(open), &host, &other, &unknown, NULL), 0);
	assert_int_equal(unknown.n, 1);
	assert_string_equal(unknown.v[0], "nonesuch");
}

/* A profile may be as large as it likes, but a filter has 4096 instructions. */
static void too_many_instructions(void **state)
{
	cleanup_strv struct cb_strv unknown = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf text = { 0 }, code = { 0 };

	(void)state;
	cb_buf_adds(&text, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[");
	for (int i = 0; i < 4090; i++)
		cb_buf_addf(&text,
			"%s{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":%d,\"op\":\"SCMP_CMP_EQ\"}]}",
			i ? "," : "", i);
	cb_buf_adds(&text, "]}");
	assert_int_equal(cb_seccomp_profile_compile("p", cb_buf_str(&text), text.len, &host, &code, &unknown, &err),
		CB_ERR_USAGE);
	assert_non_null(strstr(cb_err_msg(err), "instructions, the kernel takes 4096"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_table),
		cmocka_unit_test(wrong_table),
		cmocka_unit_test(other_architectures),
		cmocka_unit_test(unknown_names),
		cmocka_unit_test(too_many_instructions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
