#include "base/unicode.h"

static bool in_table(const struct cb_unicode_range *table, size_t n, uint32_t rune)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rune > table[mid].last)
			lo = mid + 1;
		else if (rune < table[mid].first)
			hi = mid;
		else
			return true;
	}
	return false;
}

size_t cb_utf8_decode(const char *p, const char *end, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)p;
	size_t len, i;
	uint32_t rune;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	len = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
	*ret = CB_RUNE_BAD;
	if (s[0] < 0xC2 || s[0] > 0xF4 || len > (size_t)(end - p))
		return 1;
	rune = s[0] & (0x7FU >> len);
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 1;
		rune = rune << 6 | (s[i] & 0x3FU);
	}
	if (rune < least[len] || rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF))
		return 1;
	*ret = rune;
	return len;
}

void cb_utf8_add(struct cb_buf *out, uint32_t rune)
{
	char b[4];
	size_t n;

	if (rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF))
		rune = CB_RUNE_BAD;
	if (rune < 0x80) {
		b[0] = (char)rune;
		n = 1;
	} else if (rune < 0x800) {
		b[0] = (char)(0xC0 | rune >> 6);
		b[1] = (char)(0x80 | (rune & 0x3F));
		n = 2;
	} else if (rune < 0x10000) {
		b[0] = (char)(0xE0 | rune >> 12);
		b[1] = (char)(0x80 | (rune >> 6 & 0x3F));
		b[2] = (char)(0x80 | (rune & 0x3F));
		n = 3;
	} else {
		b[0] = (char)(0xF0 | rune >> 18);
		b[1] = (char)(0x80 | (rune >> 12 & 0x3F));
		b[2] = (char)(0x80 | (rune >> 6 & 0x3F));
		b[3] = (char)(0x80 | (rune & 0x3F));
		n = 4;
	}
	cb_buf_add(out, b, n);
}

bool cb_rune_is_letter(uint32_t rune)
{
	if (rune < 0x80)
		return (rune | 0x20) >= 'a' && (rune | 0x20) <= 'z';
	return in_table(cb_unicode_letters, cb_unicode_n_letters, rune);
}

bool cb_rune_is_digit(uint32_t rune)
{
	if (rune < 0x80)
		return rune >= '0' && rune <= '9';
	return in_table(cb_unicode_digits, cb_unicode_n_digits, rune);
}

bool cb_rune_is_space(uint32_t rune)
{
	switch (rune) {
	case '\t':
	case '\n':
	case '\v':
	case '\f':
	case '\r':
	case ' ':
	case 0x85:
	case 0xA0:
	case 0x1680:
	case 0x2028:
	case 0x2029:
	case 0x202F:
	case 0x205F:
	case 0x3000:
		return true;
	default:
		return rune >= 0x2000 && rune <= 0x200A;
	}
}

unsigned int cb_rune_width(uint32_t rune)
{
	if (rune < 0x20 || (rune >= 0x7F && rune < 0xA0))
		return 0;
	if (rune < 0x300)
		return 1;
	if (in_table(cb_unicode_zero, cb_unicode_n_zero, rune))
		return 0;
	return in_table(cb_unicode_wide, cb_unicode_n_wide, rune) ? 2 : 1;
}
