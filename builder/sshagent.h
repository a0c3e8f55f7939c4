/*
 * Agents for RUN --mount=type=ssh: a socket of ours in a step, behind it the agent of --ssh.
 *
 * A step never talks to the agent itself: a thread passes on what asks for keys and signatures and refuses everything
 * else, so that no step can add, remove or lock keys. Only what was offered as raw gets every byte. The socket is a
 * file beside the store's temporaries; it goes with the forwarder. For key files ssh-agent is started and given the
 * keys by ssh-add; it ends with its last user.
 */
#ifndef CB_BUILDER_SSHAGENT_H
#define CB_BUILDER_SSHAGENT_H

#include <sys/types.h>

#include "base/cancel.h"
#include "base/err.h"
#include "builder/settings.h"
#include "layers/store.h"

/** Largest message between ssh and its agent, and connections of one step at once. */
#define CB_SSHAGENT_MESSAGE_MAX (256u << 10)
#define CB_SSHAGENT_CLIENTS_MAX 64

struct cb_sshagent;

/** The --ssh called @id, or NULL. Borrowed. */
const struct cb_ssh_spec *cb_sshagent_find(const struct cb_settings *settings, const char *id);

/** Starts a forwarder whose socket has that owner and mode; *ret_fd is an O_PATH descriptor of it, borrowed. */
int cb_sshagent_start(const struct cb_ssh_spec *spec, struct cb_store *store, uid_t uid, gid_t gid, mode_t mode,
	struct cb_cancel *cancel, struct cb_sshagent **ret, int *ret_fd, struct cb_err **err);
/** Ends it and removes the socket. */
struct cb_sshagent *cb_sshagent_stop(struct cb_sshagent *agent);
CB_DEFINE_CLEANUP(struct cb_sshagent *, cb_sshagent_stop)

/**
 * The beginning of @data, @len bytes, as a request to an agent: its whole length when it is complete, 0 when more is
 * needed, -1 when it is no message that can be. *ret_allowed: may be passed on. Pure.
 */
ssize_t cb_sshagent_request(const void *data, size_t len, bool *ret_allowed);

#endif
