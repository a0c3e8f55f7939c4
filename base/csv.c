#include "base/csv.h"

#include <string.h>

#include "base/buf.h"

/** A quoted field; @p is behind its first quote. Returns what follows it, or NULL. */
static const char *quoted_field(const char *p, struct cb_buf *out)
{
	while (*p && (*p != '"' || p[1] == '"')) {
		cb_buf_addc(out, *p);
		p += *p == '"' ? 2 : 1;
	}
	if (*p != '"' || (p[1] && p[1] != ','))
		return NULL;
	return p + 1;
}

int cb_csv_split(const char *text, struct cb_strv *ret, struct cb_err **err)
{
	const char *p = text;

	while (*p) {
		cleanup_buf struct cb_buf field = { 0 };

		if (*p == '"') {
			p = quoted_field(p + 1, &field);
			if (!p)
				return cb_err_set(err, CB_ERR_INPUT, "bad quoting in \"%s\"", text);
		} else {
			size_t len = strcspn(p, ",");

			if (memchr(p, '"', len))
				return cb_err_set(err, CB_ERR_INPUT, "bare quote in \"%s\"", text);
			cb_buf_add(&field, p, len);
			p += len;
		}
		cb_strv_add(ret, cb_buf_str(&field));
		if (*p == ',' && !*++p)
			cb_strv_add(ret, "");
	}
	return 0;
}
