/* Suggestions. */
#include "parser/diag.h"

#include <string.h>

#include "base/strv.h"

/* No keyword, flag or stage name that is worth a suggestion is longer. */
#define WORD_MAX 128

int cb_diag_did_you_mean(
	struct cb_err **err, int code, const char *prefix, const char *word, const char *const *candidates, size_t n)
{
	const char *near = strlen(word) <= WORD_MAX ? cb_str_nearest(word, candidates, n) : NULL;

	if (!near)
		return code;
	return cb_err_hint(err, code, "did you mean \"%s%s\"?", prefix, near);
}
