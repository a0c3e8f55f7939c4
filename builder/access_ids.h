/* What the entries of cb_access_options stand for. Private to access.c and the table of build. */
#ifndef CB_BUILDER_ACCESS_IDS_H
#define CB_BUILDER_ACCESS_IDS_H

#include "builder/access.h"

enum {
	ACCESS_CA_CERT = CB_ACCESS_ID,
	ACCESS_INSECURE,
	ACCESS_RETRIES,
	ACCESS_TIMEOUT,
	ACCESS_CHUNK,
};

/* The entries, for both tables: one line an option, in order of name with the others of build. */
#define ACCESS_OPT_CA_CERT                                                                                             \
	{                                                                                                              \
		"ca-cert", 0, CB_OPT_VALUE, ACCESS_CA_CERT, "FILE",                                                    \
			"trust these certificates (PEM) of registries and servers too", "file"                         \
	}
#define ACCESS_OPT_INSECURE                                                                                            \
	{                                                                                                              \
		"insecure-registry", 0, CB_OPT_VALUE, ACCESS_INSECURE, "HOST[:PORT]",                                  \
			"allow plain HTTP and unknown certificates for this registry", NULL                            \
	}
#define ACCESS_OPT_RETRIES                                                                                             \
	{                                                                                                              \
		"registry-retries", 0, CB_OPT_VALUE, ACCESS_RETRIES, "N",                                              \
			"try again at most N times without progress; default: 5", NULL                                 \
	}
#define ACCESS_OPT_TIMEOUT                                                                                             \
	{                                                                                                              \
		"registry-timeout", 0, CB_OPT_VALUE, ACCESS_TIMEOUT, "SECONDS",                                        \
			"how long a registry may be silent; default: 30", NULL                                         \
	}
#define ACCESS_OPT_CHUNK                                                                                               \
	{                                                                                                              \
		"upload-chunk", 0, CB_OPT_VALUE, ACCESS_CHUNK, "SIZE",                                                 \
			"send larger blobs in pieces of this size; default: whole, in pieces only when that fails",    \
			NULL                                                                                           \
	}

#endif
