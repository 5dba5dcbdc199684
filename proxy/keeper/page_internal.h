/*
 * What the files of the page share. Nobody else includes this.
 */
#ifndef PROXY_KEEPER_PAGE_INTERNAL_H
#define PROXY_KEEPER_PAGE_INTERNAL_H

#include "proxy/ipc/page_message.h"
#include "proxy/keeper/flow.h"
#include "proxy/keeper/page.h"

struct page {
	struct keeper *keeper;       // borrowed
	const struct config *config; // borrowed; read it anew after every wait
	struct channel *channel;     // owned; NULL: no web role
	struct task *reader;         // a child, while there is a channel
	unsigned connection;         // counts the channels
	size_t sending;              // over this one
	struct visit *visits;        // visit::next
	size_t visit_count;
	struct gate sent, left;
	struct flows *flows;
	unsigned char key[STORE_KEY_BYTES]; // of the invitations' hashes
};

/* One question, answered by a task of its own. */
struct visit {
	struct visit *next; // page::visits
	struct task *task;  // NULL: not begun
	struct page *page;
	unsigned connection; // over which it was asked
	char *packet;        // owned, holds secrets; what asked points into
	size_t packet_len;
	struct page_message asked;
};

/* page.c: a row or an end; *message gets the question's id. */
SUSPENDS void page_say(const struct visit *visit, struct page_message *message);

void page_hash(const struct page *page, struct bytes invitation,
	       unsigned char out[STORE_KEY_BYTES]);

/* page_visit.c */
SUSPENDS void page_answer(struct visit *visit);

#endif
