/*
 * The image that a stage is making: configuration and history, changed by one instruction after the other.
 *
 * Values arrive expanded. Every function adds the history item of its instruction, without a time: the time of a layer
 * is known when the layer is, so cb_imagestate_finish fills the times in. One thread.
 */
#ifndef CB_BUILDER_IMAGESTATE_H
#define CB_BUILDER_IMAGESTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/err.h"
#include "base/strv.h"
#include "layers/config.h"
#include "parser/ast.h"

#define CB_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct cb_imagestate {
	struct cb_image_config *config;
	size_t n_base_history; /* items that came with the base image */
	bool cmd_set;          /* CMD stood in this stage: ENTRYPOINT leaves it */
};

/** FROM scratch. */
struct cb_imagestate *cb_imagestate_new(const struct cb_platform *platform);
/** FROM image: everything but `created` and the ONBUILD list, which the caller runs. */
struct cb_imagestate *cb_imagestate_of_image(const struct cb_image_config *base);
/** FROM stage: everything but the ONBUILD list. */
struct cb_imagestate *cb_imagestate_of_stage(const struct cb_imagestate *parent);
struct cb_imagestate *cb_imagestate_free(struct cb_imagestate *state);
CB_DEFINE_CLEANUP(struct cb_imagestate *, cb_imagestate_free)

/** FROM --reset: drops @parts (enum cb_reset) of what the base brought; CB_RESET_ONBUILD is the planner's. */
void cb_imagestate_reset(struct cb_imagestate *state, unsigned int parts);

/** A history item; @layer: a layer belongs to it. */
void cb_imagestate_history(struct cb_imagestate *state, const char *created_by, bool layer);

/** "K=V" pairs of one line. */
void cb_imagestate_env(struct cb_imagestate *state, const struct cb_strv *keys, const struct cb_strv *values);
void cb_imagestate_label(struct cb_imagestate *state, const struct cb_strv *keys, const struct cb_strv *values);
void cb_imagestate_cmd(struct cb_imagestate *state, const struct cb_command_form *command);
void cb_imagestate_entrypoint(struct cb_imagestate *state, const struct cb_command_form *command);
void cb_imagestate_shell(struct cb_imagestate *state, const struct cb_texts *argv);
void cb_imagestate_healthcheck(struct cb_imagestate *state, const struct cb_health_check *check);
/** CB_ERR_INPUT without a place when @word is nothing that EXPOSE takes. */
int cb_imagestate_check_port(const char *word, struct cb_err **err);
/** EXPOSE of words "8080", "80-90/udp", "ip:host:container". CB_ERR_INPUT without a place. */
int cb_imagestate_expose(struct cb_imagestate *state, const struct cb_strv *words, struct cb_err **err);
int cb_imagestate_volume(struct cb_imagestate *state, const struct cb_strv *paths, struct cb_err **err);
int cb_imagestate_stopsignal(struct cb_imagestate *state, const char *name, struct cb_err **err);
void cb_imagestate_user(struct cb_imagestate *state, const char *user);
/** WORKDIR: joins @path to the present one; the new one is state->config->working_dir. */
void cb_imagestate_workdir(struct cb_imagestate *state, const char *path);
void cb_imagestate_maintainer(struct cb_imagestate *state, const char *author);
void cb_imagestate_onbuild(struct cb_imagestate *state, const char *trigger);

/** The working directory, "/" by default; borrowed. */
const char *cb_imagestate_cwd(const struct cb_imagestate *state);
/** Appends the shell that shell forms are given to: SHELL, else /bin/sh -c. */
void cb_imagestate_shell_argv(const struct cb_imagestate *state, struct cb_strv *ret);

/** A layer of the result. */
struct cb_image_layer_fact {
	struct cb_digest diff_id;
	bool base;
	struct timespec created; /* of layers that the build made */
};

/**
 * The final configuration: diff IDs of @layers, history matched with them, times. Layer items beyond the layers become
 * empty, layers without an item get a synthetic one. With @epoch every new time is that.
 */
void cb_imagestate_finish(
	struct cb_imagestate *state, const struct cb_image_layer_fact *layers, size_t n, const struct timespec *epoch);

#endif
