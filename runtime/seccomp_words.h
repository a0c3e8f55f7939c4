/*
 * The words that a profile (seccomp_profile.h) is written in. All functions are false for a word that is none.
 */
#ifndef CB_RUNTIME_SECCOMP_WORDS_H
#define CB_RUNTIME_SECCOMP_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/** "SCMP_ACT_ALLOW"; those with a code have the code 0. SCMP_ACT_NOTIFY is none: nobody would answer. */
bool cb_seccomp_action(const char *text, uint32_t *ret);
/** "SCMP_CMP_EQ": an enum scmp_compare. */
bool cb_seccomp_operator(const char *text, uint32_t *ret);
/** "SCMP_ARCH_X86_64": its token. */
bool cb_seccomp_arch(const char *text, uint32_t *ret);
/** True for one that docker knows and this libseccomp may not: it cannot be that of the host. */
bool cb_seccomp_is_other_arch(const char *text);
/** "amd64", Go's names, which includes and excludes use. */
bool cb_seccomp_go_arch(const char *text, uint32_t *ret);
/** "CAP_CHOWN": its number. */
bool cb_seccomp_capability(const char *text, unsigned int *ret);

#endif
