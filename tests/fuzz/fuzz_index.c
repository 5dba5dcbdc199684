/* Whatever stands in an index: refused, or a list in order that is written the same
 * again. */
#include "proxy/mailbox/index.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 15
#define CHECK 8

/* With the checksum it would have, or nothing but that would ever be refused. */
static char *mend(const uint8_t *data, size_t size)
{
	char *text = malloc(size + CHECK);
	uint64_t hash = 0xcbf29ce484222325;

	if (!text) {
		abort();
	}
	for (size_t i = 0; i < size; i++) {
		text[i] = (char)data[i];
		hash = (hash ^ data[i]) * 0x100000001b3;
	}
	for (size_t i = 0; i < CHECK; i++) {
		text[size + i] = (char)(hash >> (8 * i));
	}
	return text;
}

static void check(const struct snapshot *snapshot, uint32_t uidnext)
{
	struct buffer again;

	for (uint32_t i = 0; i < snapshot->count; i++) {
		const struct message *message = &snapshot->messages[i];

		if (message->imap_uid == 0 || message->imap_uid >= uidnext ||
		    (i > 0 && message->imap_uid <= message[-1].imap_uid)) {
			abort();
		}
	}
	buffer_init(&again, INDEX_OCTETS_MAX);
	if (!index_encode(snapshot, &again)) {
		abort();
	}
	buffer_release(&again);
}

static const char *template_for(uint8_t identity)
{
	if (identity == POP3_UNIQUE_ID_GM_MSGID) {
		return "{gm-msgid}";
	}
	return identity == POP3_UNIQUE_ID_EMAILID ? "{emailid}"
						  : "{uid:08x}{uidvalidity:08x}";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pop3_unique_id_template template;
	struct snapshot snapshot = { .uidnext = UINT32_MAX };
	const char *why;
	uint32_t uidnext;
	char *text;

	if (size < HEAD) {
		return 0;
	}
	if (!pop3_unique_id_parse(bytes_of(template_for(data[1])), true, &template,
				  &why)) {
		abort();
	}
	memcpy(&snapshot.uidvalidity, data + 2, sizeof(snapshot.uidvalidity));
	snapshot.unique_id = &template;
	buffer_init(&snapshot.ids, 1 << 20);
	text = mend(data, size);
	if (index_decode((struct bytes){ text, size + CHECK }, &snapshot, &uidnext)) {
		check(&snapshot, uidnext);
	}
	free(text);
	snapshot_release(&snapshot);
	return 0;
}
