/*
 * SHA-256 digests as OCI writes them ("sha256:<64 lower-case hex>"), and the hasher that makes them.
 *
 * A digest is a plain value: copy it by assignment. An all-zero one means "none". Other algorithms are refused, so a
 * digest is always safe as a file name below blobs/sha256.
 */
#ifndef CB_LAYERS_DIGEST_H
#define CB_LAYERS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define CB_DIGEST_SIZE 32     /* raw bytes */
#define CB_DIGEST_TEXT_MAX 72 /* "sha256:" + 64 + NUL */

struct cb_digest {
	char text[CB_DIGEST_TEXT_MAX];
};

/** False (and *ret untouched) unless @text is exactly "sha256:" and 64 lower-case hex digits. */
bool cb_digest_parse(const char *text, struct cb_digest *ret);
bool cb_digest_equal(const struct cb_digest *a, const struct cb_digest *b);
static inline bool cb_digest_is_set(const struct cb_digest *digest)
{
	return digest->text[0] != '\0';
}
/** The 64 hex digits; borrowed. */
static inline const char *cb_digest_hex(const struct cb_digest *digest)
{
	return digest->text + sizeof("sha256:") - 1;
}
void cb_digest_from_bytes(const uint8_t bytes[static CB_DIGEST_SIZE], struct cb_digest *ret);
/** @digest must be set. */
void cb_digest_to_bytes(const struct cb_digest *digest, uint8_t out[static CB_DIGEST_SIZE]);
/** The digest of @len bytes of memory. */
void cb_digest_of(const void *data, size_t len, struct cb_digest *ret);
/** The digest of @fd from its offset to its end; @ret_size may be NULL. */
int cb_digest_of_fd(int fd, struct cb_digest *ret, uint64_t *ret_size, struct cb_err **err);

/** Incremental SHA-256. One thread at a time. */
struct cb_hasher;

struct cb_hasher *cb_hasher_new(void);
struct cb_hasher *cb_hasher_free(struct cb_hasher *hasher);
CB_DEFINE_CLEANUP(struct cb_hasher *, cb_hasher_free)
void cb_hasher_add(struct cb_hasher *hasher, const void *data, size_t len);
/** Adds @s with its terminating NUL, so that neighbouring strings cannot run together. */
void cb_hasher_adds(struct cb_hasher *hasher, const char *s);
/** Adds @v as 8 big-endian bytes. */
void cb_hasher_addn(struct cb_hasher *hasher, uint64_t v);
/** Gives the digest of everything added and starts anew. */
void cb_hasher_finish(struct cb_hasher *hasher, struct cb_digest *ret);
void cb_hasher_finish_bytes(struct cb_hasher *hasher, uint8_t out[static CB_DIGEST_SIZE]);
/** The digest so far, going on afterwards. */
void cb_hasher_peek(const struct cb_hasher *hasher, struct cb_digest *ret);

#endif
