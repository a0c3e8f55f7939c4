/* Physical lines. */
#include "parser/physline.h"

#include <assert.h>
#include <string.h>

#include "parser/parse.h"

static unsigned int line_of(const char *data, const char *at)
{
	unsigned int line = 1;

	while ((data = memchr(data, '\n', (size_t)(at - data)))) {
		data++;
		line++;
	}
	return line;
}

int cb_line_reader_init(struct cb_line_reader *src, const char *data, size_t len, struct cb_err **err)
{
	static const char bom[] = "\xef\xbb\xbf";
	const char *nul;

	assert(src);
	assert(data || len == 0);

	*src = (struct cb_line_reader){ 0 };
	if (len == 0)
		return 0;
	if (len > CB_BUILDFILE_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "the Buildfile has more than %zu bytes", CB_BUILDFILE_MAX);
	if (len >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0)) {
		cb_err_at(err, CB_ERR_INPUT, 1, 1, "the Buildfile is encoded in UTF-16");
		return cb_err_hint(err, CB_ERR_INPUT, "save it as UTF-8");
	}
	nul = memchr(data, '\0', len);
	if (nul)
		return cb_err_at(err, CB_ERR_INPUT, line_of(data, nul), 0, "a NUL byte cannot stand in a Buildfile");

	src->rest = cb_span_of(data, len);
	if (len >= 3 && memcmp(data, bom, 3) == 0)
		src->rest.p += 3;
	return 0;
}

int cb_line_reader_next(struct cb_line_reader *src, struct cb_phys_line *ret, struct cb_err **err)
{
	struct cb_phys_line line;
	const char *lf;

	if (cb_span_empty(src->rest))
		return 1;

	lf = memchr(src->rest.p, '\n', cb_span_len(src->rest));
	line.full = (struct cb_span){ src->rest.p, lf ? lf + 1 : src->rest.end };
	line.text = (struct cb_span){ src->rest.p, lf ? lf : src->rest.end };
	src->line++;
	if (cb_span_len(line.text) > CB_LINE_MAX)
		return cb_err_at(err, CB_ERR_INPUT, src->line, CB_LINE_MAX + 1,
			"the line is longer than the allowed %d bytes", CB_LINE_MAX);

	src->rest.p = line.full.end;
	while (line.text.end > line.text.p && line.text.end[-1] == '\r')
		line.text.end--;
	*ret = line;
	return 0;
}
