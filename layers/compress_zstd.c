/*
 * zstd by the library's own threads: with at least one worker the cut into jobs depends on the job size alone, so the
 * bytes are the same for any number of them.
 */
#include <assert.h>
#include <zstd.h>

#include "base/pool.h"
#include "layers/compress_codec.h"

#define JOB_SIZE (4 << 20)
#define THREADS_MAX 16
#define LEVEL_DEFAULT 3

struct zstd {
	ZSTD_CCtx *ctx;
	struct cb_sink out;
	char *buf;
	size_t buf_size;
};

static void zstd_free(void *state)
{
	struct zstd *z = state;

	ZSTD_freeCCtx(z->ctx);
	free(z->buf);
	free(z);
}

/** Runs the coder until it took all input, or at the end until it gave all output. */
static int pump(struct zstd *z, ZSTD_inBuffer *in, ZSTD_EndDirective op, struct cb_err **err)
{
	size_t left;

	do {
		ZSTD_outBuffer out = { z->buf, z->buf_size, 0 };

		left = ZSTD_compressStream2(z->ctx, &out, in, op);
		if (ZSTD_isError(left))
			return cb_err_set(err, CB_ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
		if (out.pos > 0) {
			int r = z->out.write(z->out.arg, z->buf, out.pos, err);

			if (r < 0)
				return r;
		}
	} while (op == ZSTD_e_end ? left > 0 : in->pos < in->size);
	return 0;
}

static int zstd_write(void *state, const void *data, size_t len, struct cb_err **err)
{
	ZSTD_inBuffer in = { data, len, 0 };

	return pump(state, &in, ZSTD_e_continue, err);
}

static int zstd_finish(void *state, struct cb_err **err)
{
	ZSTD_inBuffer in = { NULL, 0, 0 };

	return pump(state, &in, ZSTD_e_end, err);
}

int cb_encoder_zstd(int level, struct cb_pool *pool, struct cb_sink out, struct cb_encoder *ret, struct cb_err **err)
{
	const struct {
		ZSTD_cParameter parameter;
		int value;
	} parameters[] = {
		{ ZSTD_c_compressionLevel, level <= 0 ? LEVEL_DEFAULT : level },
		{ ZSTD_c_checksumFlag, 1 },
		{ ZSTD_c_nbWorkers, pool ? (int)CB_MIN(cb_pool_threads(pool), (size_t)THREADS_MAX) : 1 },
		{ ZSTD_c_jobSize, JOB_SIZE },
	};
	struct zstd *z = cb_new0(struct zstd);

	z->out = out;
	z->ctx = ZSTD_createCCtx();
	if (!z->ctx)
		abort();
	z->buf_size = ZSTD_CStreamOutSize();
	z->buf = cb_xmalloc(z->buf_size);
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		size_t r = ZSTD_CCtx_setParameter(z->ctx, parameters[i].parameter, parameters[i].value);

		if (ZSTD_isError(r)) {
			zstd_free(z);
			return cb_err_set(err, CB_ERR_UNSUPPORTED, "zstd: %s", ZSTD_getErrorName(r));
		}
	}
	*ret = (struct cb_encoder){ zstd_write, zstd_finish, zstd_free, z };
	return 0;
}
