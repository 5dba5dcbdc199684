/*
 * A TCP relay on a loopback address that hands every octet on a fixed time later, in both
 * directions, without limiting the bandwidth.
 *
 *     delay_relay {LISTEN_PORT TARGET_PORT ONE_WAY_MS}...
 *
 * All goes well: accept, wait 3 one-way times, connect to the target (so that a server
 * that speaks first is heard after two round trips, as over a real link), then each chunk
 * read is queued with the time it is due. What can go wrong: either side hangs up, which
 * the other learns after the delay too; a side is not read until its queue is below its
 * maximum. Loss, slow start and windows are not modelled.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX ((size_t)64 << 20) // on the way in one direction
#define LINKS_MAX 64
#define BATCH 64
#define NS_PER_MS 1000000
#define NEVER INT64_MAX

struct chunk {
	struct chunk *next; // first in its link's queue, then in its side's
	struct side *to;    // NULL: open the target connection
	struct pair *pair;
	int64_t due_ns;
	size_t len, at; // len 0: end of stream
	char text[];
};

struct queue {
	struct chunk *first, *last;
};

/* One socket of a pair. */
struct side {
	int fd; // -1: not open
	struct pair *pair;
	struct side *peer;
	struct queue out; // due, by next
	size_t queued;    // octets on the way to this side
	uint32_t watched; // epoll events
	bool is_watched;
	bool has_ended; // nothing more to read
	bool is_shut;   // nothing more to write
};

struct pair {
	struct side client, target;
	struct link *link;
	unsigned pending; // chunks in the link's queues
	bool is_connected;
	bool is_dropped;
	bool is_buried;
	struct pair *next_buried;
};

struct link {
	int fd;
	uint16_t target;
	int64_t delay_ns;
	struct queue data;  // by due_ns, since all wait equally long
	struct queue opens; // likewise
};

static int epoll_fd;
static struct link links[LINKS_MAX];
static int link_count;
static char scratch[256 * 1024];
static struct pair *buried; // to be freed, by next_buried

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 * NS_PER_MS + t.tv_nsec;
}

static void queue_add(struct queue *queue, struct chunk *chunk)
{
	chunk->next = NULL;
	if (queue->first) {
		queue->last->next = chunk;
	} else {
		queue->first = chunk;
	}
	queue->last = chunk;
}

static struct chunk *queue_take(struct queue *queue)
{
	struct chunk *chunk = queue->first;

	queue->first = chunk->next;
	return chunk;
}

/* Ask for the events this side can make use of now. */
static void watch(struct side *side)
{
	struct epoll_event event = { .data.ptr = side };

	if (side->fd < 0) {
		return;
	}
	if (!side->has_ended && side->peer->queued < QUEUE_MAX) {
		event.events |= EPOLLIN;
	}
	if (side->out.first ||
	    (side == &side->pair->target && !side->pair->is_connected)) {
		event.events |= EPOLLOUT;
	}
	if (!side->is_watched || side->watched != event.events) {
		epoll_ctl(epoll_fd, side->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
			  side->fd, &event);
		side->is_watched = true;
		side->watched = event.events;
	}
}

static void drop_side(struct side *side)
{
	if (side->fd >= 0) {
		close(side->fd);
	}
	side->fd = -1;
	while (side->out.first) {
		free(queue_take(&side->out));
	}
}

static void drop(struct pair *pair)
{
	pair->is_dropped = true;
	drop_side(&pair->client);
	drop_side(&pair->target);
}

/* A dropped pair that no queue knows any more goes, after the batch of events. */
static void bury(struct pair *pair)
{
	if (pair->is_dropped && !pair->is_buried && pair->pending == 0) {
		pair->is_buried = true;
		pair->next_buried = buried;
		buried = pair;
	}
}

static void free_buried(void)
{
	while (buried) {
		struct pair *pair = buried;

		buried = pair->next_buried;
		free(pair);
	}
}

/* Write one chunk. False: not whole, or the pair is dropped. */
static bool hand_on(struct side *side, struct chunk *chunk)
{
	if (chunk->len == 0) {
		shutdown(side->fd, SHUT_WR);
		side->is_shut = true;
		return true;
	}
	const ssize_t len = send(side->fd, chunk->text + chunk->at,
				 chunk->len - chunk->at, MSG_NOSIGNAL);

	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			drop(side->pair);
		}
		return false;
	}
	chunk->at += (size_t)len;
	side->queued -= (size_t)len;
	return chunk->at == chunk->len;
}

static void flush(struct side *side)
{
	struct pair *pair = side->pair;

	if (side->fd < 0 || (side == &pair->target && !pair->is_connected)) {
		return;
	}
	while (side->out.first && hand_on(side, side->out.first)) {
		free(queue_take(&side->out));
	}
	if (pair->client.is_shut && pair->target.is_shut) {
		drop(pair);
	}
	watch(side);
	watch(side->peer);
}

static void enqueue(struct queue *queue, struct pair *pair, struct side *to, size_t len,
		    int64_t delay_ns)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + len);

	if (!chunk) {
		abort();
	}
	*chunk = (struct chunk){
		.to = to,
		.pair = pair,
		.due_ns = now_ns() + delay_ns,
		.len = len,
	};
	memcpy(chunk->text, scratch, len);
	pair->pending++;
	if (to) {
		to->queued += len;
	}
	queue_add(queue, chunk);
}

static void take_input(struct side *side)
{
	struct link *link = side->pair->link;

	while (side->fd >= 0 && !side->has_ended && side->peer->queued < QUEUE_MAX) {
		const ssize_t len = read(side->fd, scratch, sizeof(scratch));

		if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
			break;
		}
		side->has_ended = len <= 0;
		enqueue(&link->data, side->pair, side->peer, len > 0 ? (size_t)len : 0,
			link->delay_ns);
	}
	watch(side);
}

static void set_no_delay(int fd)
{
	const int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void open_target(struct pair *pair)
{
	const struct sockaddr_in address = loopback(pair->link->target);

	if (pair->is_dropped) {
		return;
	}
	pair->target.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (pair->target.fd < 0 ||
	    (connect(pair->target.fd, (const struct sockaddr *)&address,
		     sizeof(address)) < 0 &&
	     errno != EINPROGRESS)) {
		drop(pair);
		return;
	}
	set_no_delay(pair->target.fd);
	watch(&pair->target);
}

static void accept_all(struct link *link)
{
	int fd;

	while ((fd = accept4(link->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct pair *pair = calloc(1, sizeof(*pair));

		if (!pair) {
			abort();
		}
		set_no_delay(fd);
		pair->link = link;
		pair->client = (struct side){ fd, pair, &pair->target, .queued = 0 };
		pair->target = (struct side){ -1, pair, &pair->client, .queued = 0 };
		watch(&pair->client);
		enqueue(&link->opens, pair, NULL, 0, 3 * link->delay_ns);
	}
}

static void arrive(struct chunk *chunk)
{
	struct pair *pair = chunk->pair;
	struct side *to = chunk->to;

	pair->pending--;
	if (!to) {
		open_target(pair);
	}
	if (!to || pair->is_dropped) {
		free(chunk);
	} else {
		queue_add(&to->out, chunk);
		if (to->out.first == chunk) {
			flush(to);
		}
	}
	bury(pair);
}

/* All of one queue that is due. Returns when the next one is. */
static int64_t run_queue(struct queue *queue, int64_t now)
{
	while (queue->first && queue->first->due_ns <= now) {
		arrive(queue_take(queue));
	}
	return queue->first ? queue->first->due_ns : NEVER;
}

static int64_t run_queues(void)
{
	const int64_t now = now_ns();
	int64_t next = NEVER;

	for (int i = 0; i < link_count; i++) {
		const int64_t open = run_queue(&links[i].opens, now);
		const int64_t data = run_queue(&links[i].data, now);

		next = open < next ? open : next;
		next = data < next ? data : next;
	}
	return next;
}

/* The connection to the target is made, or not. */
static void connected(struct side *side)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		drop(side->pair);
		return;
	}
	side->pair->is_connected = true;
	flush(side);
}

static void hear(struct side *side, uint32_t events)
{
	struct pair *pair = side->pair;
	const uint32_t over = EPOLLHUP | EPOLLERR;

	if (pair->is_dropped) {
		return;
	}
	if (side == &pair->target && !pair->is_connected &&
	    (events & (EPOLLOUT | over))) {
		connected(side);
	}
	if (events & (EPOLLIN | over)) {
		take_input(side);
	}
	if (events & EPOLLOUT) {
		flush(side);
	}
	if (side->has_ended && (events & over) && side->fd >= 0) {
		/* Gone for good: it would be reported for ever. */
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, side->fd, NULL);
	}
	bury(pair);
}

static bool is_link(const void *pointer)
{
	return pointer >= (const void *)links &&
	       pointer < (const void *)(links + LINKS_MAX);
}

static void wait_and_hear(int64_t next_ns)
{
	struct epoll_event events[BATCH];
	struct timespec wait = { 0 };
	const int64_t left_ns = next_ns == NEVER ? 0 : next_ns - now_ns();

	if (left_ns > 0) {
		wait.tv_sec = left_ns / 1000 / NS_PER_MS;
		wait.tv_nsec = left_ns % (1000 * (int64_t)NS_PER_MS);
	}
	const int count = epoll_pwait2(epoll_fd, events, BATCH,
				       next_ns == NEVER ? NULL : &wait, NULL);

	for (int i = 0; i < count; i++) {
		if (is_link(events[i].data.ptr)) {
			accept_all(events[i].data.ptr);
		} else {
			hear(events[i].data.ptr, events[i].events);
		}
	}
	free_buried(); // only here: the batch may name a pair twice
}

static bool open_link(uint16_t port, uint16_t target, double one_way_ms)
{
	struct link *link = &links[link_count++];
	const struct sockaddr_in address = loopback(port);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = link };
	const int one = 1;

	link->target = target;
	link->delay_ns = (int64_t)(one_way_ms * NS_PER_MS);
	link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(link->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(link->fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       listen(link->fd, 1024) == 0 &&
	       epoll_ctl(epoll_fd, EPOLL_CTL_ADD, link->fd, &event) == 0;
}

static uint16_t port_of(const char *text)
{
	return (uint16_t)strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
	if (argc < 4 || (argc - 1) % 3 != 0 || (argc - 1) / 3 > LINKS_MAX) {
		fprintf(stderr, "usage: %s {LISTEN_PORT TARGET_PORT ONE_WAY_MS}...\n",
			argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 1; i < argc; i += 3) {
		if (!open_link(port_of(argv[i]), port_of(argv[i + 1]),
			       strtod(argv[i + 2], NULL))) {
			perror(argv[i]);
			return 1;
		}
	}
	for (;;) {
		wait_and_hear(run_queues());
	}
}
