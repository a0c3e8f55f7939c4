/*
 * Filters of system calls in docker's profile format: a default action, architectures, and lists of names with an
 * action, conditions on arguments, and conditions on capabilities, architecture and kernel version.
 *
 * The format is that of the OCI runtime specification (config-linux.md, "Seccomp") with docker's additions archMap,
 * includes, excludes and minKernel. Members that nobody knows are errors, as a misspelt one would open or close what it
 * should not. The numbers of system calls come from libseccomp, which is loaded when it is needed.
 */
#ifndef CB_RUNTIME_SECCOMP_PROFILE_H
#define CB_RUNTIME_SECCOMP_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"

/** Most bytes of a profile; docker's own has 17 KiB. */
#define CB_SECCOMP_PROFILE_MAX (1U << 20)

/** What the conditions of a profile are asked about. */
struct cb_seccomp_host {
	uint32_t arch;              /* SCMP_ARCH_ token of libseccomp; 0: of this program */
	unsigned int kernel, major; /* version of the kernel, "6.1" */
	uint64_t caps;              /* bounding set of the steps */
};

/** The machine that runs this, with the default capabilities of steps. */
void cb_seccomp_host_init(struct cb_seccomp_host *ret);

/**
 * Compiles the profile @text, which @name (a path) is for messages, to a program of struct sock_filter in @ret. Names
 * of system calls that libseccomp does not know are left out and appended to @unknown, unless the profile refuses by
 * default. CB_ERR_USAGE with line and column, CB_ERR_UNSUPPORTED without libseccomp.
 */
int cb_seccomp_profile_compile(const char *name, const char *text, size_t len, const struct cb_seccomp_host *host,
	struct cb_buf *ret, struct cb_strv *unknown, struct cb_err **err);

#endif
