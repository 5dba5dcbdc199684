/*
 * The template a message's unique-id (RFC 1939 section 7, UIDL) is made from.
 *
 * Pure. "{uid}", "{uidvalidity}", "{gm-msgid}", "{emailid}" with an optional ":" and
 * "[0][width](d|x|X)" (default "d"; emailid takes none), everything else literally.
 * Every unique-id is 1 to 70 octets of 0x21-0x7E; the template is refused where some
 * value could break that, or where two different messages could share one.
 */
#ifndef PROTOCOL_POP3_UNIQUE_ID_H
#define PROTOCOL_POP3_UNIQUE_ID_H

#include "protocol/bytes.h"

#define POP3_UNIQUE_ID_MAX 70
#define POP3_UNIQUE_ID_PARTS 8
#define POP3_UNIQUE_ID_DEFAULT "{uid:08x}{uidvalidity:08x}" // Dovecot's default format

enum pop3_unique_id_source {
	POP3_UNIQUE_ID_LITERAL,
	POP3_UNIQUE_ID_UID,         // 1 to 2^32-1
	POP3_UNIQUE_ID_UIDVALIDITY, // 1 to 2^32-1
	POP3_UNIQUE_ID_GM_MSGID,    // Gmail's X-GM-MSGID, 64 bits
	POP3_UNIQUE_ID_EMAILID,     // RFC 8474, text
};

struct pop3_unique_id_part {
	enum pop3_unique_id_source source;
	uint8_t width; // least digits
	bool zero;     // pad with 0 instead of nothing: width needs it
	bool hex, upper;
	uint8_t literal_at; // literal: offset into template text
	uint8_t literal_len;
};

struct pop3_unique_id_template {
	char text[POP3_UNIQUE_ID_MAX * 2];
	uint8_t count;
	struct pop3_unique_id_part parts[POP3_UNIQUE_ID_PARTS];
};

struct pop3_unique_id_values {
	uint32_t imap_uid;
	uint32_t uidvalidity;
	uint64_t gm_msgid;
	struct bytes emailid; // borrowed
};

/*
 * Parse and judge. uid_only: a template with {uid} and without {uidvalidity} is
 * allowed (UIDs may be given again after a UIDVALIDITY change). On false *why is a
 * static sentence that says what is wrong and what would be right.
 */
bool pop3_unique_id_parse(struct bytes text, bool uid_only,
			  struct pop3_unique_id_template *out, const char **why);

bool pop3_unique_id_uses(const struct pop3_unique_id_template *template,
			 enum pop3_unique_id_source source);

/*
 * Writes 1 to 70 octets without a NUL and returns their number; 0 where a value is
 * missing or unfit (an EMAILID that is empty, too long or has octets outside
 * 0x21-0x7E).
 */
size_t pop3_unique_id_format(const struct pop3_unique_id_template *template,
			     const struct pop3_unique_id_values *values,
			     char out[POP3_UNIQUE_ID_MAX]);

#endif
