#include "layers/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "sha256:"
#define HEX_LEN ((size_t)2 * CB_DIGEST_SIZE)
#define READ_BLOCK ((size_t)256 << 10)

struct cb_hasher {
	EVP_MD_CTX *ctx;
};

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

/* Fetched once: EVP_sha256() would look the implementation up, under a lock, for every digest. */
static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		abort();
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool cb_digest_parse(const char *text, struct cb_digest *ret)
{
	const size_t prefix = sizeof(PREFIX) - 1;

	if (strncmp(text, PREFIX, prefix) != 0 || strnlen(text, prefix + HEX_LEN + 1) != prefix + HEX_LEN)
		return false;
	for (size_t i = 0; i < HEX_LEN; i++)
		if (hex_value(text[prefix + i]) < 0)
			return false;

	memcpy(ret->text, text, prefix + HEX_LEN + 1);
	return true;
}

bool cb_digest_equal(const struct cb_digest *a, const struct cb_digest *b)
{
	return strcmp(a->text, b->text) == 0;
}

void cb_digest_from_bytes(const uint8_t bytes[static CB_DIGEST_SIZE], struct cb_digest *ret)
{
	static const char digits[] = "0123456789abcdef";
	char *out = ret->text + sizeof(PREFIX) - 1;

	memcpy(ret->text, PREFIX, sizeof(PREFIX) - 1);
	for (size_t i = 0; i < CB_DIGEST_SIZE; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

void cb_digest_to_bytes(const struct cb_digest *digest, uint8_t out[static CB_DIGEST_SIZE])
{
	const char *hex = cb_digest_hex(digest);

	assert(cb_digest_is_set(digest));
	for (size_t i = 0; i < CB_DIGEST_SIZE; i++)
		out[i] = (uint8_t)(hex_value(hex[2 * i]) * 16 + hex_value(hex[2 * i + 1]));
}

void cb_digest_of(const void *data, size_t len, struct cb_digest *ret)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();

	cb_hasher_add(hasher, data, len);
	cb_hasher_finish(hasher, ret);
}

int cb_digest_of_fd(int fd, struct cb_digest *ret, uint64_t *ret_size, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	cleanup_free char *block = cb_xmalloc(READ_BLOCK);
	uint64_t size = 0;

	for (;;) {
		ssize_t n = read(fd, block, READ_BLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cb_err_errno(err, errno, "read for digest");
		if (n == 0)
			break;
		cb_hasher_add(hasher, block, (size_t)n);
		size += (uint64_t)n;
	}

	cb_hasher_finish(hasher, ret);
	if (ret_size)
		*ret_size = size;
	return 0;
}

static void start(struct cb_hasher *hasher)
{
	if (EVP_DigestInit_ex2(hasher->ctx, sha256, NULL) != 1)
		abort();
}

struct cb_hasher *cb_hasher_new(void)
{
	struct cb_hasher *hasher = cb_new0(struct cb_hasher);

	pthread_once(&sha256_once, fetch_sha256);
	hasher->ctx = EVP_MD_CTX_new();
	if (!hasher->ctx)
		abort();
	start(hasher);
	return hasher;
}

struct cb_hasher *cb_hasher_free(struct cb_hasher *hasher)
{
	if (hasher) {
		EVP_MD_CTX_free(hasher->ctx);
		free(hasher);
	}
	return NULL;
}

void cb_hasher_add(struct cb_hasher *hasher, const void *data, size_t len)
{
	if (len && EVP_DigestUpdate(hasher->ctx, data, len) != 1)
		abort();
}

void cb_hasher_adds(struct cb_hasher *hasher, const char *s)
{
	cb_hasher_add(hasher, s, strlen(s) + 1);
}

void cb_hasher_addn(struct cb_hasher *hasher, uint64_t v)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(v >> (56 - 8 * i));
	cb_hasher_add(hasher, bytes, sizeof(bytes));
}

void cb_hasher_finish_bytes(struct cb_hasher *hasher, uint8_t out[static CB_DIGEST_SIZE])
{
	if (EVP_DigestFinal_ex(hasher->ctx, out, NULL) != 1)
		abort();
	start(hasher);
}

void cb_hasher_finish(struct cb_hasher *hasher, struct cb_digest *ret)
{
	uint8_t bytes[CB_DIGEST_SIZE];

	cb_hasher_finish_bytes(hasher, bytes);
	cb_digest_from_bytes(bytes, ret);
}

void cb_hasher_peek(const struct cb_hasher *hasher, struct cb_digest *ret)
{
	uint8_t bytes[CB_DIGEST_SIZE];
	EVP_MD_CTX *copy = EVP_MD_CTX_new();

	if (!copy || EVP_MD_CTX_copy_ex(copy, hasher->ctx) != 1 || EVP_DigestFinal_ex(copy, bytes, NULL) != 1)
		abort();
	EVP_MD_CTX_free(copy);
	cb_digest_from_bytes(bytes, ret);
}
