#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "layers/http_exchange.h"

void cb_http_response_clear(struct cb_http_response *resp)
{
	for (size_t i = 0; i < resp->n_headers; i++) {
		free(resp->headers[i].name);
		free(resp->headers[i].value);
	}
	resp->n_headers = 0;
	resp->status = 0;
	free(CB_TAKE_PTR(resp->url));
	cb_buf_clear(&resp->body);
	resp->body_bytes = 0;
}

void cb_http_response_done(struct cb_http_response *resp)
{
	cb_http_response_clear(resp);
	free(CB_TAKE_PTR(resp->headers));
	resp->cap_headers = 0;
	cb_buf_done(&resp->body);
}

const char *cb_http_header(const struct cb_http_response *resp, const char *name)
{
	for (size_t i = 0; i < resp->n_headers; i++)
		if (strcasecmp(resp->headers[i].name, name) == 0)
			return resp->headers[i].value;
	return NULL;
}

static enum cb_code status_code(int status)
{
	switch (status) {
	case 404:
	case 410:
		return CB_ERR_NOT_FOUND;
	case 401:
	case 403:
	case 407:
		return CB_ERR_DENIED;
	case 408:
	case 429:
		return CB_ERR_NETWORK;
	default:
		return status >= 500 ? CB_ERR_NETWORK : CB_ERR_CORRUPT;
	}
}

static const char *status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ 400, "bad request" },
		{ 401, "authentication required" },
		{ 403, "access denied" },
		{ 404, "not found" },
		{ 407, "proxy authentication required" },
		{ 408, "request timeout" },
		{ 410, "gone" },
		{ 416, "range not satisfiable" },
		{ 429, "too many requests" },
		{ 500, "internal server error" },
		{ 502, "bad gateway" },
		{ 503, "service unavailable" },
		{ 504, "gateway timeout" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return NULL;
}

/* Text from a server, for a terminal: one line, printable, short. */
static void add_clean(struct cb_buf *out, const char *text)
{
	for (size_t n = 0; *text && n < 300; text++, n++)
		cb_buf_addc(out, (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
}

/* Registries answer {"errors": [{"code", "message"}]}, token services {"details"|"error_description"|"error": ...}. */
static void add_body_message(struct cb_buf *out, const struct cb_http_response *resp)
{
	static const char *const keys[] = { "details", "error_description", "message", "error" };
	cleanup_json json_t *doc = NULL;
	const char *text = NULL;
	json_t *list = NULL;

	if (!resp->body.len || cb_json_parse(resp->body.data, resp->body.len, &doc, NULL) < 0 || !json_is_object(doc))
		return;
	list = json_object_get(doc, "errors");
	if (json_is_array(list) && json_array_size(list)) {
		json_t *first = json_array_get(list, 0);

		text = json_string_value(json_object_get(first, "message"));
		if (!text || !*text)
			text = json_string_value(json_object_get(first, "code"));
	}
	for (size_t i = 0; !text && i < ARRAY_SIZE(keys); i++)
		text = json_string_value(json_object_get(doc, keys[i]));
	if (text && *text) {
		cb_buf_adds(out, ": ");
		add_clean(out, text);
	}
}

int cb_http_status_err(const struct cb_http_response *resp, const char *what, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	const char *known = status_text(resp->status);

	if (resp->status >= 200 && resp->status <= 299)
		return 0;
	cb_buf_addf(&text, "HTTP status %d", resp->status);
	if (known)
		cb_buf_addf(&text, " (%s)", known);
	add_body_message(&text, resp);
	return cb_err_set(err, status_code(resp->status), "%s: %s", what, cb_buf_str(&text));
}
