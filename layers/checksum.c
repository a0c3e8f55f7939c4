#include "layers/checksum.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Those of the OCI image format and, between them, the one that BuildKit knows too. */
static const struct algorithm {
	const char *name, *prefix;
	size_t hex; /* digits */
	const EVP_MD *(*md)(void);
} algorithms[] = {
	{ "sha256", "sha256:", 64, EVP_sha256 },
	{ "sha384", "sha384:", 96, EVP_sha384 },
	{ "sha512", "sha512:", 128, EVP_sha512 },
};

struct cb_checksummer {
	const struct algorithm *algorithm;
	EVP_MD_CTX *ctx;
};

static const struct algorithm *find(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
		if (strncmp(text, algorithms[i].prefix, strlen(algorithms[i].prefix)) == 0)
			return &algorithms[i];
	return NULL;
}

int cb_checksum_parse(const char *text, struct cb_checksum *ret, struct cb_err **err)
{
	const struct algorithm *algorithm = find(text);
	const char *colon = strchr(text, ':'), *hex;

	if (!colon) {
		cb_err_set(err, CB_ERR_INPUT, "invalid checksum \"%.200s\": it has no algorithm", text);
		return cb_err_hint(err, CB_ERR_INPUT, "write sha256: and 64 hex digits");
	}
	if (!algorithm) {
		cb_err_set(err, CB_ERR_INPUT, "unsupported digest algorithm \"%.*s\" in checksum \"%.200s\"",
			(int)CB_MIN(colon - text, 64), text, text);
		return cb_err_hint(err, CB_ERR_INPUT, "sha256, sha384 and sha512 are known");
	}
	hex = colon + 1;
	if (strlen(hex) != algorithm->hex)
		return cb_err_set(err, CB_ERR_INPUT,
			"invalid checksum \"%.200s\": %s has %zu hex digits, these are %zu", text, algorithm->name,
			algorithm->hex, strlen(hex));
	if (strspn(hex, "0123456789abcdef") != algorithm->hex)
		return cb_err_set(err, CB_ERR_INPUT, "invalid checksum \"%.200s\": only 0-9 and a-f are digits", text);
	snprintf(ret->text, sizeof(ret->text), "%s", text);
	return 0;
}

struct cb_checksummer *cb_checksummer_new(const struct cb_checksum *like)
{
	struct cb_checksummer *summer = cb_new0(struct cb_checksummer);

	assert(cb_checksum_is_set(like));
	summer->algorithm = find(like->text);
	assert(summer->algorithm);
	summer->ctx = EVP_MD_CTX_new();
	if (!summer->ctx || EVP_DigestInit_ex2(summer->ctx, summer->algorithm->md(), NULL) != 1)
		abort();
	return summer;
}

struct cb_checksummer *cb_checksummer_free(struct cb_checksummer *summer)
{
	if (summer) {
		EVP_MD_CTX_free(summer->ctx);
		free(summer);
	}
	return NULL;
}

void cb_checksummer_add(struct cb_checksummer *summer, const void *data, size_t len)
{
	if (len && EVP_DigestUpdate(summer->ctx, data, len) != 1)
		abort();
}

void cb_checksummer_finish(struct cb_checksummer *summer, struct cb_checksum *ret)
{
	uint8_t bytes[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	size_t len;

	if (EVP_DigestFinal_ex(summer->ctx, bytes, &n) != 1 || n * 2 != summer->algorithm->hex)
		abort();
	len = (size_t)snprintf(ret->text, sizeof(ret->text), "%s", summer->algorithm->prefix);
	for (unsigned int i = 0; i < n; i++, len += 2)
		snprintf(ret->text + len, sizeof(ret->text) - len, "%02x", bytes[i]);
}
