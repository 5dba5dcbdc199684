/*
 * What the keeper has answered to one question: rows collected until the end. Owned
 * copies, wiped when released; all of it is gone with the request it was asked for.
 */
#ifndef PROXY_WEB_CONSENT_ANSWER_H
#define PROXY_WEB_CONSENT_ANSWER_H

#include "proxy/base/memory.h"
#include "proxy/ipc/page_message.h"

#define CONSENT_DEVICES_MAX 64

struct consent_device {
	uint64_t id, since_s, last_s;
	char *label; // owned
};

/* Zeroed is valid and empty. */
struct consent_answer {
	enum page_type end; // PAGE_SEE: not there yet
	enum page_why why;
	bool signed_in;
	struct secret text[PAGE_TEXTS];
	struct consent_device devices[CONSENT_DEVICES_MAX];
	size_t device_count;
};

/* Of a text that was not said: "". */
const char *consent_text(const struct consent_answer *answer, enum page_text which);

/* One message more. True: it was the end. */
bool consent_answer_take(struct consent_answer *answer,
			 const struct page_message *message);

/* As if the keeper had refused. */
void consent_answer_refuse(struct consent_answer *answer, enum page_why why);

void consent_answer_release(struct consent_answer *answer);

#endif
