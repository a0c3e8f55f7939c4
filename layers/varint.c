#include "layers/varint.h"

void cb_varint_put(struct cb_buf *out, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		cb_buf_addc(out, (char)(v | 0x80));
	cb_buf_addc(out, (char)v);
}

void cb_varint_put_signed(struct cb_buf *out, int64_t v)
{
	cb_varint_put(out, v < 0 ? ~(uint64_t)v << 1 | 1 : (uint64_t)v << 1);
}

void cb_varint_put_bytes(struct cb_buf *out, const void *data, size_t len)
{
	cb_varint_put(out, len);
	cb_buf_add(out, data, len);
}

bool cb_varint_get(struct cb_varint_in *wire, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
		unsigned char c = *wire->at++;

		if ((shift == 63 && c > 1) || (shift && !c))
			return false;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c & 0x80)
			continue;
		*ret = v;
		return v <= max;
	}
	return false;
}

bool cb_varint_get_signed(struct cb_varint_in *wire, int64_t *ret)
{
	uint64_t v;

	if (!cb_varint_get(wire, UINT64_MAX, &v))
		return false;
	*ret = (int64_t)(v & 1 ? ~(v >> 1) : v >> 1);
	return true;
}

bool cb_varint_take(struct cb_varint_in *wire, size_t len, const void **ret)
{
	if (len > (size_t)(wire->end - wire->at))
		return false;
	*ret = wire->at;
	wire->at += len;
	return true;
}

bool cb_varint_get_bytes(struct cb_varint_in *wire, size_t max, const void **ret, size_t *ret_len)
{
	uint64_t len;

	if (!cb_varint_get(wire, max, &len) || !cb_varint_take(wire, (size_t)len, ret))
		return false;
	*ret_len = (size_t)len;
	return true;
}
