/*
 * The container engine of this machine that --load gives the image to: docker by its socket, podman by its socket or by
 * the program, which has the storage of the user who runs it.
 *
 * `podman load` must run as who cbuild was started as, and not as root of the user namespace that cbuild enters: a
 * small process is forked before that, waits, and becomes it when there is something to load. It ends with cbuild.
 */
#ifndef CB_BUILDER_ENGINE_H
#define CB_BUILDER_ENGINE_H

#include "base/err.h"
#include "base/mem.h"
#include "layers/export_oci.h"

struct cb_engine;

/**
 * Finds @which, "docker", "podman" or "auto" (docker before podman), before cb_runtime_enter and without threads.
 * CB_ERR_USAGE for another word, CB_ERR_UNSUPPORTED with a hint when there is none.
 */
int cb_engine_find(const char *which, struct cb_engine **ret, struct cb_err **err);
struct cb_engine *cb_engine_free(struct cb_engine *engine);
CB_DEFINE_CLEANUP(struct cb_engine *, cb_engine_free)

/** "docker" or "podman". Static. */
const char *cb_engine_name(const struct cb_engine *engine);
/** Streams the image into it. */
int cb_engine_take(struct cb_engine *engine, struct cb_store *store, const struct cb_export *what, struct cb_err **err);

#endif
