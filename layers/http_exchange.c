#include "layers/http_exchange.h"

#include <ctype.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "base/timefmt.h"

/* Idle connections kept per client; each belongs to one origin. */
#define IDLE_MAX 16

/*
 * libcurl cannot share a connection cache between threads, so each slot has its own, in its multi handle (which also
 * lets a transfer be left at once when the cancel token becomes readable).
 */
struct slot {
	CURLM *multi;
	CURL *easy;
	char *origin;
};

struct cb_http_conns {
	const struct cb_http_options *options;
	pthread_mutex_t lock;
	struct slot *idle[IDLE_MAX]; /* least recently used first */
	size_t n_idle;
	char *ca_pem; /* content of options->ca_file, or NULL */
};

/* One exchange while it runs. */
struct run {
	const struct cb_http_exchange *ex;
	struct cb_http_response *resp;
	CURL *easy;
	struct cb_err *err; /* raised in a callback */
	size_t header_bytes;
	uint64_t sent;
	bool headers_done; /* the empty line was seen: an end before it is no response */
	bool body_started, cut, silent;
	uint64_t heard; /* CLOCK_MONOTONIC ns: when bytes last went either way */
	int patience_ms;
	struct curl_slist *headers;
	char *ca_pem; /* of this transfer */
};

static struct slot *slot_free(struct slot *slot)
{
	if (!slot)
		return NULL;
	curl_easy_cleanup(slot->easy);
	curl_multi_cleanup(slot->multi);
	free(slot->origin);
	free(slot);
	return NULL;
}

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int cb_http_conns_new(const struct cb_http_options *options, struct cb_http_conns **ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf pem = { 0 };
	struct cb_http_conns *conns;
	int r;

	if (options->ca_file) {
		r = cb_file_read_at(AT_FDCWD, options->ca_file, 8 * 1024 * 1024, &pem, err);
		if (r < 0)
			return cb_err_wrap(err, r, "certificate authorities");
	}
	conns = cb_new0(struct cb_http_conns);
	conns->options = options;
	if (options->ca_file)
		conns->ca_pem = cb_buf_take(&pem);
	pthread_mutex_init(&conns->lock, NULL);
	*ret = conns;
	return 0;
}

struct cb_http_conns *cb_http_conns_free(struct cb_http_conns *conns)
{
	if (!conns)
		return NULL;
	for (size_t i = 0; i < conns->n_idle; i++)
		slot_free(conns->idle[i]);
	pthread_mutex_destroy(&conns->lock);
	free(conns->ca_pem);
	free(conns);
	return NULL;
}

/* The idle slot that spoke to @origin last, or a new one; NULL when there is no libcurl. */
static struct slot *take_slot(struct cb_http_conns *conns, const char *origin)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct slot *slot = NULL;

	/* Not earlier: a build that asks no server does not even load libcurl. */
	pthread_once(&once, init_curl);
	pthread_mutex_lock(&conns->lock);
	for (size_t i = conns->n_idle; i-- > 0 && !slot;) {
		if (strcmp(conns->idle[i]->origin, origin) != 0)
			continue;
		slot = conns->idle[i];
		conns->n_idle--;
		memmove(conns->idle + i, conns->idle + i + 1, (conns->n_idle - i) * sizeof(struct slot *));
	}
	pthread_mutex_unlock(&conns->lock);
	if (slot) {
		curl_easy_reset(slot->easy);
		return slot;
	}
	slot = cb_new0(struct slot);
	slot->origin = cb_xstrdup(origin);
	slot->easy = curl_easy_init();
	slot->multi = curl_multi_init();
	return slot->easy && slot->multi ? slot : slot_free(slot);
}

static void give_slot(struct cb_http_conns *conns, struct slot *slot)
{
	struct slot *old = NULL;

	pthread_mutex_lock(&conns->lock);
	if (conns->n_idle == IDLE_MAX) {
		old = conns->idle[0];
		conns->n_idle--;
		memmove(conns->idle, conns->idle + 1, conns->n_idle * sizeof(struct slot *));
	}
	conns->idle[conns->n_idle++] = slot;
	pthread_mutex_unlock(&conns->lock);
	slot_free(old);
}

/* "HTTP/1.1 206 Partial Content": a new response begins (also after a 1xx). */
static void begin_response(struct run *run, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	struct cb_http_response *resp = run->resp;
	int status = 0;

	for (size_t i = 0; i < resp->n_headers; i++) {
		free(resp->headers[i].name);
		free(resp->headers[i].value);
	}
	resp->n_headers = 0;
	if (space && (size_t)(line + len - space) >= 4)
		for (int i = 1; i <= 3 && isdigit((unsigned char)space[i]); i++)
			status = status * 10 + (space[i] - '0');
	resp->status = status;
}

static size_t on_header(char *data, size_t size, size_t n, void *userdata)
{
	struct run *run = userdata;
	struct cb_http_response *resp = run->resp;
	size_t len = size * n;
	const char *colon;
	struct cb_http_header *h;

	run->heard = cb_time_mono();
	if (run->body_started)
		return len; /* trailers */
	run->header_bytes += len;
	if (run->header_bytes > CB_HTTP_HEADERS_SIZE_MAX || resp->n_headers >= CB_HTTP_HEADERS_MAX) {
		cb_err_set(&run->err, CB_ERR_LIMIT, "the response has too many headers");
		return 0;
	}
	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
		begin_response(run, data, len);
		run->headers_done = false;
		return len;
	}
	if (*data == '\r' || *data == '\n')
		run->headers_done = true;
	colon = memchr(data, ':', len);
	if (!colon || memchr(data, '\0', len))
		return len;
	CB_GROW(resp->headers, resp->cap_headers, resp->n_headers + 1);
	h = &resp->headers[resp->n_headers++];
	h->name = cb_str_lower(cb_xstrndup(data, (size_t)(colon - data)));
	{
		cleanup_free char *value = cb_xstrndup(colon + 1, (size_t)(data + len - colon - 1));

		h->value = cb_str_trim(value);
	}
	return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
	struct run *run = userdata;
	size_t len = size * n;
	int r;

	run->heard = cb_time_mono();
	run->body_started = true;
	r = run->ex->body(run->ex->userdata, data, len, &run->err);
	if (r == 0)
		return len;
	run->cut = r > 0;
	return len ? 0 : 1;
}

/* libcurl looks at an average of some seconds, which is right for a trickle; silence is noticed by drive(). */
static void set_patience(struct run *run, int ms)
{
	curl_easy_setopt(run->easy, CURLOPT_LOW_SPEED_TIME, (long)CB_MAX(ms / 1000, 1));
	run->patience_ms = ms;
}

static size_t on_read(char *data, size_t size, size_t n, void *userdata)
{
	struct run *run = userdata;
	const struct cb_http_upload *up = run->ex->upload;
	size_t len = (size_t)CB_MIN((uint64_t)(size * n), up->len - run->sent);
	ssize_t got;

	run->heard = cb_time_mono();
	if (!len)
		return 0;
	if (up->data) {
		memcpy(data, (const char *)up->data + run->sent, len);
		got = (ssize_t)len;
	} else {
		got = pread(up->fd, data, len, (off_t)(up->offset + run->sent));
		if (got <= 0) {
			if (got < 0)
				cb_err_errno(&run->err, errno, "read what is uploaded");
			else
				cb_err_set(&run->err, CB_ERR_IO, "read what is uploaded: it became shorter");
			return CURL_READFUNC_ABORT;
		}
	}
	run->sent += (uint64_t)got;
	if (run->sent == up->len && run->ex->answer_timeout_ms)
		set_patience(run, run->ex->answer_timeout_ms);
	if (up->progress)
		up->progress(up->userdata, run->sent);
	return (size_t)got;
}

static int on_seek(void *userdata, curl_off_t offset, int origin)
{
	struct run *run = userdata;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > run->ex->upload->len)
		return CURL_SEEKFUNC_FAIL;
	run->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void add_header(struct run *run, const char *line)
{
	struct curl_slist *grown;

	/* A line break in a value would be a second header. */
	if (strpbrk(line, "\r\n"))
		return;
	grown = curl_slist_append(run->headers, line);
	if (!grown)
		abort();
	run->headers = grown;
}

static void set_headers(CURL *easy, struct run *run)
{
	const struct cb_http_exchange *ex = run->ex;

	for (size_t i = 0; ex->headers && i < ex->headers->n; i++)
		add_header(run, ex->headers->v[i]);
	if (ex->authorization) {
		cleanup_free char *line = cb_xasprintf("Authorization: %s", ex->authorization);

		add_header(run, line);
	}
	if (ex->from) {
		cleanup_free char *line = cb_xasprintf("Range: bytes=%llu-", (unsigned long long)ex->from);

		add_header(run, line);
		if (ex->if_range) {
			cleanup_free char *cond = cb_xasprintf("If-Range: %s", ex->if_range);

			add_header(run, cond);
		}
	}
	if (ex->aws && ex->aws->session) {
		cleanup_free char *line = cb_xasprintf("X-Amz-Security-Token: %s", ex->aws->session);

		add_header(run, line);
	}
	add_header(run, "Expect:"); /* no second of waiting for "100 Continue" */
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, run->headers);
}

static void set_method(CURL *easy, struct run *run)
{
	const struct cb_http_exchange *ex = run->ex;

	if (strcmp(ex->method, "GET") == 0)
		return;
	if (strcmp(ex->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, ex->method);
	if (!ex->upload && strcmp(ex->method, "DELETE") == 0)
		return;
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, ex->upload ? (curl_off_t)ex->upload->len : (curl_off_t)0);
	if (!ex->upload)
		return;
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, run);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, run);
}

static void set_signature(CURL *easy, const struct cb_http_aws *aws)
{
	cleanup_free char *how = aws ? cb_xasprintf("aws:amz:%s:s3", aws->region) : NULL;

	if (!aws)
		return;
	curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, how);
	curl_easy_setopt(easy, CURLOPT_USERPWD, aws->user);
}

static void set_tls(CURL *easy, const struct cb_http_conns *conns, struct run *run)
{
	const struct cb_http_options *o = conns->options;
	const struct cb_http_tls *tls = run->ex->tls;
	const char *own = tls ? tls->ca_pem : NULL;

	if (o->insecure || (tls && tls->insecure)) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (tls && tls->client_cert) {
		curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->client_cert);
		curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->client_key ? tls->client_key : tls->client_cert);
	}
	if (o->ca_dir) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(easy, CURLOPT_CAPATH, o->ca_dir);
	}
	if (conns->ca_pem || own) {
		/* Replaces the system's bundle, not the system's directory, so these come on top of it. */
		struct curl_blob blob = { .flags = CURL_BLOB_NOCOPY };

		run->ca_pem = cb_xasprintf("%s\n%s", conns->ca_pem ? conns->ca_pem : "", own ? own : "");
		blob.data = run->ca_pem;
		blob.len = strlen(run->ca_pem);
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
	}
}

static void set_proxy(CURL *easy, const char *url)
{
	cleanup_free char *origin = cb_http_url_origin(url);
	const char *host = origin ? strstr(origin, "://") : NULL;

	/* curl reads the environment itself, but not the upper-case form of http_proxy. */
	if (host && cb_http_is_loopback(host + 3))
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	else if (origin && cb_str_starts(origin, "http:") && !getenv("http_proxy") && getenv("HTTP_PROXY"))
		curl_easy_setopt(easy, CURLOPT_PROXY, getenv("HTTP_PROXY"));
}

static void set_options(CURL *easy, const struct cb_http_conns *conns, struct run *run, char *message)
{
	const struct cb_http_options *o = conns->options;

	curl_easy_setopt(easy, CURLOPT_URL, run->ex->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, o->user_agent);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, o->stall_bytes);
	set_patience(run, (!run->ex->upload || !run->ex->upload->len) && run->ex->answer_timeout_ms
				  ? run->ex->answer_timeout_ms
				  : o->stall_timeout_ms);
	if (!run->ex->streaming)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)o->total_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, run);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, run);
	set_method(easy, run);
	set_headers(easy, run);
	set_signature(easy, run->ex->aws);
	set_tls(easy, conns, run);
	set_proxy(easy, run->ex->url);
}

/* Whole milliseconds, at least one, until the silence is too long; 0 when it is. */
static int patience_left(const struct run *run)
{
	uint64_t end = run->heard + (uint64_t)run->patience_ms * 1000000, now = cb_time_mono();

	return now >= end ? 0 : (int)((end - now) / 1000000) + 1;
}

/* Drives the transfer; CURLE_ABORTED_BY_CALLBACK when the cancel token was raised. */
static CURLcode drive(struct slot *slot, struct run *run)
{
	struct curl_waitfd wait = { .fd = cb_cancel_fd(run->ex->cancel), .events = CURL_WAIT_POLLIN };
	CURLcode code = CURLE_OK;
	int running = 1, left;
	CURLMsg *msg;

	if (curl_multi_add_handle(slot->multi, slot->easy) != CURLM_OK)
		return CURLE_FAILED_INIT;
	run->heard = cb_time_mono();
	for (;;) {
		if (cb_cancel_raised(run->ex->cancel)) {
			code = CURLE_ABORTED_BY_CALLBACK;
			break;
		}
		if (curl_multi_perform(slot->multi, &running) != CURLM_OK) {
			code = CURLE_FAILED_INIT;
			break;
		}
		if (!running)
			break;
		left = patience_left(run);
		if (!left) {
			run->silent = true;
			code = CURLE_OPERATION_TIMEDOUT;
			break;
		}
		curl_multi_poll(slot->multi, &wait, wait.fd >= 0 ? 1 : 0, CB_MIN(left, 1000), NULL);
	}
	while ((msg = curl_multi_info_read(slot->multi, &left)))
		if (msg->msg == CURLMSG_DONE && code == CURLE_OK)
			code = msg->data.result;
	curl_multi_remove_handle(slot->multi, slot->easy);
	return code;
}

static enum cb_http_mend mend_of(CURL *easy, CURLcode code)
{
	long connects = 0;

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
		return CB_HTTP_MEND_BRIEF;
	case CURLE_SSL_CONNECT_ERROR:
		/* Broken off, which may pass, or a server that speaks no TLS, which will not. */
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &connects);
		return connects ? CB_HTTP_MEND_RETRY : CB_HTTP_MEND_BRIEF;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_UPLOAD_FAILED:
		return CB_HTTP_MEND_RETRY;
	default:
		return CB_HTTP_MEND_NO;
	}
}

static int curl_failure(
	struct run *run, CURL *easy, CURLcode code, const char *message, enum cb_http_mend *mend, struct cb_err **err)
{
	const char *text = *message ? message : curl_easy_strerror(code);
	enum cb_code class = CB_ERR_CORRUPT;

	*mend = mend_of(easy, code);
	if (run->err) {
		*mend = CB_HTTP_MEND_NO;
		return cb_err_move(err, CB_TAKE_PTR(run->err));
	}
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return cb_err_set(err, CB_ERR_CANCELED, "canceled");
	if (run->silent)
		return cb_err_set(err, CB_ERR_NETWORK, "no data for %.1f seconds", run->patience_ms / 1000.0);
	if (*mend != CB_HTTP_MEND_NO)
		return cb_err_set(err, CB_ERR_NETWORK, "%s", text);

	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		class = CB_ERR_DENIED;
		break;
	case CURLE_URL_MALFORMAT:
	case CURLE_SSL_CACERT_BADFILE:
		class = CB_ERR_INPUT;
		break;
	case CURLE_OUT_OF_MEMORY:
		abort();
	default:
		break;
	}
	cb_err_set(err, class, "%s", text);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return cb_err_hint(err, class, "give the authority's certificate, or allow the host to be insecure");
	return class;
}

int cb_http_exchange(struct cb_http_conns *conns, const struct cb_http_exchange *ex, struct cb_http_response *resp,
	enum cb_http_mend *mend, struct cb_err **err)
{
	cleanup_free char *origin = cb_http_url_origin(ex->url);
	struct run run = { .ex = ex, .resp = resp };
	char message[CURL_ERROR_SIZE] = "";
	struct slot *slot;
	CURLcode code;
	int r = 0;

	*mend = CB_HTTP_MEND_NO;
	if (!origin)
		return cb_err_set(err, CB_ERR_INPUT, "not an http or https URL");
	cb_http_response_clear(resp);
	resp->url = cb_xstrdup(ex->url);

	slot = take_slot(conns, origin);
	if (!slot)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "libcurl cannot be used");
	run.easy = slot->easy;
	set_options(slot->easy, conns, &run, message);
	code = drive(slot, &run);
	if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && run.cut))
		r = curl_failure(&run, slot->easy, code, message, mend, err);
	else if (!run.headers_done) {
		*mend = CB_HTTP_MEND_RETRY;
		r = cb_err_set(err, CB_ERR_NETWORK, "the connection ended within the headers");
	} else if (resp->status < 100)
		r = cb_err_set(err, CB_ERR_CORRUPT, "the answer has no HTTP status");
	cb_err_free(run.err);
	curl_slist_free_all(run.headers);
	curl_easy_reset(slot->easy); /* forgets what points into this frame */
	free(run.ca_pem);
	give_slot(conns, slot);
	return r;
}
