#include "builder/ports.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/num.h"

#define PORT_MAX 65535

struct range {
	uint32_t from, to;
};

/* Takes what stands behind the last @c off @text. NULL when there is none. */
static char *cut_last(char *text, char c)
{
	char *at = strrchr(text, c);

	if (at)
		*at++ = '\0';
	return at;
}

static int parse_range(char *text, const char *word, struct range *ret, struct cb_err **err)
{
	char *dash = strchr(text, '-');

	if (dash)
		*dash++ = '\0';
	if (!cb_num_u32(text, &ret->from) || ret->from > PORT_MAX ||
		(dash && (!cb_num_u32(dash, &ret->to) || ret->to > PORT_MAX)))
		return cb_err_set(err, CB_ERR_INPUT, "invalid port \"%s\"", word);
	if (!dash)
		ret->to = ret->from;
	if (ret->to < ret->from)
		return cb_err_set(err, CB_ERR_INPUT, "invalid port range \"%s\": it ends before it begins", word);
	return 0;
}

/* "1.2.3.4", "::1", "[::1]" */
static bool is_address(const char *text)
{
	unsigned char binary[sizeof(struct in6_addr)];
	size_t len = strlen(text);
	bool bracketed = len > 1 && text[0] == '[' && text[len - 1] == ']';
	cleanup_free char *plain = bracketed ? cb_xstrndup(text + 1, len - 2) : cb_xstrdup(text);

	return inet_pton(AF_INET, plain, binary) == 1 || inet_pton(AF_INET6, plain, binary) == 1;
}

/* The part that publishes @ports: "host ports" or "address:host ports". */
static int check_host(char *text, const char *word, const struct range *ports, struct cb_err **err)
{
	char *host = cut_last(text, ':'), *address = host ? text : NULL;
	struct range range;
	int r;

	if (!host)
		host = text;
	if (address && *address && !is_address(address))
		return cb_err_set(err, CB_ERR_INPUT, "invalid IP address \"%s\" in port \"%s\"", address, word);
	if (!*host)
		return 0;
	r = parse_range(host, word, &range, err);
	if (r < 0)
		return r;
	/* One port may be published as one of many. */
	if (ports->from != ports->to && range.to - range.from != ports->to - ports->from)
		return cb_err_set(err, CB_ERR_INPUT, "port \"%s\": the ranges of host and container differ", word);
	return 0;
}

int cb_ports_expand(const char *word, struct cb_strv *ret, struct cb_err **err)
{
	cleanup_free char *text = cb_xstrdup(word), *proto = NULL;
	char *inner = cut_last(text, ':'), *host = inner ? text : NULL, *slash;
	struct range range = { 0 };
	int r;

	if (!inner)
		inner = text;
	slash = strchr(inner, '/');
	proto = cb_str_lower(cb_xstrdup(slash && slash[1] ? slash + 1 : "tcp"));
	if (slash)
		*slash = '\0';
	if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0 && strcmp(proto, "sctp") != 0)
		return cb_err_set(err, CB_ERR_INPUT, "invalid protocol \"%s\" in port \"%s\"", proto, word);
	r = parse_range(inner, word, &range, err);
	if (r == 0 && host)
		r = check_host(host, word, &range, err);
	if (r < 0)
		return r;
	for (uint32_t port = range.from; port <= range.to; port++)
		cb_strv_addf(ret, "%u/%s", port, proto);
	return 0;
}
