#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/resolv.h"

#define PUBLIC                                                                                                         \
	"nameserver 8.8.8.8\nnameserver 8.8.4.4\nnameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844\n"

static const char *const two[] = { "9.9.9.9", "1.1.1.1", NULL };
static const char *const none[] = { NULL };

static const struct {
	const char *name, *host;
	const char *const *dns, *const *search, *const *options;
	bool keep;
	const char *forwarder, *want;
} cases[] = {
	{ "as it is", "nameserver 10.0.0.1\nsearch a b\n", NULL, NULL, NULL, true, NULL,
		"nameserver 10.0.0.1\nsearch a b\n" },
	{ "comments and spaces go", "# x\n  nameserver\t10.0.0.1 ; y\n\noptions ndots:2", NULL, NULL, NULL, false, NULL,
		"nameserver\t10.0.0.1\noptions ndots:2\n" },
	{ "loopback stays where it can be reached", "nameserver 127.0.0.1\n", NULL, NULL, NULL, true, NULL,
		"nameserver 127.0.0.1\n" },
	{ "loopback goes", "nameserver 127.0.0.1\nnameserver ::1\nnameserver 10.0.0.1\n", NULL, NULL, NULL, false, NULL,
		"nameserver 10.0.0.1\n" },
	{ "public ones stand in", "nameserver 127.0.0.53\nsearch x\n", NULL, NULL, NULL, false, NULL,
		"search x\n" PUBLIC },
	{ "a forwarder stands in, once", "nameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.1\nsearch x\n", NULL,
		NULL, NULL, false, "10.0.2.3", "nameserver 10.0.2.3\nnameserver 10.0.0.1\nsearch x\n" },
	{ "but not for what the user wants", "nameserver 127.0.0.53\n", two, NULL, NULL, false, "10.0.2.3",
		"nameserver 9.9.9.9\nnameserver 1.1.1.1\n" },
	{ "no file", "", NULL, NULL, NULL, false, NULL, PUBLIC },
	{ "no file, host network", "", NULL, NULL, NULL, true, NULL, "" },
	{ "own servers", "nameserver 10.0.0.1\nsearch x\n", two, NULL, NULL, false, NULL,
		"nameserver 9.9.9.9\nnameserver 1.1.1.1\nsearch x\n" },
	{ "own everything", "nameserver 10.0.0.1\nsearch x\ndomain y\noptions z\n", two, two, two, true, NULL,
		"nameserver 9.9.9.9\nnameserver 1.1.1.1\nsearch 9.9.9.9 1.1.1.1\noptions 9.9.9.9 1.1.1.1\n" },
	{ "empty lists mean the host's", "nameserver 10.0.0.1\nsearch x\n", none, none, none, true, NULL,
		"nameserver 10.0.0.1\nsearch x\n" },
	{ "keyword must end", "nameservers 10.0.0.1\n", NULL, NULL, NULL, true, NULL, "nameservers 10.0.0.1\n" },
};

static void resolv_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct cb_buf out = { 0 };
		print_message("# %s\n", cases[i].name);
		cb_resolv_generate(cases[i].host, strlen(cases[i].host), cases[i].dns, cases[i].search,
			cases[i].options, cases[i].keep, cases[i].forwarder, &out);
		assert_string_equal(cb_buf_str(&out), cases[i].want);
	}
}

static void forwarder_table(void **state)
{
	static const struct {
		const char *host;
		bool want;
	} rows[] = {
		{ "nameserver 127.0.0.53\n", true },
		{ "nameserver ::1\nnameserver 127.0.0.1\nnameserver 10.0.0.1\n", true },
		{ "nameserver 10.0.0.1\nnameserver 127.0.0.1\n", false },
		{ "nameserver ::1\n", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cb_resolv_needs_forwarder(rows[i].host, strlen(rows[i].host)), rows[i].want);
}

static void stub_table(void **state)
{
	static const struct {
		const char *host;
		bool want;
	} rows[] = {
		{ "nameserver 127.0.0.53\noptions edns0\n", true },
		{ "nameserver 127.0.0.53\nnameserver 10.0.0.1\n", false },
		{ "nameserver 127.0.0.1\n", false },
		{ "#nameserver 127.0.0.53\n", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cb_resolv_is_stub(rows[i].host, strlen(rows[i].host)), rows[i].want);
}

static void hosts(void **state)
{
	static const struct cb_extra_host extra[] = { { "db", "10.0.0.1" }, { "six", "fe80::1" } };
	cleanup_buf struct cb_buf out = { 0 };

	(void)state;
	cb_hosts_generate("box", extra, 2, &out);
	assert_string_equal(cb_buf_str(&out), "127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n"
					      "10.0.0.1\tdb\nfe80::1\tsix\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolv_table),
		cmocka_unit_test(forwarder_table),
		cmocka_unit_test(stub_table),
		cmocka_unit_test(hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
