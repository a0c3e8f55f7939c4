#include "runtime/wire.h"

#include <string.h>

void cb_wire_put_u64(struct cb_buf *out, uint64_t v)
{
	cb_buf_add(out, &v, sizeof(v));
}

void cb_wire_put_bytes(struct cb_buf *out, const void *data, size_t len)
{
	cb_wire_put_u64(out, len);
	if (len)
		cb_buf_add(out, data, len);
}

void cb_wire_put_str(struct cb_buf *out, const char *s)
{
	/* The terminator travels with the string, so that the reader can borrow it; NULL has length 0. */
	cb_wire_put_bytes(out, s, s ? strlen(s) + 1 : 0);
}

void cb_wire_put_strv(struct cb_buf *out, const char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	cb_wire_put_u64(out, n);
	for (size_t i = 0; i < n; i++)
		cb_wire_put_str(out, v[i]);
}

uint64_t cb_wire_get_u64(struct cb_wire *in)
{
	uint64_t v = 0;

	if (in->bad || (size_t)(in->end - in->p) < sizeof(v)) {
		in->bad = true;
		return 0;
	}
	memcpy(&v, in->p, sizeof(v));
	in->p += sizeof(v);
	return v;
}

const void *cb_wire_get_bytes(struct cb_wire *in, size_t *len)
{
	uint64_t n = cb_wire_get_u64(in);
	const void *data = in->p;

	*len = 0;
	if (in->bad || n > (size_t)(in->end - in->p)) {
		in->bad = true;
		return NULL;
	}
	in->p += n;
	*len = (size_t)n;
	return data;
}

const char *cb_wire_get_str(struct cb_wire *in)
{
	size_t len;
	const char *s = cb_wire_get_bytes(in, &len);

	if (len && s[len - 1] != '\0')
		in->bad = true;
	return len && !in->bad ? s : NULL;
}

char **cb_wire_get_strv(struct cb_wire *in)
{
	uint64_t n = cb_wire_get_u64(in);

	/* Each string takes at least the 8 bytes of its length. */
	if (in->bad || n > (size_t)(in->end - in->p) / sizeof(uint64_t)) {
		in->bad = true;
		n = 0;
	}
	char **v = cb_newa0(char *, n + 1);
	for (size_t i = 0; i < n; i++)
		v[i] = (char *)cb_wire_get_str(in);
	return v;
}
