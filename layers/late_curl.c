/*
 * The functions of libcurl that we call, by their own names: each finds the real one when it is called first. Without
 * the library nothing can be initialised, which the callers take as the failure that it is.
 */
#define CURL_DISABLE_TYPECHECK
/* Its first parameter has become const with time. */
#define curl_url_get curl_url_get_as_declared
#include <curl/curl.h>
#undef curl_url_get
#include <stdarg.h>

#include "base/late.h"
#include "layers/http_exchange.h"

#undef curl_easy_setopt
#undef curl_easy_getinfo

static struct cb_late lib = CB_LATE_INIT("libcurl.so.4");

int cb_http_need_library(struct cb_err **err)
{
	if (cb_late_find(&lib, "curl_global_init"))
		return 0;
	cb_err_set(err, CB_ERR_UNSUPPORTED, "libcurl.so.4, without which no server can be asked, cannot be loaded");
	return cb_err_hint(err, CB_ERR_UNSUPPORTED, "install it with all that it needs: apt-get install libcurl4");
}

#define FORWARD(type, name, params, args, otherwise)                                                                   \
	type name params                                                                                               \
	{                                                                                                              \
		static type(*_Atomic known) params;                                                                    \
		type(*fn) params = known;                                                                              \
                                                                                                                       \
		if (!fn)                                                                                               \
			known = fn = (type(*) params)cb_late_find(&lib, #name);                                        \
		return fn ? fn args : (otherwise);                                                                     \
	}

#define FORWARD_VOID(name, params, args)                                                                               \
	void name params                                                                                               \
	{                                                                                                              \
		static void(*_Atomic known) params;                                                                    \
		void(*fn) params = known;                                                                              \
                                                                                                                       \
		if (!fn)                                                                                               \
			known = fn = (void(*) params)cb_late_find(&lib, #name);                                        \
		if (fn)                                                                                                \
			fn args;                                                                                       \
	}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): as we name things */

FORWARD(CURLcode, curl_global_init, (long flags), (flags), CURLE_FAILED_INIT)
FORWARD(time_t, curl_getdate, (const char *text, const time_t *unused), (text, unused), -1)
FORWARD_VOID(curl_free, (void *p), (p))

FORWARD(CURL *, curl_easy_init, (void), (), NULL)
FORWARD_VOID(curl_easy_cleanup, (CURL * easy), (easy))
FORWARD_VOID(curl_easy_reset, (CURL * easy), (easy))
FORWARD(const char *, curl_easy_strerror, (CURLcode code), (code), "libcurl is missing")

FORWARD(CURLM *, curl_multi_init, (void), (), NULL)
FORWARD(CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi), CURLM_INTERNAL_ERROR)
FORWARD(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL *easy), (multi, easy), CURLM_INTERNAL_ERROR)
FORWARD(CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL *easy), (multi, easy), CURLM_INTERNAL_ERROR)
FORWARD(CURLMcode, curl_multi_perform, (CURLM * multi, int *running), (multi, running), CURLM_INTERNAL_ERROR)
FORWARD(CURLMcode, curl_multi_poll, (CURLM * multi, struct curl_waitfd *fds, unsigned int n, int timeout, int *ret),
	(multi, fds, n, timeout, ret), CURLM_INTERNAL_ERROR)
FORWARD(CURLMsg *, curl_multi_info_read, (CURLM * multi, int *left), (multi, left), NULL)

FORWARD(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *text), (list, text), NULL)
FORWARD_VOID(curl_slist_free_all, (struct curl_slist * list), (list))

CURLUcode curl_url_get(const CURLU *url, CURLUPart part, char **text, unsigned int flags);

FORWARD(CURLU *, curl_url, (void), (), NULL)
FORWARD_VOID(curl_url_cleanup, (CURLU * url), (url))
FORWARD(CURLUcode, curl_url_get, (const CURLU *url, CURLUPart part, char **text, unsigned int flags),
	(url, part, text, flags), CURLUE_OUT_OF_MEMORY)
FORWARD(CURLUcode, curl_url_set, (CURLU * url, CURLUPart part, const char *text, unsigned int flags),
	(url, part, text, flags), CURLUE_OUT_OF_MEMORY)

/* The number of the option tells the type of the one argument that follows. */
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	static CURLcode (*_Atomic known)(CURL *, CURLoption, ...);
	CURLcode (*fn)(CURL *, CURLoption, ...) = known;
	CURLcode r;
	va_list ap;

	if (!fn)
		known = fn = (CURLcode(*)(CURL *, CURLoption, ...))cb_late_find(&lib, "curl_easy_setopt");
	if (!fn)
		return CURLE_FAILED_INIT;
	va_start(ap, option);
	/* The branches are the same only where all three types have the same size. */
	if ((int)option < CURLOPTTYPE_OBJECTPOINT)
		r = fn(easy, option, va_arg(ap, long)); /* NOLINT(bugprone-branch-clone) */
	else if ((int)option >= CURLOPTTYPE_OFF_T && (int)option < CURLOPTTYPE_BLOB)
		r = fn(easy, option, va_arg(ap, curl_off_t));
	else
		r = fn(easy, option, va_arg(ap, void *));
	va_end(ap);
	return r;
}

CURLcode curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
	static CURLcode (*_Atomic known)(CURL *, CURLINFO, ...);
	CURLcode (*fn)(CURL *, CURLINFO, ...) = known;
	CURLcode r;
	va_list ap;

	if (!fn)
		known = fn = (CURLcode(*)(CURL *, CURLINFO, ...))cb_late_find(&lib, "curl_easy_getinfo");
	if (!fn)
		return CURLE_FAILED_INIT;
	va_start(ap, info);
	r = fn(easy, info, va_arg(ap, void *));
	va_end(ap);
	return r;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
