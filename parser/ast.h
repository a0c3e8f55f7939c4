/*
 * The tree of a Buildfile, in two levels that share one arena (owned by struct cb_buildfile, freed with it).
 *
 * Nodes are the grammar alone: keyword, flags, arguments as written, here-documents. They exist for every instruction,
 * known or not. Typed instructions (struct cb_instr, grouped in stages) are made of nodes after validation and are what
 * a planner reads. Nothing is expanded at either level: every operand is the text as written with its place, and where
 * a table below says "expand", it is the planner that runs cb_expand_* over it with the scope of that line.
 *
 * Lines count through all files: INCLUDE gives each included file a range of line numbers of its own behind those of
 * the Buildfile, so that one number says file and line (cb_buildfile_place). Without INCLUDE they are the lines of the
 * file.
 *
 * All strings are NUL-terminated (a Buildfile with a NUL byte is refused). Lines and columns are 1-based; a column
 * counts bytes. A text whose .s is NULL is absent, which differs from empty.
 */
#ifndef CB_PARSER_AST_H
#define CB_PARSER_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/keyword.h"

/** A piece of source text: what stands there (quotes, escapes and variables untouched) and where it starts. */
struct cb_text {
	const char *s;
	unsigned int line, col;
};

/** A list of texts. */
struct cb_texts {
	struct cb_text *v;
	size_t n;
};

/* ---- nodes: the grammar ------------------------------------------------------------------------------------- */

/** A here-document as it stands in the file. */
struct cb_heredoc {
	const char *name;    /* the delimiter without quotes */
	const char *content; /* body lines with their line ends, leading tabs kept even when chomp is set */
	size_t len;          /* bytes of content */
	bool expand;         /* no part of the delimiter was quoted */
	bool chomp;          /* <<-: leading tabs of each line do not count, see cb_heredoc_text */
	uint64_t fd;         /* digits before <<, 0 when there are none */
	unsigned int line;   /* of the first body line (or of the terminator when the body is empty) */
};

/** One instruction as the grammar sees it. */
struct cb_node {
	enum cb_keyword kw;
	const char *word;       /* the keyword as written */
	struct cb_texts flags;  /* "--x=y" with quotes removed */
	struct cb_texts args;   /* see parse.h, "Arguments" */
	bool json;              /* args are the items of a JSON array */
	const char *original;   /* the logical line: continuations joined, comments gone */
	const char *rest;       /* tail of original behind keyword and flags, as written */
	unsigned int line, col; /* of the keyword */
	unsigned int end_line;  /* last physical line, here-documents included */
	struct cb_heredoc *heredocs;
	size_t n_heredocs;
	struct cb_node *child;        /* ONBUILD: the trigger's node; else NULL */
	struct cb_texts comments;     /* comment lines directly above, without "#" and surrounding blanks */
	const struct cb_linemap *map; /* place of each byte of original */
};

/** The place in the file of the byte at @offset of node->original. */
void cb_node_place(const struct cb_node *node, size_t offset, unsigned int *line, unsigned int *col);

/* ---- typed instructions ------------------------------------------------------------------------------------- */

/** key=value of ENV, LABEL, ARG. ENV and LABEL: expand both; ARG: expand the value only. */
struct cb_pair {
	struct cb_text key;
	struct cb_text value; /* absent only for "ARG name" */
};

/** A here-document used as a source of COPY or ADD. */
struct cb_inline_file {
	struct cb_text name; /* of the file, never expanded */
	const char *data;    /* tabs already removed for <<- */
	size_t len;
	bool expand;       /* expand with cb_expand's here-document rules: quotes are ordinary, escape is '\' */
	unsigned int line; /* of the first body line */
};

enum cb_mount_type { CB_MOUNT_BIND, CB_MOUNT_CACHE, CB_MOUNT_TMPFS, CB_MOUNT_SECRET, CB_MOUNT_SSH };
enum cb_mount_sharing { CB_SHARING_SHARED, CB_SHARING_PRIVATE, CB_SHARING_LOCKED };

enum cb_network { CB_NETWORK_DEFAULT, CB_NETWORK_NONE, CB_NETWORK_HOST };
enum cb_security { CB_SECURITY_SANDBOX, CB_SECURITY_INSECURE };

/** --device=NAME[,required=BOOL]. Never expanded. */
struct cb_device {
	struct cb_text name;
	bool required;
};

/** RUN. Exactly one of argv and shell text is there, or only here-documents (only_heredoc). */
struct cb_run {
	bool shell;            /* shell form: give .script to the shell as ONE argument; else exec .argv */
	struct cb_texts argv;  /* exec form, never expanded */
	struct cb_text script; /* shell form: the line behind the flags; the rebuilt line with bodies and terminators
				* when a here-document is only a part of the line; the body when it is all of it */
	bool is_file;          /* RUN of one here-document that begins with "#!": write .script with mode 0755 to a
				* read-only mount /dev/pipes/<file_name> and give that path to the shell */
	const char *file_name; /* delimiter of the here-document when it is the whole command; else NULL */
	const struct cb_mount_spec *mounts; /* in written order, see mountflag.h */
	size_t n_mounts;
	enum cb_network network;
	struct cb_text network_at; /* absent when the flag is not there: the build's default applies */
	enum cb_security security;
	struct cb_text security_at;
	const struct cb_device *devices;
	size_t n_devices;
};

/** COPY and ADD. */
struct cb_copy {
	struct cb_texts sources;            /* paths (ADD: also URLs), in order; expand each */
	const struct cb_inline_file *files; /* here-document sources; applied after all of .sources */
	size_t n_files;
	struct cb_text dest;      /* expand */
	struct cb_text from;      /* COPY only; never expanded, "$" is refused here */
	struct cb_text chown;     /* expand */
	struct cb_text chmod;     /* expand */
	struct cb_text checksum;  /* ADD only; expand */
	struct cb_texts excludes; /* never expanded */
	bool link;
	bool parents;      /* COPY only */
	bool keep_git_dir; /* ADD only, valid when has_keep_git_dir */
	bool has_keep_git_dir;
	bool unpack; /* ADD only, valid when has_unpack: the default depends on the source */
	bool has_unpack;
};

/** CMD, ENTRYPOINT, RUN-like command text; never expanded. */
struct cb_command_form {
	bool shell; /* .argv has one item, the line for the shell; else exec form; n == 0 clears */
	struct cb_texts argv;
};

enum cb_health { CB_HEALTH_NONE, CB_HEALTH_CMD };

/** HEALTHCHECK. Times are nanoseconds, 0 when the flag is absent (or written as 0). Never expanded. */
struct cb_health_check {
	enum cb_health type;
	struct cb_command_form cmd;
	int64_t interval, timeout, start_period, start_interval;
	int64_t retries;
};

/** What FROM --reset drops of the configuration that the base brings. */
enum cb_reset {
	CB_RESET_VOLUMES = 1 << 0,
	CB_RESET_EXPOSE = 1 << 1,
	CB_RESET_ENTRYPOINT = 1 << 2,
	CB_RESET_CMD = 1 << 3,
	CB_RESET_ENV = 1 << 4,
	CB_RESET_LABELS = 1 << 5,
	CB_RESET_USER = 1 << 6,
	CB_RESET_WORKDIR = 1 << 7,
	CB_RESET_HEALTHCHECK = 1 << 8,
	CB_RESET_ONBUILD = 1 << 9,
	CB_RESET_ALL = (1 << 10) - 1,
};

/** FROM. Image and platform are expanded with global ARGs only. */
struct cb_from {
	struct cb_text image;
	struct cb_text platform; /* absent when there is no flag */
	unsigned int reset;      /* of enum cb_reset */
	struct cb_text reset_at; /* absent when there is no flag */
	struct cb_text name;     /* lower-cased, .s NULL without AS; stage_name_as_written has the case */
	const char *name_as_written;
};

/** A validated instruction. The body that is valid follows from .kw. */
struct cb_instr {
	enum cb_keyword kw;
	const struct cb_node *node; /* places, original text, comments, flags as written */
	union {
		struct cb_run run;
		struct cb_copy copy; /* COPY and ADD */
		struct {
			const struct cb_pair *v;
			size_t n;
			bool legacy;            /* "ENV key value": the value is the rest of the line */
		} pairs;                        /* ENV, LABEL, ARG */
		struct cb_command_form command; /* CMD, ENTRYPOINT */
		struct cb_texts words;          /* EXPOSE, VOLUME (expand each), SHELL (argv, never expanded) */
		struct cb_text text;            /* USER, WORKDIR, STOPSIGNAL (expand), MAINTAINER (never) */
		struct cb_health_check health;
		struct cb_from from;
		struct {
			struct cb_text text; /* what to store: logical line behind ONBUILD, here-documents appended */
			const struct cb_instr *child; /* the trigger, validated */
		} onbuild;
	};
};

/** One FROM and what follows up to the next. */
struct cb_stage {
	unsigned int index;
	const char *name;    /* lower-cased, NULL when unnamed */
	struct cb_text base; /* = from->image */
	struct cb_text platform;
	const struct cb_instr *from;   /* the FROM itself */
	const struct cb_instr *instrs; /* without the FROM */
	size_t n_instrs;
	unsigned int line, end_line;
};

/** The parser directives at the head of the file; .s NULL when absent. */
struct cb_directives {
	struct cb_text syntax, check;
	char escape; /* '\\' or '`' */
};

/** Something that is allowed but deserves a warning, found by the grammar (rule names as in build checks). */
struct cb_parse_warning {
	const char *rule; /* "NoEmptyContinuation" */
	const char *msg;
	unsigned int line;
};

/** A file that instructions stand in: the Buildfile itself, then each INCLUDE in the order of reading. */
struct cb_source_file {
	const char *name; /* as errors show it; NULL for the Buildfile */
	const char *data; /* borrowed from whoever gave it to the parser */
	size_t len;
	unsigned int base;             /* line N of the file is line base + N of the tree */
	unsigned int lines;            /* its share of line numbers */
	const struct cb_node *include; /* the INCLUDE that names it; NULL for the Buildfile */
};

/** A parsed Buildfile. */
struct cb_buildfile {
	struct cb_arena *arena;
	struct cb_directives directives;
	/* All, in order. An INCLUDE is here, followed by what it brought, but is no typed instruction. */
	const struct cb_node *const *nodes;
	size_t n_nodes;
	const struct cb_source_file *sources;
	size_t n_sources;
	const struct cb_instr *globals; /* ARGs before the first FROM */
	size_t n_globals;
	const struct cb_stage *stages;
	size_t n_stages;
	const struct cb_parse_warning *warnings;
	size_t n_warnings;
};

#endif
