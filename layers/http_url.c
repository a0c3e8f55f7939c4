#include "layers/http.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "layers/http_exchange.h"

static void curlu_cleanupp(CURLU **u)
{
	curl_url_cleanup(*u);
}
#define cleanup_curlu __attribute__((cleanup(curlu_cleanupp)))

static CURLU *parse_url(const char *url)
{
	cleanup_curlu CURLU *u = NULL;

	if (strlen(url) > CB_HTTP_URL_MAX)
		return NULL;
	u = curl_url();
	/* NULL: no libcurl, which cb_http_need_library tells. */
	if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
		return NULL;
	return CB_TAKE_PTR(u);
}

/* A part as our own string, so that callers need no curl_free; NULL when absent. */
static char *url_part(CURLU *u, CURLUPart part, unsigned int flags)
{
	char *text = NULL, *copy;

	if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
		return NULL;
	copy = cb_xstrdup(text);
	curl_free(text);
	return copy;
}

static bool is_http(CURLU *u)
{
	cleanup_free char *scheme = url_part(u, CURLUPART_SCHEME, 0);

	return scheme && (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);
}

char *cb_http_url_origin(const char *url)
{
	cleanup_curlu CURLU *u = parse_url(url);
	cleanup_free char *scheme = NULL, *host = NULL, *port = NULL;

	if (!u || !is_http(u))
		return NULL;
	scheme = url_part(u, CURLUPART_SCHEME, 0);
	host = url_part(u, CURLUPART_HOST, 0);
	port = url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	if (!scheme || !host || !port)
		return NULL;
	cb_str_lower(scheme);
	cb_str_lower(host);
	return cb_xasprintf("%s://%s:%s", scheme, host, port);
}

int cb_http_url_join(const char *base, const char *ref, char **ret, struct cb_err **err)
{
	cleanup_curlu CURLU *u = parse_url(base);
	char *joined;

	/* The user information of the base is no business of another URL, and a server has no say in ours. */
	if (!u || !is_http(u) || strlen(ref) > CB_HTTP_URL_MAX || curl_url_set(u, CURLUPART_URL, ref, 0) != CURLUE_OK ||
		!is_http(u) || curl_url_set(u, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
		curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK)
		return cb_err_set(err, CB_ERR_CORRUPT, "not an http or https address");
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	joined = url_part(u, CURLUPART_URL, 0);
	if (!joined)
		return cb_err_set(err, CB_ERR_CORRUPT, "not an http or https address");
	*ret = joined;
	return 0;
}

char *cb_http_url_redact(const char *url)
{
	cleanup_curlu CURLU *u = parse_url(url);
	cleanup_free char *text = NULL;

	if (!u)
		return cb_xstrdup("(malformed URL)");
	curl_url_set(u, CURLUPART_USER, NULL, 0);
	curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	curl_url_set(u, CURLUPART_QUERY, NULL, 0);
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	text = url_part(u, CURLUPART_URL, 0);
	return text ? CB_TAKE_PTR(text) : cb_xstrdup("(malformed URL)");
}

void cb_http_url_escape(struct cb_buf *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c))
			cb_buf_addc(out, *s);
		else
			cb_buf_addf(out, "%%%02X", c);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *cb_http_url_unescape(const char *s, size_t len)
{
	cleanup_buf struct cb_buf out = { 0 };

	for (size_t i = 0; i < len; i++) {
		int high = i + 2 < len ? hex_digit(s[i + 1]) : -1, low = i + 2 < len ? hex_digit(s[i + 2]) : -1;
		char c = s[i];

		if (c == '%' && high >= 0 && low >= 0) {
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0')
			return NULL;
		cb_buf_addc(&out, c);
	}
	return cb_buf_take(&out);
}

/* "127.x.y.z", all four numbers there, so that "127.evil.org" is none. */
static bool is_ipv4_loopback(const char *host)
{
	cleanup_strv struct cb_strv parts = { 0 };
	uint32_t number = 0;

	cb_strv_split(&parts, host, '.');
	if (parts.n != 4 || strcmp(parts.v[0], "127") != 0)
		return false;
	for (size_t i = 1; i < parts.n; i++)
		if (!cb_num_u32(parts.v[i], &number) || number > 255)
			return false;
	return true;
}

bool cb_http_is_loopback(const char *host)
{
	cleanup_free char *name = NULL;
	const char *colon = strchr(host, ':');

	if (*host == '[')
		return cb_str_starts(host, "[::1]") && (host[5] == '\0' || host[5] == ':');
	/* More than one colon is a bare IPv6 address. */
	if (colon && strchr(colon + 1, ':'))
		return strcmp(host, "::1") == 0;
	name = cb_xstrndup(host, colon ? (size_t)(colon - host) : strlen(host));
	cb_str_lower(name);
	return strcmp(name, "localhost") == 0 || cb_str_ends(name, ".localhost") || is_ipv4_loopback(name);
}
