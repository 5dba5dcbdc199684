/*
 * The web role's end of the channel to the keeper, for the consent page: packets without
 * waiting. No tasks here: whoever polls the descriptor reads.
 */
#ifndef PROXY_WEB_CONSENT_LINE_H
#define PROXY_WEB_CONSENT_LINE_H

#include "proxy/ipc/page_message.h"

struct consent_line {
	int fd;       // owned; -1: no keeper
	char *packet; // owned; what the last message points into; wiped at the next look
	size_t packet_len;
};

enum line_event {
	LINE_MESSAGE,
	LINE_QUIET, // nothing now
	LINE_LOST,  // the keeper has gone, or does not keep to the protocol: it is closed
};

void line_init(struct consent_line *line);
void line_release(struct consent_line *line);

/* Takes the descriptor over; a former one is closed. */
void line_connect(struct consent_line *line, int fd);

/* False: there is no keeper, or it takes nothing more now. */
bool line_send(struct consent_line *line, const struct page_message *message);

/* Its texts are good until the next one. */
enum line_event line_receive(struct consent_line *line, struct page_message *out);

#endif
