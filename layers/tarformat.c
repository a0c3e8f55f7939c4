#include "layers/tarformat.h"

#include <string.h>

#include "layers/tarread.h"

bool cb_tar_is_zero(const void *block)
{
	const char *p = block;

	return p[0] == '\0' && memcmp(p, p + 1, CB_TAR_BLOCK - 1) == 0;
}

/** Octal digits with blanks around them; nothing is 0. */
static bool parse_octal(const char *field, size_t size, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	while (i < size && (field[i] == ' ' || field[i] == '\0'))
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
		if (v >> 60)
			return false;
		v = v << 3 | (uint64_t)(field[i] - '0');
	}
	for (; i < size; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	*ret = v;
	return true;
}

/** Octal, or GNU's base 256 marked by the top bit. */
bool cb_tar_number(const char *field, size_t size, int64_t *ret)
{
	uint64_t v;

	if (!((unsigned char)field[0] & 0x80)) {
		if (!parse_octal(field, size, &v) || v > INT64_MAX)
			return false;
		*ret = (int64_t)v;
		return true;
	}

	/* Two's complement below the mark bit, whose neighbour is the sign. */
	v = field[0] & 0x40 ? UINT64_MAX : 0;
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)field[i];

		if (i == 0)
			c = (unsigned char)(c & 0x40 ? c | 0x80 : c & 0x7f);
		/* What is shifted out must be sign only. */
		if ((v >> 55) != 0 && (v >> 55) != 0x1ff)
			return false;
		v = v << 8 | c;
	}
	*ret = (int64_t)v;
	return true;
}

bool cb_tar_is_header(const void *block)
{
	const struct cb_tar_header *h = block;
	const signed char *p = block;
	int64_t sum = 8 * ' ';
	uint64_t want;

	if (cb_tar_is_zero(block))
		return true;
	if (!parse_octal(h->checksum, sizeof(h->checksum), &want))
		return false;
	if (want == cb_tar_checksum(h))
		return true;
	/* Some old writers added signed bytes. */
	for (size_t i = 0; i < sizeof(*h); i++)
		if (i < offsetof(struct cb_tar_header, checksum) || i >= offsetof(struct cb_tar_header, type))
			sum += p[i];
	return sum >= 0 && want == (uint64_t)sum;
}
