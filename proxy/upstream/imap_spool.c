/*
 * The spool: bodies that have come before anybody asked for them, one behind the other in
 * a piece of memory of fixed size. They leave in any order; where there is no room behind
 * the last one, the others close up.
 */
#include "proxy/upstream/imap_internal.h"

#include "proxy/base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SPOOLS_MAX 512 // in this process: 128 MiB

static unsigned spools; // of all connections of this process

bool imap_spool_make(struct imap_window *window)
{
	if (!window->spool && spools < SPOOLS_MAX) {
		spools++;
		window->spool = memory_new(IMAP_SPOOL_OCTETS_MAX);
	}
	return window->spool != NULL;
}

void imap_spool_release(struct imap_window *window)
{
	if (window->spool) {
		spools--;
	}
	free(window->spool);
	window->spool = NULL;
	window->spool_used = 0;
}

/* The first one in the spool at or behind this place. */
static struct imap_request *next_from(const struct imap_window *window, uint32_t place)
{
	struct imap_request *next = NULL;

	for (uint32_t i = 0; i < window->count; i++) {
		struct imap_request *request = &window->requests[i];

		if (request->body == IMAP_REQUEST_SPOOLED && request->spool_at >= place &&
		    (!next || request->spool_at < next->spool_at)) {
			next = request;
		}
	}
	return next;
}

static void close_up(struct imap_window *window)
{
	struct imap_request *request;
	uint32_t place = 0; // of the one that is next, in the spool as it was
	uint32_t used = 0;

	while ((request = next_from(window, place))) {
		place = request->spool_at + request->spool_size;
		memmove(window->spool + used, window->spool + request->spool_at,
			request->spool_size);
		request->spool_at = used;
		used += request->spool_size;
	}
	window->spool_used = used;
}

bool imap_spool_begin(struct imap_window *window, struct imap_request *request,
		      uint64_t octets)
{
	if (!window->spool || octets == 0 || octets > IMAP_SPOOL_OCTETS_MAX) {
		return false;
	}
	if (octets > IMAP_SPOOL_OCTETS_MAX - window->spool_used) {
		close_up(window);
	}
	if (octets > IMAP_SPOOL_OCTETS_MAX - window->spool_used) {
		return false;
	}
	request->body = IMAP_REQUEST_SPOOLED;
	request->spool_at = window->spool_used;
	request->spool_size = (uint32_t)octets;
	request->spool_octets = 0;
	window->spool_used += request->spool_size;
	return true;
}

void imap_spool_put(struct imap_window *window, struct imap_request *request,
		    struct bytes text)
{
	assert(text.len <= request->spool_size - request->spool_octets);
	memcpy(window->spool + request->spool_at + request->spool_octets, text.at,
	       text.len);
	request->spool_octets += (uint32_t)text.len;
}

struct bytes imap_spool_take(const struct imap_window *window,
			     struct imap_request *request)
{
	const struct bytes text = { window->spool + request->spool_at,
				    request->spool_octets };

	request->spool_octets = 0;
	return text;
}

void imap_spool_drop(struct imap_request *request)
{
	if (request->body == IMAP_REQUEST_SPOOLED) {
		request->body = IMAP_REQUEST_DROPPED;
	}
}
