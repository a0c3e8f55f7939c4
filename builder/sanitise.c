/* Step output made safe for a terminal; declared in builder/progress.h. */
#include <string.h>

#include "base/unicode.h"
#include "builder/progress.h"

static bool is_final(unsigned char c)
{
	return c >= 0x40 && c <= 0x7E;
}

/** Behind a control sequence: parameters and intermediates up to a final byte. */
static const char *skip_csi(const char *p, const char *end)
{
	while (p < end && (unsigned char)*p >= 0x20 && !is_final((unsigned char)*p) && (unsigned char)*p < 0x7F)
		p++;
	return p < end && is_final((unsigned char)*p) ? p + 1 : p;
}

/** Behind a control string: up to BEL or ESC backslash, at most to the end of the line. */
static const char *skip_string(const char *p, const char *end)
{
	for (; p < end && *p != '\n'; p++) {
		if (*p == '\a')
			return p + 1;
		if (*p == '\033' && p + 1 < end && p[1] == '\\')
			return p + 2;
	}
	return p;
}

/** Behind an escape sequence; @p is behind ESC. */
static const char *skip_escape(const char *p, const char *end)
{
	if (p == end)
		return p;
	if (*p == '[')
		return skip_csi(p + 1, end);
	if (strchr("]PX^_", *p) && *p)
		return skip_string(p + 1, end);
	while (p < end && *p >= 0x20 && *p <= 0x2F)
		p++;
	return p < end && *p >= 0x30 && *p <= 0x7E ? p + 1 : p;
}

/** Characters that turn the direction of what follows and so make a terminal show what is not there. */
static bool is_direction(uint32_t rune)
{
	return (rune >= 0x202A && rune <= 0x202E) || (rune >= 0x2066 && rune <= 0x2069) || rune == 0x200E ||
	       rune == 0x200F;
}

void cb_progress_sanitise(struct cb_buf *out, const char *data, size_t len)
{
	const char *p = data, *end = data + len;
	size_t line = out->len;

	while (p < end) {
		uint32_t rune;

		p += cb_utf8_decode(p, end, &rune);
		if (rune == '\033') {
			p = skip_escape(p, end);
		} else if (rune == 0x9B) {
			p = skip_csi(p, end);
		} else if (rune == '\r') {
			if (p < end && *p != '\n' && *p != '\r' && out->len > line) {
				out->len = line;
				out->data[line] = '\0';
			}
		} else if (rune == '\n') {
			cb_buf_addc(out, '\n');
			line = out->len;
		} else if (rune == '\t' || (rune >= 0x20 && !(rune >= 0x7F && rune < 0xA0) && !is_direction(rune))) {
			cb_utf8_add(out, rune);
		}
	}
}
