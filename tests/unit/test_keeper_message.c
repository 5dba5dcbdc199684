#include "proxy/ipc/keeper_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_from_worker(enum keeper_message_type type)
{
	return type < KEEPER_LOCKED || type == KEEPER_ASK_INDEX ||
	       type == KEEPER_KEEP_INDEX || type == KEEPER_KNOWN;
}

/* One of each type with every field that it carries. */
static struct keeper_message sample(enum keeper_message_type type)
{
	struct keeper_message message = { .type = type };
	const struct bytes text = bytes_of("imap.example.com:993\nada\nINBOX");

	switch (type) {
	case KEEPER_HELLO:
		message.number = 3;
		break;
	case KEEPER_HOLD:
	case KEEPER_UNLOCK:
	case KEEPER_TAKE_OVER:
		message.key = text;
		break;
	case KEEPER_HELD_ALL:
		break;
	case KEEPER_FAILED:
		message.number = KEEPER_REFERENCE_MAX;
		message.account = text;
		message.kind = 7;
		message.answer = bytes_of("[SYS/TEMP] later");
		message.cause = text;
		memset(message.address, 0xa5, sizeof(message.address));
		break;
	case KEEPER_KICKED:
		message.request = 9;
		message.number = 2;
		break;
	case KEEPER_LEFT:
		message.key = text;
		message.account = bytes_of("ada");
		message.number = 17;
		message.set = bytes_of("1:3,9");
		break;
	case KEEPER_ASK_LEFT:
		message.request = 10;
		message.key = text;
		message.number = 17;
		break;
	case KEEPER_KICK:
		message.request = 11;
		message.number = KEEPER_KICK_REMAINS;
		message.account = bytes_of("ada");
		break;
	case KEEPER_LEFTOVERS:
		message.request = 12;
		message.set = bytes_of("1:3,9");
		break;
	case KEEPER_LOCK:
		message.key = text;
		message.number = KEEPER_LOCK_TAKE_OVER;
		message.request = 0x80000001;
		break;
	case KEEPER_LOGIN:
		message.key = text;
		message.number = KEEPER_LOGIN_DELAY_MAX_S;
		message.request = 78;
		break;
	case KEEPER_ASK:
		message.request = 77;
		message.account = text;
		message.shared_address = true;
		memset(message.address, 0xa5, sizeof(message.address));
		memset(message.hash, 0x5a, sizeof(message.hash));
		break;
	case KEEPER_TELL:
		message.account = text;
		message.number = KEEPER_NO_ANSWER;
		message.tls = KEEPER_TLS_1_1;
		memset(message.hash, 0x5a, sizeof(message.hash));
		break;
	case KEEPER_ENDED:
		message.account = text;
		message.number = 0x01020304;
		message.lost_dele = 0xfffefdfc;
		message.removed = 0x01020304;
		break;
	case KEEPER_LOCKED:
		message.request = 5;
		message.number = 1;
		break;
	case KEEPER_PROVE:
		message.request = 13;
		message.number = KEEPER_PROVE_APOP;
		message.account = bytes_of("ada");
		message.secret = bytes_of("a digest");
		message.stamp = bytes_of("<1.2@gw>");
		memset(message.address, 0xa5, sizeof(message.address));
		break;
	case KEEPER_CREDENTIAL:
		message.request = 14;
		message.number = KEEPER_PROVEN;
		message.credential = KEEPER_TOKEN;
		message.rights = KEEPER_NO_DELETE;
		message.secret = bytes_of("a token");
		message.mailbox = bytes_of("office@example.com");
		message.folder = bytes_of("Scans");
		message.cause = text;
		break;
	case KEEPER_APOP:
		message.number = 1;
		break;
	case KEEPER_ASK_INDEX:
		message.request = 15;
		message.key = text;
		message.number = KEEPER_PIECES_MAX - 1;
		break;
	case KEEPER_INDEX:
		message.request = 16;
		message.piece = (struct bytes){ "\0\1\2", 3 };
		break;
	case KEEPER_KEEP_INDEX:
		message.request = 17;
		message.key = text;
		message.account = bytes_of("ada");
		message.number = 1;
		message.piece = (struct bytes){ "\0\1\2", 3 };
		break;
	case KEEPER_KEPT:
		message.request = 18;
		message.number = 1;
		break;
	case KEEPER_KNOWN:
		message.account = bytes_of("ada");
		message.route = bytes_of("ada@example.com");
		message.folder = bytes_of("INBOX");
		message.unique_id = bytes_of("{uid:08x}");
		break;
	case KEEPER_VERDICT:
		message.request = 6;
		message.number = KEEPER_REFUSE;
		break;
	}
	return message;
}

static struct buffer encoded(const struct keeper_message *message)
{
	struct buffer out;

	buffer_init(&out, 65536);
	assert_true(keeper_message_encode(message, &out));
	return out;
}

static void assert_same(const struct keeper_message *a, const struct keeper_message *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->request, b->request);
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->lost_dele, b->lost_dele);
	assert_int_equal(a->removed, b->removed);
	assert_true(bytes_equal(a->piece, b->piece));
	assert_true(bytes_equal(a->unique_id, b->unique_id));
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->tls, b->tls);
	assert_true(bytes_equal(a->answer, b->answer));
	assert_true(bytes_equal(a->cause, b->cause));
	assert_true(bytes_equal(a->advice, b->advice));
	assert_true(bytes_equal(a->set, b->set));
	assert_int_equal(a->credential, b->credential);
	assert_int_equal(a->rights, b->rights);
	assert_true(bytes_equal(a->secret, b->secret));
	assert_true(bytes_equal(a->stamp, b->stamp));
	assert_true(bytes_equal(a->mailbox, b->mailbox));
	assert_true(bytes_equal(a->route, b->route));
	assert_true(bytes_equal(a->folder, b->folder));
	assert_int_equal(a->shared_address, b->shared_address);
	assert_memory_equal(a->address, b->address, sizeof(a->address));
	assert_memory_equal(a->hash, b->hash, sizeof(a->hash));
	assert_true(bytes_equal(a->key, b->key));
	assert_true(bytes_equal(a->account, b->account));
}

static void test_every_type_comes_out_as_it_went_in(void **state)
{
	(void)state;
	for (int type = 0; type < KEEPER_TYPES; type++) {
		struct keeper_message in = sample((enum keeper_message_type)type);
		struct keeper_message out;
		struct buffer packet = encoded(&in);

		assert_true(keeper_message_decode(buffer_bytes(&packet),
						  is_from_worker(in.type), &out));
		assert_same(&in, &out);
		buffer_release(&packet);
	}
}

static void test_the_other_side_may_not_say_it(void **state)
{
	(void)state;
	for (int type = 0; type < KEEPER_TYPES; type++) {
		struct keeper_message in = sample((enum keeper_message_type)type);
		struct keeper_message out;
		struct buffer packet = encoded(&in);

		assert_false(keeper_message_decode(buffer_bytes(&packet),
						   !is_from_worker(in.type), &out));
		buffer_release(&packet);
	}
}

/* A copy of exactly this length, so that a sanitizer sees any octet read beyond it. */
static bool decodes(const char *at, size_t len, bool from_worker)
{
	struct keeper_message out;
	char *copy = malloc(len + 1);

	memcpy(copy, at, len);
	bool decoded =
		keeper_message_decode((struct bytes){ copy, len }, from_worker, &out);
	free(copy);
	return decoded;
}

static void test_no_message_cut_short_or_with_more_behind_it_is_taken(void **state)
{
	(void)state;
	for (int type = 0; type < KEEPER_TYPES; type++) {
		struct keeper_message in = sample((enum keeper_message_type)type);
		struct buffer packet = encoded(&in);
		const bool from_worker = is_from_worker(in.type);

		for (size_t len = 0; len < packet.len; len++) {
			assert_false(decodes(packet.data, len, from_worker));
		}
		assert_true(decodes(packet.data, packet.len, from_worker));
		assert_true(buffer_append(&packet, bytes_of("x")));
		assert_false(decodes(packet.data, packet.len, from_worker));
		buffer_release(&packet);
	}
}

/* The packet of a sample with one octet changed. */
static bool decodes_with(enum keeper_message_type type, size_t place, unsigned char octet)
{
	struct keeper_message in = sample(type);
	struct buffer packet = encoded(&in);

	assert_true(place < packet.len);
	packet.data[place] = (char)octet;
	bool decoded = decodes(packet.data, packet.len, is_from_worker(type));
	buffer_release(&packet);
	return decoded;
}

static void test_a_header_that_is_not_ours_is_refused(void **state)
{
	(void)state;
	assert_true(decodes_with(KEEPER_HELD_ALL, 0, KEEPER_MESSAGE_VERSION));
	assert_false(decodes_with(KEEPER_HELD_ALL, 0, KEEPER_MESSAGE_VERSION + 1));
	assert_false(decodes_with(KEEPER_HELD_ALL, 1, KEEPER_TYPES));
	assert_false(decodes_with(KEEPER_HELD_ALL, 1, 255));
	assert_false(decodes_with(KEEPER_HELD_ALL, 2, 1));
	assert_false(decodes_with(KEEPER_HELD_ALL, 3, 1));
	assert_false(decodes_with(KEEPER_HELD_ALL, 4, 1)); // a request where none is
	assert_false(decodes_with(KEEPER_VERDICT, 4, 0));  // none where one is
}

static void test_numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_false(decodes_with(KEEPER_LOCK, 8, KEEPER_LOCK_TAKE_OVER + 1));
	assert_false(decodes_with(KEEPER_LOCK, 11, 1));
	assert_false(decodes_with(KEEPER_TELL, 8, KEEPER_NO_ANSWER + 1));
	assert_false(decodes_with(KEEPER_LOCKED, 8, 2));
	assert_false(decodes_with(KEEPER_FAILED, 11, 1)); // no six digits
	assert_false(decodes_with(KEEPER_ASK, 8 + KEEPER_ADDRESS_BYTES, 2));
}

static void test_a_length_that_lies_is_refused(void **state)
{
	(void)state;
	const size_t len_at = 8; // of a HOLD's key
	assert_false(decodes_with(KEEPER_HOLD, len_at, 0));
	assert_false(decodes_with(KEEPER_HOLD, len_at, 255));
	assert_false(decodes_with(KEEPER_HOLD, len_at + 1, 255));
}

static bool encodes(enum keeper_message_type type, size_t text_len)
{
	char *text = malloc(text_len + 1);
	struct buffer out;
	struct keeper_message message = { .type = type,
					  .request = 1,
					  .key = { text, text_len },
					  .account = { text, text_len } };

	memset(text, 'x', text_len + 1);
	buffer_init(&out, 1 << 20);
	bool encoded = keeper_message_encode(&message, &out);
	assert_true(encoded ? decodes(out.data, out.len, true) : out.len == 0);
	buffer_release(&out);
	free(text);
	return encoded;
}

static bool encodes_set(size_t len)
{
	char *text = malloc(len);
	struct buffer out;

	memset(text, '1', len);
	buffer_init(&out, 1 << 20);
	bool encoded = keeper_message_encode(
		&(struct keeper_message){
			.type = KEEPER_LEFTOVERS, .request = 1, .set = { text, len } },
		&out);
	assert_true(encoded ? decodes(out.data, out.len, false) : out.len == 0);
	buffer_release(&out);
	free(text);
	return encoded;
}

static void test_texts_end_at_their_maximum(void **state)
{
	(void)state;
	assert_true(encodes(KEEPER_LOCK, KEEPER_TEXT_MAX));
	assert_false(encodes(KEEPER_LOCK, KEEPER_TEXT_MAX + 1));
	assert_false(encodes(KEEPER_LOCK, 0x10001)); // would be 1 in 16 bits
	assert_false(encodes(KEEPER_LOCK, 0));
	assert_true(encodes(KEEPER_ASK, KEEPER_TEXT_MAX));
	assert_false(encodes(KEEPER_ASK, KEEPER_TEXT_MAX + 1));
	assert_true(encodes(KEEPER_ASK, 0));
	assert_true(encodes_set(KEEPER_SET_MAX));
	assert_false(encodes_set(KEEPER_SET_MAX + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_comes_out_as_it_went_in),
		cmocka_unit_test(test_the_other_side_may_not_say_it),
		cmocka_unit_test(
			test_no_message_cut_short_or_with_more_behind_it_is_taken),
		cmocka_unit_test(test_a_header_that_is_not_ours_is_refused),
		cmocka_unit_test(test_numbers_out_of_range_are_refused),
		cmocka_unit_test(test_a_length_that_lies_is_refused),
		cmocka_unit_test(test_texts_end_at_their_maximum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
