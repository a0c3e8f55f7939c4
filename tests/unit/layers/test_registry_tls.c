/*
 * Debian's docker-registry with TLS of an authority made here and htpasswd, filled by skopeo.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/spawn.h"
#include "layers/image.h"
#include "layers/pull.h"
#include "layers/snapshot.h"
#include "unit/layers/fakeregistry.h"

static char dir[] = "/tmp/cbuild-test-tls-XXXXXX";
static int port;
static pid_t server;
static struct cb_platform amd64;

/* Runs a command line in the test's directory; the test fails with its output. */
static void run(const char *command)
{
	const char *argv[] = { "sh", "-ec", command, NULL };
	struct cb_spawn spawn = { .argv = argv, .dir = dir, .timeout_ms = 60000 };
	cleanup_buf struct cb_buf out = { 0 }, errout = { 0 };
	int r = cb_spawn_run(&spawn, &out, &errout, NULL);

	if (r != 0) {
		print_error("%s: %d: %s%s\n", command, r, cb_buf_str(&out), cb_buf_str(&errout));
		abort();
	}
}

static char *in_dir(const char *name)
{
	return cb_xasprintf("%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
	cleanup_free char *path = in_dir(name), *parent = cb_path_dir(path);

	assert_int_equal(cb_path_mkdirs(parent, 0755), 0);
	assert_int_equal(cb_atomic_write(AT_FDCWD, path, text, strlen(text), 0600, NULL), 0);
}

/* One that was free a moment ago. */
static int free_port(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(addr);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		abort();
	return ntohs(addr.sin_port);
}

static bool answers(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)
	};
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

static void start_server(void)
{
	cleanup_free char *config = NULL, *path = in_dir("config.yml"), *log = in_dir("registry.log");

	port = free_port();
	config = cb_xasprintf("version: 0.1\n"
			      "storage: {filesystem: {rootdirectory: %s/data}}\n"
			      "http: {addr: '127.0.0.1:%d', tls: {certificate: %s/server.crt, key: %s/server.key}}\n"
			      "auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n",
		dir, port, dir, dir, dir);
	write_file("config.yml", config);
	server = fork();
	if (server == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		/* docker-registry takes REGISTRY_* for its own settings. */
		unsetenv("REGISTRY_AUTH_FILE");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execlp("docker-registry", "docker-registry", "serve", path, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 100 && !answers(); i++)
		usleep(50000);
	if (!answers()) {
		cleanup_buf struct cb_buf text = { 0 };

		cb_file_read_at(AT_FDCWD, log, 100000, &text, NULL);
		print_error("docker-registry did not start: %s\n", cb_buf_str(&text));
		abort();
	}
}

static void make_certificates(void)
{
	run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 2 "
	    "-subj '/CN=cbuild test authority' >/dev/null 2>&1\n"
	    "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr "
	    "-subj /CN=127.0.0.1 >/dev/null 2>&1\n"
	    "printf 'subjectAltName=IP:127.0.0.1\\n' >ext\n"
	    "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext "
	    "-out server.crt >/dev/null 2>&1\n"
	    "htpasswd -Bbn user 's3cret:with colon' >htpasswd");
}

/* An image into a store, and from that OCI layout by skopeo into the registry. */
static void push_image(struct cb_digest *ret)
{
	cleanup_free char *name = NULL, *path = in_dir("source"), *command = NULL;
	CB_CLEANUP(cb_registry_free) struct cb_registry *registry = NULL;
	CB_CLEANUP(cb_puller_free) struct cb_puller *puller = NULL;
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
	struct fake_registry fake;

	fake_registry_start(&fake);
	fake_put_image(&fake, "app", "1", "linux/amd64", 3, 200000, ret);
	name = fake_registry_name(&fake, "app:1");
	assert_int_equal(cb_store_open(path, geteuid() == 0 ? CB_STORE_TRUSTED : CB_STORE_USER, &store, NULL), 0);
	assert_int_equal(cb_registry_new(NULL, &registry, NULL), 0);
	puller = cb_puller_new(registry, store);
	assert_int_equal(cb_pull_resolve(puller, name, &amd64, 0, NULL, &image, NULL), 0);
	for (size_t i = 0; i < image->n_layers; i++)
		assert_int_equal(cb_pull_blob(puller, image, i, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(cb_tag_set(store, "app:1", &image->manifest, NULL), 0);
	fake_registry_stop(&fake);
	command = cb_xasprintf("skopeo copy --insecure-policy --preserve-digests --dest-cert-dir %s/skopeo-certs "
			       "--dest-creds 'user:s3cret:with colon' oci:%s:docker.io/library/app:1 "
			       "docker://127.0.0.1:%d/team/app:1",
		dir, path, port);
	run("mkdir skopeo-certs && cp ca.crt skopeo-certs/");
	run(command);
}

static struct cb_registry *new_client(const char *certs, bool insecure)
{
	cleanup_free char *path = certs ? in_dir(certs) : NULL, *host = cb_xasprintf("127.0.0.1:%d", port);
	const char *const dirs[] = { path, NULL };
	const char *const hosts[] = { host, NULL };
	struct cb_registry_options options = { .http = { .retries = 1, .backoff_ms = 10 },
		.certs_dirs = certs ? dirs : NULL,
		.insecure_hosts = insecure ? hosts : NULL };
	struct cb_registry *registry = NULL;

	assert_int_equal(cb_registry_new(&options, &registry, NULL), 0);
	return registry;
}

static struct cb_digest pushed;

static const struct {
	const char *name, *auth, *image, *want; /* want: part of the error */
	bool certs, insecure;
	int code;
} cases[] = {
	{ "authority and password", "good.json", "team/app:1", NULL, true, false, 0 },
	{ "authority of certs.d is not there", "good.json", "team/app:1", "certificate", false, false, CB_ERR_DENIED },
	{ "insecure", "good.json", "team/app:1", NULL, false, true, 0 },
	{ "wrong password", "wrong.json", "team/app:1", "HTTP status 401", true, false, CB_ERR_DENIED },
	{ "no password", "none.json", "team/app:1", "HTTP status 401", true, false, CB_ERR_DENIED },
	{ "a key with a path", "path.json", "team/app:1", NULL, true, false, 0 },
	{ "a key with another path", "path.json", "other/app:1", "HTTP status 401", true, false, CB_ERR_DENIED },
	{ "no such tag", "good.json", "team/app:2", "HTTP status 404", true, false, CB_ERR_NOT_FOUND },
	{ "no such repository", "good.json", "team/none:1", "HTTP status 404", true, false, CB_ERR_NOT_FOUND },
};

static void set_auth(const char *file)
{
	cleanup_free char *path = in_dir(file);

	setenv("REGISTRY_AUTH_FILE", path, 1);
}

static void resolve(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CB_CLEANUP(cb_registry_free) struct cb_registry *registry = NULL;
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		cleanup_free char *name = cb_xasprintf("127.0.0.1:%d/%s", port, cases[i].image);
		cleanup_descriptor struct cb_descriptor desc = { 0 };
		cleanup_err struct cb_err *err = NULL;
		int r;

		set_auth(cases[i].auth);
		registry = new_client(cases[i].certs ? "certs.d" : "no-certs.d", cases[i].insecure);
		assert_int_equal(cb_ref_parse(name, &ref, NULL), 0);
		r = cb_registry_resolve(registry, ref, NULL, &desc, &err);
		print_message("# %s: %s\n", cases[i].name, cb_err_msg(err));
		assert_int_equal(r, cases[i].code);
		if (r < 0)
			assert_non_null(strstr(cb_err_msg(err), cases[i].want));
		else
			assert_string_equal(desc.digest.text, pushed.text);
	}
}

static void pull(void **state)
{
	CB_CLEANUP(cb_registry_free) struct cb_registry *registry = NULL;
	CB_CLEANUP(cb_puller_free) struct cb_puller *puller = NULL;
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
	cleanup_free char *path = in_dir("target"), *name = cb_xasprintf("127.0.0.1:%d/team/app:1", port);
	cleanup_strv struct cb_strv ids = { 0 };
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	set_auth("good.json");
	registry = new_client("certs.d", false);
	assert_int_equal(cb_store_open(path, geteuid() == 0 ? CB_STORE_TRUSTED : CB_STORE_USER, &store, NULL), 0);
	puller = cb_puller_new(registry, store);
	cb_pull_resolve(puller, name, &amd64, CB_PULL_ALWAYS, NULL, &image, &err);
	assert_string_equal(cb_err_msg(err), "");
	cb_pull_layers(puller, image, 0, NULL, NULL, NULL, &ids, &err);
	assert_string_equal(cb_err_msg(err), "");
	assert_int_equal(ids.n, 3);
	for (size_t i = 0; i < ids.n; i++) {
		cleanup_free char *file = cb_xasprintf("layer-%zu", i);
		cleanup_buf struct cb_buf text = { 0 };
		cleanup_close int fd = -EBADF;

		assert_int_equal(cb_snapshot_open(store, ids.v[i], &fd, NULL), 0);
		assert_int_equal(cb_file_read_at(fd, file, 10, &text, NULL), 0);
		assert_int_equal(cb_buf_str(&text)[0], '0' + (int)i);
	}
	assert_string_equal(image->manifest.digest.text, pushed.text);
}

static void ping(void **state)
{
	cleanup_free char *host = cb_xasprintf("127.0.0.1:%d", port);
	CB_CLEANUP(cb_registry_free) struct cb_registry *good = NULL, *wrong = NULL;

	(void)state;
	set_auth("good.json");
	good = new_client("certs.d", false);
	set_auth("wrong.json");
	wrong = new_client("certs.d", false);
	assert_int_equal(cb_registry_ping(good, host, NULL, NULL), 0);
	assert_int_equal(cb_registry_ping(wrong, host, NULL, NULL), CB_ERR_DENIED);
}

static void write_auth(const char *name, const char *path, const char *encoded)
{
	cleanup_free char *text =
		cb_xasprintf("{\"auths\":{\"127.0.0.1:%d%s\":{\"auth\":\"%s\"}}}", port, path, encoded);

	write_file(name, text);
}

static int set_up(void **state)
{
	cleanup_free char *copy = NULL;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	setenv("HOME", dir, 1);
	setenv("CONTAINERS_REGISTRIES_CONF", "/dev/null", 1);
	unsetenv("DOCKER_AUTH_CONFIG");
	unsetenv("XDG_RUNTIME_DIR");
	write_file("none.json", "{}");
	set_auth("none.json");
	cb_platform_parse("linux/amd64", &amd64, NULL);
	make_certificates();
	start_server();
	copy = cb_xasprintf(
		"mkdir -p 'certs.d/127.0.0.1:%d' no-certs.d && cp ca.crt 'certs.d/127.0.0.1:%d/'", port, port);
	run(copy);
	/* user:s3cret:with colon, and user:wrong */
	write_auth("good.json", "", "dXNlcjpzM2NyZXQ6d2l0aCBjb2xvbg==");
	write_auth("wrong.json", "", "dXNlcjp3cm9uZw==");
	write_auth("path.json", "/team", "dXNlcjpzM2NyZXQ6d2l0aCBjb2xvbg==");
	push_image(&pushed);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	return cb_path_remove_tree(AT_FDCWD, dir, NULL);
}

int main(void)
{
	static const char *const programs[] = { "docker-registry", "skopeo", "openssl", "htpasswd" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolve),
		cmocka_unit_test(pull),
		cmocka_unit_test(ping),
	};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (!cb_spawn_have(programs[i])) {
			fprintf(stderr, "SKIPPED: %s is not installed\n", programs[i]);
			return 77;
		}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
