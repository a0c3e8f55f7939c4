#include "builder/sshagent.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/owner.h"
#include "base/path.h"
#include "base/spawn.h"

/* draft-miller-ssh-agent: the requests that only use keys. */
#define REQUEST_IDENTITIES 11
#define SIGN_REQUEST 13
#define TOOL_MS 15000

struct client {
	int step, agent; /* descriptors; -1: free */
	bool asked_all;  /* raw: the step has said all it has to say */
	struct cb_buf asked;
};

struct cb_sshagent {
	char *upstream; /* path of the real agent's socket */
	char *name;     /* of our directory in the store's temporaries */
	int tmpfd;
	int listener, stop, node;
	pid_t pid; /* of an ssh-agent of ours, or 0 */
	bool running, raw;
	pthread_t thread;
	struct client clients[CB_SSHAGENT_CLIENTS_MAX];
};

ssize_t cb_sshagent_request(const void *data, size_t len, bool *ret_allowed)
{
	const unsigned char *p = data;
	uint32_t body;

	if (len < 5)
		return 0;
	body = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	if (body < 1 || body > CB_SSHAGENT_MESSAGE_MAX)
		return -1;
	*ret_allowed = p[4] == REQUEST_IDENTITIES || p[4] == SIGN_REQUEST;
	return len < body + 4 ? 0 : (ssize_t)body + 4;
}

const struct cb_ssh_spec *cb_sshagent_find(const struct cb_settings *settings, const char *id)
{
	for (size_t i = 0; i < settings->n_ssh; i++)
		if (cb_str_eq(settings->ssh[i].id, id))
			return &settings->ssh[i];
	return NULL;
}

/* ---- sockets -------------------------------------------------------------------------------------------------- */

/* Paths of any length: the directory is entered by its descriptor. */
static int unix_address(struct sockaddr_un *addr, int dirfd, const char *name)
{
	int n;

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	return n > 0 && n < (int)sizeof(addr->sun_path) ? 0 : -1;
}

static int connect_to(const char *path)
{
	cleanup_free char *dir = cb_path_dir(path);
	cleanup_close int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr;

	if (dirfd < 0 || fd < 0 || unix_address(&addr, dirfd, cb_path_base(path)) < 0 ||
		connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return CB_TAKE_FD(fd);
}

static int listen_at(struct cb_sshagent *agent, int dirfd, uid_t uid, gid_t gid, mode_t mode, struct cb_err **err)
{
	struct sockaddr_un addr;

	agent->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (agent->listener < 0 || unix_address(&addr, dirfd, "agent") < 0 ||
		bind(agent->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(agent->listener, 16) < 0)
		return cb_err_errno(err, errno, "socket for ssh");
	/* With one id, whoever the step is to itself, it is us; a socket takes no record of its owner. */
	if ((!cb_owner_recorded() && fchownat(dirfd, "agent", uid, gid, AT_SYMLINK_NOFOLLOW) < 0) ||
		fchmodat(dirfd, "agent", mode, 0) < 0)
		return cb_err_errno(err, errno, "owner and mode of the socket for ssh");
	agent->node = openat(dirfd, "agent", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return agent->node < 0 ? cb_err_errno(err, errno, "socket for ssh") : 0;
}

/* ---- forwarding ----------------------------------------------------------------------------------------------- */

static void client_close(struct client *client)
{
	cb_closep(&client->step);
	cb_closep(&client->agent);
	client->step = client->agent = -1;
	client->asked_all = false;
	cb_buf_done(&client->asked);
}

static void accept_client(struct cb_sshagent *agent)
{
	cleanup_close int fd = accept4(agent->listener, NULL, NULL, SOCK_CLOEXEC);
	const struct timeval patience = { .tv_sec = 30 };

	if (fd < 0)
		return;
	for (size_t i = 0; i < CB_SSHAGENT_CLIENTS_MAX; i++) {
		struct client *client = &agent->clients[i];

		if (client->step >= 0)
			continue;
		client->agent = connect_to(agent->upstream);
		if (client->agent < 0)
			return;
		/* Who does not read what was asked for must not stop the others for good. */
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		setsockopt(client->agent, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		client->step = CB_TAKE_FD(fd);
		return;
	}
}

static bool send_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Whole requests are passed on or answered with a failure. False: the connection is over. */
static bool from_step(struct client *client)
{
	static const unsigned char failure[] = { 0, 0, 0, 1, 5 };
	char data[8192];
	ssize_t n = recv(client->step, data, sizeof(data), 0), whole;
	bool allowed = false;

	if (n <= 0)
		return false;
	cb_buf_add(&client->asked, data, (size_t)n);
	while ((whole = cb_sshagent_request(client->asked.data, client->asked.len, &allowed)) > 0) {
		if (allowed ? !send_all(client->agent, client->asked.data, (size_t)whole)
			    : !send_all(client->step, failure, sizeof(failure)))
			return false;
		client->asked.len -= (size_t)whole;
		memmove(client->asked.data, client->asked.data + whole, client->asked.len);
	}
	return whole == 0;
}

/* Whatever it is. The end of what is said does not end what is answered. */
static bool raw_from_step(struct client *client)
{
	char data[8192];
	ssize_t n = recv(client->step, data, sizeof(data), 0);

	if (n != 0)
		return n > 0 && send_all(client->agent, data, (size_t)n);
	client->asked_all = true;
	return shutdown(client->agent, SHUT_WR) == 0;
}

static bool from_agent(struct client *client)
{
	char data[8192];
	ssize_t n = recv(client->agent, data, sizeof(data), 0);

	return n > 0 && send_all(client->step, data, (size_t)n);
}

static void *forward(void *arg)
{
	struct cb_sshagent *agent = arg;
	struct pollfd fds[2 + 2 * CB_SSHAGENT_CLIENTS_MAX];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = agent->stop, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = agent->listener, .events = POLLIN };
		for (size_t i = 0; i < CB_SSHAGENT_CLIENTS_MAX; i++) {
			fds[2 + 2 * i] = (struct pollfd){ .fd = agent->clients[i].step, .events = POLLIN };
			if (agent->clients[i].asked_all)
				fds[2 + 2 * i].fd = -1;
			fds[3 + 2 * i] = (struct pollfd){ .fd = agent->clients[i].agent, .events = POLLIN };
		}
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents)
			return NULL;
		for (size_t i = 0; i < CB_SSHAGENT_CLIENTS_MAX; i++) {
			struct client *client = &agent->clients[i];
			bool asks = fds[2 + 2 * i].fd >= 0 && fds[2 + 2 * i].revents;
			bool answers = fds[3 + 2 * i].fd >= 0 && fds[3 + 2 * i].revents;

			if ((asks && !(agent->raw ? raw_from_step : from_step)(client)) ||
				(answers && !from_agent(client)))
				client_close(client);
		}
		if (fds[1].revents)
			accept_client(agent);
	}
}

/* ---- an agent of ours ----------------------------------------------------------------------------------------- */

static int tool(const char *const *argv, const struct cb_strv *env, struct cb_buf *out, struct cb_err **err)
{
	cleanup_buf struct cb_buf errout = { 0 };
	const struct cb_spawn spec = {
		.argv = argv, .env = env ? (const char *const *)env->v : NULL, .timeout_ms = TOOL_MS
	};
	int r = cb_spawn_run(&spec, out, &errout, err);

	if (r > 0) {
		cleanup_free char *text = cb_str_trim(cb_buf_str(&errout));

		return cb_err_set(err, CB_ERR_INPUT, "%s: %s", argv[0], text);
	}
	return r;
}

/* "SSH_AGENT_PID=123;" in what ssh-agent prints. */
static pid_t find_pid(const char *text)
{
	const char *at = strstr(text, "SSH_AGENT_PID=");
	cleanup_free char *digits = NULL;
	uint32_t pid;

	if (!at)
		return 0;
	at += strlen("SSH_AGENT_PID=");
	digits = cb_xstrndup(at, strspn(at, "0123456789"));
	return cb_num_u32(digits, &pid) && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static int start_own(struct cb_sshagent *agent, const struct cb_ssh_spec *spec, const char *dir, struct cb_err **err)
{
	cleanup_free char *socket_path = cb_xasprintf("%s/own", dir);
	const char *const start[] = { "ssh-agent", "-s", "-a", socket_path, NULL };
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_strv struct cb_strv env = { 0 };
	int r;

	if (!cb_spawn_have("ssh-agent") || !cb_spawn_have("ssh-add")) {
		cb_err_set(err, CB_ERR_UNSUPPORTED,
			"--ssh %s: key files need ssh-agent and ssh-add, which are not installed", spec->id);
		return cb_err_hint(err, CB_ERR_UNSUPPORTED, "give the socket of a running agent");
	}
	r = tool(start, NULL, &out, err);
	if (r < 0)
		return cb_err_wrap(err, r, "--ssh %s", spec->id);
	agent->pid = find_pid(cb_buf_str(&out));
	agent->upstream = cb_xstrdup(socket_path);
	for (char **p = environ; *p; p++)
		cb_strv_add(&env, *p);
	cb_env_set(&env, "SSH_AUTH_SOCK", socket_path);
	cb_env_set(&env, "SSH_ASKPASS", "/bin/false");
	cb_env_set(&env, "SSH_ASKPASS_REQUIRE", "force");
	for (size_t i = 0; i < spec->paths.n; i++) {
		const char *const add[] = { "ssh-add", "-q", "--", spec->paths.v[i], NULL };

		r = tool(add, &env, NULL, err);
		if (r < 0)
			return cb_err_wrap(err, r, "--ssh %s", spec->id);
	}
	return 0;
}

static int find_upstream(
	struct cb_sshagent *agent, const struct cb_ssh_spec *spec, const char *dir, struct cb_err **err)
{
	const char *path = spec->paths.n ? spec->paths.v[0] : getenv("SSH_AUTH_SOCK");
	struct stat st;

	if (!path || !*path) {
		cb_err_set(err, CB_ERR_INPUT, "--ssh %s: no agent, SSH_AUTH_SOCK is not set", spec->id);
		return cb_err_hint(
			err, CB_ERR_INPUT, "start ssh-agent, or name a socket or a key: --ssh %s=PATH", spec->id);
	}
	if (stat(path, &st) < 0)
		return cb_err_errno(err, errno, "--ssh %s: %s", spec->id, path);
	if (!S_ISSOCK(st.st_mode) && spec->raw)
		return cb_err_set(
			err, CB_ERR_INPUT, "--ssh %s: %s is no socket, so raw=true means nothing", spec->id, path);
	agent->raw = spec->raw;
	if (!S_ISSOCK(st.st_mode))
		return start_own(agent, spec, dir, err);
	if (spec->paths.n > 1)
		return cb_err_set(err, CB_ERR_INPUT, "--ssh %s: one agent, or key files only", spec->id);
	agent->upstream = cb_xstrdup(path);
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

int cb_sshagent_start(const struct cb_ssh_spec *spec, struct cb_store *store, uid_t uid, gid_t gid, mode_t mode,
	struct cb_cancel *cancel, struct cb_sshagent **ret, int *ret_fd, struct cb_err **err)
{
	CB_CLEANUP(cb_sshagent_stop) struct cb_sshagent *agent = cb_new0(struct cb_sshagent);
	cleanup_close int dirfd = -EBADF;
	char link[64], dir[4096];
	ssize_t len;
	int r = cb_cancel_check(cancel, err);

	for (size_t i = 0; i < CB_SSHAGENT_CLIENTS_MAX; i++)
		agent->clients[i].step = agent->clients[i].agent = -1;
	agent->listener = agent->stop = agent->node = -1;
	agent->tmpfd = cb_store_tmpfd(store);
	agent->name = cb_store_unique_name(store);
	if (r < 0)
		return r;
	if (mkdirat(agent->tmpfd, agent->name, 0700) < 0)
		return cb_err_errno(err, errno, "directory for ssh");
	dirfd = openat(agent->tmpfd, agent->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	len = readlink(link, dir, sizeof(dir) - 1);
	if (dirfd < 0 || len < 0)
		return cb_err_errno(err, errno, "directory for ssh");
	dir[len] = '\0';
	r = find_upstream(agent, spec, dir, err);
	if (r == 0)
		r = listen_at(agent, dirfd, uid, gid, mode, err);
	if (r < 0)
		return r;
	agent->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (agent->stop < 0 || pthread_create(&agent->thread, NULL, forward, agent) != 0)
		return cb_err_set(err, CB_ERR_IO, "thread for ssh");
	agent->running = true;
	*ret_fd = agent->node;
	*ret = CB_TAKE_PTR(agent);
	return 0;
}

struct cb_sshagent *cb_sshagent_stop(struct cb_sshagent *agent)
{
	const uint64_t one = 1;

	if (!agent)
		return NULL;
	if (agent->running) {
		if (write(agent->stop, &one, sizeof(one)) < 0)
			abort();
		pthread_join(agent->thread, NULL);
	}
	for (size_t i = 0; i < CB_SSHAGENT_CLIENTS_MAX; i++)
		client_close(&agent->clients[i]);
	if (agent->pid > 1)
		kill(agent->pid, SIGTERM);
	cb_closep(&agent->listener);
	cb_closep(&agent->stop);
	cb_closep(&agent->node);
	cb_path_remove_tree(agent->tmpfd, agent->name, NULL);
	free(agent->upstream);
	free(agent->name);
	free(agent);
	return NULL;
}
