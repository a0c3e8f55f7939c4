/*
 * HTTP client: the only code that touches libcurl, but for engineload.c, which streams what it makes.
 *
 * A client keeps idle connections and hands each request one that spoke to the same origin before, so a client is made
 * once and shared: all functions may be called from several threads. A request blocks its thread until the response
 * is complete, a limit is reached, or its cancel token is raised (answered within milliseconds, connecting included).
 *
 * What a request does on its own:
 *  - Transient failures (connection reset, refused or stalled, 408, 429, 5xx) are tried again with exponential backoff
 *    and jitter; Retry-After is obeyed up to retry_after_max_ms. Progress of the body refills the budget, but the
 *    attempts of one request never exceed CB_HTTP_ATTEMPTS_MAX.
 *  - A body that breaks off goes on with Range where it stopped (or is read again from its start, skipping what was
 *    delivered, when the server ignores Range): the sink sees one contiguous stream, so hashing continues.
 *  - Redirects are followed here, not by curl. The authorization and the client certificate go only to the origin
 *    (scheme, host, port) of the first URL; https to http is refused; at most max_redirects.
 *  - 401 asks the request's authorizer for a new value, also in the middle of a body.
 *  - Proxies come from http_proxy, HTTP_PROXY, https_proxy, HTTPS_PROXY, all_proxy and no_proxy; loopback never uses
 * one.
 *
 * Failures have a class: CB_ERR_NETWORK what a retry may mend later, CB_ERR_DENIED certificates and refused redirects,
 * CB_ERR_LIMIT a bound of ours, CB_ERR_CORRUPT what is not HTTP, CB_ERR_CANCELED.
 */
#ifndef CB_LAYERS_HTTP_H
#define CB_LAYERS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/strv.h"

#define CB_HTTP_ATTEMPTS_MAX 64
/** Response headers: how many, and their bytes together. */
#define CB_HTTP_HEADERS_MAX 200
#define CB_HTTP_HEADERS_SIZE_MAX (64 * 1024)
/** Bytes kept of an error response's body, for its message. */
#define CB_HTTP_ERROR_BODY_MAX (64 * 1024)
#define CB_HTTP_URL_MAX (32 * 1024)

struct cb_http;

/** 0 or NULL stands for the default everywhere. Strings are copied. */
struct cb_http_options {
	const char *user_agent; /* cbuild/VERSION */
	const char *ca_file;    /* PEM file of authorities, trusted besides the system's */
	const char *ca_dir;     /* hashed directory (openssl rehash) in place of the system's */
	bool insecure;          /* certificates are not checked, for any host */
	int connect_timeout_ms; /* name lookup, TCP and TLS: 20 s */
	int stall_timeout_ms;   /* a transfer below stall_bytes per second for so long fails: 30 s; whole seconds */
	long stall_bytes;       /* 64 */
	int total_timeout_ms;   /* for one attempt at a response without sink: 120 s */
	int retries;            /* further attempts without progress: 5; negative: none */
	int backoff_ms;         /* first pause, doubled each time, half of it random: 250 */
	int backoff_max_ms;     /* 8 s */
	int retry_after_max_ms; /* 30 s */
	int max_redirects;      /* 10 */
};

int cb_http_new(const struct cb_http_options *options, struct cb_http **ret, struct cb_err **err);
struct cb_http *cb_http_free(struct cb_http *http);
CB_DEFINE_CLEANUP(struct cb_http *, cb_http_free)

/** TLS of one host, as certs.d gives it. Borrowed for the time of the request. */
struct cb_http_tls {
	const char *ca_pem;      /* concatenated PEM, trusted besides the system's and the client's; or NULL */
	const char *client_cert; /* PEM file, or NULL */
	const char *client_key;  /* PEM file, or NULL when client_cert has it too */
	bool insecure;
};

struct cb_http_header {
	char *name; /* lower case */
	char *value;
};

/** Of the last hop. Zero-initialise, end with cb_http_response_done. */
struct cb_http_response {
	int status;
	char *url; /* after redirects */
	struct cb_http_header *headers;
	size_t n_headers, cap_headers;
	struct cb_buf body;  /* empty when a sink took it */
	uint64_t body_bytes; /* delivered to buffer or sink */
};
void cb_http_response_done(struct cb_http_response *resp);
#define cleanup_http_response __attribute__((cleanup(cb_http_response_done)))

/** The first value of @name (any case), or NULL. Borrowed. */
const char *cb_http_header(const struct cb_http_response *resp, const char *name);

/** Where the Authorization header comes from. */
struct cb_http_authorizer {
	void *userdata;
	/** Sets *ret to the header's value (caller frees) or NULL for none. Called before each attempt. */
	int (*value)(void *userdata, struct cb_cancel *cancel, char **ret, struct cb_err **err);
	/** After a 401: 0 when value() will now give something new, 1 when there is nothing else to try. */
	int (*challenged)(
		void *userdata, const struct cb_http_response *resp, struct cb_cancel *cancel, struct cb_err **err);
};

/** What is sent: @len bytes at @data or, when that is NULL, of @fd from @offset (pread, so it can be sent again). */
struct cb_http_upload {
	const void *data;
	int fd;
	uint64_t offset, len;
	/** May be NULL. Called as bytes leave; @sent starts again after a retry. */
	void (*progress)(void *userdata, uint64_t sent);
	void *userdata;
};

/** Signature of a request to S3 (AWS Signature Version 4). */
struct cb_http_aws {
	const char *user; /* "access key:secret key" */
	const char *region;
	const char *session; /* token of temporary credentials, or NULL */
};

enum cb_http_flag {
	CB_HTTP_NO_RETRY = 1 << 0,    /* one attempt (and re-authorization) */
	CB_HTTP_NO_REDIRECT = 1 << 1, /* a 3xx is the response */
};

/** Takes the body of a 2xx response piece by piece; negative (with *err) ends the request with that code. */
typedef int (*cb_http_sink)(void *userdata, const void *data, size_t len, struct cb_err **err);

struct cb_http_request {
	const char *method;                          /* NULL: GET */
	const char *url;                             /* http:// or https:// */
	const struct cb_strv *headers;               /* "Name: value"; nothing secret, they follow redirects */
	const struct cb_http_authorizer *authorizer; /* or NULL */
	const struct cb_http_upload *upload;         /* or NULL */
	const struct cb_http_aws *aws;               /* or NULL; then no authorizer */
	const struct cb_http_tls *tls;               /* or NULL; for the origin of @url only */
	cb_http_sink sink;                           /* NULL: into resp->body */
	void *userdata;
	uint64_t max_body;     /* CB_ERR_LIMIT beyond; 0: 4 MiB without sink, unlimited with one */
	uint64_t expect;       /* bytes that the body must have: one that ends before broke off; 0: not known */
	uint64_t range_from;   /* start of the body wanted: the sink gets the bytes from here */
	int answer_timeout_ms; /* silence allowed once all of the upload has left; 0: stall_timeout_ms */
	struct cb_cancel *cancel;
	unsigned int flags;
};

/**
 * Runs @req. 0 whenever a complete response arrived, whatever its status (a body with another status than 2xx is in
 * resp->body, cut at CB_HTTP_ERROR_BODY_MAX); with retries, the last one's.
 */
int cb_http_do(
	struct cb_http *http, const struct cb_http_request *req, struct cb_http_response *resp, struct cb_err **err);

/**
 * 0 for 2xx, else an error made of status and the body's message: NOT_FOUND for 404 and 410, DENIED for 401, 403 and
 * 407, NETWORK for 408, 429 and 5xx, else CORRUPT. @what is what was tried ("fetch manifest of x").
 */
int cb_http_status_err(const struct cb_http_response *resp, const char *what, struct cb_err **err);

/**
 * For a caller who repeats a sequence of requests, after its failure number @failures (from 1): pauses as requests do,
 * obeying the Retry-After of @resp (may be NULL). 1 without a pause when the client's retries are used up.
 */
int cb_http_pause(struct cb_http *http, int failures, const struct cb_http_response *resp, struct cb_cancel *cancel,
	struct cb_err **err);
/** True for a status that another attempt may mend: 408, 429 and most of 5xx. */
bool cb_http_status_transient(int status);

/** True for localhost, *.localhost, 127.0.0.0/8 and ::1; @host may have a port, and brackets around IPv6. */
bool cb_http_is_loopback(const char *host);
/** @url without user information and query, for messages. Caller frees. */
char *cb_http_url_redact(const char *url);
/** "https://host:443", lower case: what may share credentials. Caller frees; NULL for what is no http URL. */
char *cb_http_url_origin(const char *url);
/** Appends @s with everything but unreserved characters percent-encoded. */
void cb_http_url_escape(struct cb_buf *out, const char *s);
/** Percent-decodes @len bytes; malformed escapes stay. NULL when a NUL comes out; caller frees. */
char *cb_http_url_unescape(const char *s, size_t len);
/** Resolves @ref (a Location header) against the absolute URL @base. CB_ERR_CORRUPT when that is no http URL. */
int cb_http_url_join(const char *base, const char *ref, char **ret, struct cb_err **err);

#endif
