/*
 * Many byte strings looked for at once: Wu and Manber's way, which skips most bytes of a text that holds none.
 *
 * Line ends do not count: they are taken out of the strings, and the text is searched without them, so that a string
 * broken over lines is found too. Strings shorter than CB_NEEDLE_MIN are not taken; longer ones than CB_NEEDLE_MAX are
 * looked for in pieces, which bounds what a search must remember. The memory of all of it is overwritten when freed.
 * After cb_needles_seal a set is constant and threads may share it.
 */
#ifndef CB_BASE_NEEDLES_H
#define CB_BASE_NEEDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define CB_NEEDLE_MIN 8
#define CB_NEEDLE_MAX 1024

struct cb_needles;

struct cb_needles *cb_needles_new(void);
struct cb_needles *cb_needles_free(struct cb_needles *needles);
CB_DEFINE_CLEANUP(struct cb_needles *, cb_needles_free)

/** Adds a string that @owner (the caller's number) stands for. False: without its line ends it is too short. */
bool cb_needles_add(struct cb_needles *needles, const void *data, size_t len, unsigned int owner);
/** No more is added: builds the tables. */
void cb_needles_seal(struct cb_needles *needles);
/** True for NULL and for a set without strings. */
bool cb_needles_empty(const struct cb_needles *needles);

/** Copies @text without its line ends to @out, which has room for @len bytes. @map (may be NULL) gets their places. */
size_t cb_needles_strip(const char *text, size_t len, char *out, size_t *map);

struct cb_needle_match {
	size_t at, len;
	unsigned int owner;
};

/** The first string in stripped text at or after @from, of those that begin there the longest. */
bool cb_needles_find(
	const struct cb_needles *needles, const char *text, size_t len, size_t from, struct cb_needle_match *ret);
/** Where the part of stripped text begins that may be the beginning of a string: @len when there is none. */
size_t cb_needles_open_end(const struct cb_needles *needles, const char *text, size_t len);

/** A search in a stream. Zero-initialise, then begin. */
struct cb_needle_scan {
	const struct cb_needles *needles;
	char *buf;
	size_t len;
	struct cb_needle_match match; /* owner of what was found */
	bool found;
};

/** A new stream, with the memory of the one before. */
void cb_needle_scan_begin(struct cb_needle_scan *scan, const struct cb_needles *needles);
/** True once something was found: scan->match.owner says whose. */
bool cb_needle_scan_add(struct cb_needle_scan *scan, const void *data, size_t len);
/** The stream is over. */
bool cb_needle_scan_end(struct cb_needle_scan *scan);
void cb_needle_scan_done(struct cb_needle_scan *scan);

#endif
