#include "layers/descriptor.h"

#include <string.h>

#include "base/json.h"
#include "layers/jsondoc.h"

void cb_descriptor_done(struct cb_descriptor *desc)
{
	free(desc->media_type);
	free(desc->artifact_type);
	cb_strv_done(&desc->urls);
	json_decref(desc->annotations);
	memset(desc, 0, sizeof(*desc));
}

void cb_descriptor_init(
	struct cb_descriptor *desc, const char *media_type, const struct cb_digest *digest, uint64_t size)
{
	memset(desc, 0, sizeof(*desc));
	desc->media_type = cb_xstrdup(media_type);
	desc->digest = *digest;
	desc->size = size;
}

void cb_descriptor_copy(struct cb_descriptor *to, const struct cb_descriptor *from)
{
	memset(to, 0, sizeof(*to));
	to->media_type = cb_xstrdup_null(from->media_type);
	to->digest = from->digest;
	to->size = from->size;
	to->has_platform = from->has_platform;
	to->platform = from->platform;
	to->artifact_type = cb_xstrdup_null(from->artifact_type);
	cb_strv_copy(&to->urls, &from->urls);
	to->annotations = json_deep_copy(from->annotations);
}

const char *cb_descriptor_annotation(const struct cb_descriptor *desc, const char *key)
{
	return json_string_value(json_object_get(desc->annotations, key));
}

void cb_descriptor_annotate(struct cb_descriptor *desc, const char *key, const char *value)
{
	if (!value) {
		json_object_del(desc->annotations, key);
		return;
	}
	if (!desc->annotations)
		desc->annotations = json_object();
	cb_jsondoc_set_entry(desc->annotations, key, value);
}

static int parse_platform(const json_t *obj, struct cb_descriptor *out, struct cb_err **err)
{
	struct cb_platform *p = &out->platform;
	json_t *doc = NULL;
	int r = cb_json_get_obj(obj, "platform", &doc, err);

	if (r != 0)
		return r < 0 ? r : 0;
	out->has_platform = true;
	r = cb_jsondoc_get_field(doc, "os", p->os, sizeof(p->os), err);
	if (r == 0)
		r = cb_jsondoc_get_field(doc, "architecture", p->arch, sizeof(p->arch), err);
	if (r == 0)
		r = cb_jsondoc_get_field(doc, "variant", p->variant, sizeof(p->variant), err);
	if (r == 0)
		r = cb_jsondoc_get_field(doc, "os.version", p->os_version, sizeof(p->os_version), err);
	return r;
}

int cb_descriptor_parse(const json_t *obj, struct cb_descriptor *ret, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor out = { 0 };
	const char *digest = NULL;
	int64_t size = -1;
	int r;

	if (!json_is_object(obj))
		return cb_err_set(err, CB_ERR_CORRUPT, "descriptor is not an object");
	r = cb_json_get_str(obj, "digest", &digest, err);
	if (r < 0)
		return r;
	if (!digest || !cb_digest_parse(digest, &out.digest))
		return cb_err_set(err, CB_ERR_CORRUPT, "descriptor has %s digest%s%.80s%s", digest ? "the bad" : "no",
			digest ? " \"" : "", digest ? digest : "", digest ? "\"" : "");
	r = cb_json_get_i64(obj, "size", &size, err);
	if (r < 0)
		return r;
	if (size < 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "descriptor of %s has no valid size", out.digest.text);
	out.size = (uint64_t)size;

	r = cb_jsondoc_get_text(obj, "mediaType", &out.media_type, err);
	if (r == 0 && !out.media_type)
		out.media_type = cb_xstrdup("");
	if (r == 0)
		r = cb_jsondoc_get_text(obj, "artifactType", &out.artifact_type, err);
	if (r == 0)
		r = cb_jsondoc_get_strings(obj, "annotations", &out.annotations, err);
	if (r == 0)
		r = cb_json_get_strv(obj, "urls", &out.urls, err);
	if (r >= 0)
		r = parse_platform(obj, &out, err);
	if (r < 0)
		return cb_err_wrap(err, r, "descriptor of %s", out.digest.text);

	*ret = out;
	memset(&out, 0, sizeof(out));
	return 0;
}

json_t *cb_descriptor_to_json(const struct cb_descriptor *desc)
{
	json_t *obj = json_object();

	json_object_set_new(obj, "mediaType", cb_jsondoc_text(desc->media_type ? desc->media_type : ""));
	json_object_set_new(obj, "digest", json_string(desc->digest.text));
	json_object_set_new(obj, "size", json_integer((json_int_t)desc->size));
	cb_jsondoc_set_strv(obj, "urls", &desc->urls);
	cb_jsondoc_set_sorted(obj, "annotations", desc->annotations);
	if (desc->has_platform) {
		json_t *platform = json_object();

		json_object_set_new(platform, "architecture", cb_jsondoc_text(desc->platform.arch));
		json_object_set_new(platform, "os", cb_jsondoc_text(desc->platform.os));
		cb_jsondoc_set_text(platform, "os.version", desc->platform.os_version);
		cb_jsondoc_set_text(platform, "variant", desc->platform.variant);
		json_object_set_new(obj, "platform", platform);
	}
	cb_jsondoc_set_text(obj, "artifactType", desc->artifact_type);
	return obj;
}
