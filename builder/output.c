/* Requests: parsing, checks before the build, and the choice of the driver. */
#include "builder/output.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "base/path.h"
#include "builder/engine.h"
#include "builder/output_drivers.h"
#include "builder/settings.h"
#include "layers/ref.h"

/* Attributes beyond type and dest that a type knows, as a set. */
enum attr {
	ATTR_NAME = 1 << 0,
	ATTR_COMPRESSION = 1 << 1,
	ATTR_LEVEL = 1 << 2,
	ATTR_MEDIATYPES = 1 << 3,
	ATTR_TAR = 1 << 4,
	ATTR_REWRITE = 1 << 5,
	ATTR_EPOCH = 1 << 6,
	ATTR_PUSH = 1 << 7,
	ATTR_BY_DIGEST = 1 << 8,
	ATTR_FORCE = 1 << 9,
};
#define ATTRS_IMAGE                                                                                                    \
	(ATTR_NAME | ATTR_COMPRESSION | ATTR_LEVEL | ATTR_FORCE | ATTR_MEDIATYPES | ATTR_REWRITE | ATTR_EPOCH)

#define ATTRS_PUSH (ATTR_PUSH | ATTR_BY_DIGEST)
#define NEEDS_IMAGE (CB_OUTPUT_LAYERS | CB_OUTPUT_BASE_BLOBS)

enum dest_rule { DEST_NONE, DEST_FILE, DEST_DIR };

static const struct type {
	const char *name;
	enum cb_output_type type;
	enum dest_rule dest;
	unsigned int attrs;
	unsigned int needs;
	const char *title;
} types[] = {
	{ "image", CB_OUTPUT_STORE, DEST_NONE, ATTRS_IMAGE | ATTRS_PUSH, NEEDS_IMAGE, "exporting to image" },
	{ "registry", CB_OUTPUT_REGISTRY, DEST_NONE, ATTRS_IMAGE | ATTRS_PUSH, CB_OUTPUT_LAYERS, "pushing image" },
	{ "oci", CB_OUTPUT_OCI, DEST_FILE, ATTRS_IMAGE | ATTR_TAR, NEEDS_IMAGE, "exporting to oci image format" },
	{ "docker", CB_OUTPUT_DOCKER, DEST_FILE, ATTRS_IMAGE, NEEDS_IMAGE, "exporting to docker image format" },
	{ "local", CB_OUTPUT_LOCAL, DEST_DIR, ATTR_EPOCH, CB_OUTPUT_FILES, "exporting to client directory" },
	{ "tar", CB_OUTPUT_TAR, DEST_FILE, ATTR_EPOCH, CB_OUTPUT_FILES, "exporting to client tarball" },
	{ "cacheonly", CB_OUTPUT_CACHEONLY, DEST_NONE, 0, 0, "keeping the result in the cache" },
};

static const struct type *type_of(const struct cb_output_request *request)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == request->type)
			return &types[i];
	abort(); /* a request is only made from this table */
}

static const struct type *find_type(const char *name, struct cb_err **err)
{
	const char *names[ARRAY_SIZE(types)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(types[i].name, name))
			return &types[i];
		names[i] = types[i].name;
	}
	cb_err_set(err, CB_ERR_USAGE, "unknown output type \"%s\"", name);
	near = cb_str_nearest(name, names, ARRAY_SIZE(types));
	if (near)
		cb_err_hint(err, CB_ERR_USAGE, "did you mean \"%s\"?", near);
	else
		cb_err_hint(err, CB_ERR_USAGE, "types are image, registry, oci, docker, local, tar and cacheonly");
	return NULL;
}

static int parse_bool(const char *key, const char *value, bool *ret, struct cb_err **err)
{
	if (!strcmp(value, "true") || !strcmp(value, "1"))
		*ret = true;
	else if (!strcmp(value, "false") || !strcmp(value, "0"))
		*ret = false;
	else
		return cb_err_set(err, CB_ERR_USAGE, "output attribute %s takes true or false, not \"%s\"", key, value);
	return 0;
}

/* What an option says wrong is a usage error, whatever the parser of its value calls it. */
static int usage(struct cb_err **err, int r)
{
	if (r == CB_ERR_INPUT && err && *err)
		(*err)->code = CB_ERR_USAGE;
	return r == CB_ERR_INPUT ? CB_ERR_USAGE : r;
}

static int add_names(struct cb_output_request *request, const char *list, struct cb_err **err)
{
	cleanup_strv struct cb_strv names = { 0 };

	cb_strv_split(&names, list, ',');
	for (size_t i = 0; i < names.n; i++) {
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		cleanup_free char *full = NULL;
		int r = cb_ref_parse(names.v[i], &ref, err);

		if (r < 0)
			return usage(err, r);
		full = cb_ref_format(ref);
		if (ref->has_digest)
			return cb_err_set(err, CB_ERR_USAGE, "image name \"%s\" carries a digest", names.v[i]);
		if (!cb_strv_has(&request->names, full))
			cb_strv_add(&request->names, full);
	}
	return 0;
}

static int set_level(struct cb_output_request *request, const char *value, struct cb_err **err)
{
	uint32_t level, max = request->compression.codec == CB_CODEC_ZSTD ? CB_ZSTD_LEVEL_MAX : CB_GZIP_LEVEL_MAX;

	if (!cb_num_u32(value, &level) || level > max)
		return cb_err_set(err, CB_ERR_USAGE, "compression-level takes 0 to %u for %s, not \"%s\"", max,
			cb_codec_name(request->compression.codec), value);
	request->compression.level = (int)level;
	return 0;
}

static int set_codec(struct cb_output_request *request, const char *value, struct cb_err **err)
{
	if (cb_codec_parse(value, &request->compression.codec))
		return 0;
	if (!strcmp(value, "estargz")) {
		cb_err_set(err, CB_ERR_USAGE, "layers are not compressed as estargz");
		return cb_err_hint(
			err, CB_ERR_USAGE, "use gzip, zstd or uncompressed: whoever reads estargz reads them, too");
	}
	return cb_err_set(err, CB_ERR_USAGE, "unknown compression \"%s\": use gzip, zstd or uncompressed", value);
}

static int set_attr(struct cb_output_request *request, const struct type *type, const char *attr, struct cb_err **err)
{
	static const struct {
		const char *key;
		unsigned int bit;
	} keys[] = {
		{ "name", ATTR_NAME },
		{ "compression", ATTR_COMPRESSION },
		{ "compression-level", ATTR_LEVEL },
		{ "force-compression", ATTR_FORCE },
		{ "oci-mediatypes", ATTR_MEDIATYPES },
		{ "tar", ATTR_TAR },
		{ "rewrite-timestamp", ATTR_REWRITE },
		{ "source-date-epoch", ATTR_EPOCH },
		{ "push", ATTR_PUSH },
		{ "push-by-digest", ATTR_BY_DIGEST },
	};
	const char *value = strchr(attr, '=');
	cleanup_free char *key = cb_xstrndup(attr, value ? (size_t)(value - attr) : strlen(attr));
	unsigned int bit = 0;

	value = value ? value + 1 : "true";
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].key, key))
			bit = keys[i].bit;
	if (!(bit & type->attrs))
		return cb_err_set(err, CB_ERR_USAGE, "output type %s has no attribute \"%s\"", type->name, key);
	switch (bit) {
	case ATTR_NAME:
		return add_names(request, value, err);
	case ATTR_COMPRESSION:
		return 0; /* taken before, as the level depends on it */
	case ATTR_LEVEL:
		return set_level(request, value, err);
	case ATTR_FORCE:
		return parse_bool(key, value, &request->force_compression, err);
	case ATTR_REWRITE:
		return parse_bool(key, value, &request->rewrite_timestamp, err);
	case ATTR_EPOCH:
		request->has_epoch = true;
		return usage(err, cb_epoch_parse(strchr(attr, '=') ? value : "", &request->epoch, err));
	case ATTR_MEDIATYPES:
		return parse_bool(key, value, &request->oci_mediatypes, err);
	case ATTR_PUSH:
		return parse_bool(key, value, &request->push, err);
	case ATTR_BY_DIGEST:
		return parse_bool(key, value, &request->by_digest, err);
	default:
		return parse_bool(key, value, &request->tar, err);
	}
}

static int check_push(const struct cb_output_request *request, const struct type *type, struct cb_err **err)
{
	if (request->type == CB_OUTPUT_REGISTRY && !request->push)
		return cb_err_set(err, CB_ERR_USAGE, "output type registry with push=false does nothing");
	if (request->by_digest && !request->push)
		return cb_err_set(err, CB_ERR_USAGE, "push-by-digest needs push=true");
	if (!request->push || request->names.n)
		return 0;
	cb_err_set(err, CB_ERR_USAGE, "output type %s needs a name to push to", type->name);
	return cb_err_hint(err, CB_ERR_USAGE, "for example: -t registry.example.com/team/app:1");
}

static int fill(struct cb_output_request *request, const struct type *type, const struct cb_output_spec *spec,
	const struct cb_strv *tags, struct cb_err **err)
{
	const char *codec = cb_output_spec_get(spec, "compression");
	int r = 0;

	request->type = type->type;
	request->tar = true;
	request->push = type->type == CB_OUTPUT_REGISTRY;
	request->oci_mediatypes = true;
	request->own_compression = true;
	request->compression = (struct cb_compress_spec){ .codec = CB_CODEC_GZIP, .level = CB_LEVEL_DEFAULT };
	if (codec && (type->attrs & ATTR_COMPRESSION))
		r = set_codec(request, codec, err);
	for (size_t i = 0; r == 0 && i < spec->attrs.n; i++)
		r = set_attr(request, type, spec->attrs.v[i], err);
	for (size_t i = 0; r == 0 && tags && (type->attrs & ATTR_NAME) && i < tags->n; i++)
		r = add_names(request, tags->v[i], err);
	if (r < 0)
		return r;
	r = check_push(request, type, err);
	if (r < 0)
		return r;
	cb_strv_copy(&request->attrs, &spec->attrs);
	if (type->dest == DEST_NONE && spec->dest)
		return cb_err_set(err, CB_ERR_USAGE, "output type %s takes no dest", type->name);
	/* As docker has it: into the engine. */
	if (type->type == CB_OUTPUT_DOCKER && !spec->dest)
		return cb_engine_find(spec->engine ? spec->engine : "auto", &request->engine, err);
	if (type->dest != DEST_NONE && (!spec->dest || !*spec->dest)) {
		cb_err_set(err, CB_ERR_USAGE, "output type %s needs dest=%s", type->name,
			type->dest == DEST_DIR ? "DIR" : "FILE");
		return cb_err_hint(err, CB_ERR_USAGE, "for example: -o type=%s,dest=%s", type->name,
			type->dest == DEST_DIR ? "out" : "image.tar");
	}
	if (spec->dest && !strcmp(spec->dest, "-") && (type->dest == DEST_DIR || !request->tar))
		return cb_err_set(err, CB_ERR_USAGE, "a directory cannot be written to standard output");
	if (!request->oci_mediatypes && request->compression.codec == CB_CODEC_ZSTD)
		return cb_err_set(err, CB_ERR_USAGE, "zstd layers need oci-mediatypes=true");
	request->dest = cb_xstrdup_null(spec->dest);
	return 0;
}

/* What a build without -o makes: the names in the store, or nothing but cache records. */
static int fill_default(struct cb_output_request *request, const struct cb_strv *names, struct cb_err **err)
{
	struct cb_output_spec spec = { .type = names && names->n ? "image" : "cacheonly" };

	return fill(request, find_type(spec.type, NULL), &spec, names, err);
}

int cb_output_request_new(const struct cb_output_spec *spec, const struct cb_strv *names,
	struct cb_output_request **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_output_request_free) struct cb_output_request *request = cb_new0(struct cb_output_request);
	const struct type *type;
	int r;

	if (spec) {
		type = find_type(spec->type, err);
		r = type ? fill(request, type, spec, names, err) : CB_ERR_USAGE;
	} else {
		r = fill_default(request, names, err);
	}
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(request);
	return 0;
}

int cb_output_request_load(
	const char *engine, const struct cb_strv *names, struct cb_output_request **ret, struct cb_err **err)
{
	struct cb_output_spec spec = { .type = (char *)"docker", .engine = engine };

	return cb_output_request_new(&spec, names, ret, err);
}

struct cb_output_request *cb_output_request_free(struct cb_output_request *request)
{
	if (!request)
		return NULL;
	cb_engine_free(request->engine);
	free(request->dest);
	cb_strv_done(&request->names);
	cb_strv_done(&request->attrs);
	free(request);
	return NULL;
}

static bool wants_dir(const struct cb_output_request *request)
{
	return request->type == CB_OUTPUT_LOCAL || !request->tar;
}

int cb_output_check(const struct cb_output_request *request, struct cb_err **err)
{
	cleanup_free char *dir = NULL;
	struct stat st;

	if (!request->dest)
		return 0;
	if (!strcmp(request->dest, "-")) {
		if (isatty(STDOUT_FILENO))
			return cb_err_set(err, CB_ERR_USAGE,
				"refusing to write an archive to a terminal: redirect it or give dest=FILE");
		return 0;
	}
	if (stat(request->dest, &st) == 0) {
		if (wants_dir(request) && !S_ISDIR(st.st_mode))
			return cb_err_set(err, CB_ERR_INPUT, "output directory %s is not a directory", request->dest);
		if (!wants_dir(request) && S_ISDIR(st.st_mode)) {
			cb_err_set(err, CB_ERR_INPUT, "output file %s is a directory", request->dest);
			return cb_err_hint(
				err, CB_ERR_INPUT, "name a file in it, or use type=oci,tar=false for a directory");
		}
		return 0;
	}
	dir = cb_path_dir(request->dest);
	if (!wants_dir(request) && (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)))
		return cb_err_set(err, CB_ERR_INPUT, "output directory %s does not exist", dir);
	return 0;
}

unsigned int cb_output_needs(const struct cb_output_request *request)
{
	return type_of(request)->needs | (request->force_compression ? CB_OUTPUT_BASE_BLOBS : 0);
}

const char *cb_output_title(const struct cb_output_request *request)
{
	if (request->engine)
		return strcmp(cb_engine_name(request->engine), "podman") == 0 ? "loading into podman"
									      : "loading into docker";
	return type_of(request)->title;
}

int cb_output_check_platforms(const struct cb_output_request *request, size_t n_platforms, struct cb_err **err)
{
	if (n_platforms < 2 || request->type != CB_OUTPUT_DOCKER)
		return 0;
	cb_err_set(
		err, CB_ERR_USAGE, "output type docker holds an image of one platform, and there are %zu", n_platforms);
	if (request->engine)
		return cb_err_hint(err, CB_ERR_USAGE, "load one --platform, or push them all to a registry");
	return cb_err_hint(err, CB_ERR_USAGE, "type=oci holds them all; or name one --platform");
}

int cb_output_write(const struct cb_output_request *request, const struct cb_results *results, struct cb_cancel *cancel,
	const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err)
{
	switch (request->type) {
	case CB_OUTPUT_STORE:
	case CB_OUTPUT_REGISTRY:
		return cb_output_image(request, results, cancel, progress, ret_meta, err);
	case CB_OUTPUT_OCI:
	case CB_OUTPUT_DOCKER:
		return cb_output_archive(request, results, cancel, progress, ret_meta, err);
	case CB_OUTPUT_LOCAL:
	case CB_OUTPUT_TAR:
		return cb_output_files(request, results, cancel, progress, ret_meta, err);
	case CB_OUTPUT_CACHEONLY:
		*ret_meta = json_object();
		return 0;
	}
	return cb_err_set(err, CB_ERR_INTERNAL, "output type %d has no driver", (int)request->type);
}
