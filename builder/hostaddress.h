/*
 * The address of this host that steps can reach it by: what --add-host NAME:host-gateway stands for.
 */
#ifndef CB_BUILDER_HOSTADDRESS_H
#define CB_BUILDER_HOSTADDRESS_H

#include "base/err.h"

/** The word for it in that option. */
#define CB_HOST_GATEWAY "host-gateway"

/** The source address of the default route, IPv4 before IPv6; caller frees. CB_ERR_UNSUPPORTED without a route. */
int cb_host_address(char **ret, struct cb_err **err);

#endif
