/*
 * The keeper's side of the consent page: what people do there, asked by the web role over
 * a channel of its own, and invitations to it.
 *
 * page.c        the channel, and who answers what
 * page_visit.c  the answers
 */
#ifndef PROXY_KEEPER_PAGE_H
#define PROXY_KEEPER_PAGE_H

#include "proxy/keeper/keeper_internal.h"

struct page;

/* config is borrowed until the next page_configure(). */
struct page *page_new(struct keeper *keeper, const struct config *config);
void page_configure(struct page *page, const struct config *config);
SUSPENDS void page_free(struct page *page); // NULL is fine

/* The web role is at the other end (taken over); a former one is left. */
SUSPENDS void page_connect(struct page *page, int fd);

/*
 * A link for the account's owner, good once and for a time; the last one is good no more.
 * FAILURE_PERMANENT: there is no page. FAILURE_TEMPORARY: not written.
 */
bool page_invite(struct page *page, struct bytes account, struct buffer *url,
		 uint64_t *until_s, struct failure *failure);

/* The account is another one now, or gone: so is the visit that goes on for it. */
void page_forget(struct page *page, struct bytes account);

#endif
