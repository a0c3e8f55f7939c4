/*
 * What a step was made of, in readable form: kept with its record, compared when a later step is not found.
 *
 * The inputs are a JSON object: "name", "text" (the instruction), "kind", "stage", "index", "project" (which build it
 * was), "fields" (what is in the content key, as [label, value]), "args" (which variables are ARGs), "parent" ({"name",
 * "digest"} of a base image or {"step"}), "ignore" (digests of ignore files). Only "fields" is in the key. The files
 * that the step read are a list of their own (layers/filelist.h).
 */
#ifndef CB_BUILDER_INPUTS_H
#define CB_BUILDER_INPUTS_H

#include <jansson.h>

#include "builder/build.h"

/** The inputs of @vertex with @fields (taken), which come from its content key. */
json_t *cb_inputs_new(struct cb_build *build, const struct cb_vertex *vertex, json_t *fields);
/** The list of all files that @vertex reads, which are read again through the stat index; empty when there are none. */
int cb_inputs_files(struct cb_build *build, const struct cb_vertex *vertex, struct cb_buf *ret, struct cb_err **err);
/** Where records of such inputs are found (struct cb_record): caller frees. */
char *cb_inputs_place(const json_t *inputs);
char *cb_inputs_slot(const json_t *inputs);
/** What people read for a @place: "[stage] RUN make", the first line of the instruction; others as they are. */
char *cb_inputs_place_text(const char *place);
/** What the journal calls builds of @context (a directory, URL, …). Caller frees. */
char *cb_inputs_project(const char *context);

#endif
