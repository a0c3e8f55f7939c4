#include "layers/compress.h"

#include <assert.h>
#include <string.h>

#include "layers/compress_codec.h"

static const char *const names[] = {
	[CB_CODEC_NONE] = "uncompressed",
	[CB_CODEC_GZIP] = "gzip",
	[CB_CODEC_ZSTD] = "zstd",
};

const char *cb_codec_name(enum cb_codec codec)
{
	assert((size_t)codec < ARRAY_SIZE(names));
	return names[codec];
}

bool cb_codec_parse(const char *name, enum cb_codec *ret)
{
	assert(name);
	assert(ret);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum cb_codec)i;
			return true;
		}
	}
	return false;
}

enum cb_codec cb_codec_sniff(const void *data, size_t len)
{
	const uint8_t *p = data;

	if (len >= 3 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8)
		return CB_CODEC_GZIP;
	if (len >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
		return CB_CODEC_ZSTD;
	/* A skippable frame may come first. */
	if (len >= 4 && (p[0] & 0xf0) == 0x50 && memcmp(p + 1, "\x2a\x4d\x18", 3) == 0)
		return CB_CODEC_ZSTD;
	return CB_CODEC_NONE;
}

struct cb_compressor {
	struct cb_encoder encoder; /* without functions for CB_CODEC_NONE */
	struct cb_sink out;
};

int cb_compressor_open(const struct cb_compress_spec *spec, struct cb_pool *pool, struct cb_sink out,
	struct cb_compressor **ret, struct cb_err **err)
{
	struct cb_encoder encoder = { 0 };
	struct cb_compressor *c;
	int r = 0;

	assert(spec);
	assert(out.write);
	assert(ret);

	switch (spec->codec) {
	case CB_CODEC_NONE:
		break;
	case CB_CODEC_GZIP:
		if (spec->level < CB_LEVEL_DEFAULT || spec->level > CB_GZIP_LEVEL_MAX)
			return cb_err_set(err, CB_ERR_INPUT, "gzip compression level %d: must be 0 to %d", spec->level,
				CB_GZIP_LEVEL_MAX);
		r = cb_encoder_gzip(spec->level, pool, out, &encoder, err);
		break;
	case CB_CODEC_ZSTD:
		if (spec->level < CB_LEVEL_DEFAULT || spec->level > CB_ZSTD_LEVEL_MAX)
			return cb_err_set(err, CB_ERR_INPUT, "zstd compression level %d: must be 0 to %d", spec->level,
				CB_ZSTD_LEVEL_MAX);
		r = cb_encoder_zstd(spec->level, pool, out, &encoder, err);
		break;
	}
	if (r < 0)
		return r;

	c = cb_new0(struct cb_compressor);
	c->encoder = encoder;
	c->out = out;
	*ret = c;
	return 0;
}

int cb_compressor_write(struct cb_compressor *c, const void *data, size_t len, struct cb_err **err)
{
	assert(c);

	if (len == 0)
		return 0;
	if (!c->encoder.write)
		return c->out.write(c->out.arg, data, len, err);
	return c->encoder.write(c->encoder.state, data, len, err);
}

int cb_compressor_finish(struct cb_compressor *c, struct cb_err **err)
{
	assert(c);

	return c->encoder.finish ? c->encoder.finish(c->encoder.state, err) : 0;
}

struct cb_compressor *cb_compressor_free(struct cb_compressor *c)
{
	if (!c)
		return NULL;
	if (c->encoder.free)
		c->encoder.free(c->encoder.state);
	free(c);
	return NULL;
}
