/*
 * What the static analyzers (clang's and gcc's), which see one file at a time, must know of the others: put before each
 * file of parser, layers, runtime and builder by tests/style/tidy.
 */
#ifndef CB_TESTS_ANALYZER_H
#define CB_TESTS_ANALYZER_H

#include "base/err.h"

/** What makes an error returns a negative code. */
static inline int cb_analyzer_failed(int code)
{
	if (code >= 0)
		__builtin_unreachable();
	return code;
}

#define cb_err_set(...) cb_analyzer_failed(cb_err_set(__VA_ARGS__))
#define cb_err_at(...) cb_analyzer_failed(cb_err_at(__VA_ARGS__))
#define cb_err_errno(...) cb_analyzer_failed(cb_err_errno(__VA_ARGS__))
#define cb_err_wrap(...) cb_analyzer_failed(cb_err_wrap(__VA_ARGS__))
#define cb_err_locate(...) cb_analyzer_failed(cb_err_locate(__VA_ARGS__))
#define cb_err_hint(...) cb_analyzer_failed(cb_err_hint(__VA_ARGS__))

#endif
