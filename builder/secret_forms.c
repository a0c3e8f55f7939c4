/* The texts by which the value of a secret would be known. */
#include <ctype.h>
#include <string.h>

#include "builder/secret.h"

/* A line of this many characters of base64 and nothing else is a key or a token, not a word that others use, too. */
#define KEY_LINE 32

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/*
 * What stays the same of the base64 of a text that has @len bytes @data at an offset of @shift (modulo 3), whatever is
 * around them: the characters made of these bytes alone.
 */
static void base64_inside(
	struct cb_buf *out, const char *alphabet, const unsigned char *data, size_t len, unsigned int shift)
{
	size_t first = (8 * shift + 5) / 6, last = 8 * (shift + len) / 6;

	for (size_t at = first; at < last; at++) {
		size_t bit = 6 * at - (size_t)8 * shift, byte = bit / 8;
		unsigned int two = (unsigned int)data[byte] << 8 | (byte + 1 < len ? data[byte + 1] : 0);

		cb_buf_addc(out, alphabet[two >> (10 - bit % 8) & 63]);
	}
}

/* Tools agree on letters and digits only: @safe are the other characters that stay, @hex the digits. */
static void url_encode(
	struct cb_buf *out, const unsigned char *data, size_t len, const char *safe, const char *hex, bool plus)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = data[i];

		if (isalnum(c) || (c && strchr(safe, c))) {
			cb_buf_addc(out, (char)c);
		} else if (c == ' ' && plus) {
			cb_buf_addc(out, '+');
		} else {
			cb_buf_addc(out, '%');
			cb_buf_addc(out, hex[c >> 4]);
			cb_buf_addc(out, hex[c & 15]);
		}
	}
}

/* As JSON writes it: what has to be escaped, then also "/", then as Go does it (for HTML). */
static void json_escape(struct cb_buf *out, const char *data, size_t len, const char *also)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";

	for (size_t i = 0; i < len; i++) {
		char c = data[i];
		const char *known = c ? strchr(plain, c) : NULL;

		if (known)
			cb_buf_addf(out, "\\%c", letter[known - plain]);
		else if (c == '/' && *also == '/')
			cb_buf_adds(out, "\\/");
		else if ((unsigned char)c < 0x20 || strchr(also, c))
			cb_buf_addf(out, "\\u%04x", (unsigned int)c);
		else
			cb_buf_addc(out, c);
	}
}

/* As XML and HTML write it. */
static void markup_escape(struct cb_buf *out, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (data[i]) {
		case '&':
			cb_buf_adds(out, "&amp;");
			break;
		case '<':
			cb_buf_adds(out, "&lt;");
			break;
		case '>':
			cb_buf_adds(out, "&gt;");
			break;
		case '"':
			cb_buf_adds(out, "&quot;");
			break;
		default:
			cb_buf_addc(out, data[i]);
		}
	}
}

/* As shells write it inside '...', with set -x for example. */
static void shell_escape(struct cb_buf *out, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] == '\'')
			cb_buf_adds(out, "'\\''");
		else
			cb_buf_addc(out, data[i]);
}

static void take(struct cb_needles *needles, struct cb_buf *text, unsigned int owner)
{
	if (text->len)
		cb_needles_add(needles, text->data, text->len, owner);
	if (text->data)
		explicit_bzero(text->data, text->cap);
	cb_buf_clear(text);
}

static void add_encoded(struct cb_needles *needles, const char *data, size_t len, unsigned int owner)
{
	static const char *const safe[] = { "-_.~", "-_.~/", "-_.!~*'()", "" };
	static const char *const json[] = { "", "/", "<>&" };
	const unsigned char *bytes = (const unsigned char *)data;
	cleanup_buf struct cb_buf text = { 0 };

	for (unsigned int shift = 0; shift < 3; shift++) {
		base64_inside(&text, standard, bytes, len, shift);
		take(needles, &text, owner);
		base64_inside(&text, url_safe, bytes, len, shift);
		take(needles, &text, owner);
	}
	for (size_t i = 0; i < 2 * ARRAY_SIZE(safe); i++) {
		url_encode(&text, bytes, len, safe[i / 2], "0123456789ABCDEF", i % 2);
		take(needles, &text, owner);
		url_encode(&text, bytes, len, safe[i / 2], "0123456789abcdef", i % 2);
		take(needles, &text, owner);
	}
	for (size_t i = 0; i < ARRAY_SIZE(json); i++) {
		json_escape(&text, data, len, json[i]);
		take(needles, &text, owner);
	}
	markup_escape(&text, data, len);
	take(needles, &text, owner);
	shell_escape(&text, data, len);
	take(needles, &text, owner);
}

static bool is_key(const char *line, size_t len)
{
	if (len < KEY_LINE)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)line[i]) && (!line[i] || !strchr("+/=-_", line[i])))
			return false;
	return true;
}

/* "-----BEGIN ...": the same in every key. */
static bool is_frame(const char *line, size_t len)
{
	return len >= 5 && memcmp(line, "-----", 5) == 0;
}

static void add_lines(struct cb_needles *needles, const char *data, size_t len, unsigned int owner, bool keys_only)
{
	const char *end = data + len;

	for (const char *at = data; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at)), *next = stop ? stop + 1 : end;

		stop = stop ? stop : end;
		while (at < stop && isspace((unsigned char)*at))
			at++;
		while (stop > at && isspace((unsigned char)stop[-1]))
			stop--;
		if (!is_frame(at, (size_t)(stop - at)) && (!keys_only || is_key(at, (size_t)(stop - at))))
			cb_needles_add(needles, at, (size_t)(stop - at), owner);
		at = next;
	}
}

static struct cb_needles *all(const struct cb_settings *settings, bool keys_only)
{
	struct cb_needles *needles = cb_needles_new();

	for (size_t i = 0; i < settings->n_secrets; i++) {
		const struct cb_secret_spec *secret = &settings->secrets[i];
		size_t len = secret->value.len;

		if (!secret->loaded)
			continue;
		/* The line end of a file is not part of what its user copies. */
		while (len && isspace((unsigned char)secret->value.data[len - 1]))
			len--;
		if (len < CB_NEEDLE_MIN)
			continue;
		cb_needles_add(needles, secret->value.data, len, (unsigned int)i);
		add_encoded(needles, secret->value.data, len, (unsigned int)i);
		if (memchr(secret->value.data, '\n', len))
			add_lines(needles, secret->value.data, len, (unsigned int)i, keys_only);
	}
	cb_needles_seal(needles);
	return needles;
}

struct cb_needles *cb_secrets_shown(const struct cb_settings *settings)
{
	return all(settings, false);
}

struct cb_needles *cb_secrets_kept(const struct cb_settings *settings)
{
	return all(settings, true);
}
