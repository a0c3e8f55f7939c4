#include "unit/layers/httpd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "base/strv.h"

#define HEADERS_MAX (256 * 1024)
#define CONNECTIONS_MAX 256

struct connection {
	struct httpd *server;
	pthread_t thread;
	int fd, number;
};

struct httpd {
	int fd, port;
	httpd_handler handler;
	void *userdata;
	pthread_t thread;
	pthread_mutex_t lock;
	bool stopping;
	int requests;
	struct cb_buf log;
	struct connection *connections[CONNECTIONS_MAX];
	int n_connections;
};

static bool send_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

const char *httpd_header(const struct httpd_request *req, const char *name, char *buf, size_t size)
{
	size_t len = strlen(name);

	for (const char *line = req->headers; line && *line;
		line = strstr(line, "\r\n"), line = line ? line + 2 : NULL) {
		if (strncasecmp(line, name, len) != 0 || line[len] != ':')
			continue;
		line += len + 1;
		line += strspn(line, " ");
		snprintf(buf, size, "%.*s", (int)strcspn(line, "\r"), line);
		return buf;
	}
	return NULL;
}

/* Reads up to the end of the headers; what follows stays in @in. False at the end of the connection. */
static bool read_headers(int fd, struct cb_buf *in, size_t *ret_len)
{
	for (;;) {
		char *end = in->len ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;
		ssize_t n;

		if (end) {
			*ret_len = (size_t)(end - in->data) + 4;
			return true;
		}
		if (in->len > HEADERS_MAX)
			return false;
		cb_buf_reserve(in, 64 * 1024);
		n = recv(fd, in->data + in->len, 64 * 1024, 0);
		if (n <= 0)
			return false;
		in->len += (size_t)n;
		in->data[in->len] = '\0';
	}
}

static bool read_body(int fd, struct cb_buf *in, struct httpd_request *req)
{
	char text[32];
	uint64_t len = 0;

	if (httpd_header(req, "Content-Length", text, sizeof(text)))
		cb_num_u64(text, &len);
	while (req->body.len < len) {
		char chunk[65536];
		size_t have = CB_MIN(in->len, len - req->body.len);
		ssize_t n;

		if (have) {
			cb_buf_add(&req->body, in->data, have);
			memmove(in->data, in->data + have, in->len - have);
			in->len -= have;
			continue;
		}
		n = recv(fd, chunk, CB_MIN(sizeof(chunk), len - req->body.len), 0);
		if (n <= 0)
			return false;
		cb_buf_add(&req->body, chunk, (size_t)n);
	}
	return true;
}

static void note_request(struct connection *c, struct httpd_request *req)
{
	pthread_mutex_lock(&c->server->lock);
	req->number = c->server->requests++;
	cb_buf_addf(&c->server->log, "%s %s%s%s\n", req->method, req->path, *req->query ? "?" : "", req->query);
	pthread_mutex_unlock(&c->server->lock);
}

/* One request of a connection; false when it is the last. */
static bool serve_one(struct connection *c, struct cb_buf *in)
{
	struct httpd_request req = { .connection = c->number, .fd = c->fd, .userdata = c->server->userdata };
	cleanup_free char *head = NULL;
	char *target, *version, *query, *line_end;
	size_t len = 0;
	bool keep = false;

	if (!read_headers(c->fd, in, &len))
		return false;
	head = cb_xstrndup(in->data, len - 2);
	memmove(in->data, in->data + len, in->len - len);
	in->len -= len;

	line_end = strstr(head, "\r\n");
	*line_end = '\0';
	target = strchr(head, ' ');
	version = target ? strchr(target + 1, ' ') : NULL;
	if (!version)
		return false;
	*target++ = '\0';
	*version = '\0';
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	req.method = head;
	req.path = target;
	req.query = query ? query : "";
	req.headers = line_end + 2;
	if (read_body(c->fd, in, &req)) {
		note_request(c, &req);
		keep = c->server->handler(&req);
	}
	cb_buf_done(&req.body);
	return keep;
}

static void *run_connection(void *arg)
{
	struct connection *c = arg;
	cleanup_buf struct cb_buf in = { 0 };

	while (serve_one(c, &in))
		;
	shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

static void *run_server(void *arg)
{
	struct httpd *server = arg;

	for (;;) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC), one = 1;
		struct connection *c;
		bool stop;

		if (fd < 0)
			return NULL;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		pthread_mutex_lock(&server->lock);
		stop = server->stopping || server->n_connections == CONNECTIONS_MAX;
		if (!stop) {
			c = cb_new0(struct connection);
			c->server = server;
			c->fd = fd;
			c->number = server->n_connections;
			server->connections[server->n_connections++] = c;
			if (pthread_create(&c->thread, NULL, run_connection, c) != 0)
				abort();
		}
		pthread_mutex_unlock(&server->lock);
		if (stop)
			close(fd);
	}
}

struct httpd *httpd_start(httpd_handler handler, void *userdata)
{
	struct httpd *server = cb_new0(struct httpd);
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);

	server->handler = handler;
	server->userdata = userdata;
	pthread_mutex_init(&server->lock, NULL);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		listen(server->fd, 64) < 0 || getsockname(server->fd, (struct sockaddr *)&addr, &len) < 0)
		abort();
	server->port = ntohs(addr.sin_port);
	if (pthread_create(&server->thread, NULL, run_server, server) != 0)
		abort();
	return server;
}

struct httpd *httpd_stop(struct httpd *server)
{
	if (!server)
		return NULL;
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	pthread_mutex_unlock(&server->lock);
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	for (int i = 0; i < server->n_connections; i++) {
		shutdown(server->connections[i]->fd, SHUT_RDWR);
		pthread_join(server->connections[i]->thread, NULL);
		close(server->connections[i]->fd);
		free(server->connections[i]);
	}
	close(server->fd);
	pthread_mutex_destroy(&server->lock);
	cb_buf_done(&server->log);
	free(server);
	return NULL;
}

int httpd_port(const struct httpd *server)
{
	return server->port;
}

int httpd_count(struct httpd *server)
{
	int n;

	pthread_mutex_lock(&server->lock);
	n = server->requests;
	pthread_mutex_unlock(&server->lock);
	return n;
}

char *httpd_log(struct httpd *server)
{
	char *text;

	pthread_mutex_lock(&server->lock);
	text = cb_xstrdup(cb_buf_str(&server->log));
	pthread_mutex_unlock(&server->lock);
	return text;
}

bool httpd_reply(struct httpd_request *req, int status, const char *headers, const void *body, size_t len)
{
	cleanup_buf struct cb_buf out = { 0 };

	cb_buf_addf(&out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", status, len, headers ? headers : "");
	if (strcmp(req->method, "HEAD") != 0)
		cb_buf_add(&out, body, len);
	return send_all(req->fd, out.data, out.len);
}

bool httpd_text(struct httpd_request *req, int status, const char *headers, const char *body)
{
	return httpd_reply(req, status, headers, body, strlen(body));
}

bool httpd_ranged(struct httpd_request *req, const char *headers, const void *body, size_t len, size_t limit)
{
	cleanup_buf struct cb_buf out = { 0 };
	uint64_t from = 0;
	char range[64] = "";
	size_t left;
	bool part;

	if (httpd_header(req, "Range", range, sizeof(range)) && range[strlen(range) - 1] == '-')
		range[strlen(range) - 1] = '\0';
	part = cb_str_starts(range, "bytes=") && cb_num_u64(range + 6, &from) && from < len;
	left = len - (size_t)(part ? from : 0);
	cb_buf_addf(&out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s", part ? 206 : 200, left, headers ? headers : "");
	if (part)
		cb_buf_addf(&out, "Content-Range: bytes %zu-%zu/%zu\r\n", (size_t)from, len - 1, len);
	cb_buf_adds(&out, "\r\n");
	return send_all(req->fd, out.data, out.len) &&
	       send_all(req->fd, (const char *)body + (len - left), CB_MIN(left, limit)) && limit >= left;
}

bool httpd_raw(struct httpd_request *req, const void *data, size_t len)
{
	send_all(req->fd, data, len);
	return false;
}

bool httpd_reset(struct httpd_request *req)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };
	int null;

	setsockopt(req->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	/* Replacing the descriptor closes the socket, yet keeps the number for httpd_stop. */
	null = dup(STDIN_FILENO);
	dup2(null, req->fd);
	close(null);
	return false;
}
