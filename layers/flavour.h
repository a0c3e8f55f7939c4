/*
 * How a store marks opaque directories: real root uses trusted.*, a user namespace may only write user.*.
 *
 * One flavour per store: the other one's attribute is ordinary data there, never a mark. Whiteouts are character
 * devices 0:0 in both.
 */
#ifndef CB_LAYERS_FLAVOUR_H
#define CB_LAYERS_FLAVOUR_H

enum cb_flavour { CB_FLAVOUR_TRUSTED, CB_FLAVOUR_USER };

/** The attribute that makes a directory opaque when its value is "y". */
static inline const char *cb_flavour_opaque(enum cb_flavour flavour)
{
	return flavour == CB_FLAVOUR_USER ? "user.overlay.opaque" : "trusted.overlay.opaque";
}
/** The prefix of everything that overlayfs itself writes; never part of an image. */
static inline const char *cb_flavour_prefix(enum cb_flavour flavour)
{
	return flavour == CB_FLAVOUR_USER ? "user.overlay." : "trusted.overlay.";
}

#endif
