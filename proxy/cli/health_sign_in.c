/*
 * All goes well: greeting, TLS where the listener has it, USER and PASS, STAT, QUIT. What
 * goes wrong is printed with what the service answered; it never has the password in it.
 */
#include "proxy/cli/health_sign_in.h"

#include "protocol/pop3_line.h"
#include "protocol/sasl.h"
#include "proxy/cli/output.h"
#include "proxy/config/config_values.h"
#include "proxy/rt/connect.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_OCTETS 512
#define COMMAND_MAX (17 * 1024) // PASS and the longest password

struct dialogue {
	const char *user;
	struct bytes password;
	struct address address;
	enum config_tls tls;
	struct stream *stream;
	struct tls_client *client; // NULL where the listener has no TLS
	struct pop3_line line;
	char storage[LINE_MAX_OCTETS];
	char answer[LINE_MAX_OCTETS + 1];
	uint64_t deadline_ms;
	struct failure failure;
	bool good;
};

/* TLS before none; who waits for a balancer's PROXY header is no use to us. */
static int worth(const struct admin_message *row, const struct address *address)
{
	if (row->number[ADMIN_BEHIND_PROXY] || address_port(address) == 0) {
		return 0;
	}
	return row->number[ADMIN_TLS] == CONFIG_TLS_IMPLICIT   ? 3
	       : row->number[ADMIN_TLS] == CONFIG_TLS_STARTTLS ? 2
							       : 1;
}

/* "All addresses" is reached on loopback. */
static void make_reachable(struct address *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&address->socket;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->socket;

	if (address->socket.ss_family == AF_INET &&
	    four->sin_addr.s_addr == htonl(INADDR_ANY)) {
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (address->socket.ss_family == AF_INET6 &&
		   IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr)) {
		six->sin6_addr = in6addr_loopback;
	}
}

static int consider(struct dialogue *dialogue, const struct admin_message *row, int best)
{
	struct address address;
	const char *why;
	int value = 0;

	if (config_address_parse(row->text[ADMIN_ADDRESS], &address, &why)) {
		value = worth(row, &address);
	}
	if (value > best) {
		dialogue->address = address;
		dialogue->tls = (enum config_tls)row->number[ADMIN_TLS];
		make_reachable(&dialogue->address);
		return value;
	}
	return best;
}

static bool find_listener(struct dialogue *dialogue, const struct enquiry_place *place)
{
	const struct admin_message asked = { .type = ADMIN_ASK_SERVICE };
	struct failure *failure = &dialogue->failure;
	struct enquiry enquiry;
	struct admin_message row = { .type = ADMIN_SERVICE };
	int best = 0;
	bool goes_on;

	if (!enquiry_open(&enquiry, place, failure)) {
		return false;
	}
	goes_on = enquiry_ask(&enquiry, &asked, failure);
	while (goes_on && row.type != ADMIN_END) {
		goes_on = enquiry_next(&enquiry, &row, failure);
		if (goes_on && row.type == ADMIN_LISTENER) {
			best = consider(dialogue, &row, best);
		}
	}
	enquiry_close(&enquiry);
	if (goes_on && best == 0) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "every listener waits for a balancer's PROXY header, "
				   "or has port 0");
	}
	return goes_on;
}

/* One line from the service, into dialogue->answer. */
SUSPENDS static bool receive(struct dialogue *dialogue)
{
	enum pop3_line_result result = POP3_LINE_NEED_INPUT;
	struct bytes text = { 0 };

	while (result == POP3_LINE_NEED_INPUT) {
		struct bytes input = stream_input(dialogue->stream);
		const size_t before = input.len;

		result = pop3_line_next(&dialogue->line, &input, &text);
		stream_consume(dialogue->stream, before - input.len);
		if (result == POP3_LINE_NEED_INPUT &&
		    !stream_fill(dialogue->stream, dialogue->deadline_ms,
				 &dialogue->failure)) {
			return failure_prefix(&dialogue->failure,
					      "while waiting for the service");
		}
	}
	snprintf(dialogue->answer, sizeof(dialogue->answer), "%.*s", (int)text.len,
		 text.len > 0 ? text.at : "");
	return true;
}

SUSPENDS static bool expect_ok(struct dialogue *dialogue, const char *step)
{
	if (!receive(dialogue)) {
		return failure_prefix(&dialogue->failure, "%s", step);
	}
	return strncmp(dialogue->answer, "+OK", 3) == 0 ||
	       failure_set(&dialogue->failure, FAILURE_PERMANENT, "%s: %s", step,
			   dialogue->answer);
}

SUSPENDS static bool command(struct dialogue *dialogue, const char *verb,
			     struct bytes argument)
{
	struct buffer line;
	bool sent;

	buffer_init(&line, COMMAND_MAX);
	sent = buffer_append(&line, bytes_of(verb)) &&
	       (argument.len == 0 || (buffer_append(&line, bytes_of(" ")) &&
				      buffer_append(&line, argument))) &&
	       buffer_append(&line, bytes_of("\r\n")) &&
	       stream_write(dialogue->stream, buffer_bytes(&line), dialogue->deadline_ms,
			    &dialogue->failure) &&
	       stream_flush(dialogue->stream, dialogue->deadline_ms, &dialogue->failure);
	memory_wipe(line.data, line.size);
	buffer_release(&line);
	return sent && expect_ok(dialogue, verb);
}

SUSPENDS static bool start_tls(struct dialogue *dialogue)
{
	char host[ADDRESS_TEXT_MAX];

	address_text(&dialogue->address, host);
	return stream_connect_tls(dialogue->stream, dialogue->client, host,
				  dialogue->deadline_ms, &dialogue->failure) ||
	       failure_prefix(&dialogue->failure, "TLS");
}

SUSPENDS static bool greet(struct dialogue *dialogue)
{
	if (dialogue->tls == CONFIG_TLS_IMPLICIT && !start_tls(dialogue)) {
		return false;
	}
	if (!expect_ok(dialogue, "greeting")) {
		return false;
	}
	return dialogue->tls != CONFIG_TLS_STARTTLS ||
	       (command(dialogue, "STLS", bytes_of("")) && start_tls(dialogue));
}

/* A mailbox that is in use has taken the password, too. */
SUSPENDS static bool sign_in(struct dialogue *dialogue)
{
	if (!command(dialogue, "USER", bytes_of(dialogue->user))) {
		return false;
	}
	if (command(dialogue, "PASS", dialogue->password)) {
		return command(dialogue, "STAT", bytes_of(""));
	}
	return strncmp(dialogue->answer, "-ERR [IN-USE]", 13) == 0;
}

SUSPENDS static bool talk(struct dialogue *dialogue)
{
	char said[LINE_MAX_OCTETS + 1];

	if (!greet(dialogue) || !sign_in(dialogue)) {
		return false;
	}
	memcpy(said, dialogue->answer, sizeof(said));
	if (!command(dialogue, "QUIT", bytes_of(""))) {
		return false;
	}
	memcpy(dialogue->answer, said, sizeof(said));
	return true;
}

SUSPENDS static void run(void *argument)
{
	struct dialogue *dialogue = argument;
	char host[ADDRESS_TEXT_MAX];

	address_text(&dialogue->address, host);
	dialogue->stream = connect_host(host, address_port(&dialogue->address), false,
					dialogue->deadline_ms, &dialogue->failure);
	if (dialogue->stream) {
		dialogue->good = talk(dialogue);
		stream_close(dialogue->stream);
	}
}

static void print_result(const struct dialogue *dialogue, uint64_t ms)
{
	static const char *const kinds[] = { [CONFIG_TLS_NONE] = "without TLS",
					     [CONFIG_TLS_STARTTLS] = "STLS",
					     [CONFIG_TLS_IMPLICIT] = "TLS" };
	char host[ADDRESS_TEXT_MAX];

	address_text(&dialogue->address, host);
	printf("signed in at %s port %u (%s) in %" PRIu64 " ms: ", host,
	       address_port(&dialogue->address), kinds[dialogue->tls], ms);
	output_text(stdout, bytes_of(dialogue->answer));
	putchar('\n');
}

/* In a loop of its own, which blocks. */
static void hold(struct dialogue *dialogue, uint64_t limit_ms)
{
	const struct tls_client_settings settings = { .any_certificate = true };
	uint64_t since_ms;

	loop_open();
	since_ms = loop_now_ms();
	dialogue->deadline_ms = loop_deadline_ms(limit_ms);
	pop3_line_init(&dialogue->line, dialogue->storage, sizeof(dialogue->storage));
	if (dialogue->tls != CONFIG_TLS_NONE) {
		dialogue->client = tls_client_new(&settings, &dialogue->failure);
	}
	if (dialogue->client || dialogue->tls == CONFIG_TLS_NONE) {
		task_start(run, dialogue);
		loop_run();
	}
	if (dialogue->good) {
		print_result(dialogue, loop_now_ms() - since_ms);
	}
	loop_close();
	tls_client_free(dialogue->client);
}

int health_sign_in(const struct enquiry_place *place, const char *user,
		   const struct secret *password, uint64_t limit_ms)
{
	struct dialogue *dialogue = memory_new(sizeof(*dialogue));
	int result;

	dialogue->user = user;
	dialogue->password = secret_bytes(password);
	if (!sasl_is_safe(SASL_PLAIN, bytes_of(user)) ||
	    !sasl_is_safe(SASL_PLAIN, dialogue->password)) {
		failure_set(&dialogue->failure, FAILURE_PERMANENT,
			    "the user name or password holds octets that no mail server "
			    "takes");
	} else if (find_listener(dialogue, place)) {
		hold(dialogue, limit_ms);
	}
	result = dialogue->good ? 0 : output_failure(&dialogue->failure);
	free(dialogue);
	return result;
}
