/*
 * --chmod: octal (0 to 07777) or symbolic as chmod(1) without umask: "u+x,go-w", "a=rX", "u=g", "+t".
 */
#ifndef CB_LAYERS_CHMOD_H
#define CB_LAYERS_CHMOD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/** Longest text that is accepted. */
#define CB_CHMOD_TEXT_MAX 256

struct cb_chmod_clause {
	char who;  /* bits: 1 u, 2 g, 4 o */
	char op;   /* + - = */
	char copy; /* u, g, o, or 0 */
	char perm; /* bits: 4 r, 2 w, 1 x, 8 X, 16 s, 32 t */
};
struct cb_chmod {
	bool octal;
	mode_t mode; /* when octal */
	struct cb_chmod_clause *clauses;
	size_t n;
};

/** CB_ERR_INPUT "invalid chmod parameter: ..." for anything else. */
int cb_chmod_parse(const char *text, struct cb_chmod *ret, struct cb_err **err);
void cb_chmod_done(struct cb_chmod *chmod);
#define cleanup_chmod __attribute__((cleanup(cb_chmod_done)))
/** The new permission bits (07777) for an entry that had @mode. */
mode_t cb_chmod_apply(const struct cb_chmod *chmod, mode_t mode, bool is_dir);

#endif
