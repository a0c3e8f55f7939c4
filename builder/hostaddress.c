#include "builder/hostaddress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

/* Nothing is sent: connecting a datagram socket only looks the route up. */
static bool source_of(int family, const char *target, char out[static INET6_ADDRSTRLEN])
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address = { .any.sa_family = (sa_family_t)family };
	void *part = family == AF_INET ? (void *)&address.in.sin_addr : (void *)&address.in6.sin6_addr;
	socklen_t len = family == AF_INET ? sizeof(address.in) : sizeof(address.in6);
	cleanup_close int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	address.in.sin_port = htons(9);
	return fd >= 0 && inet_pton(family, target, part) == 1 && connect(fd, &address.any, len) == 0 &&
	       getsockname(fd, &address.any, &len) == 0 && inet_ntop(family, part, out, INET6_ADDRSTRLEN);
}

int cb_host_address(char **ret, struct cb_err **err)
{
	char text[INET6_ADDRSTRLEN];

	/* Addresses of the ranges for documentation: any that are behind the default route. */
	if (!source_of(AF_INET, "198.51.100.1", text) && !source_of(AF_INET6, "2001:db8::1", text))
		return cb_err_set(
			err, CB_ERR_UNSUPPORTED, "--add-host host-gateway: this host has no address but loopback ones");
	*ret = cb_xstrdup(text);
	return 0;
}
