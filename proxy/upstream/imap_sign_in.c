/*
 * From a host name to a signed-in connection.
 *
 * All goes well: connect, TLS, greeting with capabilities, ID and AUTHENTICATE or LOGIN
 * in one write, the answer with capabilities again. What can go wrong: every step; and no
 * credential leaves before certificate, host name and PREAUTH are judged. Capabilities
 * learnt before TLS or before sign-in are forgotten (RFC 9051 6.2.1).
 */
#include "proxy/upstream/imap_internal.h"

#include "protocol/base64.h"
#include "proxy/base/memory.h"
#include "proxy/rt/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

static const struct {
	const char *name;
	enum imap_capability capability;
} capability_names[] = {
	{ "SASL-IR", IMAP_SASL_IR },
	{ "LOGINDISABLED", IMAP_LOGINDISABLED },
	{ "STARTTLS", IMAP_STARTTLS },
	{ "ID", IMAP_ID },
	{ "UIDPLUS", IMAP_UIDPLUS },
	{ "MOVE", IMAP_MOVE },
	{ "ESEARCH", IMAP_ESEARCH },
	{ "CONDSTORE", IMAP_CONDSTORE },
	{ "ENABLE", IMAP_ENABLE },
	{ "LITERAL+", IMAP_LITERAL_PLUS },
	{ "X-GM-EXT-1", IMAP_X_GM_EXT_1 },
	{ "OBJECTID", IMAP_OBJECTID },
	{ "UNSELECT", IMAP_UNSELECT },
	{ "COMPRESS=DEFLATE", IMAP_COMPRESS_DEFLATE },
	{ "AUTH=PLAIN", IMAP_AUTH_PLAIN },
	{ "AUTH=XOAUTH2", IMAP_AUTH_XOAUTH2 },
	{ "AUTH=OAUTHBEARER", IMAP_AUTH_OAUTHBEARER },
};
#define CAPABILITY_NAMES (sizeof(capability_names) / sizeof(capability_names[0]))

/* Part of IMAP4rev2 itself (RFC 9051 appendix E). */
#define REV2_CAPABILITIES                                                                \
	(IMAP_SASL_IR | IMAP_UIDPLUS | IMAP_MOVE | IMAP_ESEARCH | IMAP_ENABLE |          \
	 IMAP_UNSELECT)

unsigned imap_capability_parse(struct bytes words)
{
	unsigned found = 0;

	while (words.len > 0) {
		const struct bytes word = bytes_take_word(&words);

		if (bytes_is_keyword(word, "IMAP4REV2")) {
			found |= REV2_CAPABILITIES;
		}
		for (size_t i = 0; i < CAPABILITY_NAMES; i++) {
			if (bytes_is_keyword(word, capability_names[i].name)) {
				found |= capability_names[i].capability;
			}
		}
	}
	return found;
}

void imap_capability_text(unsigned capabilities, struct buffer *out)
{
	for (size_t i = 0; i < CAPABILITY_NAMES; i++) {
		if (capabilities & capability_names[i].capability) {
			buffer_printf(out, "%s%s", out->len > 0 ? " " : "",
				      capability_names[i].name);
		}
	}
}

/*
 * A server that repeats what it was sent must not write a secret into our log. The first
 * octets are enough: its text may have been cut within the secret.
 */
static void hide_secret(char *text, size_t size, struct bytes secret)
{
	const size_t len = secret.len < 8 ? secret.len : 8;
	char *found = len > 0 ? memmem(text, strlen(text), secret.at, len) : NULL;

	if (found) {
		snprintf(found, size - (size_t)(found - text),
			 "(the rest repeats the credential)");
	}
}

static bool sign_in_refused(struct imap *imap, struct failure *failure)
{
	const enum failure_kind kind = imap_refusal_kind(&imap->answer);

	imap_refused(imap, kind, "sign-in refused upstream", failure);
	if (kind == FAILURE_AUTH) {
		failure_advise(failure,
			       "check user name and password at the IMAP server; "
			       "some providers want an app password");
	} else if (kind == FAILURE_PERMANENT) {
		failure_advise(failure, "the account needs attention at the provider");
	} else {
		failure_advise(failure,
			       "wait; if it lasts, look at the IMAP server's log");
	}
	return false;
}

static void advise_unless_advised(struct failure *failure, const char *advice)
{
	if (!failure->advice) {
		failure_advise(failure, advice);
	}
}

/* advice: what a refusal means at this point; NULL: nothing in particular. */
SUSPENDS static bool ask_capabilities(struct imap *imap, const char *advice,
				      struct failure *failure)
{
	if (imap->capabilities_given) {
		return true;
	}
	if (!dialogue_command(imap, "CAPABILITY", failure)) {
		return false;
	}
	if (imap->answer.condition == IMAP_WIRE_OK && imap->capabilities_given) {
		return true;
	}
	imap_refused(imap, FAILURE_TEMPORARY, "CAPABILITY not answered", failure);
	return failure_advise(failure, advice);
}

static void forget_capabilities(struct imap *imap)
{
	imap->capabilities = 0;
	imap->capabilities_given = false;
}

SUSPENDS static bool start_tls(struct imap *imap, struct failure *failure)
{
	const struct upstream *upstream = imap->upstream;

	imap_set_deadline(imap, upstream->limits->tls_ms);
	if (!stream_connect_tls(imap->stream, upstream->tls, upstream->route->host,
				imap->deadline_ms, failure)) {
		failure_prefix(failure, "TLS with %s", upstream->route->server);
		advise_unless_advised(
			failure, "check the server's certificate and name, and ca-file");
		return imap_lose(imap);
	}
	forget_capabilities(imap);
	return true;
}

/* RFC 9051 6.2.1. Anything that follows the OK in plain text was injected. */
SUSPENDS static bool upgrade(struct imap *imap, struct failure *failure)
{
	if (!ask_capabilities(imap, NULL, failure)) {
		return false;
	}
	if (!(imap->capabilities & IMAP_STARTTLS)) {
		return failure_set(
			failure, FAILURE_PERMANENT,
			"the server offers no STARTTLS, so no password is sent");
	}
	if (!dialogue_starttls(imap, failure)) {
		return false;
	}
	if (imap->answer.condition != IMAP_WIRE_OK) {
		return imap_refused(imap, FAILURE_PERMANENT, "STARTTLS", failure);
	}
	stream_consume(imap->stream, imap->taken);
	imap->taken = 0;
	if (stream_input(imap->stream).len > 0 ||
	    !imap_wire_is_between_responses(&imap->wire)) {
		failure_set(failure, FAILURE_PROTOCOL,
			    "plain text was injected before TLS started");
		return imap_lose(imap);
	}
	return start_tls(imap, failure);
}

/*
 * RFC 2971; x- fields are how Dovecot's login takes the client's address from a proxy in
 * its login_trusted_networks. It goes out in one write with the credential behind it:
 * everything that has to be verified is verified, and whatever the server says to ID, it
 * is no reason to stop.
 */
SUSPENDS static bool identify(struct imap *imap, const struct imap_client *client,
			      struct failure *failure)
{
	const bool forward =
		imap->upstream->route->forward_client == CONFIG_FORWARD_ID && client;
	char address[ADDRESS_TEXT_MAX] = "";

	if (!(imap->capabilities & IMAP_ID)) {
		return true;
	}
	if (forward) {
		address_text(client->address, address);
		return imap_send_aside(
			imap, failure,
			"ID (\"name\" \"popbridge\" \"version\" \"" POPBRIDGE_VERSION
			"\" \"x-originating-ip\" \"%s\" \"x-originating-port\" \"%u\" "
			"\"x-session-ext-id\" \"%s\" \"x-proxy-ttl\" \"4\")",
			address, address_port(client->address), client->session_id);
	}
	return imap_send_aside(
		imap, failure,
		"ID (\"name\" \"popbridge\" \"version\" \"" POPBRIDGE_VERSION "\")");
}

/* A mechanism this server and this credential have in common. False: none. */
static bool choose(const struct imap *imap, enum sasl_mechanism given,
		   enum sasl_mechanism *out)
{
	const bool xoauth2 = imap->capabilities & IMAP_AUTH_XOAUTH2;
	const bool bearer = imap->capabilities & IMAP_AUTH_OAUTHBEARER;

	if (given == SASL_PLAIN || given == SASL_LOGIN) {
		*out = SASL_PLAIN;
		return imap->capabilities & IMAP_AUTH_PLAIN;
	}
	if (given == SASL_OAUTHBEARER && bearer) {
		*out = SASL_OAUTHBEARER;
		return true;
	}
	*out = xoauth2 ? SASL_XOAUTH2 : SASL_OAUTHBEARER;
	return xoauth2 || bearer;
}

#define MESSAGE_MAX 20000 // a 16 KiB token and what goes around it

SUSPENDS static bool authenticate(struct imap *imap, enum sasl_mechanism mechanism,
				  const struct imap_credential *credential,
				  struct failure *failure)
{
	const struct config_route *route = imap->upstream->route;
	const struct sasl_identity identity = { credential->user, credential->secret };
	const size_t raw_max = credential->user.len + credential->secret.len + 512;
	struct buffer message;
	struct buffer encoded;
	bool done = false;

	buffer_init(&message, MESSAGE_MAX);
	buffer_init(&encoded, MESSAGE_MAX * 2);
	/* At once, so that growing leaves no copy of a secret behind. */
	if (buffer_reserve(&message, raw_max) &&
	    buffer_reserve(&encoded, raw_max / 3 * 4 + 8) &&
	    sasl_encode(mechanism, &identity, bytes_of(route->host), route->port,
			&message) &&
	    base64_encode(buffer_bytes(&message), &encoded) &&
	    buffer_append(&encoded, (struct bytes){ "", 1 })) {
		done = dialogue_authenticate(
			imap, sasl_mechanism_name(mechanism), encoded.data,
			imap->capabilities & IMAP_SASL_IR,
			mechanism == SASL_OAUTHBEARER ? "AQ==" : "", failure);
		hide_secret(imap->answer.text, sizeof(imap->answer.text),
			    bytes_of(encoded.data));
	} else {
		failure_set(failure, FAILURE_AUTH,
			    "the credential holds octets that cannot be sent");
	}
	memory_wipe(message.data, message.size);
	memory_wipe(encoded.data, encoded.size);
	buffer_release(&message);
	buffer_release(&encoded);
	return done;
}

/* LOGIN (RFC 9051 6.2.3), for servers without AUTH=PLAIN or that cannot finish it. */
SUSPENDS static bool login(struct imap *imap, const struct imap_credential *credential,
			   struct failure *failure)
{
	if (imap->capabilities & IMAP_LOGINDISABLED) {
		failure_set(
			failure, FAILURE_PERMANENT,
			"the server takes no passwords (LOGINDISABLED, no AUTH=PLAIN)");
		return failure_advise(failure, "this account needs OAuth2 (XOAUTH2 or "
					       "OAUTHBEARER), or TLS on the route");
	}
	return dialogue_login(imap, credential, failure) &&
	       (imap->answer.condition == IMAP_WIRE_OK || sign_in_refused(imap, failure));
}

SUSPENDS static bool sign_in(struct imap *imap, const struct imap_credential *credential,
			     struct failure *failure)
{
	const bool password = credential->mechanism == SASL_PLAIN ||
			      credential->mechanism == SASL_LOGIN;
	enum sasl_mechanism mechanism;

	if (!sasl_is_safe(credential->mechanism, credential->user) ||
	    !sasl_is_safe(credential->mechanism, credential->secret)) {
		return failure_set(failure, FAILURE_AUTH,
				   "the credential holds octets that cannot be sent");
	}
	if (!choose(imap, credential->mechanism, &mechanism)) {
		if (password) {
			return login(imap, credential, failure);
		}
		return failure_set(failure, FAILURE_PERMANENT,
				   "the server offers neither XOAUTH2 nor OAUTHBEARER");
	}
	if (!authenticate(imap, mechanism, credential, failure)) {
		return false;
	}
	if (imap->answer.condition == IMAP_WIRE_OK) {
		return true;
	}
	if (password && imap->answer.condition == IMAP_WIRE_BAD &&
	    !imap_says_not_now(imap->answer.text) &&
	    !(imap->capabilities & IMAP_LOGINDISABLED)) {
		return login(imap, credential, failure);
	}
	return sign_in_refused(imap, failure);
}

_Static_assert((int)IMAP_STAGE_CONNECT == (int)METRICS_STEP_CONNECT &&
		       (int)IMAP_STAGE_SELECT == (int)METRICS_STEP_FOLDER,
	       "a stage is a step of the metrics");

void imap_timing_end(struct imap_timing *timing)
{
	if (timing && timing->since_ms > 0) {
		const uint64_t ms = loop_now_ms() - timing->since_ms;

		metrics_step(timing->metrics, (enum metrics_step)timing->stage, ms);
		timing->ms[timing->stage] += ms;
		timing->since_ms = 0;
	}
}

void imap_timing_enter(struct imap_timing *timing, enum imap_stage stage)
{
	imap_timing_end(timing);
	if (timing) {
		timing->stage = stage;
		timing->since_ms = loop_now_ms();
	}
}

/* Everything up to the credential. */
SUSPENDS static bool establish(struct imap *imap, struct imap_timing *timing,
			       struct failure *failure)
{
	const enum config_security security = imap->upstream->route->security;

	imap_timing_enter(timing, IMAP_STAGE_TLS);
	if (security == CONFIG_IMAPS && !start_tls(imap, failure)) {
		return false;
	}
	imap_timing_enter(timing, IMAP_STAGE_GREETING);
	if (!dialogue_greeting(imap, failure)) {
		return false;
	}
	if (security == CONFIG_IMAP_STARTTLS) {
		imap_timing_enter(timing, IMAP_STAGE_TLS);
		if (!upgrade(imap, failure)) {
			return false;
		}
	}
	imap_timing_enter(timing, IMAP_STAGE_ID);
	return ask_capabilities(imap, NULL, failure);
}

/* RFC 4978, behind the credential, which is nothing to be guessed by its length. */
SUSPENDS static bool compress(struct imap *imap, struct failure *failure)
{
	if (!imap->upstream->route->compress ||
	    !(imap->capabilities & IMAP_COMPRESS_DEFLATE)) {
		return true;
	}
	if (!dialogue_command(imap, "COMPRESS DEFLATE", failure)) {
		return false;
	}
	if (imap->answer.condition != IMAP_WIRE_OK) {
		return true; // TLS does it, or the server does not like to
	}
	stream_consume(imap->stream, imap->taken);
	imap->taken = 0;
	return stream_compress(imap->stream, failure) || imap_lose(imap);
}

SUSPENDS static bool enter(struct imap *imap, const struct imap_credential *credential,
			   const struct imap_client *client, struct failure *failure)
{
	const unsigned before = imap->capabilities;

	if (!identify(imap, client, failure)) {
		return false;
	}
	imap->capabilities_given = false;
	if (!sign_in(imap, credential, failure)) {
		imap->capabilities = before;
		hide_secret(failure->text, sizeof(failure->text), credential->secret);
		return false;
	}
	return ask_capabilities(imap, ADVICE_NOT_CONNECTED, failure) &&
	       compress(imap, failure);
}

static struct imap *create(struct upstream *upstream, struct stream *stream,
			   const struct allowance *allowance,
			   struct allowance_place place, uint64_t deadline_ms)
{
	struct imap *imap = memory_new(sizeof(*imap));
	unsigned char secret[4] = { 0 };

	imap->upstream = upstream;
	imap->stream = stream;
	stream_acknowledge_at_once(stream);
	imap->allowance = *allowance;
	imap->place = place;
	imap->ceiling_ms = deadline_ms;
	metrics_gauge_up(METRICS_UPSTREAM_CONNECTIONS);
	imap->last_heard_ms = loop_now_ms();
	imap_wire_init(&imap->wire, NULL);
	if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret)) {
		abort();
	}
	snprintf(imap->tag_secret, sizeof(imap->tag_secret), "%02x%02x%02x%02x",
		 secret[0], secret[1], secret[2], secret[3]);
	return imap;
}

SUSPENDS struct imap *imap_open(struct upstream *upstream,
				const struct imap_credential *credential,
				const struct imap_client *client, uint64_t deadline_ms,
				struct imap_timing *timing, struct failure *failure)
{
	const struct config_route *route = upstream->route;
	const bool loopback_only =
		route->security == CONFIG_IMAP_PLAIN && !route->allow_plain;
	const uint64_t connect_ms = loop_deadline_ms(upstream->limits->connect_ms);
	const struct allowance allowance = allowance_of(upstream, credential->user);
	struct allowance_place place = allowance_enter(&allowance);
	struct stream *stream;
	struct imap *imap;

	timing->metrics = upstream->metrics;
	imap_timing_enter(timing, IMAP_STAGE_CONNECT);
	stream = connect_host(route->host, route->port, loopback_only,
			      connect_ms < deadline_ms ? connect_ms : deadline_ms,
			      failure);
	if (!stream) {
		allowance_leave(&place);
		advise_unless_advised(failure,
				      "check that the IMAP server runs and is reachable");
		return NULL;
	}
	imap = create(upstream, stream, &allowance, place, deadline_ms);
	imap_serve(imap, client);
	if (!establish(imap, timing, failure)) {
		imap_close(imap);
		return NULL;
	}
	imap_timing_enter(timing, IMAP_STAGE_SIGN_IN);
	if (!enter(imap, credential, client, failure)) {
		imap_close(imap);
		return NULL;
	}
	imap_timing_end(timing);
	return imap;
}
