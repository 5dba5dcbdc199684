#include "proxy/cli/enquiry.h"

#include "proxy/base/memory.h"
#include "proxy/cli/cli.h"
#include "proxy/cli/environment.h"
#include "proxy/rt/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_S 10
#define CONFIG_READ_MAX (1024 * 1024)

enum { OPTION_CONTROL = 511 }; // out of the way of those of the commands

static const struct argp_option place_options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" CLI_DEFAULT_CONFIG ")", 0 },
	{ "control", OPTION_CONTROL, "SOCKET", 0,
	  "The control socket, where the configuration does not tell", 0 },
	{ 0 },
};

static error_t take_place(int key, char *value, struct argp_state *state)
{
	struct enquiry_place *place = state->input;

	switch (key) {
	case 'c':
		place->config = value;
		return 0;
	case OPTION_CONTROL:
		place->control = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp place_argp = { .options = place_options, .parser = take_place };

const struct argp_child enquiry_options[] = { { .argp = &place_argp }, { 0 } };

/* Where it is by the book, when the configuration cannot be read at all. */
static const char *const usual[] = { "/run/popbridge/control",
				     "/var/lib/popbridge/control" };

/* What the file says, as far as it can be read. */
static char *find_in_broken(const char *path)
{
	char *text = memory_new(CONFIG_READ_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, text, CONFIG_READ_MAX) : -1;
	char *found = NULL;

	if (len > 0) {
		found = config_find_control((struct bytes){ text, (size_t)len });
	}
	for (size_t i = 0; !found && i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (access(usual[i], F_OK) == 0) {
			found = memory_copy_text(bytes_of(usual[i]));
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	free(text);
	return found;
}

void enquiry_find(const struct enquiry_place *place, char **control,
		  struct config **config)
{
	const bool by_environment = !place->config && environment_given() != NULL;
	const char *path = place->config ? place->config : CLI_DEFAULT_CONFIG;
	struct source source = { .path = path };
	struct config_errors errors = { 0 };

	*control = place->control ? memory_copy_text(bytes_of(place->control)) : NULL;
	if (by_environment) {
		source.path = NULL;
		*config = cli_load(&source, NULL);
	} else {
		*config = config_load(path, &errors);
		if (!*config) {
			fprintf(stderr,
				"popbridge: %s cannot be used as it is now (popbridge "
				"check %s says why); the service that runs is asked\n",
				path, path);
		}
		config_errors_release(&errors);
	}
	if (!*control && *config && (*config)->control) {
		*control = memory_copy_text(bytes_of((*config)->control));
	} else if (!*control && !*config) {
		*control = find_in_broken(path);
	}
}

bool enquiry_open_at(struct enquiry *enquiry, const char *control,
		     struct failure *failure)
{
	*enquiry = (struct enquiry){ .fd = -1 };
	if (!control) {
		failure_set(failure, FAILURE_PERMANENT,
			    "the configuration has neither control nor state, so the "
			    "service cannot be asked");
		return failure_advise(failure, "set control: /run/popbridge/control, or "
					       "state, and restart popbridge");
	}
	enquiry->fd = local_connect(control, WAIT_S, failure);
	if (enquiry->fd < 0) {
		return false;
	}
	enquiry->packet = memory_new(ADMIN_PACKET_MAX);
	return true;
}

bool enquiry_open(struct enquiry *enquiry, const struct enquiry_place *place,
		  struct failure *failure)
{
	struct config *config = NULL;
	char *control = NULL;
	bool opened;

	if (place->control) {
		return enquiry_open_at(enquiry, place->control, failure);
	}
	enquiry_find(place, &control, &config);
	opened = enquiry_open_at(enquiry, control, failure);
	free(control);
	if (config) {
		config_free(config);
	}
	return opened;
}

void enquiry_close(struct enquiry *enquiry)
{
	if (enquiry->fd >= 0) {
		close(enquiry->fd);
	}
	free(enquiry->packet);
}

static bool broke_off(int error, struct failure *failure)
{
	if (error == EAGAIN || error == EWOULDBLOCK) {
		return failure_set(failure, FAILURE_TIMEOUT,
				   "the service does not answer within %d s", WAIT_S);
	}
	failure_set(failure, FAILURE_TEMPORARY, "the service broke off%s%s",
		    error ? ": " : "", error ? strerror(error) : "");
	return failure_advise(failure, "is it of another version than this command, or "
				       "was it just restarted? See its log");
}

void enquiry_be_patient(const struct enquiry *enquiry)
{
	const struct timeval minute = { .tv_sec = 60 };

	setsockopt(enquiry->fd, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof(minute));
}

bool enquiry_ask(struct enquiry *enquiry, const struct admin_message *message,
		 struct failure *failure)
{
	struct buffer packet;
	ssize_t sent = -1;

	buffer_init(&packet, ADMIN_PACKET_MAX);
	if (!admin_message_encode(message, &packet)) {
		failure_set(failure, FAILURE_PERMANENT, "that is too long to be asked");
	} else {
		sent = send(enquiry->fd, packet.data, packet.len, MSG_NOSIGNAL);
		if (sent < 0) {
			broke_off(errno, failure);
		}
	}
	memory_wipe(packet.data, packet.size);
	buffer_release(&packet);
	return sent >= 0;
}

/* What the service says of itself, as our own failure. */
static bool refused(const struct admin_message *said, struct failure *failure)
{
	const struct bytes cause = said->text[ADMIN_CAUSE];
	const struct bytes advice = said->text[ADMIN_ADVICE];

	return failure_set(failure, FAILURE_TEMPORARY, "%.*s%s%.*s", (int)cause.len,
			   cause.at, advice.len > 0 ? "; " : "", (int)advice.len,
			   advice.len > 0 ? advice.at : "");
}

bool enquiry_next(struct enquiry *enquiry, struct admin_message *row,
		  struct failure *failure)
{
	ssize_t len;

	do {
		len = recv(enquiry->fd, enquiry->packet, ADMIN_PACKET_MAX, 0);
	} while (len < 0 && errno == EINTR);
	if (len <= 0) {
		return broke_off(len < 0 ? errno : 0, failure);
	}
	if (!admin_message_decode((struct bytes){ enquiry->packet, (size_t)len }, false,
				  row)) {
		return broke_off(EPROTO, failure);
	}
	return row->type != ADMIN_FAILED || refused(row, failure);
}

bool enquiry_count(struct enquiry *enquiry, const struct admin_message *message,
		   uint64_t *count, struct failure *failure)
{
	struct admin_message row = { .type = ADMIN_END };

	if (!enquiry_ask(enquiry, message, failure) ||
	    !enquiry_next(enquiry, &row, failure)) {
		return false;
	}
	*count = row.number[ADMIN_COUNT];
	return row.type == ADMIN_END || broke_off(EPROTO, failure);
}
