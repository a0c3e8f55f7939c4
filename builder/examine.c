#include "builder/examine.h"

#include <string.h>

#include "base/unicode.h"

json_t *cb_examine_text(const char *text)
{
	const char *end = text + strlen(text);
	cleanup_buf struct cb_buf clean = { 0 };

	while (text < end) {
		uint32_t rune;

		text += cb_utf8_decode(text, end, &rune);
		cb_utf8_add(&clean, rune);
	}
	return json_string(cb_buf_str(&clean));
}

void cb_examine_add(struct cb_buf *out, const char *text)
{
	const char *end = text + strlen(text);

	while (text < end) {
		uint32_t rune;

		text += cb_utf8_decode(text, end, &rune);
		/* Control characters, and those that turn the writing direction. */
		if (rune < ' ' || (rune >= 0x7f && rune < 0xa0) || (rune >= 0x202a && rune <= 0x202e) ||
			(rune >= 0x2066 && rune <= 0x2069))
			rune = rune == '\n' || rune == '\t' ? ' ' : '?';
		cb_utf8_add(out, rune);
	}
}

json_t *cb_examine_image(const struct cb_image_source *source)
{
	json_t *doc = json_object();

	json_object_set_new(doc, "name", cb_examine_text(source->text));
	if (source->config) {
		char platform[CB_PLATFORM_TEXT_MAX];
		struct cb_digest id;

		cb_platform_format(&source->config->platform, platform);
		cb_digest_of(source->config_json.data ? source->config_json.data : "", source->config_json.len, &id);
		json_object_set_new(doc, "digest", json_string(source->digest.text));
		json_object_set_new(doc, "id", json_string(id.text));
		json_object_set_new(doc, "platform", cb_examine_text(platform));
	}
	return doc;
}
