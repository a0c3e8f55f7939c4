#include "builder/reading.h"

#include "builder/include.h"

void cb_reading_done(struct cb_reading *reading)
{
	cb_buildfile_free(reading->parsed);
	cb_includes_free(reading->includes);
	cb_contexts_free(reading->contexts);
	cb_context_file_done(&reading->file);
	cb_build_close(reading->build);
}

static void take_source(struct cb_reading *reading)
{
	reading->source = (struct cb_report_source){
		.name = reading->file.shown, .data = reading->file.data.data, .len = reading->file.data.len
	};
	cb_includes_report(reading->includes, &reading->source);
}

int cb_reading_parse(struct cb_reading *reading, const struct cb_settings *settings, struct cb_err **err)
{
	int r;

	reading->parsed = cb_buildfile_free(reading->parsed);
	reading->includes = cb_includes_free(reading->includes);
	reading->includes = cb_includes_new(settings->context, reading->file.path);
	r = cb_parse_files(cb_buf_str(&reading->file.data), reading->file.data.len,
		cb_includes_reader(reading->includes), &reading->parsed, err);
	take_source(reading);
	return r;
}

static int fetch(const struct cb_settings *settings, struct cb_reading *reading, struct cb_err **err)
{
	struct cb_build *build;
	int r = cb_runtime_enter(cb_build_isolation(settings), err);

	if (r == 0)
		r = cb_build_open_reading(settings, &reading->build, err);
	if (r < 0)
		return r;
	build = reading->build;
	r = cb_build_read(build, err);
	reading->contexts = CB_TAKE_PTR(build->contexts);
	reading->includes = CB_TAKE_PTR(build->includes);
	reading->parsed = CB_TAKE_PTR(build->parsed);
	reading->file = build->file;
	build->file = (struct cb_context_file){ 0 };
	take_source(reading);
	return r;
}

int cb_reading_open(const struct cb_settings *settings, struct cb_reading *ret, struct cb_err **err)
{
	int r;

	*ret = (struct cb_reading){ 0 };
	if (cb_context_kind_of(settings->context) != CB_REMOTE_NONE || cb_context_file_is_url(settings))
		return fetch(settings, ret, err);
	r = cb_context_read_file(settings, &ret->file, err);
	if (r == 0)
		r = cb_contexts_new(settings, &ret->contexts, err);
	return r < 0 ? r : cb_reading_parse(ret, settings, err);
}

int cb_reading_fail(const struct cb_reading *reading, struct cb_err *err)
{
	if (reading->build && reading->build->signal)
		return 128 + reading->build->signal;
	if (reading->parsed)
		cb_buildfile_localise(reading->parsed, err);
	return cb_report_fail(err, reading->source.name ? &reading->source : NULL, NULL);
}
