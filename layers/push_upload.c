#include "layers/push_upload.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"
#include "layers/registry_target.h"

/* A piece of a blob that could not be sent whole: large enough for backends that want at least 5 MiB of each. */
#define CHUNK_DEFAULT (UINT64_C(32) << 20)
#define CHUNK_MIN (UINT64_C(1) << 20)
/* Sessions that are begun for one blob, whatever the reason. */
#define SESSIONS_MAX 32
#define MOUNTS_MAX 3
/* Refusals of what was sent that are worth another session. */
#define REJECTS_MAX 2

/* One blob on its way to one target. */
struct upload {
	struct cb_target *t;
	const struct cb_upload *what;
	const char *name; /* for errors */
	int fd;           /* of the bytes, once opened */
	char *location;   /* of the open session; NULL: there is none */
	uint64_t base;    /* that the session had when the running request began */
	uint64_t best;    /* the most that any session had */
	uint64_t chunk;   /* size of pieces; 0: whole */
	bool chunks_fail; /* the registry does not take pieces */
	int failures, sessions, rejects;
};

/* What a failed request leaves to do. */
enum next {
	NEXT_DONE,    /* it did not fail */
	NEXT_GO_ON,   /* the session lives: ask it where it stands */
	NEXT_RESTART, /* the session is lost */
	NEXT_ANEW,    /* as restart, without a pause: another way is tried */
	NEXT_FAIL,
};

/* Sessions */

/* Takes the address where the session goes on; an answer without keeps the one there is. */
static int take_location(struct upload *u, const struct cb_http_response *resp, struct cb_err **err)
{
	const char *location = cb_http_header(resp, "location");
	cleanup_free char *next = NULL, *own = NULL;
	int r;

	if (!location)
		return u->location ? 0
				   : cb_err_set(err, CB_ERR_CORRUPT, "%s: the registry did not say where to upload to",
					     u->name);
	r = cb_http_url_join(resp->url, location, &next, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s: the registry's address for the upload", u->name);
	/* Registries behind something that ends TLS call themselves http: the way there is known to be https. */
	own = cb_xasprintf("http://%s/", u->t->endpoint->host);
	if (strcmp(u->t->scheme, "https") == 0 && cb_str_starts(next, own)) {
		char *better = cb_xasprintf("https%s", next + 4);

		free(next);
		next = better;
	}
	free(u->location);
	u->location = CB_TAKE_PTR(next);
	return 0;
}

static void drop_session(struct upload *u)
{
	free(CB_TAKE_PTR(u->location));
	u->base = 0;
}

/* Gives the open session up; whether that works is the registry's business. */
static void give_up_session(struct upload *u)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	struct cb_http_request req = { .method = "DELETE", .flags = CB_HTTP_NO_RETRY };

	if (u->location)
		cb_target_do_url(u->t, &req, u->location, &resp, NULL);
	drop_session(u);
}

/* POST: a new session. */
static int open_session(struct upload *u, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *path = cb_target_path(u->t, "blobs", "uploads/");
	struct cb_http_request req = { .method = "POST" };
	int r;

	r = cb_target_do(u->t, &req, path, &resp, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s", u->name);
	r = cb_http_status_err(&resp, u->name, err);
	return r < 0 ? r : take_location(u, &resp, err);
}

/* CB_UPLOAD_MOUNTED, or 0 with perhaps a session open: refused or unknown there is no error. */
static int try_mount(struct upload *u, const char *from, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_buf struct cb_buf query = { 0 };
	cleanup_free char *path = NULL, *uploads = cb_target_path(u->t, "blobs", "uploads/");
	cleanup_err struct cb_err *why = NULL;
	struct cb_http_request req = { .method = "POST" };
	int r;

	cb_buf_adds(&query, "?mount=");
	cb_http_url_escape(&query, u->what->digest.text);
	cb_buf_adds(&query, "&from=");
	cb_http_url_escape(&query, from);
	path = cb_xasprintf("%s%s", uploads, cb_buf_str(&query));
	u->t->scope.mount_from = from;
	u->t->scope.refused = 0;
	r = cb_target_do(u->t, &req, path, &resp, &why);
	u->t->scope.mount_from = NULL;
	u->t->scope.refused = 0;
	if (r == CB_ERR_CANCELED)
		return cb_err_move(err, CB_TAKE_PTR(why));
	if (r == 0 && resp.status == 201)
		return CB_UPLOAD_MOUNTED;
	if (r == 0 && resp.status == 202 && take_location(u, &resp, &why) == 0)
		return 0;
	cb_log_debug("%s: no mount from %s: %s", u->name, from,
		why                                     ? cb_err_msg(why)
		: cb_http_header(&resp, "content-type") ? "refused"
							: "not there");
	return 0;
}

/* Mounts the blob if another repository has it. As try_mount. */
static int mount_blob(struct upload *u, struct cb_err **err)
{
	const struct cb_strv *from = u->what->mount_from;
	size_t tried = 0;

	for (size_t i = 0; from && i < from->n && tried < MOUNTS_MAX; i++) {
		int r;

		if (strcmp(from->v[i], u->t->endpoint->repository) == 0)
			continue;
		tried++;
		give_up_session(u);
		r = try_mount(u, from->v[i], err);
		if (r != 0)
			return r;
	}
	return 0;
}

/* 1 when the repository has the blob. */
static int is_there(struct upload *u, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *path = cb_target_path(u->t, "blobs", u->what->digest.text);
	struct cb_http_request req = { .method = "HEAD" };
	const char *length;
	uint64_t size = 0;
	int r;

	r = cb_target_do(u->t, &req, path, &resp, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s", u->name);
	if (resp.status != 200) {
		/* "No" has many forms; these are no answer at all. */
		if (resp.status == 401 || resp.status == 403 || cb_http_status_transient(resp.status))
			return cb_http_status_err(&resp, u->name, err);
		return 0;
	}
	length = cb_http_header(&resp, "content-length");
	if (length && cb_num_u64(length, &size) && size != u->what->size)
		cb_log_debug("%s: the registry has %s bytes of it", u->name, length);
	return !length || size == u->what->size;
}

/* Sending */

static int open_bytes(struct upload *u, struct cb_err **err)
{
	struct stat st;
	int r;

	if (u->what->data || u->fd >= 0)
		return 0;
	r = u->what->open(u->what->userdata, &u->fd, err);
	if (r < 0)
		return r;
	if (fstat(u->fd, &st) < 0)
		return cb_err_errno(err, errno, "%s", u->name);
	if ((uint64_t)st.st_size != u->what->size)
		return cb_err_set(err, CB_ERR_CORRUPT, "%s: there are %llu bytes of it, not %llu", u->name,
			(unsigned long long)st.st_size, (unsigned long long)u->what->size);
	return 0;
}

static void on_sent(void *userdata, uint64_t sent)
{
	struct upload *u = userdata;

	if (u->what->progress)
		u->what->progress(u->what->userdata, u->base + sent);
}

/* One request to the session with @len bytes from u->base on. */
static int send_bytes(struct upload *u, const char *method, const char *url, uint64_t len,
	struct cb_http_response *resp, struct cb_err **err)
{
	cleanup_strv struct cb_strv headers = { 0 };
	struct cb_http_upload body = { .data = u->what->data ? (const char *)u->what->data + u->base : NULL,
		.fd = u->fd,
		.offset = u->base,
		.len = len,
		.progress = on_sent,
		.userdata = u };
	struct cb_http_request req = { .method = method,
		.headers = &headers,
		.upload = &body,
		.answer_timeout_ms = u->t->registry->commit_timeout_ms,
		.flags = CB_HTTP_NO_RETRY };

	if (!len)
		body.data = "";
	cb_strv_add(&headers, "Content-Type: application/octet-stream");
	if (strcmp(method, "PATCH") == 0)
		cb_strv_addf(&headers, "Content-Range: %llu-%llu", (unsigned long long)u->base,
			(unsigned long long)(u->base + len - 1));
	return cb_target_do_url(u->t, &req, url, resp, err);
}

/* Whether the bytes that we have are those of the digest: CB_ERR_CORRUPT when not. */
static int check_own_bytes(struct upload *u, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	cleanup_free char *block = cb_xmalloc(1 << 18);
	struct cb_digest digest;

	if (u->what->data)
		cb_hasher_add(hasher, u->what->data, (size_t)u->what->size);
	for (uint64_t at = 0; !u->what->data && at < u->what->size;) {
		ssize_t n = pread(u->fd, block, 1 << 18, (off_t)at);

		if (n < 0)
			return cb_err_errno(err, errno, "%s", u->name);
		if (n == 0)
			break;
		cb_hasher_add(hasher, block, (size_t)n);
		at += (uint64_t)n;
	}
	cb_hasher_finish(hasher, &digest);
	if (!cb_digest_equal(&digest, &u->what->digest))
		return cb_err_set(err, CB_ERR_CORRUPT, "%s: what is stored here has digest %s", u->name, digest.text);
	return 0;
}

/* Smaller pieces for a registry, or something before it, that refuses large bodies. */
static enum next shrink(struct upload *u)
{
	uint64_t before = u->chunk ? u->chunk : u->what->size;

	if (before <= CHUNK_MIN || u->chunks_fail)
		return NEXT_FAIL;
	u->chunk = CB_MAX(CB_MIN(before / 2, CHUNK_DEFAULT), CHUNK_MIN);
	return NEXT_ANEW;
}

/* What follows from the answer to PATCH or PUT; *err is set for NEXT_FAIL, NEXT_RESTART and NEXT_GO_ON. */
static enum next judge(struct upload *u, bool piece, const struct cb_http_response *resp, struct cb_err **err)
{
	int status = resp->status, r = cb_http_status_err(resp, u->name, err);

	if (r == 0)
		return NEXT_DONE;
	if (status == 401 || status == 403 || status == 407)
		return NEXT_FAIL;
	if (status == 413)
		return shrink(u);
	if (cb_http_status_transient(status))
		return piece ? NEXT_GO_ON : NEXT_RESTART;
	if (piece && status == 416)
		return NEXT_GO_ON;
	if (piece && !u->base && !u->t->registry->upload_chunk && u->chunk < u->what->size) {
		/* Pieces were our idea; this registry has none of it. */
		u->chunk = 0;
		u->chunks_fail = true;
		return NEXT_ANEW;
	}
	/* The session is unknown, or its bytes arrived damaged: ours may be at fault. */
	if (status == 400 || status == 404 || status == 410 || status == 416 || status == 422) {
		cleanup_err struct cb_err *why = NULL;

		if (check_own_bytes(u, &why) == 0)
			return u->rejects++ < REJECTS_MAX ? NEXT_RESTART : NEXT_FAIL;
		cb_err_move(err, CB_TAKE_PTR(why));
	}
	return NEXT_FAIL;
}

/* What follows from a request that got no answer. */
static enum next judge_failure(struct upload *u, bool piece, int r, struct cb_err **err)
{
	cb_err_wrap(err, r, "%s", u->name);
	if (r != CB_ERR_NETWORK)
		return NEXT_FAIL;
	if (piece)
		return NEXT_GO_ON;
	/* From here on progress is kept where the registry keeps it. */
	if (!u->chunks_fail && !u->chunk && u->what->size > CHUNK_DEFAULT)
		u->chunk = CHUNK_DEFAULT;
	return NEXT_RESTART;
}

/* "0-N", also with "bytes=" before it: the number of bytes that the session has. */
static bool read_range(const struct cb_http_response *resp, uint64_t *ret)
{
	const char *text = cb_http_header(resp, "range"), *dash;
	uint64_t last;

	if (!text)
		return false;
	if (cb_str_starts(text, "bytes=") || cb_str_starts(text, "bytes "))
		text += 6;
	dash = strchr(text, '-');
	if (!dash || dash != text + 1 || *text != '0' || !cb_num_u64(dash + 1, &last))
		return false;
	/* The form has no word for nothing: "0-0" is what registries say of an empty session. */
	*ret = last ? last + 1 : 0;
	return true;
}

/* The session has @now bytes: refills the budget when that is more than ever. */
static enum next stand_at(struct upload *u, uint64_t now, struct cb_err **err)
{
	if (now > u->what->size) {
		cb_err_set(err, CB_ERR_CORRUPT, "%s: the registry claims to have %llu bytes of %llu", u->name,
			(unsigned long long)now, (unsigned long long)u->what->size);
		return NEXT_RESTART;
	}
	u->base = now;
	if (now > u->best) {
		u->best = now;
		u->failures = 0;
	}
	return NEXT_DONE;
}

static enum next send_piece(struct upload *u, struct cb_http_response *resp, struct cb_err **err)
{
	uint64_t len = CB_MIN(u->chunk, u->what->size - u->base), now = u->base + len, said;
	cleanup_free char *url = cb_xstrdup(u->location);
	enum next next;
	int r;

	r = send_bytes(u, "PATCH", url, len, resp, err);
	if (r < 0)
		return judge_failure(u, true, r, err);
	next = judge(u, true, resp, err);
	if (next != NEXT_DONE)
		return next;
	if (take_location(u, resp, err) < 0)
		return NEXT_FAIL;
	if (!read_range(resp, &said))
		said = now;
	if (said == now)
		return stand_at(u, now, err);
	cb_err_set(err, CB_ERR_NETWORK, "%s: the registry took %llu of %llu bytes", u->name, (unsigned long long)said,
		(unsigned long long)now);
	if (said > now)
		return NEXT_RESTART;
	/* A part of the piece is progress as well. */
	return said > u->base ? stand_at(u, said, err) : NEXT_GO_ON;
}

/* The last request: with all bytes, or after the pieces with none. */
static enum next commit(struct upload *u, struct cb_http_response *resp, struct cb_err **err)
{
	cleanup_buf struct cb_buf url = { 0 };
	struct cb_digest digest;
	const char *said;
	bool pieces = u->base > 0;
	enum next next;
	int r;

	assert(u->location);
	cb_buf_addf(&url, "%s%sdigest=", u->location, strchr(u->location, '?') ? "&" : "?");
	cb_http_url_escape(&url, u->what->digest.text);
	r = send_bytes(u, "PUT", cb_buf_str(&url), u->what->size - u->base, resp, err);
	if (r < 0)
		return judge_failure(u, pieces, r, err);
	next = judge(u, pieces, resp, err);
	if (next != NEXT_DONE)
		return next;
	said = cb_http_header(resp, "docker-content-digest");
	if (said && cb_digest_parse(said, &digest) && !cb_digest_equal(&digest, &u->what->digest)) {
		cb_err_set(err, CB_ERR_CORRUPT, "%s: the registry stored it as %s", u->name, digest.text);
		return NEXT_FAIL;
	}
	return NEXT_DONE;
}

/* Asks the session where it stands; without an answer it is lost. */
static void ask_session(struct upload *u)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	struct cb_http_request req = { 0 };
	uint64_t now = 0;

	if (cb_target_do_url(u->t, &req, u->location, &resp, NULL) == 0 && resp.status >= 200 && resp.status <= 299 &&
		read_range(&resp, &now) && take_location(u, &resp, NULL) == 0 && stand_at(u, now, NULL) == NEXT_DONE) {
		cb_log_debug("%s: goes on at %llu", u->name, (unsigned long long)now);
		return;
	}
	drop_session(u);
}

/* All of the blob into the open session, as far as that goes. */
static enum next send_all(struct upload *u, struct cb_http_response *resp, struct cb_err **err)
{
	enum next next = NEXT_DONE;

	/* A session that has begun with pieces ends with pieces. */
	while (next == NEXT_DONE && u->base < u->what->size && (u->base || (u->chunk && u->chunk < u->what->size))) {
		if (!u->chunk)
			u->chunk = CHUNK_DEFAULT;
		next = send_piece(u, resp, err);
	}
	return next == NEXT_DONE ? commit(u, resp, err) : next;
}

/* After a failure that may be mended: 0 with a session open, CB_UPLOAD_THERE, or the failure in *why as the error. */
static int mend(
	struct upload *u, enum next next, const struct cb_http_response *resp, struct cb_err **why, struct cb_err **err)
{
	int r = next == NEXT_ANEW ? 0 : cb_http_pause(u->t->registry->http, ++u->failures, resp, u->t->cancel, err);

	if (r < 0)
		return r;
	if (r > 0)
		return cb_err_move(err, CB_TAKE_PTR(*why));
	if (*why)
		cb_log_debug("%s, trying again", cb_err_msg(*why));
	if (next == NEXT_GO_ON)
		ask_session(u);
	else if (next == NEXT_ANEW)
		give_up_session(u);
	else
		drop_session(u);
	if (u->location)
		return 0;
	if (u->sessions++ >= SESSIONS_MAX)
		return cb_err_move(err, CB_TAKE_PTR(*why));
	/* It may have been taken although the answer was lost. */
	r = is_there(u, err);
	if (r != 0)
		return r < 0 ? r : CB_UPLOAD_THERE;
	return open_session(u, err);
}

/* Until the blob is there. The session is open. */
static int transfer(struct upload *u, struct cb_err **err)
{
	int r;

	r = open_bytes(u, err);
	if (r < 0)
		return r;
	for (;;) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		cleanup_err struct cb_err *why = NULL;
		enum next next = send_all(u, &resp, &why);

		if (next == NEXT_DONE)
			return CB_UPLOAD_SENT;
		if (next == NEXT_FAIL)
			return cb_err_move(err, CB_TAKE_PTR(why));
		r = mend(u, next, &resp, &why, err);
		if (r != 0)
			return r < 0 ? r : CB_UPLOAD_SENT;
	}
}

static int upload_to(struct upload *u, struct cb_err **err)
{
	int r;

	r = is_there(u, err);
	if (r != 0)
		return r < 0 ? r : CB_UPLOAD_THERE;
	r = mount_blob(u, err);
	if (r != 0)
		return r;
	if (!u->location) {
		r = open_session(u, err);
		if (r < 0)
			return r;
	}
	return transfer(u, err);
}

struct upload_job {
	const struct cb_upload *what;
	const char *name;
	int outcome;
};

static int upload_at(struct cb_target *t, void *userdata, struct cb_err **err)
{
	struct upload_job *job = userdata;
	struct upload u = { .t = t, .what = job->what, .name = job->name, .fd = -EBADF };
	int r;

	u.chunk = t->registry->upload_chunk;
	r = upload_to(&u, err);
	free(u.location);
	cb_closep(&u.fd);
	if (r < 0)
		return r;
	job->outcome = r;
	return 0;
}

int cb_registry_upload(struct cb_registry *reg, const struct cb_ref *ref, const struct cb_upload *upload,
	struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free char *repository = cb_ref_name(ref);
	cleanup_free char *name = cb_xasprintf("push %s: blob %s", repository, upload->digest.text);
	struct upload_job job = { .what = upload, .name = name };
	struct cb_target_query q = cb_target_push_query(ref, cancel);
	int r;

	assert(upload->data || upload->open || !upload->size);
	r = cb_target_each(reg, &q, upload_at, &job, err);
	return r < 0 ? r : job.outcome;
}

struct has_job {
	const struct cb_upload *what;
	const char *name;
	bool there;
};

static int has_at(struct cb_target *t, void *userdata, struct cb_err **err)
{
	struct has_job *job = userdata;
	struct upload u = { .t = t, .what = job->what, .name = job->name, .fd = -EBADF };
	int r = is_there(&u, err);

	job->there = r > 0;
	return r < 0 ? r : 0;
}

int cb_registry_has_blob(struct cb_registry *reg, const struct cb_ref *ref, const struct cb_descriptor *blob,
	struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free char *name = cb_xasprintf("blob %s", blob->digest.text);
	const struct cb_upload what = { .digest = blob->digest, .size = blob->size };
	struct has_job job = { .what = &what, .name = name };
	struct cb_target_query q = cb_target_push_query(ref, cancel);
	int r = cb_target_each(reg, &q, has_at, &job, err);

	return r < 0 ? r : job.there;
}

/* Permission */

static int may_push_at(struct cb_target *t, void *userdata, struct cb_err **err)
{
	struct upload u = { .t = t, .name = userdata, .fd = -EBADF };
	int r = open_session(&u, err);

	if (r == CB_ERR_NOT_FOUND)
		cb_err_hint(err, r, "does the registry want repositories to be created first?");
	if (r == 0)
		give_up_session(&u);
	free(u.location);
	return r;
}

int cb_registry_may_push(
	struct cb_registry *reg, const struct cb_ref *ref, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free char *repository = cb_ref_name(ref), *name = cb_xasprintf("push to %s", repository);
	struct cb_target_query q = cb_target_push_query(ref, cancel);

	return cb_target_each(reg, &q, may_push_at, name, err);
}
