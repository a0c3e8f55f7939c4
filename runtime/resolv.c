#include "runtime/resolv.h"

#include <string.h>

#include "base/strv.h"

/* The next line of @text as a trimmed copy without its comment; NULL at the end. */
static char *next_line(const char **at, const char *end)
{
	if (*at >= end)
		return NULL;
	const char *nl = memchr(*at, '\n', (size_t)(end - *at)), *stop = nl ? nl : end;
	cleanup_free char *line = cb_xstrndup(*at, (size_t)(stop - *at));
	*at = nl ? nl + 1 : end;
	line[strcspn(line, "#;")] = '\0';
	return cb_str_trim(line);
}

/* The value of a line "keyword value...", or NULL. */
static const char *value_of(const char *line, const char *keyword)
{
	size_t len = strlen(keyword);

	if (strncmp(line, keyword, len) != 0 || (line[len] != ' ' && line[len] != '\t'))
		return NULL;
	return line + len + strspn(line + len, " \t");
}

static bool is_loopback(const char *address)
{
	return cb_str_starts(address, "127.") || strcmp(address, "::1") == 0 || cb_str_starts(address, "::1%");
}

bool cb_resolv_is_stub(const char *host, size_t len)
{
	const char *at = host, *end = host + len;
	size_t servers = 0, stubs = 0;
	char *line;

	while ((line = next_line(&at, end))) {
		const char *server = value_of(line, "nameserver");
		servers += server != NULL;
		stubs += server && strcmp(server, "127.0.0.53") == 0;
		free(line);
	}
	return servers == 1 && stubs == 1;
}

bool cb_resolv_needs_forwarder(const char *host, size_t len)
{
	const char *at = host, *end = host + len;
	bool found = false, loopback = false;
	char *line;

	while (!found && (line = next_line(&at, end))) {
		const char *server = value_of(line, "nameserver");
		found = server && !strchr(server, ':');
		loopback = found && is_loopback(server);
		free(line);
	}
	return loopback;
}

static bool given(const char *const *v)
{
	return v && *v;
}

static void add_line(struct cb_buf *out, const char *keyword, const char *const *values)
{
	cb_buf_adds(out, keyword);
	for (; *values; values++)
		cb_buf_addf(out, " %s", *values);
	cb_buf_addc(out, '\n');
}

/* True when the line was a name server that was kept. */
static bool keep_line(const char *line, const char *const *dns, const char *const *search, const char *const *options,
	bool keep_loopback, struct cb_buf *out)
{
	const char *server = value_of(line, "nameserver");

	if (!*line || (server && (given(dns) || (!keep_loopback && is_loopback(server)))))
		return false;
	if ((value_of(line, "search") || value_of(line, "domain")) && given(search))
		return false;
	if (value_of(line, "options") && given(options))
		return false;
	cb_buf_addf(out, "%s\n", line);
	return server != NULL;
}

void cb_resolv_generate(const char *host, size_t len, const char *const *dns, const char *const *search,
	const char *const *options, bool keep_loopback, const char *forwarder, struct cb_buf *out)
{
	static const char *const public[] = { "8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844" };
	const char *at = host, *end = host + len;
	size_t servers = 0;
	char *line;

	for (const char *const *d = dns; d && *d; d++) {
		cb_buf_addf(out, "nameserver %s\n", *d);
		servers++;
	}
	while ((line = next_line(&at, end))) {
		const char *server = value_of(line, "nameserver");
		if (forwarder && !keep_loopback && !given(dns) && server && is_loopback(server)) {
			cb_buf_addf(out, "nameserver %s\n", forwarder);
			forwarder = NULL;
			servers++;
		}
		servers += keep_line(line, dns, search, options, keep_loopback, out);
		free(line);
	}
	for (size_t i = 0; !servers && !keep_loopback && i < ARRAY_SIZE(public); i++)
		cb_buf_addf(out, "nameserver %s\n", public[i]);
	if (given(search))
		add_line(out, "search", search);
	if (given(options))
		add_line(out, "options", options);
}

void cb_hosts_generate(const char *hostname, const struct cb_extra_host *extra, size_t n_extra, struct cb_buf *out)
{
	cb_buf_addf(out, "127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n", hostname);
	for (size_t i = 0; i < n_extra; i++)
		cb_buf_addf(out, "%s\t%s\n", extra[i].address, extra[i].name);
}
