/*
 * One HTTP exchange without policy: private to http.c, which decides about retries, redirects and authorization.
 */
#ifndef CB_LAYERS_HTTP_EXCHANGE_H
#define CB_LAYERS_HTTP_EXCHANGE_H

#include "layers/http.h"

/** How a failed exchange may be mended. */
enum cb_http_mend {
	CB_HTTP_MEND_NO,    /* it would fail again */
	CB_HTTP_MEND_BRIEF, /* hardly: names that do not resolve, refused or timed out; one more attempt */
	CB_HTTP_MEND_RETRY, /* likely */
};

/** Ends an exchange early that has all it needs (from the body function). */
#define CB_HTTP_CUT 1

struct cb_http_exchange {
	const char *method, *url;
	const char *authorization; /* or NULL */
	const struct cb_strv *headers;
	const struct cb_http_upload *upload;
	const struct cb_http_tls *tls;
	const struct cb_http_aws *aws;
	uint64_t from;         /* a Range from there to the end is asked for unless 0 */
	const char *if_range;  /* or NULL */
	bool streaming;        /* no limit on the whole time, only on stalls */
	int answer_timeout_ms; /* as in cb_http_request */
	struct cb_cancel *cancel;
	/** Takes the body; resp has status and headers. 0, CB_HTTP_CUT, or negative with *err. */
	int (*body)(void *userdata, const void *data, size_t len, struct cb_err **err);
	void *userdata;
};

struct cb_http_conns;

/** @options has no defaults left in it; it and its strings are borrowed. */
int cb_http_conns_new(const struct cb_http_options *options, struct cb_http_conns **ret, struct cb_err **err);
struct cb_http_conns *cb_http_conns_free(struct cb_http_conns *conns);

/** CB_ERR_UNSUPPORTED when libcurl is missing: it is loaded late, so cbuild starts without. */
int cb_http_need_library(struct cb_err **err);

/** Empties @resp and fills it with status, headers and url. On failure *mend says what a retry would do. */
int cb_http_exchange(struct cb_http_conns *conns, const struct cb_http_exchange *ex, struct cb_http_response *resp,
	enum cb_http_mend *mend, struct cb_err **err);

void cb_http_response_clear(struct cb_http_response *resp);

#endif
