/*
 * UTF-8 and the few classes of characters that the language and the terminal need. No locale.
 */
#ifndef CB_BASE_UNICODE_H
#define CB_BASE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define CB_RUNE_BAD 0xFFFDU

/**
 * Decodes the character at @p (@p < @end) and returns its length. An invalid byte, an overlong form or a surrogate is
 * CB_RUNE_BAD of length 1.
 */
size_t cb_utf8_decode(const char *p, const char *end, uint32_t *ret);
/** Appends @rune; surrogates and values beyond U+10FFFF become U+FFFD. */
void cb_utf8_add(struct cb_buf *out, uint32_t rune);

/** Letters (category L*), decimal digits (Nd) and white space, as Go's unicode package has them. */
bool cb_rune_is_letter(uint32_t rune);
bool cb_rune_is_digit(uint32_t rune);
bool cb_rune_is_space(uint32_t rune);
/** Terminal columns: 0, 1 or 2. Control characters count 0. */
unsigned int cb_rune_width(uint32_t rune);

/* The tables behind them, sorted and disjoint. */
struct cb_unicode_range {
	uint32_t first, last;
};
extern const struct cb_unicode_range cb_unicode_letters[], cb_unicode_digits[], cb_unicode_wide[], cb_unicode_zero[];
extern const size_t cb_unicode_n_letters, cb_unicode_n_digits, cb_unicode_n_wide, cb_unicode_n_zero;

#endif
