/*
 * Steps for other architectures.
 *
 * Whether their programs run is found by running one, in an empty root: handlers that the host registered with
 * binfmt_misc count where a step can reach them, as does the hardware. Where it does not run, and steps have a user
 * namespace of cbuild's own, the kernel (since 6.7) allows that namespace a binfmt_misc of its own: emulators of QEMU
 * that are on PATH (or in a directory of CBUILD_EMULATORS) are registered there, for the steps of this build and nobody
 * else. The kernel opens the emulator once, from a read-only mount, so that images need not have it and steps cannot
 * write to it.
 */
#ifndef CB_RUNTIME_EMULATE_H
#define CB_RUNTIME_EMULATE_H

#include "runtime/runtime.h"

enum cb_emulation {
	CB_EMULATION_NONE,   /* its programs do not run */
	CB_EMULATION_NATIVE, /* the processor runs them */
	CB_EMULATION_HOST,   /* by a handler of the host */
	CB_EMULATION_OWN,    /* by one that was registered for this build */
};

/** "none", "native", "host", "own". */
const char *cb_emulation_name(enum cb_emulation how);

/**
 * Makes programs of @arch (Go's name) run in steps, if that can be, and says how. The first call for an architecture
 * tries, which takes some milliseconds; later ones remember. Any thread. *ret_detail (may be NULL): the emulator with
 * OWN, why not with NONE, else ""; it lives as long as @runtime.
 */
enum cb_emulation cb_runtime_emulate(struct cb_runtime *runtime, const char *arch, const char **ret_detail);
/** The program that would emulate @arch, as a package calls it: "qemu-aarch64-static". NULL: none is known. Caller
 * frees. */
char *cb_emulation_program(const char *arch);

/* For the runtime itself. */
struct cb_emulations;
struct cb_emulations *cb_emulations_new(void);
struct cb_emulations *cb_emulations_free(struct cb_emulations *emulations);

#endif
