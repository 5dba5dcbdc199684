#include "proxy/web/consent_answer.h"

#include <stdlib.h>

const char *consent_text(const struct consent_answer *answer, enum page_text which)
{
	return answer->text[which].at ? answer->text[which].at : "";
}

static void take_device(struct consent_answer *answer, const struct page_message *row)
{
	if (answer->device_count < CONSENT_DEVICES_MAX) {
		answer->devices[answer->device_count++] = (struct consent_device){
			.id = row->number[PAGE_ID],
			.since_s = row->number[PAGE_SINCE_S],
			.last_s = row->number[PAGE_LAST_S],
			.label = memory_copy_text(row->text[PAGE_LABEL]),
		};
	}
}

static void take_texts(struct consent_answer *answer, const struct page_message *message)
{
	for (unsigned i = 0; i < PAGE_TEXTS; i++) {
		if (message->text[i].len > 0) {
			secret_release(&answer->text[i]);
			secret_set(&answer->text[i], message->text[i]);
		}
	}
}

bool consent_answer_take(struct consent_answer *answer,
			 const struct page_message *message)
{
	if (message->type == PAGE_DEVICE) {
		take_device(answer, message);
		return false;
	}
	take_texts(answer, message);
	if (message->type == PAGE_ACCOUNT) {
		answer->signed_in = message->number[PAGE_SIGNED_IN] == 1;
		return false;
	}
	answer->why = (enum page_why)message->number[PAGE_WHY];
	answer->end = message->type;
	return true;
}

void consent_answer_refuse(struct consent_answer *answer, enum page_why why)
{
	answer->end = PAGE_REFUSED;
	answer->why = why;
}

void consent_answer_release(struct consent_answer *answer)
{
	for (unsigned i = 0; i < PAGE_TEXTS; i++) {
		secret_release(&answer->text[i]);
	}
	for (size_t i = 0; i < answer->device_count; i++) {
		free(answer->devices[i].label);
	}
	answer->device_count = 0;
}
