#include "proxy/ops/handover.h"

#include "proxy/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS_MAX 4096
#define TITLE "popbridge-handover"

static const char *const roles[] = { "worker", "keeper", "web", "oauth" };

/* Writing -------------------------------------------------------------------------- */

static bool put_source(const struct handover *handover, struct buffer *out)
{
	const char *kind = handover->url ? "url" : handover->is_text ? "text" : "file";
	const char *name = handover->url ? handover->url : handover->path;

	return !strchr(name, '\n') && !strchr(handover->program, '\n') &&
	       buffer_printf(out, "program %s\nsource %s %s\n", handover->program, kind,
			     name);
}

static bool put_key(const struct handover *handover, struct buffer *out)
{
	bool fits = buffer_printf(out, "key ");

	for (size_t i = 0; i < CONTROL_KEY_BYTES; i++) {
		fits = fits && buffer_printf(out, "%02x", handover->key[i]);
	}
	return fits && buffer_printf(out, "\n");
}

static bool put_listeners(const struct handover *handover, struct buffer *out)
{
	bool fits = buffer_printf(out, "slots %zu\n", handover->slot_count);

	for (size_t i = 0; i < handover->listener_count * handover->slot_count; i++) {
		const bool is_first = i % handover->slot_count == 0;
		const bool is_last = (i + 1) % handover->slot_count == 0;

		fits = fits && buffer_printf(out, "%s%d%s", is_first ? "listener " : " ",
					     handover->sockets[i], is_last ? "\n" : "");
	}
	return fits;
}

static bool put_children(const struct handover *handover, struct buffer *out)
{
	bool fits = true;

	for (size_t i = 0; i < handover->child_count; i++) {
		const struct handover_child *child = &handover->children[i];

		fits = fits &&
		       buffer_printf(out,
				     "child %s %s %" PRIu32 " %d %d %" PRIu32 " %" PRIu32
				     "\n",
				     child->role, child->leaves ? "leaves" : "serves",
				     child->pid, child->channel, child->pulse, child->row,
				     child->slot);
	}
	return fits;
}

bool handover_encode(const struct handover *handover, struct buffer *out)
{
	return buffer_printf(out, TITLE " %d\n", HANDOVER_VERSION) &&
	       put_source(handover, out) &&
	       buffer_printf(out,
			     "started %" PRIu64
			     "\nconfiguration %d\nmetrics %d\ncensus %d\n"
			     "history %d\n",
			     handover->started_s, handover->text_fd, handover->metrics,
			     handover->census, handover->history) &&
	       put_key(handover, out) && put_listeners(handover, out) &&
	       put_children(handover, out) && buffer_printf(out, "end\n");
}

/* Reading -------------------------------------------------------------------------- */

static bool take_fd(struct bytes *rest, int *out)
{
	uint32_t number;

	if (!bytes_take_u32(rest, &number) || number > INT_MAX) {
		return false;
	}
	*out = (int)number;
	return true;
}

static bool take_text(struct bytes rest, char **out)
{
	if (*out || rest.len == 0 || memchr(rest.at, '\0', rest.len)) {
		return false;
	}
	*out = memory_copy_text(rest);
	return true;
}

static bool take_program(struct handover *out, struct bytes rest)
{
	return take_text(rest, &out->program);
}

static bool take_source(struct handover *out, struct bytes rest)
{
	const struct bytes kind = bytes_take_word(&rest);

	if (out->path || out->url) {
		return false;
	}
	if (bytes_equal(kind, bytes_of("url"))) {
		return take_text(rest, &out->url);
	}
	out->is_text = bytes_equal(kind, bytes_of("text"));
	return (out->is_text || bytes_equal(kind, bytes_of("file"))) &&
	       take_text(rest, &out->path);
}

static bool take_started(struct handover *out, struct bytes rest)
{
	return bytes_take_u64(&rest, &out->started_s) && rest.len == 0;
}

static bool take_configuration(struct handover *out, struct bytes rest)
{
	return take_fd(&rest, &out->text_fd) && rest.len == 0;
}

static bool take_metrics(struct handover *out, struct bytes rest)
{
	return take_fd(&rest, &out->metrics) && rest.len == 0;
}

static bool take_census(struct handover *out, struct bytes rest)
{
	return take_fd(&rest, &out->census) && rest.len == 0;
}

static bool take_history(struct handover *out, struct bytes rest)
{
	return take_fd(&rest, &out->history) && rest.len == 0;
}

static bool take_nibble(char letter, unsigned char *out)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = letter ? strchr(digits, letter) : NULL;

	*out = (unsigned char)(*out << 4 | (found ? found - digits : 0));
	return found != NULL;
}

static bool take_key(struct handover *out, struct bytes rest)
{
	bool good = rest.len == 2 * sizeof(out->key);

	for (size_t i = 0; good && i < rest.len; i++) {
		good = take_nibble(rest.at[i], &out->key[i / 2]);
	}
	return good;
}

static bool take_slots(struct handover *out, struct bytes rest)
{
	uint32_t count;

	if (out->slot_count > 0 || !bytes_take_u32(&rest, &count) || rest.len > 0 ||
	    count == 0 || count > SLOTS_MAX) {
		return false;
	}
	out->slot_count = count;
	return true;
}

static bool take_listener(struct handover *out, struct bytes rest)
{
	const size_t before = out->listener_count * out->slot_count;

	if (out->slot_count == 0) {
		return false;
	}
	out->sockets =
		memory_resize(out->sockets, (before + out->slot_count) * sizeof(int));
	for (size_t i = 0; i < out->slot_count; i++) {
		if (!take_fd(&rest, &out->sockets[before + i])) {
			return false;
		}
	}
	out->listener_count++;
	return rest.len == 0;
}

static const char *role_of(struct bytes word)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
		if (bytes_equal(word, bytes_of(roles[i]))) {
			return roles[i];
		}
	}
	return NULL;
}

static bool take_child(struct handover *out, struct bytes rest)
{
	struct handover_child child = { .role = role_of(bytes_take_word(&rest)) };
	const struct bytes state = bytes_take_word(&rest);

	child.leaves = bytes_equal(state, bytes_of("leaves"));
	if (!child.role || (!child.leaves && !bytes_equal(state, bytes_of("serves"))) ||
	    !bytes_take_u32(&rest, &child.pid) || child.pid == 0 || child.pid > INT_MAX ||
	    !take_fd(&rest, &child.channel) || !take_fd(&rest, &child.pulse) ||
	    !bytes_take_u32(&rest, &child.row) || !bytes_take_u32(&rest, &child.slot) ||
	    rest.len > 0 || child.slot >= out->slot_count) {
		return false;
	}
	out->children =
		memory_resize(out->children, (out->child_count + 1) * sizeof(child));
	out->children[out->child_count++] = child;
	return true;
}

static const struct {
	const char *word;
	bool (*take)(struct handover *out, struct bytes rest);
} lines[] = {
	{ "program", take_program }, { "source", take_source },
	{ "started", take_started }, { "configuration", take_configuration },
	{ "metrics", take_metrics }, { "census", take_census },
	{ "history", take_history }, { "key", take_key },
	{ "slots", take_slots },     { "listener", take_listener },
	{ "child", take_child },
};

static bool take_line(struct handover *out, struct bytes line)
{
	const struct bytes word = bytes_take_word(&line);

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		if (bytes_equal(word, bytes_of(lines[i].word))) {
			return lines[i].take(out, line);
		}
	}
	return false;
}

/* Without its line feed. False: there is none. */
static bool next_line(struct bytes *text, struct bytes *line)
{
	const char *end = text->len > 0 ? memchr(text->at, '\n', text->len) : NULL;

	if (!end) {
		return false;
	}
	*line = (struct bytes){ text->at, (size_t)(end - text->at) };
	bytes_skip(text, line->len + 1);
	return true;
}

static bool is_title(struct bytes line, struct failure *failure)
{
	uint32_t version;

	if (!bytes_equal(bytes_take_word(&line), bytes_of(TITLE)) ||
	    !bytes_take_u32(&line, &version)) {
		return failure_set(failure, FAILURE_PROTOCOL, "this is no hand-over");
	}
	return version == HANDOVER_VERSION ||
	       failure_set(failure, FAILURE_PROTOCOL,
			   "hand-over version %" PRIu32 ", and only %d is known", version,
			   HANDOVER_VERSION);
}

static bool is_whole(const struct handover *handover)
{
	return handover->program && (handover->path || handover->url) &&
	       handover->slot_count > 0 && handover->text_fd >= 0 &&
	       handover->metrics >= 0 && handover->census >= 0 && handover->history >= 0;
}

bool handover_decode(struct bytes text, struct handover *out, struct failure *failure)
{
	struct bytes line = { 0 };

	*out = (struct handover){
		.text_fd = -1, .metrics = -1, .census = -1, .history = -1
	};
	next_line(&text, &line);
	if (!is_title(line, failure)) {
		return false;
	}
	while (next_line(&text, &line) && !bytes_equal(line, bytes_of("end"))) {
		struct bytes rest = line;
		const struct bytes word = bytes_take_word(&rest); // no more: not the key

		if (!take_line(out, line)) {
			return failure_set(failure, FAILURE_PROTOCOL,
					   "the hand-over has a line not understood: "
					   "%.*s",
					   (int)(word.len < 20 ? word.len : 20), word.at);
		}
	}
	return (bytes_equal(line, bytes_of("end")) && text.len == 0 && is_whole(out)) ||
	       failure_set(failure, FAILURE_PROTOCOL, "the hand-over is not whole");
}

void handover_release(struct handover *handover)
{
	free(handover->program);
	free(handover->path);
	free(handover->url);
	free(handover->sockets);
	free(handover->children);
	memory_wipe(handover, sizeof(*handover));
}

/* Descriptors ---------------------------------------------------------------------- */

static bool keep(int fd, bool kept)
{
	return fcntl(fd, F_SETFD, kept ? 0 : FD_CLOEXEC) == 0;
}

bool handover_keep(const struct handover *handover, bool kept)
{
	bool done = keep(handover->text_fd, kept) && keep(handover->metrics, kept) &&
		    keep(handover->census, kept) && keep(handover->history, kept);

	for (size_t i = 0; i < handover->listener_count * handover->slot_count; i++) {
		done = keep(handover->sockets[i], kept) && done;
	}
	for (size_t i = 0; i < handover->child_count; i++) {
		done = keep(handover->children[i].channel, kept) &&
		       keep(handover->children[i].pulse, kept) && done;
	}
	return done;
}

int handover_write(const struct handover *handover)
{
	int fd = memfd_create("popbridge-handover", MFD_CLOEXEC);
	struct buffer text;

	buffer_init(&text, HANDOVER_MAX);
	if (fd >= 0 && (!handover_encode(handover, &text) ||
			write(fd, text.data, text.len) != (ssize_t)text.len)) {
		close(fd);
		fd = -1;
	}
	memory_wipe(text.data, text.len); // the key is in it
	buffer_release(&text);
	return fd;
}

bool handover_read(int fd, struct handover *out, struct failure *failure)
{
	struct buffer text;
	ssize_t got;

	buffer_init(&text, HANDOVER_MAX + 1);
	do {
		got = buffer_reserve(&text, 4096)
			      ? pread(fd, text.data + text.len, 4096, (off_t)text.len)
			      : 0;
		text.len += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	const bool good = handover_decode(buffer_bytes(&text), out, failure);

	memory_wipe(text.data, text.len);
	buffer_release(&text);
	return good;
}
