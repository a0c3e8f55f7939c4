/*
 * Programs of other architectures, as bytes: the smallest one for each, to find out whether it runs, and what
 * binfmt_misc has to know of them.
 *
 * Pure. Architectures have Go's names. Sources: the ELF specification and its processor supplements,
 * Documentation/admin-guide/binfmt-misc.rst.
 */
#ifndef CB_RUNTIME_EMULATE_ELF_H
#define CB_RUNTIME_EMULATE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cb_emulate_arch {
	const char *name; /* "arm64" */
	const char *qemu; /* what QEMU calls it: "aarch64" */
	bool wide, big;   /* 64 bits, big-endian */
	uint16_t machine; /* e_machine */
	uint32_t flags;   /* e_flags */
	const uint8_t *code;
	size_t code_len; /* exits with CB_EMULATE_STATUS */
};

extern const struct cb_emulate_arch cb_emulate_archs[];
extern const size_t cb_n_emulate_archs;

/** What the probe's exit status is when it ran: no status that a failure has. */
#define CB_EMULATE_STATUS 42
#define CB_EMULATE_PROBE_MAX 256

/** NULL when it is not known. */
const struct cb_emulate_arch *cb_emulate_arch_find(const char *name);
/** Writes a program that does nothing but exit; returns its length. */
size_t cb_emulate_probe(const struct cb_emulate_arch *arch, uint8_t out[static CB_EMULATE_PROBE_MAX]);
/** The registration up to the interpreter, ":cbuild-arm64:M::magic:mask:". Caller frees. */
char *cb_emulate_rule(const struct cb_emulate_arch *arch);
/** Whether @head, the first @len bytes of a program, says that it needs no other file (no PT_INTERP) to start. */
bool cb_emulate_is_static(const uint8_t *head, size_t len);

#endif
