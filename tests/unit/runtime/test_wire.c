#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/wire.h"

static void write_all(struct cb_buf *out)
{
	static const char *const v[] = { "a", "", "ccc", NULL };

	cb_wire_put_u64(out, 42);
	cb_wire_put_str(out, "text");
	cb_wire_put_str(out, NULL);
	cb_wire_put_str(out, "");
	cb_wire_put_bytes(out, "a\0b", 3);
	cb_wire_put_strv(out, v);
	cb_wire_put_strv(out, NULL);
}

static void round_trip(void **state)
{
	cleanup_buf struct cb_buf buf = { 0 };
	size_t len;

	(void)state;
	write_all(&buf);
	struct cb_wire in = { .p = buf.data, .end = buf.data + buf.len };
	assert_int_equal(cb_wire_get_u64(&in), 42);
	assert_string_equal(cb_wire_get_str(&in), "text");
	assert_null(cb_wire_get_str(&in));
	assert_string_equal(cb_wire_get_str(&in), "");
	assert_memory_equal(cb_wire_get_bytes(&in, &len), "a\0b", 3);
	assert_int_equal(len, 3);
	cleanup_free char **v = cb_wire_get_strv(&in), **w = cb_wire_get_strv(&in);
	assert_string_equal(v[0], "a");
	assert_string_equal(v[1], "");
	assert_string_equal(v[2], "ccc");
	assert_null(v[3]);
	assert_null(w[0]);
	assert_false(in.bad);
	assert_ptr_equal(in.p, in.end);
	assert_int_equal(cb_wire_get_u64(&in), 0);
	assert_true(in.bad);
}

/* Every way of being cut short is noticed, and nothing is read behind the end. */
static void truncated(void **state)
{
	cleanup_buf struct cb_buf buf = { 0 };
	size_t len;

	(void)state;
	write_all(&buf);
	for (size_t n = 0; n < buf.len; n++) {
		cleanup_free char *copy = cb_xmemdup(buf.data, n ? n : 1);
		struct cb_wire in = { .p = copy, .end = copy + n };
		(void)cb_wire_get_u64(&in);
		for (int i = 0; i < 3; i++)
			(void)cb_wire_get_str(&in);
		(void)cb_wire_get_bytes(&in, &len);
		cleanup_free char **v = cb_wire_get_strv(&in), **w = cb_wire_get_strv(&in);
		assert_non_null(v);
		assert_non_null(w);
		assert_true(in.bad);
	}
}

static void lies_about_lengths(void **state)
{
	const uint64_t huge[] = { UINT64_MAX, 0 };
	struct cb_wire in = { .p = (const char *)huge, .end = (const char *)huge + sizeof(huge) };
	size_t len;

	(void)state;
	assert_null(cb_wire_get_bytes(&in, &len));
	assert_true(in.bad);
	in = (struct cb_wire){ .p = (const char *)huge, .end = (const char *)huge + sizeof(huge) };
	cleanup_free char **v = cb_wire_get_strv(&in);
	assert_null(v[0]);
	assert_true(in.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(truncated),
		cmocka_unit_test(lies_about_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
