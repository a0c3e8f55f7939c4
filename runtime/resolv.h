/*
 * /etc/resolv.conf and /etc/hosts of a container. Pure.
 */
#ifndef CB_RUNTIME_RESOLV_H
#define CB_RUNTIME_RESOLV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "runtime/spec.h"

/** Most bytes of a host's resolv.conf that are looked at. */
#define CB_RESOLV_MAX (256U << 10)

/** True when the only name server is systemd-resolved's stub: then its own list of servers is the better file. */
bool cb_resolv_is_stub(const char *host, size_t len);

/** True when the first IPv4 name server is on a loopback address, so that others need a forwarder to use it. */
bool cb_resolv_needs_forwarder(const char *host, size_t len);

/**
 * The container's resolv.conf from the host's: @dns, @search and @options (NULL-terminated; NULL or empty: the host's)
 * replace the lines of that kind. Without @keep_loopback, servers on loopback addresses, which a network namespace of
 * its own cannot reach, become @forwarder, an address that stands for them; without one they are left out, and public
 * ones stand in when none is left.
 */
void cb_resolv_generate(const char *host, size_t len, const char *const *dns, const char *const *search,
	const char *const *options, bool keep_loopback, const char *forwarder, struct cb_buf *out);

void cb_hosts_generate(const char *hostname, const struct cb_extra_host *extra, size_t n_extra, struct cb_buf *out);

#endif
