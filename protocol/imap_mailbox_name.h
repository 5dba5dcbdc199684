/*
 * A mailbox name as people write it, in UTF-8, as IMAP4rev1 wants it: modified UTF-7
 * (RFC 3501 5.1.3). Pure.
 *
 * "Éléments" becomes "&AMk-l&AOk-ments", "A&B" becomes "A&-B". A name of ASCII alone
 * that is modified UTF-7 already ("Sent", "A&-B", "&AMk-l&AOk-ments") stays as it is, so
 * that a name copied from an IMAP session works too. In a name with any octet beyond
 * ASCII every "&" is an ampersand.
 */
#ifndef PROTOCOL_IMAP_MAILBOX_NAME_H
#define PROTOCOL_IMAP_MAILBOX_NAME_H

#include "protocol/buffer.h"

/* The encoding is never longer than this many times the name. */
#define IMAP_MAILBOX_NAME_GROWTH 3

/*
 * Append the encoding of utf8. False, and nothing appended, where utf8 is malformed
 * (overlong, a surrogate, above U+10FFFF, cut off), has an ASCII control octet, or out is
 * full.
 */
bool imap_mailbox_name_encode(struct bytes utf8, struct buffer *out);

#endif
