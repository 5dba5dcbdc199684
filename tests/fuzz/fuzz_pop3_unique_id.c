/*
 * A template that is accepted makes legal unique-ids only, and never the same one for
 * two messages: it is tried with every combination of values that are apt to run into
 * each other. Input: an octet of settings, the template.
 */
#include "protocol/pop3_unique_id.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* Like to like when written one behind the other, in decimal or in hex. */
static const uint32_t numbers[] = { 1, 11, 101, 111, 0xA, 0x11, 0x1A, 0xA1, UINT32_MAX };
static const char *const emailids[] = { "1", "11", "a1", "M-" };

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))
#define EMAILIDS (sizeof(emailids) / sizeof(emailids[0]))

struct id {
	size_t len;
	char text[POP3_UNIQUE_ID_MAX];
};

static struct {
	size_t count;
	struct id ids[NUMBERS * NUMBERS * NUMBERS * EMAILIDS];
} made;

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void make(const struct pop3_unique_id_template *template,
		 const struct pop3_unique_id_values *values)
{
	struct id *id = &made.ids[made.count];

	memset(id, 0, sizeof(*id));
	id->len = pop3_unique_id_format(template, values, id->text);
	require(id->len <= POP3_UNIQUE_ID_MAX);
	for (size_t i = 0; i < id->len; i++) {
		require(id->text[i] >= 0x21 && id->text[i] <= 0x7E);
	}
	if (id->len > 0) {
		made.count++;
	} else { // numbers always fit
		require(pop3_unique_id_uses(template, POP3_UNIQUE_ID_EMAILID));
	}
}

/* What the template does not use stays at its first value. */
static size_t choices(const struct pop3_unique_id_template *template,
		      enum pop3_unique_id_source source, size_t all)
{
	return pop3_unique_id_uses(template, source) ? all : 1;
}

static void make_all(const struct pop3_unique_id_template *template)
{
	size_t uids = choices(template, POP3_UNIQUE_ID_UID, NUMBERS);
	size_t uidvalidities = choices(template, POP3_UNIQUE_ID_UIDVALIDITY, NUMBERS);
	size_t gm_msgids = choices(template, POP3_UNIQUE_ID_GM_MSGID, NUMBERS);
	size_t texts = choices(template, POP3_UNIQUE_ID_EMAILID, EMAILIDS);

	made.count = 0;
	for (size_t i = 0; i < uids * uidvalidities * gm_msgids * texts; i++) {
		struct pop3_unique_id_values values = {
			.imap_uid = numbers[i % uids],
			.uidvalidity = numbers[i / uids % uidvalidities],
			.gm_msgid = numbers[i / uids / uidvalidities % gm_msgids],
			.emailid =
				bytes_of(emailids[i / uids / uidvalidities / gm_msgids]),
		};
		if (values.gm_msgid == UINT32_MAX) {
			values.gm_msgid = UINT64_MAX;
		}
		make(template, &values);
	}
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct id));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct pop3_unique_id_template template;
	const char *why = NULL;

	if (size == 0) {
		return 0;
	}
	struct bytes text = { (const char *)input + 1, size - 1 };
	if (!pop3_unique_id_parse(text, input[0] & 1, &template, &why)) {
		require(why != NULL);
		return 0;
	}
	make_all(&template);
	qsort(made.ids, made.count, sizeof(made.ids[0]), compare);
	for (size_t i = 1; i < made.count; i++) {
		require(compare(&made.ids[i - 1], &made.ids[i]) != 0);
	}
	return 0;
}
