#include "layers/http.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "layers/http_exchange.h"

#define BODY_MAX_DEFAULT (UINT64_C(4) * 1024 * 1024)
/* So much of a body counts as progress: fewer bytes than that per attempt still use the budget up. */
#define PROGRESS_BYTES (64 * 1024)
#define CHALLENGES_MAX 8

struct cb_http {
	struct cb_http_options options;
	char *user_agent, *ca_file, *ca_dir;
	struct cb_http_conns *conns;
};

/* One request through all its attempts. */
struct request {
	struct cb_http *http;
	const struct cb_http_request *req;
	struct cb_http_response *resp;
	char *origin;       /* of req->url */
	uint64_t delivered; /* bytes that buffer or sink got */
	uint64_t skip;      /* bytes of the running body that it got before */
	uint64_t counted;   /* delivered when progress was last credited */
	bool checked;       /* the running body was matched with what came before */
	bool own_failure;   /* the sink failed, not the transfer */
	char *etag;         /* strong, of the first body */
	uint64_t whole;     /* size of the whole body, or UINT64_MAX */
	int attempts, failures, briefs, challenges;
};

static void pick(int *value, int fallback)
{
	if (*value == 0)
		*value = fallback;
}

int cb_http_new(const struct cb_http_options *options, struct cb_http **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_http_free) struct cb_http *http = cb_new0(struct cb_http);
	struct cb_http_options *o = &http->options;
	int r;

	if (options)
		*o = *options;
	http->user_agent = cb_xstrdup(o->user_agent ? o->user_agent : "cbuild/" CB_VERSION);
	http->ca_file = cb_xstrdup_null(o->ca_file);
	http->ca_dir = cb_xstrdup_null(o->ca_dir);
	o->user_agent = http->user_agent;
	o->ca_file = http->ca_file;
	o->ca_dir = http->ca_dir;
	pick(&o->connect_timeout_ms, 20000);
	pick(&o->stall_timeout_ms, 30000);
	if (o->stall_bytes == 0)
		o->stall_bytes = 64;
	pick(&o->total_timeout_ms, 120000);
	pick(&o->retries, 5);
	o->retries = CB_MAX(o->retries, 0);
	pick(&o->backoff_ms, 250);
	pick(&o->backoff_max_ms, 8000);
	pick(&o->retry_after_max_ms, 30000);
	pick(&o->max_redirects, 10);
	r = cb_http_conns_new(o, &http->conns, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(http);
	return 0;
}

struct cb_http *cb_http_free(struct cb_http *http)
{
	if (!http)
		return NULL;
	cb_http_conns_free(http->conns);
	free(http->user_agent);
	free(http->ca_file);
	free(http->ca_dir);
	free(http);
	return NULL;
}

static bool is_success(int status)
{
	return status >= 200 && status <= 299;
}

bool cb_http_status_transient(int status)
{
	return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

/* "bytes 5-9/10": false unless the three numbers are there; a total of "*" is UINT64_MAX. */
static bool parse_content_range(const char *text, uint64_t *from, uint64_t *total)
{
	cleanup_strv struct cb_strv parts = { 0 };
	cleanup_free char *trimmed = NULL;

	if (!text || !cb_str_starts(text, "bytes "))
		return false;
	trimmed = cb_str_trim(text + 6);
	for (char *p = trimmed; *p; p++)
		if (*p == '/')
			*p = '-';
	cb_strv_split(&parts, trimmed, '-');
	if (parts.n != 3 || !cb_num_u64(parts.v[0], from))
		return false;
	*total = UINT64_MAX;
	return strcmp(parts.v[2], "*") == 0 || cb_num_u64(parts.v[2], total);
}

/* Where in the whole body the response begins, and how large the whole is. */
static int place_of_body(
	const struct cb_http_response *resp, uint64_t asked, uint64_t *from, uint64_t *whole, struct cb_err **err)
{
	const char *length = cb_http_header(resp, "content-length");

	*from = 0;
	*whole = UINT64_MAX;
	if (resp->status != 206) {
		if (length && !cb_num_u64(length, whole))
			*whole = UINT64_MAX;
		return 0;
	}
	if (!asked)
		return cb_err_set(err, CB_ERR_CORRUPT, "the server sent a part of the body that was not asked for");
	if (!parse_content_range(cb_http_header(resp, "content-range"), from, whole) || *from != asked)
		return cb_err_set(err, CB_ERR_CORRUPT, "the server sent another part of the body than was asked for");
	return 0;
}

/* At the first byte of a body: does it continue what was delivered? */
static int check_body(struct request *rq, struct cb_err **err)
{
	uint64_t want = rq->req->range_from + rq->delivered, from, whole;
	const char *etag = cb_http_header(rq->resp, "etag");
	int r;

	r = place_of_body(rq->resp, want, &from, &whole, err);
	if (r < 0)
		return r;
	if (etag && (*etag != '"' || strlen(etag) > 1024))
		etag = NULL;
	if (rq->delivered && ((etag && rq->etag && strcmp(etag, rq->etag) != 0) ||
				     (whole != UINT64_MAX && rq->whole != UINT64_MAX && whole != rq->whole)))
		return cb_err_set(err, CB_ERR_NETWORK, "the content changed while it was read");
	if (!rq->etag && etag && !rq->delivered)
		rq->etag = cb_xstrdup(etag);
	if (!rq->delivered)
		rq->whole = whole;
	rq->skip = want - from;
	return 0;
}

static int take_error_body(struct cb_http_response *resp, const void *data, size_t len)
{
	size_t room = CB_HTTP_ERROR_BODY_MAX - CB_MIN(resp->body.len, (size_t)CB_HTTP_ERROR_BODY_MAX);

	cb_buf_add(&resp->body, data, CB_MIN(len, room));
	return len > room ? CB_HTTP_CUT : 0;
}

static int on_body(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct request *rq = userdata;
	uint64_t max = rq->req->max_body ? rq->req->max_body : rq->req->sink ? UINT64_MAX : BODY_MAX_DEFAULT;
	int r;

	if (!is_success(rq->resp->status))
		return take_error_body(rq->resp, data, len);
	if (!rq->checked) {
		r = check_body(rq, err);
		if (r < 0)
			return r;
		rq->checked = true;
	}
	if (rq->skip) {
		size_t skipped = (size_t)CB_MIN(rq->skip, (uint64_t)len);

		rq->skip -= skipped;
		data = (const char *)data + skipped;
		len -= skipped;
	}
	if (!len)
		return 0;
	if (len > max - rq->delivered)
		return cb_err_set(err, CB_ERR_LIMIT, "the body is larger than %llu bytes", (unsigned long long)max);
	if (rq->req->sink) {
		r = rq->req->sink(rq->req->userdata, data, len, err);
		if (r < 0) {
			rq->own_failure = true;
			return r;
		}
	} else {
		cb_buf_add(&rq->resp->body, data, len);
	}
	rq->delivered += len;
	return 0;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_https(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
}

/* 0 with the next URL, 1 when @resp is no redirect that may be followed. */
static int next_hop(
	const struct cb_http_response *resp, const char *url, const char **method, char **ret, struct cb_err **err)
{
	bool safe = strcmp(*method, "GET") == 0 || strcmp(*method, "HEAD") == 0;
	const char *location = cb_http_header(resp, "location");
	cleanup_free char *next = NULL;
	int r;

	if (!is_redirect(resp->status) || !location)
		return 1;
	/* What 301 and 302 make of an upload differs between servers: not guessed. */
	if (!safe && (resp->status == 301 || resp->status == 302))
		return 1;
	r = cb_http_url_join(url, location, &next, err);
	if (r < 0)
		return cb_err_wrap(err, r, "redirect");
	if (is_https(url) && !is_https(next)) {
		cleanup_free char *shown = cb_http_url_redact(next);

		return cb_err_set(err, CB_ERR_DENIED, "refused to be redirected from https to %s", shown);
	}
	if (!safe && resp->status == 303)
		*method = "GET";
	*ret = CB_TAKE_PTR(next);
	return 0;
}

/* One attempt: the exchange and the redirects after it. *foreign: the answer came from another origin. */
static int attempt(
	struct request *rq, const char *authorization, bool *foreign, enum cb_http_mend *mend, struct cb_err **err)
{
	const struct cb_http_request *req = rq->req;
	const char *method = req->method ? req->method : "GET";
	cleanup_free char *url = cb_xstrdup(req->url);
	int r;

	*foreign = false;
	for (int hops = 0;; hops++) {
		cleanup_free char *next = NULL;
		bool changed = strcmp(method, req->method ? req->method : "GET") != 0;
		struct cb_http_exchange ex = {
			.method = method,
			.url = url,
			.authorization = *foreign ? NULL : authorization,
			.headers = req->headers,
			.upload = changed ? NULL : req->upload,
			.tls = *foreign ? NULL : req->tls,
			.aws = *foreign ? NULL : req->aws,
			.from = req->range_from + rq->delivered,
			.if_range = rq->delivered ? rq->etag : NULL,
			.streaming = req->sink != NULL || req->upload != NULL,
			.answer_timeout_ms = req->answer_timeout_ms,
			.cancel = req->cancel,
			.body = on_body,
			.userdata = rq,
		};

		rq->checked = false;
		rq->skip = 0;
		r = cb_http_exchange(rq->http->conns, &ex, rq->resp, mend, err);
		if (r < 0)
			return r;
		*mend = CB_HTTP_MEND_NO;
		if (is_success(rq->resp->status) && strcmp(method, "HEAD") != 0 && rq->delivered < req->expect) {
			*mend = CB_HTTP_MEND_RETRY;
			return cb_err_set(err, CB_ERR_NETWORK, "the body ended after %llu of %llu bytes",
				(unsigned long long)rq->delivered, (unsigned long long)req->expect);
		}
		if (req->flags & CB_HTTP_NO_REDIRECT)
			return 0;
		r = next_hop(rq->resp, url, &method, &next, err);
		if (r < 0)
			return r;
		if (r > 0)
			return 0;
		if (hops >= rq->http->options.max_redirects)
			return cb_err_set(err, CB_ERR_LIMIT, "more than %d redirects", rq->http->options.max_redirects);
		free(url);
		url = CB_TAKE_PTR(next);
		{
			cleanup_free char *origin = cb_http_url_origin(url);

			/* Once left, never trusted again: a foreign server must not choose what our credentials do. */
			*foreign = *foreign || !cb_str_eq(origin, rq->origin);
		}
	}
}

static int sleep_ms(struct cb_cancel *cancel, int ms, struct cb_err **err)
{
	struct pollfd p = { .fd = cb_cancel_fd(cancel), .events = POLLIN };
	uint64_t end = cb_time_mono() + (uint64_t)ms * 1000000;

	for (;;) {
		uint64_t now = cb_time_mono();
		int r;

		r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
		if (now >= end)
			return 0;
		if (poll(&p, p.fd >= 0 ? 1 : 0, (int)((end - now) / 1000000) + 1) < 0 && errno != EINTR)
			return cb_err_errno(err, errno, "wait before another attempt");
	}
}

/* Milliseconds that the server asks for, within the limit; 0 when it does not. */
static int retry_after(const struct cb_http_options *o, const struct cb_http_response *resp)
{
	const char *text = resp ? cb_http_header(resp, "retry-after") : NULL;
	int max = o->retry_after_max_ms;
	uint64_t seconds = 0;

	if (!text)
		return 0;
	if (!cb_num_u64(text, &seconds)) {
		time_t at = curl_getdate(text, NULL), now = time(NULL);

		seconds = at > now ? (uint64_t)(at - now) : 0;
	}
	return seconds > (uint64_t)max / 1000 ? max : (int)seconds * 1000;
}

/* Doubles with each failure; half of it is random, so that many clients do not come back at once. */
static int backoff(const struct cb_http_options *o, int failures)
{
	int ms = o->backoff_ms;
	unsigned int noise = 0;

	for (int i = 1; i < failures && ms < o->backoff_max_ms; i++)
		ms *= 2;
	ms = CB_MIN(ms, o->backoff_max_ms);
	if (getrandom(&noise, sizeof(noise), GRND_NONBLOCK) != sizeof(noise))
		noise = (unsigned int)cb_time_mono();
	return ms / 2 + (int)(noise % (unsigned int)(ms / 2 + 1));
}

static int pause_after(struct cb_http *http, int failures, const struct cb_http_response *resp,
	struct cb_cancel *cancel, struct cb_err **err)
{
	return sleep_ms(cancel, CB_MAX(retry_after(&http->options, resp), backoff(&http->options, failures)), err);
}

int cb_http_pause(struct cb_http *http, int failures, const struct cb_http_response *resp, struct cb_cancel *cancel,
	struct cb_err **err)
{
	if (failures > http->options.retries)
		return 1;
	return pause_after(http, failures, resp, cancel, err);
}

/* Whether another attempt is worth it; counts it. */
static bool may_retry(struct request *rq, enum cb_http_mend mend)
{
	if (rq->delivered - rq->counted >= PROGRESS_BYTES) {
		rq->counted = rq->delivered;
		rq->failures = 0;
		rq->briefs = 0;
	}
	if (mend == CB_HTTP_MEND_NO || (rq->req->flags & CB_HTTP_NO_RETRY) || rq->attempts >= CB_HTTP_ATTEMPTS_MAX)
		return false;
	if (mend == CB_HTTP_MEND_BRIEF && rq->briefs++ > 0)
		return false;
	return rq->failures++ < rq->http->options.retries;
}

/* 0: try again; 1: the response stands; or an error. */
static int judge(struct request *rq, bool foreign, struct cb_err **err)
{
	const struct cb_http_authorizer *auth = rq->req->authorizer;
	int r;

	if (rq->resp->status == 401 && auth && auth->challenged && !foreign && rq->challenges++ < CHALLENGES_MAX) {
		r = auth->challenged(auth->userdata, rq->resp, rq->req->cancel, err);
		return r;
	}
	if (!cb_http_status_transient(rq->resp->status) || !may_retry(rq, CB_HTTP_MEND_RETRY))
		return 1;
	cb_log_debug("http: status %d from %s, trying again", rq->resp->status, rq->origin);
	return pause_after(rq->http, rq->failures, rq->resp, rq->req->cancel, err);
}

/* One attempt and what follows from it; as judge. */
static int try_once(struct request *rq, struct cb_err **err)
{
	const struct cb_http_authorizer *auth = rq->req->authorizer;
	cleanup_free char *authorization = NULL;
	cleanup_err struct cb_err *failure = NULL;
	enum cb_http_mend mend = CB_HTTP_MEND_NO;
	bool foreign = false;
	int r;

	r = cb_cancel_check(rq->req->cancel, err);
	if (r < 0)
		return r;
	if (auth && auth->value) {
		r = auth->value(auth->userdata, rq->req->cancel, &authorization, err);
		if (r < 0)
			return r;
	}
	rq->attempts++;
	if (!rq->req->sink && rq->delivered) {
		rq->delivered = 0; /* a buffered body starts anew */
		rq->counted = 0;
	}
	r = attempt(rq, authorization, &foreign, &mend, &failure);
	if (r == 0)
		return judge(rq, foreign, err);
	if (!may_retry(rq, mend)) {
		if (r != CB_ERR_CANCELED && !rq->own_failure)
			cb_err_wrap(&failure, r, "%s", rq->origin);
		return cb_err_move(err, CB_TAKE_PTR(failure));
	}
	cb_log_debug("http: %s: %s, trying again", rq->origin, cb_err_msg(failure));
	return pause_after(rq->http, rq->failures, NULL, rq->req->cancel, err);
}

int cb_http_do(
	struct cb_http *http, const struct cb_http_request *req, struct cb_http_response *resp, struct cb_err **err)
{
	struct request rq = { .http = http, .req = req, .resp = resp, .whole = UINT64_MAX };
	int r;

	assert(http);
	assert(req->url);
	r = cb_http_need_library(err);
	if (r < 0)
		return r;
	rq.origin = cb_http_url_origin(req->url);
	if (!rq.origin)
		return cb_err_set(err, CB_ERR_INPUT, "not an http or https URL");
	do {
		r = try_once(&rq, err);
	} while (r == 0 && rq.attempts < CB_HTTP_ATTEMPTS_MAX + CHALLENGES_MAX);
	resp->body_bytes = rq.delivered;
	free(rq.etag);
	free(rq.origin);
	return r < 0 ? r : 0;
}
