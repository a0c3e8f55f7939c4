#include "base/csv.h"

#include <string.h>

static int read_quoted(struct cb_span *rest, struct cb_buf *buf, struct cb_err **err)
{
	rest->p++;
	for (;;) {
		const char *quote = memchr(rest->p, '"', cb_span_len(*rest));

		if (!quote)
			return cb_err_set(err, CB_ERR_INPUT, "a quoted field has no closing quote");
		cb_buf_add(buf, rest->p, (size_t)(quote - rest->p));
		rest->p = quote + 1;
		if (cb_span_peek(*rest, 0) != '"')
			break;
		cb_buf_addc(buf, '"');
		rest->p++;
	}
	if (!cb_span_empty(*rest) && *rest->p != ',')
		return cb_err_set(err, CB_ERR_INPUT, "text stands behind a quoted field");
	return 0;
}

int cb_csv_next(struct cb_span *rest, struct cb_buf *buf, const char **at, bool *more, struct cb_err **err)
{
	int r;

	cb_buf_clear(buf);
	*at = rest->p;
	if (cb_span_peek(*rest, 0) == '"') {
		r = read_quoted(rest, buf, err);
		if (r < 0)
			return r;
	} else {
		const char *comma = memchr(rest->p, ',', cb_span_len(*rest));
		size_t len = comma ? (size_t)(comma - rest->p) : cb_span_len(*rest);

		if (memchr(rest->p, '"', len))
			return cb_err_set(err, CB_ERR_INPUT, "a quote stands inside a field that is not quoted");
		cb_buf_add(buf, rest->p, len);
		rest->p += len;
	}
	*more = !cb_span_empty(*rest);
	rest->p += *more;
	return 0;
}

int cb_csv_split(const char *text, struct cb_strv *ret, struct cb_err **err)
{
	struct cb_span rest = cb_span_str(text);
	cleanup_buf struct cb_buf field = { 0 };
	bool more = *text;
	const char *at;

	while (more) {
		if (cb_csv_next(&rest, &field, &at, &more, NULL) < 0)
			return cb_err_set(
				err, CB_ERR_INPUT, "%s in \"%s\"", *at == '"' ? "bad quoting" : "bare quote", text);
		cb_strv_add(ret, cb_buf_str(&field));
	}
	return 0;
}
