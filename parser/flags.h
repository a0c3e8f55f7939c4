/*
 * Flags: cutting them off the front of an instruction, and checking them against what the instruction takes.
 */
#ifndef CB_PARSER_FLAGS_H
#define CB_PARSER_FLAGS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "parser/ast.h"

/**
 * Takes the next flag word off *rest: 1 with the word in @buf (quotes removed, the escape character makes the next byte
 * literal) and its start in *at, 0 when no flag follows (then *rest is at what follows, a bare "--" already gone).
 */
int cb_flag_next(struct cb_span *rest, char escape, struct cb_buf *buf, const char **at);

/** OPTIONAL is a STRING that may stand without "=". */
enum cb_flag_type { CB_FLAG_STRING, CB_FLAG_BOOL, CB_FLAG_LIST, CB_FLAG_OPTIONAL };

/** A flag that an instruction takes, and what was given. */
struct cb_flag {
	const char *name; /* without dashes */
	enum cb_flag_type type;
	bool used;
	bool on;              /* BOOL */
	struct cb_text value; /* STRING, OPTIONAL: the value, perhaps empty; absent when not used */
	struct cb_texts list; /* LIST: the values */
};

/** Checks all flags of @node against @flags. CB_ERR_INPUT for an unknown, repeated or badly valued one. */
int cb_flags_check(
	struct cb_arena *arena, const struct cb_node *node, struct cb_flag *flags, size_t n, struct cb_err **err);
/** The value, or an absent text when it is absent or empty: most flags do not tell these apart. */
struct cb_text cb_flag_text(const struct cb_flag *flag);

#endif
