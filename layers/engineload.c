#include "layers/engineload.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"

/* What is kept of the answer: one line for each image, or the error. */
#define ANSWER_MAX ((size_t)64 << 10)
#define CONNECT_TIMEOUT_S 20L
/* A daemon unpacks while it reads, and says nothing meanwhile: only a transfer that stands still for long is dead. */
#define STALL_TIMEOUT_S 600L

struct load {
	struct cb_store *store;
	const struct cb_export *what;
	int in, out; /* ends of the pipe between the two threads */
	pthread_t writer;
	bool joined;
	int written; /* how the archive went */
	struct cb_err *why;
	struct cb_buf answer;
	char error[CURL_ERROR_SIZE];
};

/* ---- the archive ---------------------------------------------------------------------------------------------- */

static void *writer_main(void *arg)
{
	struct load *load = arg;

	load->written = cb_export_docker_tar(load->store, load->what, load->out, &load->why);
	cb_closep(&load->out);
	return NULL;
}

static void join(struct load *load)
{
	if (load->joined)
		return;
	load->joined = true;
	(void)pthread_join(load->writer, NULL);
}

/* Its end is the end of the archive, unless that failed: half of one must not look whole. */
static size_t give(char *data, size_t size, size_t n, void *userdata)
{
	struct load *load = userdata;
	ssize_t got;

	do
		got = read(load->in, data, size * n);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		return (size_t)got;
	join(load);
	return got < 0 || load->written < 0 ? CURL_READFUNC_ABORT : 0;
}

static size_t take(char *data, size_t size, size_t n, void *userdata)
{
	struct load *load = userdata;

	if (load->answer.len < ANSWER_MAX)
		cb_buf_add(&load->answer, data, CB_MIN(size * n, ANSWER_MAX - load->answer.len));
	return size * n;
}

/* ---- the answer ----------------------------------------------------------------------------------------------- */

char *cb_engine_complaint(const char *answer, size_t len)
{
	char *found = NULL;

	for (size_t at = 0; at < len && !found;) {
		json_error_t error;
		json_t *doc =
			json_loadb(answer + at, len - at, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
		const char *text = json_string_value(json_object_get(doc, "error"));

		if (!text)
			text = json_string_value(json_object_get(doc, "message"));
		if (text)
			found = cb_xstrdup(text);
		json_decref(doc);
		if (!doc || error.position <= 0)
			break;
		at += (size_t)error.position;
		while (at < len && strchr(" \t\r\n", answer[at]))
			at++;
	}
	return found;
}

static int judge(struct load *load, CURL *easy, CURLcode code, struct cb_err **err)
{
	cleanup_free char *said = cb_engine_complaint(cb_buf_str(&load->answer), load->answer.len);
	long status = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (said)
		return cb_err_set(err, CB_ERR_IO, "the engine refuses the image: %s", said);
	if (status >= 300)
		return cb_err_set(err, CB_ERR_IO, "the engine refuses the image: status %ld", status);
	if (load->joined && load->written < 0)
		return cb_err_move(err, CB_TAKE_PTR(load->why));
	if (code != CURLE_OK)
		return cb_err_set(err, CB_ERR_NETWORK, "talk to the engine: %s",
			*load->error ? load->error : curl_easy_strerror(code));
	if (status / 100 != 2)
		return cb_err_set(err, CB_ERR_NETWORK, "the engine does not answer as one");
	return 0;
}

/* ---- the request ---------------------------------------------------------------------------------------------- */

static void set_tls(CURL *easy, const char *dir)
{
	static const struct {
		CURLoption option;
		const char *name;
	} files[] = { { CURLOPT_CAINFO, "ca.pem" }, { CURLOPT_SSLCERT, "cert.pem" }, { CURLOPT_SSLKEY, "key.pem" } };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_free char *path = cb_xasprintf("%s/%s", dir, files[i].name);

		/* curl copies strings. */
		if (access(path, R_OK) == 0)
			(void)curl_easy_setopt(easy, files[i].option, path);
	}
}

static void set_options(CURL *easy, const struct cb_engine_address *to, struct load *load, struct curl_slist *headers)
{
	cleanup_free char *url = cb_xasprintf("%s/images/load?quiet=1", to->socket ? "http://engine" : to->url);

	(void)curl_easy_setopt(easy, CURLOPT_URL, url);
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	if (to->socket)
		(void)curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, to->socket);
	if (to->certs)
		set_tls(easy, to->certs);
	(void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, give);
	(void)curl_easy_setopt(easy, CURLOPT_READDATA, load);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, load);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, load->error);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, STALL_TIMEOUT_S);
}

static int perform(struct load *load, CURLM *multi, CURL *easy, struct cb_err **err)
{
	struct curl_waitfd cancel = { .fd = load->what->cancel ? cb_cancel_fd(load->what->cancel) : -1,
		.events = CURL_WAIT_POLLIN };
	int running = 1, left;
	CURLMsg *msg;

	while (running) {
		int r = cb_cancel_check(load->what->cancel, err);

		if (r < 0)
			return r;
		if (curl_multi_perform(multi, &running) != CURLM_OK ||
			(running && curl_multi_poll(multi, &cancel, cancel.fd >= 0, 1000, NULL) != CURLM_OK))
			return cb_err_set(err, CB_ERR_INTERNAL, "libcurl fails");
	}
	msg = curl_multi_info_read(multi, &left);
	return judge(load, easy, msg ? msg->data.result : CURLE_OK, err);
}

static int send_request(struct load *load, const struct cb_engine_address *to, struct cb_err **err)
{
	static const char *const lines[] = { "Content-Type: application/x-tar", "Transfer-Encoding: chunked",
		"Expect:" };
	struct curl_slist *headers = NULL;
	CURLM *multi = curl_multi_init();
	CURL *easy = curl_easy_init();
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct curl_slist *longer = curl_slist_append(headers, lines[i]);

		if (longer)
			headers = longer;
	}
	if (!multi || !easy || !headers) {
		r = cb_err_set(err, CB_ERR_UNSUPPORTED, "libcurl is missing");
	} else {
		set_options(easy, to, load, headers);
		(void)curl_multi_add_handle(multi, easy);
		r = perform(load, multi, easy, err);
		(void)curl_multi_remove_handle(multi, easy);
	}
	curl_easy_cleanup(easy);
	if (multi)
		(void)curl_multi_cleanup(multi);
	curl_slist_free_all(headers);
	return r;
}

int cb_engine_load(
	const struct cb_engine_address *to, struct cb_store *store, const struct cb_export *what, struct cb_err **err)
{
	struct load load = { .store = store, .what = what };
	int ends[2], r;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "libcurl is missing");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return cb_err_errno(err, errno, "pipe");
	load.in = ends[0];
	load.out = ends[1];
	r = pthread_create(&load.writer, NULL, writer_main, &load);
	if (r != 0) {
		close(ends[0]);
		close(ends[1]);
		return cb_err_errno(err, r, "start a thread");
	}
	r = send_request(&load, to, err);
	/* The writer, if it is not done, ends with the other end of its pipe. */
	cb_closep(&load.in);
	join(&load);
	cb_err_free(load.why);
	cb_buf_done(&load.answer);
	return r;
}
