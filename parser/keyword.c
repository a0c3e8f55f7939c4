/* Instruction words. */
#include "parser/keyword.h"

#include <strings.h>

#include "base/mem.h"
#include "parser/diag.h"

static const struct {
	const char *lower, *upper;
} words[CB_KW_MAX_] = {
	[CB_KW_UNKNOWN] = { "", "" },
	[CB_KW_ADD] = { "add", "ADD" },
	[CB_KW_ARG] = { "arg", "ARG" },
	[CB_KW_CMD] = { "cmd", "CMD" },
	[CB_KW_COPY] = { "copy", "COPY" },
	[CB_KW_ENTRYPOINT] = { "entrypoint", "ENTRYPOINT" },
	[CB_KW_ENV] = { "env", "ENV" },
	[CB_KW_EXPOSE] = { "expose", "EXPOSE" },
	[CB_KW_FROM] = { "from", "FROM" },
	[CB_KW_HEALTHCHECK] = { "healthcheck", "HEALTHCHECK" },
	[CB_KW_INCLUDE] = { "include", "INCLUDE" },
	[CB_KW_LABEL] = { "label", "LABEL" },
	[CB_KW_MAINTAINER] = { "maintainer", "MAINTAINER" },
	[CB_KW_ONBUILD] = { "onbuild", "ONBUILD" },
	[CB_KW_RUN] = { "run", "RUN" },
	[CB_KW_SHELL] = { "shell", "SHELL" },
	[CB_KW_STOPSIGNAL] = { "stopsignal", "STOPSIGNAL" },
	[CB_KW_USER] = { "user", "USER" },
	[CB_KW_VOLUME] = { "volume", "VOLUME" },
	[CB_KW_WORKDIR] = { "workdir", "WORKDIR" },
};

enum cb_keyword cb_keyword_find(const char *s, size_t len)
{
	for (enum cb_keyword kw = CB_KW_UNKNOWN + 1; kw < CB_KW_MAX_; kw++) {
		if (strncasecmp(s, words[kw].lower, len) == 0 && words[kw].lower[len] == '\0')
			return kw;
	}
	return CB_KW_UNKNOWN;
}

const char *cb_keyword_upper(enum cb_keyword kw)
{
	return words[kw].upper;
}

int cb_keyword_unknown(struct cb_err **err, int code, const char *word)
{
	const char *candidates[CB_KW_MAX_];
	size_t n = 0;

	for (enum cb_keyword kw = CB_KW_UNKNOWN + 1; kw < CB_KW_MAX_; kw++)
		candidates[n++] = words[kw].upper;
	cb_diag_did_you_mean(err, code, "", word, candidates, n);
	if (err && *err && !(*err)->hint)
		cb_err_hint(
			err, code, "if it goes on with the instruction above, each line but the last must end in \\");
	return code;
}
