/*
 * A small HTTP/1.1 server in the test's own process, on a free port of 127.0.0.1: the test's handler answers each
 * request, and may break the rules (reset, stop half-way, send anything).
 */
#ifndef CB_TESTS_HTTPD_H
#define CB_TESTS_HTTPD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/mem.h"

struct httpd;

/** A request as it came; everything borrowed by the handler. */
struct httpd_request {
	const char *method;
	const char *path;    /* without query */
	const char *query;   /* "" when there is none */
	const char *headers; /* all lines, "\r\n"-terminated */
	struct cb_buf body;
	int number;     /* counts the server's requests from 0 */
	int connection; /* counts its connections from 0 */
	int fd;         /* for what the functions below cannot say */
	void *userdata;
};

/** Runs on a thread of the connection. True keeps the connection open for another request. */
typedef bool (*httpd_handler)(struct httpd_request *req);

struct httpd *httpd_start(httpd_handler handler, void *userdata);
/** Ends all connections and waits for their threads. */
struct httpd *httpd_stop(struct httpd *server);
CB_DEFINE_CLEANUP(struct httpd *, httpd_stop)

int httpd_port(const struct httpd *server);
/** Requests so far. */
int httpd_count(struct httpd *server);
/** The log of requests, "METHOD path?query\n" each. Caller frees. */
char *httpd_log(struct httpd *server);

/** The value of a header (copied into @buf, at most @size), or NULL. */
const char *httpd_header(const struct httpd_request *req, const char *name, char *buf, size_t size);

/** A whole response; @headers are more lines, each "\r\n"-terminated, or NULL. True, so that handlers may return it. */
bool httpd_reply(struct httpd_request *req, int status, const char *headers, const void *body, size_t len);
bool httpd_text(struct httpd_request *req, int status, const char *headers, const char *body);
/** As httpd_reply for 200, obeying "Range: bytes=N-" with 206; at most @limit bytes of body are sent, then it stops. */
bool httpd_ranged(struct httpd_request *req, const char *headers, const void *body, size_t len, size_t limit);
/** Raw bytes. False, so that the connection is closed after them. */
bool httpd_raw(struct httpd_request *req, const void *data, size_t len);
/** Breaks the connection with a TCP reset. False. */
bool httpd_reset(struct httpd_request *req);

#endif
