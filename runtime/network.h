/*
 * The network of steps that neither share the host's nor have none: one network namespace a build, connected to the
 * host's by pasta(1), in which neither loopback services nor abstract sockets of the host can be reached.
 *
 *   cbuild
 *   └ supervisor  first process of a pid namespace; ends when cbuild does, however that ends, and takes along
 *     └ pasta     which has gone to the background when the namespace is connected
 *
 * The namespace is there at once (containers can be prepared in it), the connection takes its time in the background.
 * Threads: any; cb_network_wait from one at a time.
 */
#ifndef CB_RUNTIME_NETWORK_H
#define CB_RUNTIME_NETWORK_H

#include "base/err.h"

/** Addresses inside: of steps, of the way out, and of a name server that stands for the host's. */
#define CB_NETWORK_ADDRESS "10.0.2.100"
#define CB_NETWORK_BITS "24"
#define CB_NETWORK_GATEWAY "10.0.2.2"
#define CB_NETWORK_DNS "10.0.2.3"

/** The helper has this long to connect; old ones wait for ever when they may not. */
#define CB_NETWORK_TIMEOUT_MS 10000

struct cb_network;

/**
 * Makes the namespace, owned by the user namespace @userns_fd (-1: ours), and begins to connect it. CB_ERR_UNSUPPORTED
 * with the reason when that cannot work here.
 */
int cb_network_start(int userns_fd, struct cb_network **ret, struct cb_err **err);
/** Waits until it is connected. CB_ERR_UNSUPPORTED with the reason when it will not be. */
int cb_network_wait(struct cb_network *network, struct cb_err **err);
/** The namespace; borrowed. */
int cb_network_fd(const struct cb_network *network);
/** Ends the helper. Takes NULL. */
struct cb_network *cb_network_stop(struct cb_network *network);
CB_DEFINE_CLEANUP(struct cb_network *, cb_network_stop)

#endif
