/*
 * The helper process that makes containers: single-threaded, so that it may fork; with a mount table of a few lines,
 * so that copying it costs little; first in its pid namespace, so that its end is the end of everything it made.
 */
#ifndef CB_RUNTIME_ZYGOTE_H
#define CB_RUNTIME_ZYGOTE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/** Kinds of sandboxes differ in what has to be made before the command is known. Or-ed. */
enum cb_sandbox_kind {
	CB_SANDBOX_PLAIN = 0,
	CB_SANDBOX_NETNS = 1,    /* a network namespace of its own, with lo up */
	CB_SANDBOX_INSECURE = 2, /* nothing masked or read-only */
	CB_SANDBOX_RECORDED = 4, /* owners are recorded: a recorder stands by */
	CB_SANDBOX_JOINED = 8,   /* in the network namespace of its setup */
	CB_SANDBOX_SHARED = 16,  /* no pid namespace, the /proc there is: keeper.h */
	CB_SANDBOX_CHROOT = 32,  /* no namespaces at all */
	CB_SANDBOX_ASKING = 64,  /* its owner is asked about mknod of devices: notify.h */
};

struct cb_zygote {
	pid_t pid;
	int sock;
	int userns_fd;      /* -1 without a user namespace of its own */
	bool keeps_orphans; /* has no pid namespace of its own: has to end what its sandboxes leave */
};

/** A waiting sandbox, as its owner sees it. */
struct cb_sandbox_handle {
	unsigned int kind;
	int sock;   /* takes the spec, gives reports, ends at exec */
	int status; /* gives a struct cb_sandbox_exit when it is gone */
	int pidfd;
	unsigned int group; /* of cgroup.h; 0: none */
};

/** What the zygote writes to the status pipe. */
struct cb_sandbox_exit {
	int wait_status;
	uint64_t user_ns, system_ns, max_rss;
};

/** First and how many ids of the user namespace that real root gives to its steps: far from any real user. */
#define CB_USERNS_ROOT_ID 0x80000000U
#define CB_USERNS_N_IDS 0x7ffe0000U

/** What a zygote makes for itself, and so for its sandboxes. */
enum cb_zygote_mode {
	CB_ZYGOTE_OWN,    /* mount and pid namespaces */
	CB_ZYGOTE_USERNS, /* and a user namespace, which needs real root */
	CB_ZYGOTE_SHARED, /* a mount namespace: no new /proc can be mounted */
	CB_ZYGOTE_CHROOT, /* none */
};

/**
 * A process that waits to clone the zygote: forked while there is one thread, and as cheap as a process can be, so that
 * a build that runs nothing pays for no more. Later it may have to fork who makes device nodes: devices.h.
 */
struct cb_zygote_seed {
	pid_t pid;
	int sock;
};

/** The calling process must have one thread. *ret is to be ended with cb_zygote_seed_stop. */
int cb_zygote_seed_start(struct cb_zygote_seed *ret, struct cb_err **err);
/** Ends it; zygotes that it has made stay, who makes devices does not. Idempotent. */
void cb_zygote_seed_stop(struct cb_zygote_seed *seed);
/**
 * Starts the process of cgroup_heir.h, as a child of this one, and gives the other end of its channel. Without @seed
 * (NULL) it is forked, and the calling process must have one thread.
 */
int cb_zygote_heir(const struct cb_zygote_seed *seed, pid_t *ret, int *ret_sock, struct cb_err **err);
/**
 * Lets a fork of it answer the @listener of a sandbox in @userns. *ret is a descriptor that is at its end (POLLHUP)
 * when that process has ended. Any thread. 0, or -1 with errno.
 */
int cb_zygote_seed_devices(const struct cb_zygote_seed *seed, int listener, int userns, int *ret);

/**
 * Starts it, as a child of this process. Without @seed (NULL) it is forked, and the calling process must have one
 * thread. *ret is to be ended with cb_zygote_stop.
 */
int cb_zygote_start(
	const struct cb_zygote_seed *seed, enum cb_zygote_mode mode, struct cb_zygote *ret, struct cb_err **err);
/** Kills it and all its sandboxes, and reaps. Idempotent. */
void cb_zygote_stop(struct cb_zygote *zygote);

/** What a sandbox is made with. */
struct cb_sandbox_setup {
	unsigned int kind;
	const int *groups; /* descriptors of control groups, in which it writes "0" */
	size_t n_groups;
	bool groups_required; /* a sandbox that cannot join is an error */
	int netns;            /* of a JOINED one */
};

/** Asks for a sandbox; the answer is fetched with cb_zygote_receive, in order. */
int cb_zygote_request(struct cb_zygote *zygote, const struct cb_sandbox_setup *setup, struct cb_err **err);
int cb_zygote_receive(struct cb_zygote *zygote, struct cb_sandbox_handle *ret, struct cb_err **err);

void cb_sandbox_handle_done(struct cb_sandbox_handle *handle);

#endif
