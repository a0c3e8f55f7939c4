/*
 * A profile as read, before anything is known of system call numbers. Private to seccomp_profile.c and seccomp_read.c.
 */
#ifndef CB_RUNTIME_SECCOMP_RULES_H
#define CB_RUNTIME_SECCOMP_RULES_H

#include <seccomp.h>

#include "runtime/seccomp_profile.h"

#define CB_SECCOMP_RULES_MAX 4096
#define CB_SECCOMP_NAMES_MAX 16384
#define CB_SECCOMP_ARGS_MAX 6
#define CB_SECCOMP_ARCHES_MAX 32

struct cb_seccomp_rule {
	struct cb_strv names;
	uint32_t action; /* SCMP_ACT_, with errno */
	struct scmp_arg_cmp args[CB_SECCOMP_ARGS_MAX];
	unsigned int n_args;
};

struct cb_seccomp_rules {
	uint32_t default_action;
	uint32_t arches[CB_SECCOMP_ARCHES_MAX]; /* beside that of the host */
	size_t n_arches;
	struct cb_seccomp_rule *rules; /* whose conditions hold on the host */
	size_t n_rules, cap_rules, n_names;
	bool log; /* SECCOMP_FILTER_FLAG_LOG is asked for; of no effect on the program */
};

/** Reads @text, which ends in a NUL that @len does not count. Pure. */
int cb_seccomp_rules_read(const char *name, const char *text, size_t len, const struct cb_seccomp_host *host,
	struct cb_seccomp_rules *ret, struct cb_err **err);
/** Reads "6.1" at the start of @text; what follows the number, or NULL when there is none. */
const char *cb_seccomp_version(const char *text, unsigned int *kernel, unsigned int *major);
void cb_seccomp_rules_done(struct cb_seccomp_rules *rules);

#endif
