/* Word splitters. */
#include "parser/words.h"

#include "parser/chars.h"

bool cb_word_plain(struct cb_span *rest, struct cb_span *ret)
{
	while (cb_is_blank(cb_span_peek(*rest, 0)))
		rest->p++;
	if (cb_span_empty(*rest))
		return false;
	ret->p = rest->p;
	while (rest->p < rest->end && !cb_is_blank((unsigned char)*rest->p))
		rest->p++;
	ret->end = rest->p;
	return true;
}

/* Takes the byte at *rest into the word: the escape character takes the next byte with it, and at the end nothing. */
static void take_byte(struct cb_span *rest, int escape, struct cb_buf *buf)
{
	if ((unsigned char)*rest->p == escape) {
		if (cb_span_len(*rest) == 1) {
			rest->p++;
			return;
		}
		cb_buf_addc(buf, *rest->p++);
	}
	cb_buf_addc(buf, *rest->p++);
}

bool cb_word_quoted(struct cb_span *rest, char escape, struct cb_buf *buf, const char **at)
{
	int quote = 0;

	*rest = cb_span_trim_left(*rest);
	*at = rest->p;
	cb_buf_clear(buf);
	while (rest->p < rest->end) {
		char c = *rest->p;

		if (!quote && cb_space_width(rest->p, rest->end))
			break;
		if (!quote && (c == '\'' || c == '"')) {
			quote = (unsigned char)c;
			cb_buf_addc(buf, c);
			rest->p++;
		} else if (quote && c == quote) {
			quote = 0;
			cb_buf_addc(buf, c);
			rest->p++;
		} else {
			/* Nothing is escaped inside '...'. */
			take_byte(rest, quote == '\'' ? -1 : escape, buf);
		}
	}
	return buf->len > 0;
}
