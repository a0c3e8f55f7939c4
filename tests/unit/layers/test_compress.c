/* layers/compress.h and layers/stream.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/pool.h"
#include "layers/compress.h"

/** Text-like, random and zero stretches, so that every path of a coder is met. */
static void make_data(struct cb_buf *out, size_t len)
{
	uint32_t x = 12345;

	cb_buf_reserve(out, len);
	for (size_t i = 0; i < len; i++) {
		x = x * 1103515245u + 12345u;
		switch ((i >> 18) % 3) {
		case 0:
			cb_buf_addc(out, "the quick brown fox "[(x >> 16) % 20]);
			break;
		case 1:
			cb_buf_addc(out, (char)(x >> 16));
			break;
		default:
			cb_buf_addc(out, 0);
			break;
		}
	}
}

static void compress(
	struct cb_compress_spec spec, size_t threads, const struct cb_buf *in, size_t step, struct cb_buf *out)
{
	CB_CLEANUP(cb_pool_free) struct cb_pool *pool = threads > 0 ? cb_pool_new("test", threads) : NULL;
	CB_CLEANUP(cb_compressor_free) struct cb_compressor *c = NULL;

	assert_int_equal(cb_compressor_open(&spec, pool, cb_sink_buf(out), &c, NULL), 0);
	for (size_t at = 0; at < in->len; at += step)
		assert_int_equal(cb_compressor_write(c, in->data + at, CB_MIN(step, in->len - at), NULL), 0);
	assert_int_equal(cb_compressor_finish(c, NULL), 0);
}

/** Source that gives at most @step bytes a call. */
struct dribble {
	struct cb_source_mem mem;
	size_t step;
};

static ssize_t dribble_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct dribble *d = arg;
	struct cb_source src = cb_source_mem(&d->mem);

	return src.read(src.arg, buf, CB_MIN(len, d->step), err);
}

static int decompress(const void *data, size_t len, size_t step, size_t out_step,
	const struct cb_decompress_limits *limits, struct cb_buf *out, struct cb_err **err)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *d = NULL;
	struct dribble dribble = { { data, len, 0 }, step };
	cleanup_free char *buf = cb_xmalloc(out_step);
	int r = cb_decompressor_open((struct cb_source){ dribble_read, &dribble }, limits, &d, err);

	while (r == 0) {
		ssize_t n = cb_decompressor_read(d, buf, out_step, err);

		if (n <= 0)
			return (int)n;
		cb_buf_add(out, buf, (size_t)n);
	}
	return r;
}

static void round_trips(void **state)
{
	static const struct {
		enum cb_codec codec;
		int level;
	} cases[] = {
		{ CB_CODEC_NONE, 0 },
		{ CB_CODEC_GZIP, -1 },
		{ CB_CODEC_GZIP, 0 },
		{ CB_CODEC_GZIP, 1 },
		{ CB_CODEC_GZIP, 2 },
		{ CB_CODEC_GZIP, 3 },
		{ CB_CODEC_GZIP, 4 },
		{ CB_CODEC_GZIP, 9 },
		{ CB_CODEC_ZSTD, -1 },
		{ CB_CODEC_ZSTD, 0 },
		{ CB_CODEC_ZSTD, 1 },
		{ CB_CODEC_ZSTD, 12 },
	};
	static const size_t sizes[] = { 0, 1, 511, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 * 1000 * 1000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			cleanup_buf struct cb_buf in = { 0 }, packed = { 0 }, back = { 0 };
			cleanup_err struct cb_err *err = NULL;
			int r;

			make_data(&in, sizes[k]);
			compress((struct cb_compress_spec){ cases[i].codec, cases[i].level }, 2, &in, 70001, &packed);
			r = decompress(packed.data, packed.len, 65536, 100000, NULL, &back, &err);
			if (r != 0)
				fail_msg("%s %d, %zu bytes: %s", cb_codec_name(cases[i].codec), cases[i].level,
					sizes[k], cb_err_msg(err));
			assert_int_equal(back.len, in.len);
			assert_memory_equal(cb_buf_str(&back), cb_buf_str(&in), in.len);
		}
	}
}

static void same_bytes_for_any_threads(void **state)
{
	static const struct cb_compress_spec specs[] = { { CB_CODEC_GZIP, -1 }, { CB_CODEC_GZIP, 6 },
		{ CB_CODEC_ZSTD, -1 } };
	cleanup_buf struct cb_buf in = { 0 };

	(void)state;
	make_data(&in, 13 * 1000 * 1000);
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		cleanup_buf struct cb_buf first = { 0 };

		compress(specs[i], 0, &in, in.len, &first);
		for (size_t threads = 1; threads <= 8; threads++) {
			cleanup_buf struct cb_buf other = { 0 };

			compress(specs[i], threads, &in, 1000 * threads * threads, &other);
			assert_int_equal(other.len, first.len);
			assert_memory_equal(other.data, first.data, first.len);
		}
	}
}

struct in_pool {
	struct cb_pool *pool;
	const struct cb_buf *in;
	struct cb_buf out;
};

static void compress_in_pool(void *arg)
{
	struct in_pool *job = arg;
	struct cb_compress_spec spec = { CB_CODEC_GZIP, -1 };
	struct cb_compressor *c = NULL;

	assert_int_equal(cb_compressor_open(&spec, job->pool, cb_sink_buf(&job->out), &c, NULL), 0);
	assert_int_equal(cb_compressor_write(c, job->in->data, job->in->len, NULL), 0);
	assert_int_equal(cb_compressor_finish(c, NULL), 0);
	cb_compressor_free(c);
}

/* Writers that fill the very pool that they hope for help from must get on. */
static void full_pool_does_not_block(void **state)
{
	CB_CLEANUP(cb_pool_free) struct cb_pool *pool = cb_pool_new("test", 2);
	cleanup_buf struct cb_buf in = { 0 };
	struct in_pool jobs[6] = { 0 };

	(void)state;
	make_data(&in, 6 * 1000 * 1000);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		jobs[i].pool = pool;
		jobs[i].in = &in;
		cb_pool_submit(pool, CB_PRIORITY_NORMAL, compress_in_pool, &jobs[i]);
	}
	cb_pool_drain(pool);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		assert_int_equal(jobs[i].out.len, jobs[0].out.len);
		assert_memory_equal(jobs[i].out.data, jobs[0].out.data, jobs[0].out.len);
	}
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		cb_buf_done(&jobs[i].out);
}

static void dropped_before_the_end(void **state)
{
	static const enum cb_codec codecs[] = { CB_CODEC_NONE, CB_CODEC_GZIP, CB_CODEC_ZSTD };
	CB_CLEANUP(cb_pool_free) struct cb_pool *pool = cb_pool_new("test", 2);
	cleanup_buf struct cb_buf in = { 0 };

	(void)state;
	make_data(&in, 9 * 1000 * 1000);
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		struct cb_compress_spec spec = { codecs[i], CB_LEVEL_DEFAULT };
		cleanup_buf struct cb_buf out = { 0 };
		struct cb_compressor *c = NULL;

		assert_int_equal(cb_compressor_open(&spec, pool, cb_sink_buf(&out), &c, NULL), 0);
		assert_int_equal(cb_compressor_write(c, in.data, in.len, NULL), 0);
		assert_null(cb_compressor_free(c));
	}
}

static int full_disk(void *arg, const void *data, size_t len, struct cb_err **err)
{
	(void)arg;
	(void)data;
	(void)len;
	return cb_err_set(err, CB_ERR_NO_SPACE, "disk full");
}

static void failing_sink(void **state)
{
	static const enum cb_codec codecs[] = { CB_CODEC_NONE, CB_CODEC_GZIP, CB_CODEC_ZSTD };
	cleanup_buf struct cb_buf in = { 0 };

	(void)state;
	make_data(&in, 20 * 1000 * 1000);
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		CB_CLEANUP(cb_compressor_free) struct cb_compressor *c = NULL;
		struct cb_compress_spec spec = { codecs[i], CB_LEVEL_DEFAULT };
		cleanup_err struct cb_err *err = NULL;
		int r;

		assert_int_equal(cb_compressor_open(&spec, NULL, (struct cb_sink){ full_disk, NULL }, &c, NULL), 0);
		r = cb_compressor_write(c, in.data, in.len, &err);
		if (r == 0)
			r = cb_compressor_finish(c, &err);
		assert_int_equal(r, CB_ERR_NO_SPACE);
		assert_string_equal(cb_err_msg(err), "disk full");
	}
}

static void bad_levels(void **state)
{
	static const struct {
		struct cb_compress_spec spec;
		const char *want;
	} cases[] = {
		{ { CB_CODEC_GZIP, 10 }, "gzip compression level 10: must be 0 to 9" },
		{ { CB_CODEC_GZIP, -2 }, "gzip compression level -2: must be 0 to 9" },
		{ { CB_CODEC_ZSTD, 23 }, "zstd compression level 23: must be 0 to 22" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf out = { 0 };
		struct cb_compressor *c = NULL;

		assert_int_equal(cb_compressor_open(&cases[i].spec, NULL, cb_sink_buf(&out), &c, &err), CB_ERR_INPUT);
		assert_string_equal(cb_err_msg(err), cases[i].want);
		assert_null(c);
	}
}

/** What to do with a good stream before it is read. */
enum damage { CUT_1, CUT_HALF, FLIP_LAST, APPEND_TEXT, APPEND_ZERO, TWICE, TWICE_CUT, DAMAGE_N };

static void damage_stream(struct cb_buf *s, enum damage damage)
{
	size_t len = s->len;

	switch (damage) {
	case CUT_1:
		s->len--;
		break;
	case CUT_HALF:
		s->len /= 2;
		break;
	case FLIP_LAST:
		s->data[len - 6] = (char)(s->data[len - 6] ^ 0x55);
		break;
	case APPEND_TEXT:
		cb_buf_adds(s, "trailing garbage");
		break;
	case APPEND_ZERO:
		cb_buf_add(s, "\0\0\0\0\0\0\0\0", 8);
		break;
	case TWICE:
	case TWICE_CUT:
		cb_buf_reserve(s, len);
		cb_buf_add(s, s->data, len);
		if (damage == TWICE_CUT)
			s->len -= 3;
		break;
	case DAMAGE_N:
		break;
	}
}

static void damaged_streams(void **state)
{
	static const size_t steps[] = { 1, 7, 4096, 1 << 20 };
	static const enum cb_codec codecs[] = { CB_CODEC_GZIP, CB_CODEC_ZSTD };
	cleanup_buf struct cb_buf in = { 0 };

	(void)state;
	make_data(&in, 300 * 1000);
	for (size_t c = 0; c < ARRAY_SIZE(codecs); c++) {
		for (enum damage damage = CUT_1; damage < DAMAGE_N; damage++) {
			for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
				cleanup_buf struct cb_buf packed = { 0 }, back = { 0 };
				cleanup_err struct cb_err *err = NULL;
				int r;

				compress((struct cb_compress_spec){ codecs[c], -1 }, 0, &in, in.len, &packed);
				damage_stream(&packed, damage);
				r = decompress(packed.data, packed.len, steps[i], 1 + 999 * i, NULL, &back, &err);
				if (damage == TWICE) {
					assert_int_equal(r, 0);
					assert_int_equal(back.len, 2 * in.len);
					assert_memory_equal(back.data + in.len, in.data, in.len);
				} else {
					if (r != CB_ERR_CORRUPT)
						fail_msg("codec %d damage %d step %zu: %d", codecs[c], damage, steps[i],
							r);
					assert_non_null(strstr(cb_err_msg(err), cb_codec_name(codecs[c])));
				}
			}
		}
	}
}

/* Zeros shrink about 1000 times with deflate and far more with zstd. */
static void bombs(void **state)
{
	static const struct {
		const char *name;
		enum cb_codec codec;
		struct cb_decompress_limits limits;
		int code;
	} cases[] = {
		{ "gzip within its natural ratio", CB_CODEC_GZIP, { 0 }, 0 },
		{ "gzip, ratio 100", CB_CODEC_GZIP, { 0, 100 }, CB_ERR_LIMIT },
		{ "gzip, absolute", CB_CODEC_GZIP, { 1 << 20, 0 }, CB_ERR_LIMIT },
		{ "zstd, default ratio", CB_CODEC_ZSTD, { 0 }, CB_ERR_LIMIT },
		{ "zstd, absolute", CB_CODEC_ZSTD, { 1 << 20, 1000000 }, CB_ERR_LIMIT },
		{ "plain, absolute", CB_CODEC_NONE, { 1 << 20, 0 }, CB_ERR_LIMIT },
	};
	cleanup_free char *zeros = cb_xcalloc(1, (size_t)80 << 20);
	struct cb_buf in = { zeros, (size_t)80 << 20, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct cb_buf packed = { 0 }, back = { 0 };
		cleanup_err struct cb_err *err = NULL;

		print_message("# %s\n", cases[i].name);
		compress((struct cb_compress_spec){ cases[i].codec, -1 }, 2, &in, 1 << 20, &packed);
		assert_int_equal(decompress(packed.data, packed.len, 1 << 16, 1 << 18, &cases[i].limits, &back, &err),
			cases[i].code);
	}
}

static void sniffs(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		enum cb_codec want;
	} cases[] = {
		{ "", 0, CB_CODEC_NONE },
		{ "\x1f\x8b", 2, CB_CODEC_NONE },
		{ "\x1f\x8b\x08\0", 4, CB_CODEC_GZIP },
		{ "\x28\xb5\x2f\xfd", 4, CB_CODEC_ZSTD },
		{ "\x50\x2a\x4d\x18", 4, CB_CODEC_ZSTD },
		{ "\x5f\x2a\x4d\x18", 4, CB_CODEC_ZSTD },
		{ "BZh9", 4, CB_CODEC_NONE },
	};
	enum cb_codec codec = CB_CODEC_NONE;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cb_codec_sniff(cases[i].data, cases[i].len), cases[i].want);
	assert_true(cb_codec_parse("zstd", &codec));
	assert_int_equal(codec, CB_CODEC_ZSTD);
	assert_false(cb_codec_parse("lzma", &codec));
	assert_string_equal(cb_codec_name(CB_CODEC_NONE), "uncompressed");
}

static ssize_t failing_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	size_t *left = arg;
	size_t n = CB_MIN(len, *left);

	if (n == 0)
		return cb_err_set(err, CB_ERR_NETWORK, "connection lost");
	memset(buf, 'x', n);
	*left -= n;
	return (ssize_t)n;
}

static void readahead(void **state)
{
	cleanup_buf struct cb_buf in = { 0 }, out = { 0 };
	cleanup_err struct cb_err *err = NULL;
	struct cb_source_mem mem;
	struct cb_readahead *ra;
	struct cb_source src;
	size_t left = 10000;
	char buf[777];
	ssize_t n;

	(void)state;
	make_data(&in, 1000 * 1000);
	mem = (struct cb_source_mem){ in.data, in.len, 0 };
	ra = cb_readahead_new(cb_source_mem(&mem), 4096, 3);
	src = cb_readahead_source(ra);
	while ((n = src.read(src.arg, buf, sizeof(buf), &err)) > 0)
		cb_buf_add(&out, buf, (size_t)n);
	assert_int_equal(n, 0);
	assert_int_equal(src.read(src.arg, buf, sizeof(buf), &err), 0);
	assert_int_equal(out.len, in.len);
	assert_memory_equal(out.data, in.data, in.len);
	assert_null(cb_readahead_free(ra));

	ra = cb_readahead_new((struct cb_source){ failing_read, &left }, 4096, 2);
	src = cb_readahead_source(ra);
	while ((n = src.read(src.arg, buf, sizeof(buf), &err)) > 0)
		;
	assert_int_equal(n, CB_ERR_NETWORK);
	assert_string_equal(cb_err_msg(err), "connection lost");
	cb_readahead_free(ra);

	/* Freed while the producer waits for room. */
	mem.at = 0;
	ra = cb_readahead_new(cb_source_mem(&mem), 4096, 2);
	src = cb_readahead_source(ra);
	assert_true(src.read(src.arg, buf, sizeof(buf), NULL) > 0);
	cb_readahead_free(ra);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(same_bytes_for_any_threads),
		cmocka_unit_test(full_pool_does_not_block),
		cmocka_unit_test(dropped_before_the_end),
		cmocka_unit_test(failing_sink),
		cmocka_unit_test(bad_levels),
		cmocka_unit_test(damaged_streams),
		cmocka_unit_test(bombs),
		cmocka_unit_test(sniffs),
		cmocka_unit_test(readahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
