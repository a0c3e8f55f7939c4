/*
 * GET of a URL into a file: ADD of http(s) sources, and contexts and Buildfiles given as a URL.
 */
#ifndef CB_LAYERS_FETCH_URL_H
#define CB_LAYERS_FETCH_URL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "layers/checksum.h"
#include "layers/digest.h"
#include "layers/http.h"

struct cb_fetch_url {
	const char *url;
	const char *authorization; /* value of the Authorization header, or NULL; stays with the origin */
	const char *etag;          /* of an earlier fetch: CB_FETCH_UNCHANGED when the server confirms it; or NULL */
	const char *last_modified; /* as etag */
	uint64_t max_size;         /* CB_ERR_LIMIT beyond, with limit_hint; 0: unlimited */
	const char *limit_hint;    /* or NULL */
	uint64_t deadline_ns;      /* cb_time_mono() at which it must be done (CB_ERR_TIMEOUT); 0: none */
	const struct cb_checksum *checksum; /* that the content must have (CB_ERR_CORRUPT); or NULL */
	struct cb_cancel *cancel;
	/** May be NULL. @total is 0 while unknown. */
	void (*progress)(void *userdata, uint64_t bytes, uint64_t total);
	void *userdata;
};

/** End with cb_fetched_done. */
struct cb_fetched {
	struct cb_digest digest; /* sha256 of the content */
	uint64_t size;
	char *name;                 /* last part of the URL's path, "__unnamed__" when there is none */
	char *etag, *last_modified; /* or NULL */
	struct timespec mtime;      /* Last-Modified, or the epoch */
	char *url;                  /* after redirects, redacted */
};
void cb_fetched_done(struct cb_fetched *f);
#define cleanup_fetched __attribute__((cleanup(cb_fetched_done)))

#define CB_FETCH_UNCHANGED 1

/** Writes the content to @fd from its offset. 0, CB_FETCH_UNCHANGED (304, nothing written), or an error. */
int cb_fetch_url(
	struct cb_http *http, const struct cb_fetch_url *req, int fd, struct cb_fetched *ret, struct cb_err **err);

/** The name rule alone: last component of the unescaped path, "__unnamed__" unless it can name a file. */
char *cb_fetch_url_name(const char *url);

#endif
