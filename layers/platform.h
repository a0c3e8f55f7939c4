/*
 * Platforms: "os/arch[/variant]" with Go's names, normalised as containerd does (x86_64 is amd64, armhf is arm/v7,
 * arm64/v8 is arm64 …).
 *
 * A plain value with fixed-size fields: copy it by assignment; all fields empty means "none given".
 */
#ifndef CB_LAYERS_PLATFORM_H
#define CB_LAYERS_PLATFORM_H

#include <stdbool.h>

#include "base/err.h"

struct cb_platform {
	char os[32], arch[32], variant[32];
	char os_version[64]; /* only windows uses it */
};

#define CB_PLATFORM_TEXT_MAX 112

/**
 * Parses "linux", "arm64", "linux/arm64" or "linux/arm/v7"; what is left out comes from the host. Result normalised.
 * CB_ERR_INPUT for anything else.
 */
int cb_platform_parse(const char *text, struct cb_platform *ret, struct cb_err **err);
/** CB_ERR_INPUT, with a hint, for an operating system or architecture that nobody knows: most likely mistyped. */
int cb_platform_check(const struct cb_platform *platform, struct cb_err **err);
/** Brings aliases to one form, in place. */
void cb_platform_normalize(struct cb_platform *platform);
/** "os/arch[/variant]". */
void cb_platform_format(const struct cb_platform *platform, char out[static CB_PLATFORM_TEXT_MAX]);
/** What this machine runs natively. */
void cb_platform_host(struct cb_platform *ret);
/** Same os, arch and variant after normalisation (os_version too when both have one). */
bool cb_platform_equal(const struct cb_platform *a, const struct cb_platform *b);
/**
 * How well an image for @have serves @want: 0 not at all, larger is better. An amd64 or arm machine also takes lower
 * variants; an image of another architecture never matches.
 */
int cb_platform_match(const struct cb_platform *want, const struct cb_platform *have);

#endif
