/*
 * Layout, numbers little endian: version u8, enum pop3_unique_id_source u8, UIDVALIDITY
 * u32, UIDNEXT u32, count u32, u8 1 where it was cut off; for each message the distance
 * of its UID from the one before (from 0), RFC822.SIZE doubled, plus 1 where the exact
 * size follows, and that, all in groups of 7 bits, the lowest first, then its id: 8
 * octets, or a length u8 and text; at the end FNV-1a of all this, u64.
 */
#include "proxy/mailbox/index.h"

#include "proxy/base/memory.h"

#include <string.h>

#define VERSION 2
#define HEAD 15
#define CHECK 8
#define ROW_MIN 2 // octets

static uint64_t check_of(struct bytes text)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < text.len; i++) {
		hash = (hash ^ (unsigned char)text.at[i]) * 0x100000001b3;
	}
	return hash;
}

static bool put_number(struct buffer *out, uint64_t number, size_t octets)
{
	char text[8];

	for (size_t i = 0; i < octets; i++) {
		text[i] = (char)(number >> (8 * i));
	}
	return buffer_append(out, (struct bytes){ text, octets });
}

static bool put_groups(struct buffer *out, uint64_t number)
{
	char text[10];
	size_t len = 0;

	for (; number > 0x7f; number >>= 7) {
		text[len++] = (char)(number | 0x80);
	}
	text[len++] = (char)number;
	return buffer_append(out, (struct bytes){ text, len });
}

static uint64_t take_number(struct bytes *in, size_t octets)
{
	uint64_t number = 0;

	for (size_t i = 0; i < octets; i++) {
		number |= (uint64_t)(unsigned char)in->at[i] << (8 * i);
	}
	bytes_skip(in, octets);
	return number;
}

/* False: cut short, or no number of 63 bits. */
static bool take_groups(struct bytes *in, uint64_t *out)
{
	unsigned shift = 0;
	unsigned char octet;

	*out = 0;
	do {
		if (in->len == 0 || shift > 56) {
			return false;
		}
		octet = (unsigned char)in->at[0];
		bytes_skip(in, 1);
		*out |= (uint64_t)(octet & 0x7f) << shift;
		shift += 7;
	} while (octet & 0x80);
	return true;
}

static bool put_text(struct buffer *out, const char *text)
{
	const size_t len = strlen(text);

	return len <= UINT8_MAX && put_number(out, len, 1) &&
	       buffer_append(out, (struct bytes){ text, len });
}

static bool put_id(const struct snapshot *snapshot, const struct message *message,
		   enum pop3_unique_id_source identity, struct buffer *out)
{
	if (identity == POP3_UNIQUE_ID_GM_MSGID) {
		return buffer_append(
			out, (struct bytes){ snapshot->ids.data + message->extra, 8 });
	}
	return identity != POP3_UNIQUE_ID_EMAILID ||
	       put_text(out, snapshot->ids.data + message->extra);
}

static bool put_octets(const struct snapshot *snapshot, const struct message *message,
		       struct buffer *out)
{
	const struct exact_size *learnt =
		exact_sizes_find(&snapshot->learnt, message->imap_uid);
	const uint64_t exact =
		learnt ? learnt->octets : snapshot_octets(snapshot, message);
	const uint64_t said = message->octets;

	return put_groups(out, said << 1 | (exact != said)) &&
	       (exact == said || put_groups(out, exact));
}

static bool put_row(const struct snapshot *snapshot, const struct message *message,
		    uint32_t before, struct buffer *out)
{
	return put_groups(out, message->imap_uid - before) &&
	       put_octets(snapshot, message, out) &&
	       put_id(snapshot, message, snapshot_identity(snapshot->unique_id), out);
}

bool index_encode(const struct snapshot *snapshot, struct buffer *out)
{
	const size_t begin = out->len;
	uint32_t before = 0;
	bool fits = put_number(out, VERSION, 1) &&
		    put_number(out, snapshot_identity(snapshot->unique_id), 1) &&
		    put_number(out, snapshot->uidvalidity, 4) &&
		    put_number(out, snapshot->uidnext, 4) &&
		    put_number(out, snapshot_left(snapshot), 4) &&
		    put_number(out, snapshot->is_begun, 1);

	for (uint32_t i = 0; i < snapshot->count && fits; i++) {
		const struct message *message = &snapshot->messages[i];

		if (!message->deleted) {
			fits = put_row(snapshot, message, before, out);
			before = message->imap_uid;
		}
	}
	return fits &&
	       put_number(out,
			  check_of((struct bytes){ out->data + begin, out->len - begin }),
			  CHECK);
}

static bool take_id(struct bytes *in, struct snapshot *snapshot,
		    enum pop3_unique_id_source identity)
{
	size_t len = identity == POP3_UNIQUE_ID_GM_MSGID ? 8 : 0;

	if (identity == POP3_UNIQUE_ID_EMAILID) {
		if (in->len == 0) {
			return false;
		}
		len = (size_t)take_number(in, 1);
	}
	if (in->len < len || (len > 0 && identity == POP3_UNIQUE_ID_EMAILID &&
			      memchr(in->at, '\0', len))) {
		return false;
	}
	if (!buffer_append(&snapshot->ids, (struct bytes){ in->at, len }) ||
	    (identity == POP3_UNIQUE_ID_EMAILID &&
	     !buffer_append(&snapshot->ids, (struct bytes){ "", 1 }))) {
		return false;
	}
	bytes_skip(in, len);
	return true;
}

static bool take_octets(struct bytes *in, struct exact_sizes *sizes, uint32_t imap_uid,
			uint64_t *said)
{
	uint64_t exact;

	if (!take_groups(in, said)) {
		return false;
	}
	if (*said & 1) {
		if (!take_groups(in, &exact)) {
			return false;
		}
		exact_sizes_set(sizes, imap_uid, exact);
	}
	*said >>= 1;
	return true;
}

static bool take_row(struct bytes *in, struct snapshot *snapshot, uint32_t before,
		     uint32_t uidnext)
{
	struct message *message = &snapshot->messages[snapshot->count];
	uint64_t step;
	uint64_t octets;

	if (!take_groups(in, &step) || step == 0 || step >= uidnext ||
	    before + step >= uidnext ||
	    !take_octets(in, &snapshot->exact, before + (uint32_t)step, &octets)) {
		return false;
	}
	*message = (struct message){
		.octets = octets & (UINT64_MAX >> 2),
		.imap_uid = before + (uint32_t)step,
		.extra = (uint32_t)snapshot->ids.len,
	};
	snapshot->count++;
	return take_id(in, snapshot, snapshot_identity(snapshot->unique_id));
}

static bool take_rows(struct bytes *in, struct snapshot *snapshot, uint32_t count,
		      uint32_t uidnext)
{
	uint32_t before = 0;

	snapshot->messages = memory_new_array(count, sizeof(*snapshot->messages));
	snapshot->room = count;
	while (snapshot->count < count) {
		if (!take_row(in, snapshot, before, uidnext)) {
			return false;
		}
		before = snapshot->messages[snapshot->count - 1].imap_uid;
	}
	return in->len == 0;
}

/* Whole and undamaged; then without the checksum. */
static bool is_whole(struct bytes *index)
{
	struct bytes check;

	if (index->len < HEAD + CHECK) {
		return false;
	}
	check = (struct bytes){ index->at + index->len - CHECK, CHECK };
	index->len -= CHECK;
	return take_number(&check, CHECK) == check_of(*index);
}

bool index_decode(struct bytes index, struct snapshot *snapshot, uint32_t *uidnext)
{
	uint32_t count;
	uint64_t begun;

	if (!is_whole(&index) || take_number(&index, 1) != VERSION ||
	    take_number(&index, 1) != (uint64_t)snapshot_identity(snapshot->unique_id) ||
	    take_number(&index, 4) != snapshot->uidvalidity) {
		return false;
	}
	*uidnext = (uint32_t)take_number(&index, 4);
	count = (uint32_t)take_number(&index, 4);
	if (*uidnext == 0 || *uidnext > snapshot->uidnext ||
	    count > index.len / ROW_MIN) {
		return false;
	}
	begun = take_number(&index, 1);
	if (begun <= 1 && take_rows(&index, snapshot, count, *uidnext)) {
		snapshot->is_begun = begun == 1;
		return true;
	}
	snapshot_forget_rows(snapshot);
	return false;
}
