/*
 * The plain look, for logs: one vertex speaks at a time, the others wait until it ends, is silent or has spoken for
 * long. "#3 ..." says that vertex 3 is left and will be back.
 */
#include "builder/progress_state.h"

#define MS UINT64_C(1000000)
/** A vertex that said nothing for this long gives way. */
#define SILENCE (500 * MS)
/** Every vertex gives way after this long. */
#define TURN (5000 * MS)
/** Output of one vertex that may wait. */
#define PENDING_MAX (64U << 10)
/** Between two lines of one status. */
#define STATUS_STEP (5000 * MS)

static void print_header(struct cb_progress *p, const struct cb_vertex *v)
{
	cb_buf_addf(&p->out, "#%u %s\n", v->number, v->name);
}

/** Makes @v the one that speaks. */
static void take_turn(struct cb_progress *p, struct cb_vertex *v)
{
	if (p->current == v)
		return;
	if (p->current)
		cb_buf_addf(&p->out, "#%u ...\n\n", p->current->number);
	p->current = v;
	p->switched = cb_progress_now(p);
	print_header(p, v);
}

/** Prints what waits; an ended vertex leaves the turn free. */
static void speak(struct cb_progress *p, struct cb_vertex *v)
{
	take_turn(p, v);
	cb_buf_add(&p->out, v->pending.data, v->pending.len);
	cb_buf_done(&v->pending);
	p->printed = cb_progress_now(p);
	if (cb_vertex_ended(v)) {
		cb_buf_adds(&p->out, "\n");
		p->current = NULL;
	}
}

/** With the turn free: ended vertices first, so that few are left open, then the one that waits longest. */
static void give_turns(struct cb_progress *p)
{
	for (int running = 0; running < 2 && !p->current; running++) {
		for (size_t i = 0; i < p->n_started && !p->current; i++) {
			struct cb_vertex *v = p->started[i];

			if (v->pending.len && (running || cb_vertex_ended(v)))
				speak(p, v);
		}
	}
}

static bool turn_is_over(const struct cb_progress *p)
{
	uint64_t now = cb_progress_now(p);

	return now - p->printed >= SILENCE || now - p->switched >= TURN;
}

/** @v has something new in its pending buffer. */
static void want_turn(struct cb_progress *p, struct cb_vertex *v)
{
	if (p->current && p->current != v && v->pending.len < PENDING_MAX && !turn_is_over(p))
		return;
	speak(p, v);
	give_turns(p);
}

static void plain_started(struct cb_progress *p, struct cb_vertex *v)
{
	if (!p->current)
		take_turn(p, v);
	p->printed = cb_progress_now(p);
}

static void plain_ended(struct cb_progress *p, struct cb_vertex *v)
{
	cb_buf_addf(&v->pending, "#%u ", v->number);
	if (v->state == CB_VERTEX_DONE)
		cb_buf_addf(&v->pending, "DONE %.1fs\n", (double)(v->ended - v->started) / 1e9);
	else if (v->state == CB_VERTEX_ERROR)
		cb_buf_addf(&v->pending, "ERROR: %s\n", v->message ? v->message : "");
	else
		cb_buf_adds(&v->pending, v->state == CB_VERTEX_CACHED ? "CACHED\n" : "CANCELED\n");
	want_turn(p, v);
}

static void plain_line(
	struct cb_progress *p, struct cb_vertex *v, int stream, uint64_t at, const char *data, size_t len)
{
	(void)stream;
	cb_buf_addf(&v->pending, "#%u %.3f ", v->number, (double)at / 1e9);
	cb_buf_add(&v->pending, data, len);
	cb_buf_adds(&v->pending, "\n");
	want_turn(p, v);
}

static void plain_status(struct cb_progress *p, struct cb_vertex *v, struct cb_vertex_status *s)
{
	uint64_t now = cb_progress_now(p);

	if (!s->ended && s->printed && now - s->printed < STATUS_STEP)
		return;
	/* What is over at once needs one line only. */
	if (!s->ended && !s->printed) {
		s->printed = now ? now : 1;
		return;
	}
	s->printed = now;
	cb_buf_addf(&v->pending, "#%u ", v->number);
	cb_progress_status_text(&v->pending, s, now);
	cb_buf_addf(&v->pending, " %.1fs%s\n", (double)(now - s->started) / 1e9, s->ended ? " done" : "");
	want_turn(p, v);
}

static void plain_warning(struct cb_progress *p, struct cb_vertex *v, const char *message)
{
	if (!v || !v->number) {
		cb_buf_addf(&p->out, "WARNING: %s\n", message);
		return;
	}
	cb_buf_addf(&v->pending, "#%u WARNING: %s\n", v->number, message);
	if (!cb_vertex_ended(v))
		want_turn(p, v);
}

static int plain_tick(struct cb_progress *p)
{
	bool waits = false;

	if (p->current && turn_is_over(p)) {
		for (size_t i = 0; i < p->n_started; i++) {
			if (p->started[i]->pending.len)
				speak(p, p->started[i]);
		}
	}
	give_turns(p);
	for (size_t i = 0; i < p->n_started && !waits; i++)
		waits = p->started[i]->pending.len;
	return waits ? (int)(SILENCE / MS) : -1;
}

static void plain_finish(struct cb_progress *p, bool ok)
{
	(void)ok;
	for (size_t i = 0; i < p->n_started; i++) {
		if (p->started[i]->pending.len)
			speak(p, p->started[i]);
	}
	if (p->current)
		cb_buf_adds(&p->out, "\n");
	if (p->warnings.n)
		cb_buf_addf(&p->out, "%zu warning%s:\n", p->warnings.n, p->warnings.n == 1 ? "" : "s");
	for (size_t i = 0; i < p->warnings.n; i++)
		cb_buf_addf(&p->out, " - %s\n", p->warnings.v[i]);
}

const struct cb_progress_look cb_progress_plain = {
	.started = plain_started,
	.ended = plain_ended,
	.line = plain_line,
	.status = plain_status,
	.warning = plain_warning,
	.tick = plain_tick,
	.finish = plain_finish,
};
