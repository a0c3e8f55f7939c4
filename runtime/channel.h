/*
 * Datagrams with descriptors over a SOCK_SEQPACKET socket pair. No allocation, safe in any process.
 */
#ifndef CB_RUNTIME_CHANNEL_H
#define CB_RUNTIME_CHANNEL_H

#include <stddef.h>
#include <sys/types.h>

/** The kernel passes at most 253 descriptors with one message. */
#define CB_CHANNEL_FDS_MAX 253

/** 0, or -1 with errno. */
int cb_channel_pair(int ret[static 2]);
/** Sends one message; never raises SIGPIPE. 0, or -1 with errno. */
int cb_channel_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds);
/**
 * Receives one message of at most @len bytes. @fds has room for *n_fds descriptors, which become O_CLOEXEC; *n_fds is
 * set to how many came. The length, 0 at the end of the stream, -1 with errno (EMSGSIZE: it did not fit).
 */
ssize_t cb_channel_recv(int sock, void *data, size_t len, int *fds, size_t *n_fds);

#endif
