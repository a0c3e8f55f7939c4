/* FROM and HEALTHCHECK. */
#include <string.h>

#include "base/num.h"
#include "base/strv.h"
#include "parser/diag.h"
#include "parser/flags.h"
#include "parser/instr.h"
#include "parser/parse.h"

#define MILLISECOND INT64_C(1000000)

bool cb_stage_name_valid(const char *name)
{
	if (*name < 'a' || *name > 'z')
		return false;
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == '\0';
}

static const char *const reset_names[] = { "volumes", "expose", "entrypoint", "cmd", "env", "labels", "user", "workdir",
	"healthcheck", "onbuild" };

/* One part of --reset=a,b, at @at. */
static int add_reset(struct cb_from *from, struct cb_text at, const char *word, size_t len, struct cb_err **err)
{
	cleanup_free char *shown = cb_xstrndup(word, len);

	for (size_t i = 0; i < ARRAY_SIZE(reset_names); i++) {
		if (cb_str_eq(reset_names[i], shown)) {
			from->reset |= 1U << i;
			return 0;
		}
	}
	cb_err_at(err, CB_ERR_INPUT, at.line, at.col + (unsigned int)(word - at.s),
		"flag --reset: unknown part \"%.100s\"", shown);
	if (cb_str_nearest(shown, reset_names, ARRAY_SIZE(reset_names)))
		return cb_diag_did_you_mean(err, CB_ERR_INPUT, "", shown, reset_names, ARRAY_SIZE(reset_names));
	return cb_err_hint(err, CB_ERR_INPUT,
		"the parts are volumes, expose, entrypoint, cmd, env, labels, user, workdir, healthcheck, onbuild");
}

static int set_reset(struct cb_from *from, const struct cb_node *node, const struct cb_flag *flag, struct cb_err **err)
{
	const char *at = flag->value.s;

	if (!flag->used)
		return 0;
	from->reset_at = at ? flag->value : (struct cb_text){ "", node->line, node->col };
	if (!at)
		from->reset = CB_RESET_ALL;
	while (at) {
		size_t len = strcspn(at, ",");
		int r = add_reset(from, flag->value, at, len, err);

		if (r < 0)
			return r;
		at = at[len] ? at + len + 1 : NULL;
	}
	return 0;
}

int cb_instr_from(struct cb_instr *ret, struct cb_arena *arena, struct cb_err **err)
{
	enum { PLATFORM, RESET, N_FLAGS };
	struct cb_flag flags[N_FLAGS] = {
		[PLATFORM] = { .name = "platform", .type = CB_FLAG_STRING },
		[RESET] = { .name = "reset", .type = CB_FLAG_OPTIONAL },
	};
	const struct cb_texts *args = &ret->node->args;
	const struct cb_text *name = args->n == 3 ? &args->v[2] : NULL;
	int r;

	r = cb_flags_check(arena, ret->node, flags, N_FLAGS, err);
	if (r == 0)
		r = set_reset(&ret->from, ret->node, &flags[RESET], err);
	if (r < 0)
		return r;
	if (args->n != 1 && (args->n != 3 || !cb_str_ieq(args->v[1].s, "as"))) {
		cb_instr_err(err, ret->node, "FROM requires either one or three arguments");
		return cb_err_hint(err, CB_ERR_INPUT, "write FROM IMAGE or FROM IMAGE AS NAME");
	}
	ret->from.image = args->v[0];
	ret->from.platform = cb_flag_text(&flags[PLATFORM]);
	if (!name)
		return 0;

	ret->from.name_as_written = name->s;
	ret->from.name = (struct cb_text){ cb_str_lower(cb_arena_strdup(arena, name->s)), name->line, name->col };
	if (cb_stage_name_valid(ret->from.name.s))
		return 0;
	cb_err_at(err, CB_ERR_INPUT, name->line, name->col, "invalid name for build stage: \"%.100s\"", name->s);
	return cb_err_hint(
		err, CB_ERR_INPUT, "a name starts with a letter and has letters, digits, \"-\", \"_\" and \".\" only");
}

enum { FLAG_INTERVAL, FLAG_TIMEOUT, FLAG_START_PERIOD, FLAG_START_INTERVAL, FLAG_RETRIES, FLAG_MAX };

static int set_time(const struct cb_flag *flag, int64_t *ret, struct cb_err **err)
{
	struct cb_text text = cb_flag_text(flag);

	if (!text.s)
		return 0;
	if (!cb_num_duration(text.s, ret)) {
		cb_err_at(err, CB_ERR_INPUT, text.line, text.col, "flag --%s: \"%.100s\" is not a duration", flag->name,
			text.s);
		return cb_err_hint(err, CB_ERR_INPUT, "write a number with a unit, as in 30s, 1m30s or 500ms");
	}
	if (*ret != 0 && *ret < MILLISECOND)
		return cb_err_at(
			err, CB_ERR_INPUT, text.line, text.col, "flag --%s cannot be less than 1ms", flag->name);
	return 0;
}

static int set_retries(const struct cb_flag *flag, int64_t *ret, struct cb_err **err)
{
	struct cb_text text = cb_flag_text(flag);

	if (!text.s)
		return 0;
	if (!cb_num_i64(*text.s == '+' ? text.s + 1 : text.s, ret) || *ret > INT32_MAX || *ret < INT32_MIN)
		return cb_err_at(
			err, CB_ERR_INPUT, text.line, text.col, "flag --retries: \"%.100s\" is not a number", text.s);
	if (*ret < 0)
		return cb_err_at(err, CB_ERR_INPUT, text.line, text.col, "flag --retries cannot be negative");
	return 0;
}

/* HEALTHCHECK CMD */
static int set_check(struct cb_instr *ret, struct cb_arena *arena, struct cb_err **err)
{
	struct cb_flag flags[FLAG_MAX] = {
		[FLAG_INTERVAL] = { .name = "interval", .type = CB_FLAG_STRING },
		[FLAG_TIMEOUT] = { .name = "timeout", .type = CB_FLAG_STRING },
		[FLAG_START_PERIOD] = { .name = "start-period", .type = CB_FLAG_STRING },
		[FLAG_START_INTERVAL] = { .name = "start-interval", .type = CB_FLAG_STRING },
		[FLAG_RETRIES] = { .name = "retries", .type = CB_FLAG_STRING },
	};
	struct cb_health_check *health = &ret->health;
	const struct cb_texts *args = &ret->node->args;
	int r;

	r = cb_flags_check(arena, ret->node, flags, FLAG_MAX, err);
	if (r < 0)
		return r;
	if (!cb_str_ieq(args->v[0].s, "CMD")) {
		cb_instr_err(err, ret->node, "unknown type \"%.100s\" in HEALTHCHECK", args->v[0].s);
		return cb_err_hint(err, CB_ERR_INPUT, "write HEALTHCHECK CMD ... or HEALTHCHECK NONE");
	}
	if (args->n < 2)
		return cb_instr_err(err, ret->node, "missing command after HEALTHCHECK CMD");
	health->type = CB_HEALTH_CMD;
	health->cmd.shell = !ret->node->json;
	health->cmd.argv = (struct cb_texts){ args->v + 1, args->n - 1 };

	r = set_time(&flags[FLAG_INTERVAL], &health->interval, err);
	if (r == 0)
		r = set_time(&flags[FLAG_TIMEOUT], &health->timeout, err);
	if (r == 0)
		r = set_time(&flags[FLAG_START_PERIOD], &health->start_period, err);
	if (r == 0)
		r = set_time(&flags[FLAG_START_INTERVAL], &health->start_interval, err);
	if (r == 0)
		r = set_retries(&flags[FLAG_RETRIES], &health->retries, err);
	return r;
}

int cb_instr_health(struct cb_instr *ret, struct cb_arena *arena, struct cb_err **err)
{
	const struct cb_texts *args = &ret->node->args;

	if (args->n == 0)
		return cb_instr_err(err, ret->node, "HEALTHCHECK requires at least one argument");
	if (!cb_str_ieq(args->v[0].s, "NONE"))
		return set_check(ret, arena, err);
	/* Flags of NONE are never looked at. */
	ret->health.type = CB_HEALTH_NONE;
	if (args->n > 1)
		return cb_err_at(
			err, CB_ERR_INPUT, args->v[1].line, args->v[1].col, "HEALTHCHECK NONE takes no arguments");
	return 0;
}
