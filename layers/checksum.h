/*
 * What a download must hash to, as ADD --checksum says it: "sha256:", "sha384:" or "sha512:" and lower-case hex.
 *
 * For comparing content only. What is stored is named by sha256 alone: digest.h.
 */
#ifndef CB_LAYERS_CHECKSUM_H
#define CB_LAYERS_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define CB_CHECKSUM_TEXT_MAX (sizeof("sha512:") + 128)

/** A plain value; all zero means none. */
struct cb_checksum {
	char text[CB_CHECKSUM_TEXT_MAX];
};

static inline bool cb_checksum_is_set(const struct cb_checksum *checksum)
{
	return checksum->text[0] != '\0';
}

/** CB_ERR_INPUT for other algorithms, another length than the algorithm's, and what is not lower-case hex. */
int cb_checksum_parse(const char *text, struct cb_checksum *ret, struct cb_err **err);

/** Computes checksums of one algorithm. One thread at a time. */
struct cb_checksummer;

/** For the algorithm of @like, which must be set. */
struct cb_checksummer *cb_checksummer_new(const struct cb_checksum *like);
struct cb_checksummer *cb_checksummer_free(struct cb_checksummer *summer);
CB_DEFINE_CLEANUP(struct cb_checksummer *, cb_checksummer_free)
void cb_checksummer_add(struct cb_checksummer *summer, const void *data, size_t len);
/** The checksum of all that was added; nothing can be added afterwards. */
void cb_checksummer_finish(struct cb_checksummer *summer, struct cb_checksum *ret);

#endif
