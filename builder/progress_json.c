/* rawjson: each event as one line of JSON with the members that BuildKit's status messages have. */
#include <jansson.h>
#include <string.h>

#include "base/json.h"
#include "base/timefmt.h"
#include "builder/progress_state.h"

static void base64(struct cb_buf *out, const unsigned char *p, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		v |= i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0;
		v |= i + 2 < len ? p[i + 2] : 0;
		cb_buf_addc(out, digits[v >> 18]);
		cb_buf_addc(out, digits[v >> 12 & 63]);
		cb_buf_addc(out, i + 1 < len ? digits[v >> 6 & 63] : '=');
		cb_buf_addc(out, i + 2 < len ? digits[v & 63] : '=');
	}
}

/** Wall-clock time of an instant of the progress clock. */
static json_t *time_value(const struct cb_progress *p, uint64_t at)
{
	struct timespec now = p->clock ? (struct timespec){ 0 } : cb_time_now();
	int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	char text[CB_TIME_TEXT_MAX];

	ns += (int64_t)(at - (p->clock ? 0 : cb_progress_now(p)));
	cb_time_format((struct timespec){ ns / 1000000000, ns % 1000000000 }, text);
	return json_string(text);
}

static json_t *vertex_key(const struct cb_vertex *v)
{
	return json_sprintf("step:%u", (unsigned int)v->id);
}

/** Prints {"@list": [@item]}; takes @item. */
static void print_event(struct cb_progress *p, const char *list, json_t *item)
{
	cleanup_json json_t *event = json_pack("{s:[o]}", list, item);
	cleanup_free char *text = event ? cb_json_dump(event, false) : NULL;

	if (text)
		cb_buf_addf(&p->out, "%s\n", text);
}

static void json_vertex(struct cb_progress *p, struct cb_vertex *v)
{
	json_t *item = json_object();

	json_object_set_new(item, "digest", vertex_key(v));
	json_object_set_new(item, "name", json_string(v->name));
	if (v->number)
		json_object_set_new(item, "started", time_value(p, v->started));
	if (cb_vertex_ended(v))
		json_object_set_new(item, "completed", time_value(p, v->ended));
	if (v->state == CB_VERTEX_CACHED)
		json_object_set_new(item, "cached", json_true());
	if (v->state == CB_VERTEX_CANCELED)
		json_object_set_new(item, "error", json_string("canceled"));
	if (v->state == CB_VERTEX_ERROR)
		json_object_set_new(item, "error", json_string(v->message ? v->message : "failed"));
	print_event(p, "vertexes", item);
}

static void json_line(struct cb_progress *p, struct cb_vertex *v, int stream, uint64_t at, const char *data, size_t len)
{
	cleanup_buf struct cb_buf text = { 0 }, encoded = { 0 };
	json_t *item = json_object();

	cb_buf_add(&text, data, len);
	cb_buf_addc(&text, '\n');
	base64(&encoded, (const unsigned char *)text.data, text.len);
	json_object_set_new(item, "vertex", vertex_key(v));
	json_object_set_new(item, "stream", json_integer(stream));
	json_object_set_new(item, "data", json_string(cb_buf_str(&encoded)));
	json_object_set_new(item, "timestamp", time_value(p, v->started + at));
	print_event(p, "logs", item);
}

static void json_status(struct cb_progress *p, struct cb_vertex *v, struct cb_vertex_status *s)
{
	json_t *item = json_object();

	json_object_set_new(item, "id", json_string(s->what));
	json_object_set_new(item, "vertex", vertex_key(v));
	json_object_set_new(item, "current", json_integer((json_int_t)s->current));
	if (s->total)
		json_object_set_new(item, "total", json_integer((json_int_t)s->total));
	json_object_set_new(item, "started", time_value(p, s->started));
	if (s->ended)
		json_object_set_new(item, "completed", time_value(p, s->ended));
	print_event(p, "statuses", item);
}

static void json_warning(struct cb_progress *p, struct cb_vertex *v, const char *message)
{
	json_t *item = json_object();

	if (v)
		json_object_set_new(item, "vertex", vertex_key(v));
	json_object_set_new(item, "level", json_integer(1));
	json_object_set_new(item, "short", json_string(message));
	print_event(p, "warnings", item);
}

const struct cb_progress_look cb_progress_json = {
	.added = json_vertex,
	.started = json_vertex,
	.ended = json_vertex,
	.line = json_line,
	.status = json_status,
	.warning = json_warning,
};
