#include "proxy/web/consent_line.h"

#include "proxy/base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void line_init(struct consent_line *line)
{
	line->fd = -1;
	line->packet = memory_new(PAGE_PACKET_MAX);
	line->packet_len = 0;
}

static void hang_up(struct consent_line *line)
{
	if (line->fd >= 0) {
		close(line->fd);
	}
	line->fd = -1;
}

void line_release(struct consent_line *line)
{
	hang_up(line);
	memory_wipe(line->packet, PAGE_PACKET_MAX);
	free(line->packet);
}

void line_connect(struct consent_line *line, int fd)
{
	hang_up(line);
	line->fd = fd;
}

bool line_send(struct consent_line *line, const struct page_message *message)
{
	struct buffer packet;
	bool sent;

	buffer_init(&packet, PAGE_PACKET_MAX);
	buffer_reserve(&packet, PAGE_PACKET_MAX); // no copies where it grew
	sent = line->fd >= 0 && page_message_encode(message, &packet) &&
	       send(line->fd, packet.data, packet.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
	if (packet.data) {
		memory_wipe(packet.data, packet.size);
	}
	buffer_release(&packet);
	return sent;
}

enum line_event line_receive(struct consent_line *line, struct page_message *out)
{
	ssize_t len;

	memory_wipe(line->packet, line->packet_len); // it may have had a password
	line->packet_len = 0;
	if (line->fd < 0) {
		return LINE_QUIET;
	}
	len = recv(line->fd, line->packet, PAGE_PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
	if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
		return LINE_QUIET;
	}
	line->packet_len = len > 0 && len <= PAGE_PACKET_MAX ? (size_t)len : 0;
	if (line->packet_len > 0 &&
	    page_message_decode((struct bytes){ line->packet, (size_t)len }, false,
				out)) {
		return LINE_MESSAGE;
	}
	hang_up(line);
	return LINE_LOST;
}
