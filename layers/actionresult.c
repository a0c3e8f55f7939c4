/*
 * ActionResult of the Remote Execution API (build.bazel.remote.execution.v2), as far as a cache record needs it:
 * output_files = 2 { path = 1, digest = 2 { hash = 1, size_bytes = 2 } }, stdout_raw = 5.
 */
#include <string.h>

#include "layers/remotecache.h"

#define BYTES(field) ((field) << 3 | 2)
#define VARINT(field) ((field) << 3)

static void put_varint(struct cb_buf *out, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		cb_buf_addc(out, (char)(v | 0x80));
	cb_buf_addc(out, (char)v);
}

static void put_bytes(struct cb_buf *out, unsigned int field, const void *data, size_t len)
{
	put_varint(out, BYTES(field));
	put_varint(out, len);
	cb_buf_add(out, data, len);
}

void cb_action_result_write(
	const void *record, size_t len, const struct cb_descriptor *blobs, size_t n, struct cb_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_buf struct cb_buf digest = { 0 }, file = { 0 };
		const char *hex = cb_digest_hex(&blobs[i].digest);

		put_bytes(&digest, 1, hex, strlen(hex));
		put_varint(&digest, VARINT(2));
		put_varint(&digest, blobs[i].size);
		put_bytes(&file, 1, hex, strlen(hex));
		put_bytes(&file, 2, digest.data, digest.len);
		put_bytes(out, 2, file.data, file.len);
	}
	put_bytes(out, 5, record, len);
}

static bool get_varint(const unsigned char **at, const unsigned char *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64 && *at < end; shift += 7) {
		unsigned char c = *(*at)++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

int cb_action_result_read(const void *data, size_t len, struct cb_buf *ret)
{
	const unsigned char *at = data, *end = at + len;
	uint64_t tag, n;

	while (at < end) {
		if (!get_varint(&at, end, &tag) || !get_varint(&at, end, &n))
			return 1;
		if ((tag & 7) == 0)
			continue;
		if ((tag & 7) != 2 || n > (uint64_t)(end - at))
			return 1;
		if (tag == BYTES(5)) {
			cb_buf_add(ret, at, n);
			return 0;
		}
		at += n;
	}
	return 1;
}
