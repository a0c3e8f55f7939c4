/* `cbuild cache-mount ls|export|import|rm`: the cache mounts of the store, and those that travel. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/num.h"
#include "base/strv.h"
#include "base/timefmt.h"
#include "builder/cachemounts.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/remoteopen.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "builder/storecmd.h"
#include "builder/transfer.h"
#include "layers/cachemount.h"
#include "layers/diskusage.h"

/** How long export waits for a step that has the mount to itself. */
#define LOCKED_S 600
#define TITLE_MAX 60

enum { OPT_ALL = 1, OPT_FORMAT, OPT_GID, OPT_MODE, OPT_NAMESPACE, OPT_PLATFORM, OPT_REPLACE, OPT_UID };

const struct cb_opt cb_cache_mount_options[] = {
	{ "all", 'a', CB_OPT_FLAG, OPT_ALL, NULL, "rm: all that nobody uses", NULL },
	{ "format", 0, CB_OPT_VALUE, OPT_FORMAT, "FORMAT", "ls, export, import: text or json", "text|json" },
	{ "gid", 0, CB_OPT_VALUE, OPT_GID, "N", "import: gid= of the mount in the Buildfile", NULL },
	{ "mode", 0, CB_OPT_VALUE, OPT_MODE, "MODE", "import: mode= of the mount in the Buildfile", NULL },
	{ "namespace", 0, CB_OPT_VALUE, OPT_NAMESPACE, "NAME", "import: BUILDKIT_CACHE_MOUNT_NS of the build", NULL },
	{ "platform", 0, CB_OPT_VALUE, OPT_PLATFORM, "PLATFORM",
		"export, import: what the steps run as; else this host", NULL },
	{ "replace", 0, CB_OPT_FLAG, OPT_REPLACE, NULL, "import: what is in the mount goes", NULL },
	{ "uid", 0, CB_OPT_VALUE, OPT_UID, "N", "import: uid= of the mount in the Buildfile", NULL },
	CB_TRANSFER_OPTS,
	{ 0 },
};

struct request {
	struct cb_transfer_options options;
	const char *verb;
	struct cb_strv operands; /* after the verb */
	bool all, json, replace;
	uint32_t uid, gid, mode;
	const char *space;
	struct cb_strv platforms;
};

static void request_done(struct request *request)
{
	cb_transfer_options_done(&request->options);
	cb_strv_done(&request->operands);
	cb_strv_done(&request->platforms);
}

static int set_number(const char *option, const char *value, uint32_t *ret, struct cb_err **err)
{
	if (cb_num_u32(value, ret) && *ret != UINT32_MAX)
		return 0;
	return cb_err_set(err, CB_ERR_USAGE, "%s takes a number, not \"%s\"", option, value);
}

static int set_platform(struct request *request, const char *value, struct cb_err **err)
{
	struct cb_platform platform;
	int r = cb_storecmd_platform(value, &platform, err);

	if (r == 0)
		cb_strv_add(&request->platforms, value);
	return r;
}

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_ALL:
		request->all = cb_opt_bool(value);
		return 0;
	case OPT_FORMAT:
		return cb_storecmd_format(value, &request->json, err);
	case OPT_UID:
		return set_number("--uid", value, &request->uid, err);
	case OPT_GID:
		return set_number("--gid", value, &request->gid, err);
	case OPT_MODE:
		if (!cb_num_octal(value, 07777, &request->mode))
			return cb_err_set(err, CB_ERR_USAGE, "--mode takes an octal mode, not \"%s\"", value);
		return 0;
	case OPT_NAMESPACE:
		request->space = value;
		return 0;
	case OPT_PLATFORM:
		return set_platform(request, value, err);
	case OPT_REPLACE:
		request->replace = cb_opt_bool(value);
		return 0;
	default:
		return cb_transfer_set(&request->options, opt, value, err);
	}
}

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	(void)err;
	if (request->verb)
		cb_strv_add(&request->operands, value);
	else
		request->verb = value;
	return 0;
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "cache-mount",
		.tables = { cb_cache_mount_options, cb_access_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };

	return cb_opt_read(&reader, argc, argv, err);
}

/* ---- which ---------------------------------------------------------------------------------------------------- */

/* A cache mount of the store. */
struct mount {
	struct cb_cachemount_info info;
	struct cb_disk_usage usage;
	bool in_use, locked;
};

struct mounts {
	struct mount *v;
	size_t n;
};

static void mounts_done(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->n; i++)
		cb_cachemount_info_done(&mounts->v[i].info);
	free(mounts->v);
}
#define cleanup_mounts __attribute__((cleanup(mounts_done)))

static bool matches(const struct cb_cachemount_info *info, const char *pattern)
{
	return !strcmp(info->name, pattern) || (info->title && fnmatch(pattern, info->title, 0) == 0);
}

static bool wanted(const struct cb_cachemount_info *info, const struct cb_strv *patterns)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (matches(info, patterns->v[i]))
			return true;
	return patterns->n == 0;
}

static int by_title(const void *a, const void *b)
{
	const struct mount *x = a, *y = b;
	int order = strcmp(x->info.title ? x->info.title : "", y->info.title ? y->info.title : "");

	return order ? order : strcmp(x->info.name, y->info.name);
}

static int look_at(struct cb_store *store, struct mount *mount, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	cleanup_free char *path = cb_xasprintf("cachemounts/%s", mount->info.name);
	cleanup_free char *key = cb_cachemount_lock_key(mount->info.name);

	mount->in_use = cb_cachemount_in_use(store, mount->info.name);
	mount->locked = cb_lock_try(store, key, &lock, NULL) == 1;
	return cb_disk_usage(cb_store_dirfd(store), path, &mount->usage, err);
}

/* Those that the patterns mean, all without; sorted. */
static int find_mounts(struct cb_store *store, const struct cb_strv *patterns, struct mounts *ret, struct cb_err **err)
{
	cleanup_strv struct cb_strv names = { 0 };
	int r = cb_cachemount_list(store, &names, err);

	ret->v = cb_newa0(struct mount, names.n + 1);
	for (size_t i = 0; r >= 0 && i < names.n; i++) {
		struct mount *mount = &ret->v[ret->n];

		r = cb_cachemount_stat(store, names.v[i], &mount->info, err);
		if (r != 0)
			continue;
		if (!wanted(&mount->info, patterns)) {
			cb_cachemount_info_done(&mount->info);
			continue;
		}
		ret->n++;
		r = look_at(store, mount, err);
	}
	if (r < 0)
		return r;
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_title);
	return 0;
}

static int not_found(const char *id, struct cb_err **err)
{
	cb_err_set(err, CB_ERR_NOT_FOUND, "there is no cache mount \"%s\" in the store", id);
	return cb_err_hint(err, CB_ERR_NOT_FOUND, "cbuild cache-mount ls shows what there is");
}

/* Each pattern means something. */
static int check_found(const struct mounts *mounts, const struct cb_strv *patterns, struct cb_err **err)
{
	for (size_t i = 0; i < patterns->n; i++) {
		bool found = false;

		for (size_t k = 0; k < mounts->n; k++)
			found |= matches(&mounts->v[k].info, patterns->v[i]);
		if (!found)
			return not_found(patterns->v[i], err);
	}
	return 0;
}

/* ---- ls ------------------------------------------------------------------------------------------------------- */

static void add_line(struct cb_buf *out, const struct mount *mount, int64_t now)
{
	cleanup_buf struct cb_buf size = { 0 }, age = { 0 }, title = { 0 };

	cb_num_format_size(&size, mount->info.size);
	cb_storecmd_age(&age, now, mount->info.last_used);
	cb_storecmd_cut(&title, mount->info.title ? mount->info.title : "", TITLE_MAX);
	cb_buf_addf(out, "%-32s  %9s  %8llu  %-14s  %-6s  %s\n", mount->info.name, cb_buf_str(&size),
		(unsigned long long)mount->usage.entries - 1, cb_buf_str(&age),
		mount->locked   ? "locked"
		: mount->in_use ? "in use"
				: "",
		cb_buf_str(&title));
}

static void add_object(struct cb_buf *out, const struct mount *mount)
{
	char created[CB_TIME_TEXT_MAX], used[CB_TIME_TEXT_MAX];
	cleanup_json json_t *obj = NULL;
	cleanup_free char *text = NULL;

	cb_time_format((struct timespec){ .tv_sec = mount->info.created }, created);
	cb_time_format((struct timespec){ .tv_sec = mount->info.last_used }, used);
	obj = json_pack("{s:s, s:I, s:I, s:I, s:s, s:s, s:b, s:b}", "name", mount->info.name, "size",
		(json_int_t)mount->info.size, "files", (json_int_t)mount->usage.entries - 1, "uses",
		(json_int_t)mount->info.uses, "created", created, "lastUsed", used, "inUse", mount->in_use, "locked",
		mount->locked);
	/* What is no UTF-8 is left out. */
	if (mount->info.title)
		json_object_set_new(obj, "id", json_string(mount->info.title));
	text = cb_json_dump(obj, false);
	cb_buf_addf(out, "%s\n", text);
}

static int list(const struct request *request, struct cb_err **err)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_mounts struct mounts mounts = { 0 };
	cleanup_buf struct cb_buf out = { 0 };
	int64_t now = cb_time_now().tv_sec;
	int r = cb_storecmd_open(request->options.root, &store, err);

	if (r == 0)
		r = find_mounts(store, &request->operands, &mounts, err);
	if (r < 0)
		return cb_storecmd_fail(*err);
	if (!request->json)
		cb_buf_addf(&out, "%-32s  %9s  %8s  %-14s  %-6s  %s\n", "NAME", "SIZE", "FILES", "LAST USED", "", "ID");
	for (size_t i = 0; i < mounts.n; i++) {
		if (request->json)
			add_object(&out, &mounts.v[i]);
		else
			add_line(&out, &mounts.v[i], now);
	}
	return cb_storecmd_print(&out);
}

/* ---- rm ------------------------------------------------------------------------------------------------------- */

static int remove_one(
	struct cb_store *store, const struct mount *mount, bool all, struct cb_buf *out, struct cb_err **err)
{
	int r = cb_cachemount_remove(store, mount->info.name, err);

	if (r == 0)
		cb_buf_addf(out, "%s\n", mount->info.name);
	if (r <= 0 || all)
		return CB_MIN(r, 0);
	return cb_err_set(err, CB_ERR_INPUT, "the cache mount %s is in use",
		mount->info.title ? mount->info.title : mount->info.name);
}

static int remove_all(const struct request *request, struct cb_err **err)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_mounts struct mounts mounts = { 0 };
	cleanup_buf struct cb_buf out = { 0 };
	int r = 0;

	if (!request->operands.n != request->all)
		r = cb_err_set(err, CB_ERR_USAGE, "cache-mount rm needs ids of cache mounts, or --all");
	if (r == 0)
		r = cb_storecmd_open(request->options.root, &store, err);
	if (r == 0)
		r = find_mounts(store, &request->operands, &mounts, err);
	if (r == 0)
		r = check_found(&mounts, &request->operands, err);
	for (size_t i = 0; r == 0 && i < mounts.n; i++)
		r = remove_one(store, &mounts.v[i], request->all, &out, err);
	return r < 0 ? cb_storecmd_fail(*err) : cb_storecmd_print(&out);
}

/* ---- export and import ---------------------------------------------------------------------------------------- */

/* Work on one cache; a thread of its own does it. */
struct moving {
	struct cb_transfer transfer;
	const struct request *request;
	struct cb_strv ids;
	struct cb_remote_spec spec;
	struct cb_remote_cache *cache;
	struct cb_ref *ref;
	char *platform;
	struct cb_buf out; /* for standard output */
	const char *shown; /* the line of what is moved now */
};

static void moving_done(struct moving *m)
{
	cb_remote_cache_free(m->cache);
	cb_ref_free(m->ref);
	cb_remote_spec_done(&m->spec);
	cb_strv_done(&m->ids);
	cb_buf_done(&m->out);
	free(m->platform);
}

static uint64_t max_size(const struct moving *m)
{
	return m->spec.max_size ? m->spec.max_size : CB_MOUNT_SIZE_DEFAULT;
}

static void add_moved(struct moving *m, const char *name, json_t *facts, const char *text)
{
	cleanup_free char *line = NULL;

	if (m->request->json) {
		json_object_set_new(facts, "name", json_string(name));
		line = cb_json_dump(facts, false);
	}
	cb_buf_addf(&m->out, "%s\n", line ? line : text);
	json_decref(facts);
}

static int export_one(struct moving *m, const struct mount *mount, struct cb_mount_cut *total, struct cb_err **err)
{
	struct cb_cancel *cancel = m->transfer.scheduler.cancel;
	const char *name = mount->info.name, *title = mount->info.title ? mount->info.title : name;
	CB_CLEANUP(cb_lock_free) struct cb_lock *alone = NULL;
	cleanup_close int fd = -EBADF, lock = -EBADF;
	cleanup_buf struct cb_buf line = { 0 };
	struct cb_mount_export_result result = { 0 };
	struct cb_mount_ages ages = { 0 };
	struct cb_mount_cut cut = { 0 };
	size_t n = 0;
	cleanup_free struct cb_digest *keys = cb_cachemount_keys(&m->spec, m->platform, name, &n);
	const struct cb_mount_export spec = { .cache = m->cache,
		.keys = keys,
		.n_keys = n,
		.id = title,
		.cuts = { &cut, m->spec.max_total ? total : NULL },
		.cancel = cancel };
	struct cb_mount_export full = spec;
	int r = cb_cachemount_wait(m->transfer.store, name, LOCKED_S, cancel, &alone, err);

	if (r > 0)
		return cb_err_set(err, CB_ERR_TIMEOUT, "a build has had the cache mount %s to itself for %d seconds",
			title, LOCKED_S);
	if (r == 0)
		r = cb_cachemount_read(m->transfer.store, name, cancel, &fd, &lock, err);
	if (r == 0 && fgetxattr(fd, CB_CACHEMOUNT_SEEDED, NULL, 0) >= 0) {
		cb_err_set(err, CB_ERR_UNSUPPORTED,
			"the cache mount %s begins with files of an image: only builds know its name elsewhere", title);
		return cb_err_hint(err, CB_ERR_UNSUPPORTED, "export it by cbuild build --cache-mount-to");
	}
	if (r == 0)
		r = cb_mount_ages_add(&ages, fd, cancel, err);
	cut = cb_mount_ages_cut(&ages, max_size(m));
	cb_mount_ages_done(&ages);
	full.dirfd = fd;
	if (r == 0)
		r = cb_mount_export(&full, &result, err);
	if (r != 0)
		return r < 0 ? cb_err_wrap(err, r, "cache mount %s", title) : not_found(title, err);
	cb_buf_addf(&line, "%s: ", title);
	cb_cachemount_tell(&result, &line);
	add_moved(m, name,
		json_pack("{s:s?, s:I, s:I, s:I, s:I, s:b}", "id", mount->info.title, "files", (json_int_t)result.files,
			"bytes", (json_int_t)result.bytes, "sent", (json_int_t)result.sent, "dropped",
			(json_int_t)result.dropped, "unchanged", result.unchanged),
		cb_buf_str(&line));
	return 0;
}

/* Where the files of all of them have to be cut. */
static int cut_total(struct moving *m, const struct mounts *mounts, struct cb_mount_cut *ret, struct cb_err **err)
{
	struct cb_mount_ages all = { 0 };
	int r = 0;

	for (size_t i = 0; r >= 0 && m->spec.max_total && i < mounts->n; i++) {
		cleanup_close int fd = -EBADF, lock = -EBADF;

		r = cb_cachemount_read(
			m->transfer.store, mounts->v[i].info.name, m->transfer.scheduler.cancel, &fd, &lock, err);
		if (r == 0)
			r = cb_mount_ages_add(&all, fd, m->transfer.scheduler.cancel, err);
	}
	*ret = cb_mount_ages_cut(&all, m->spec.max_total);
	cb_mount_ages_done(&all);
	return CB_MIN(r, 0);
}

static int export_all(void *arg, struct cb_err **err)
{
	struct moving *m = arg;
	cleanup_mounts struct mounts mounts = { 0 };
	struct cb_mount_cut total = { 0 };
	int r = find_mounts(m->transfer.store, &m->ids, &mounts, err);

	if (r == 0)
		r = check_found(&mounts, &m->ids, err);
	if (r == 0)
		r = cut_total(m, &mounts, &total, err);
	for (size_t i = 0; r == 0 && i < mounts.n; i++)
		/* Further directories of a private mount are of this machine only. */
		if (!strchr(mounts.v[i].info.name, '-'))
			r = export_one(m, &mounts.v[i], &total, err);
	return r;
}

static void show(void *arg, uint64_t bytes, uint64_t total)
{
	struct moving *m = arg;

	cb_transfer_status(&m->transfer, m->shown, bytes, total);
}

/* The name of a mount that is not here yet. */
static char *name_of(const struct moving *m, const char *id)
{
	const struct request *request = m->request;

	if (strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32)
		return cb_xstrdup(id);
	return cb_cachemount_name(request->space, id, request->uid, request->gid, request->mode);
}

static int import_one(struct moving *m, const char *id, struct cb_err **err)
{
	cleanup_free char *name = name_of(m, id), *line = NULL, *branch = NULL;
	size_t n = 0;
	cleanup_free struct cb_digest *keys = cb_cachemount_keys(&m->spec, m->platform, name, &n);
	struct cb_mount_import_result result = { 0 };
	const struct cb_mount_import spec = { .store = m->transfer.store,
		.cache = m->cache,
		.keys = keys,
		.n_keys = n,
		.name = name,
		.title = strcmp(id, name) != 0 ? id : NULL,
		.max_bytes = max_size(m),
		.replace = m->request->replace,
		.progress = show,
		.arg = m,
		.cancel = m->transfer.scheduler.cancel };
	int r;

	m->shown = id;
	r = cb_mount_import(&spec, &result, err);
	if (r == CB_MOUNT_NONE) {
		cb_err_set(err, CB_ERR_NOT_FOUND, "%s has no cache mount \"%s\"", m->cache->shown, id);
		return cb_err_hint(err, CB_ERR_NOT_FOUND,
			"its key is made of id, --uid, --gid, --mode, --namespace, --platform, scope= and branch=");
	}
	if (r == CB_MOUNT_KEPT) {
		cb_err_set(err, CB_ERR_INPUT, "the cache mount \"%s\" is in use or not empty", id);
		return cb_err_hint(err, CB_ERR_INPUT, "when nobody uses it, --replace drops what is in it");
	}
	if (r < 0)
		return cb_err_wrap(err, r, "cache mount %s", id);
	branch = cb_cachemount_branch(&m->spec, result.key);
	line = cb_xasprintf(
		"%s: %llu files%s%s", id, (unsigned long long)result.files, *branch ? " of branch " : "", branch);
	add_moved(m, name,
		json_pack("{s:s, s:I, s:I, s:I, s:s}", "id", id, "files", (json_int_t)result.files, "bytes",
			(json_int_t)result.bytes, "received", (json_int_t)result.received, "branch", branch),
		line);
	return 0;
}

static int import_all(void *arg, struct cb_err **err)
{
	struct moving *m = arg;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->ids.n; i++)
		r = import_one(m, m->ids.v[i], err);
	return r;
}

/* The last operand is the cache. */
static int take_operands(struct moving *m, bool to, struct cb_err **err)
{
	const struct cb_strv *operands = &m->request->operands;
	const struct cb_settings settings = { .platforms = m->request->platforms };

	if (operands->n < 2) {
		cb_err_set(err, CB_ERR_USAGE, "cache-mount %s needs ids and then a cache", m->request->verb);
		return cb_err_hint(err, CB_ERR_USAGE, "for example: cbuild cache-mount %s npm type=local,%s=DIR",
			m->request->verb, to ? "dest" : "src");
	}
	for (size_t i = 0; i + 1 < operands->n; i++)
		cb_strv_add(&m->ids, operands->v[i]);
	m->platform = cb_cachemount_platform(&settings);
	return cb_remote_spec_parse_mounts(operands->v[operands->n - 1], to, "cache-mount", &m->spec, err);
}

static int open_cache(struct moving *m, bool to, struct cb_err **err)
{
	const struct cb_remote_opening opening = { .access = &m->request->options.access,
		.registry = m->transfer.registry,
		.to = to,
		.option = "cache-mount" };

	return cb_remote_cache_open(&m->spec, &opening, &m->ref, &m->cache, err);
}

static int move(const struct request *request, bool to, struct cb_err **err)
{
	__attribute__((cleanup(moving_done))) struct moving m = { .request = request };
	cleanup_free char *name = NULL;
	int r = take_operands(&m, to, err), status, printed;

	if (r == 0)
		r = cb_transfer_open(&m.transfer, &request->options, to ? "Exporting" : "Importing", err);
	if (r < 0)
		return cb_report_fail(*err, NULL, NULL);
	r = open_cache(&m, to, err);
	if (r == 0) {
		name = cb_xasprintf("%sing cache mounts", request->verb);
		r = cb_transfer_run(&m.transfer, name, to ? export_all : import_all, &m, err);
	}
	status = cb_transfer_conclude(&m.transfer, r, *err);
	cb_transfer_close(&m.transfer);
	/* What was done before something failed was done. */
	printed = cb_storecmd_print(&m.out);
	return status == CB_EXIT_OK ? printed : status;
}

int cb_cmd_cache_mount(int argc, char **argv)
{
	static const char *const verbs[] = { "ls", "export", "import", "rm" };
	__attribute__((cleanup(request_done))) struct request request = { .mode = 0755 };
	cleanup_err struct cb_err *err = NULL;
	int r = read_arguments(argc, argv, &request, &err);

	if (r > 0)
		return cb_help_command("cache-mount");
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	if (request.verb && !strcmp(request.verb, "ls"))
		return list(&request, &err);
	if (request.verb && !strcmp(request.verb, "rm"))
		return remove_all(&request, &err);
	if (request.verb && (!strcmp(request.verb, "export") || !strcmp(request.verb, "import")))
		return move(&request, !strcmp(request.verb, "export"), &err);
	cb_err_set(&err, CB_ERR_USAGE, "cache-mount knows the verbs ls, export, import and rm%s%s%s",
		request.verb ? ", not \"" : "", request.verb ? request.verb : "", request.verb ? "\"" : "");
	if (request.verb && cb_str_nearest(request.verb, verbs, ARRAY_SIZE(verbs)))
		cb_err_hint(&err, CB_ERR_USAGE, "did you mean cbuild cache-mount %s?",
			cb_str_nearest(request.verb, verbs, ARRAY_SIZE(verbs)));
	return cb_report_fail(err, NULL, NULL);
}
