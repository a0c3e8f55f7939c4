/* White space. */
#include "parser/chars.h"

#include "base/unicode.h"

size_t cb_space_width(const char *p, const char *end)
{
	unsigned char c;
	uint32_t rune;
	size_t n;

	if (p >= end)
		return 0;
	c = (unsigned char)*p;
	if (c < 0x80)
		return c == ' ' || (c >= '\t' && c <= '\r');
	n = cb_utf8_decode(p, end, &rune);
	return cb_rune_is_space(rune) ? n : 0;
}

struct cb_span cb_span_trim_left(struct cb_span s)
{
	size_t w;

	while ((w = cb_space_width(s.p, s.end)) > 0)
		s.p += w;
	return s;
}

/* Bytes of the white space character that ends at s.end, 0 when there is none: no such character has more than 3. */
static size_t last_space_width(struct cb_span s)
{
	for (size_t w = 1; w <= 3 && w <= cb_span_len(s); w++) {
		if (cb_space_width(s.end - w, s.end) == w)
			return w;
	}
	return 0;
}

struct cb_span cb_span_trim(struct cb_span s)
{
	size_t w;

	s = cb_span_trim_left(s);
	while ((w = last_space_width(s)) > 0)
		s.end -= w;
	return s;
}

bool cb_span_blank(struct cb_span s)
{
	return cb_span_empty(cb_span_trim_left(s));
}
