/*
 * A credential on its way upstream: route, folder, sign-in, snapshot, answer.
 *
 * An unknown user, an unknown route and a wrong password are answered alike.
 */
#include "proxy/session/session_internal.h"

#include <inttypes.h>

/* Where the name leads, once its folder is split off. */
struct destination {
	struct upstream *upstream;
	struct bytes user; // borrowed or in `name`
	struct buffer name;
	struct buffer folder; // NUL-terminated
};

static void destination_release(struct destination *destination)
{
	buffer_release(&destination->name);
	buffer_release(&destination->folder);
}

/*
 * "bob+Archive" or "bob+Archive@example.com" or "bob@example.com+Archive": the folder is
 * between the first separator and the next "@" or the end.
 */
static bool split_folder(struct bytes user, char separator, struct destination *out)
{
	size_t start = 0;
	size_t end;

	while (start < user.len && user.at[start] != separator) {
		start++;
	}
	if (start == user.len) {
		return false;
	}
	end = start + 1;
	while (end < user.len && user.at[end] != '@') {
		end++;
	}
	return end > start + 1 &&
	       buffer_append(&out->folder,
			     (struct bytes){ user.at + start + 1, end - start - 1 }) &&
	       buffer_append(&out->folder, (struct bytes){ "", 1 }) &&
	       buffer_append(&out->name, (struct bytes){ user.at, start }) &&
	       buffer_append(&out->name, (struct bytes){ user.at + end, user.len - end });
}

/* The route that matches once its own separator has split the name. */
static struct upstream *route_after_split(const struct service *service,
					  struct bytes user, struct destination *out)
{
	const struct config *config = service->config;

	for (size_t i = 0; i < config->route_count; i++) {
		buffer_clear(&out->name);
		buffer_clear(&out->folder);
		if (config->routes[i].folder_separator &&
		    split_folder(user, config->routes[i].folder_separator, out) &&
		    service_route(service, buffer_bytes(&out->name)) ==
			    &service->upstreams[i]) {
			return &service->upstreams[i];
		}
	}
	buffer_clear(&out->name);
	buffer_clear(&out->folder);
	return NULL;
}

static bool find_destination(const struct service *service, struct bytes user,
			     struct destination *out)
{
	*out = (struct destination){ .user = user };
	buffer_init(&out->name, NAME_MAX_OCTETS);
	buffer_init(&out->folder, NAME_MAX_OCTETS);
	out->upstream = route_after_split(service, user, out);
	if (out->upstream) {
		out->user = buffer_bytes(&out->name);
		return true;
	}
	out->upstream = service_route(service, user);
	return out->upstream != NULL;
}

SUSPENDS static bool open_maildrop(struct session *session,
				   const struct destination *destination,
				   enum sasl_mechanism mechanism, struct bytes secret,
				   struct failure *failure)
{
	const struct config_limits *limits = &session->service->config->limits;
	const struct config_route *route = destination->upstream->route;
	struct buffer user;
	bool opened;

	buffer_init(&user, NAME_MAX_OCTETS);
	if (!config_upstream_user(route, destination->user, &user)) {
		buffer_release(&user);
		return failure_set(failure, FAILURE_AUTH,
				   "the route makes no upstream user of this name");
	}
	const struct maildrop_request request = {
		.upstream = destination->upstream,
		.locks = session->service->locks,
		.mechanism = mechanism,
		.user = buffer_bytes(&user),
		.secret = secret,
		.folder = destination->folder.len > 0 ? destination->folder.data
						      : route->folder,
		.client = { stream_peer(session->client), session->id },
	};

	opened = maildrop_open(&session->maildrop, &request,
			       loop_deadline_ms(limits->upstream_sign_in_ms), NULL,
			       failure);
	buffer_release(&user);
	return opened;
}

SUSPENDS static bool attempt(struct session *session, enum sasl_mechanism mechanism,
			     struct bytes user, struct bytes secret,
			     struct failure *failure)
{
	struct destination destination;
	bool opened = false;

	if (!sasl_is_safe(mechanism, user) || !sasl_is_safe(mechanism, secret) ||
	    user.len == 0 || secret.len == 0) {
		return failure_set(failure, FAILURE_AUTH,
				   "the credential is empty or holds octets that no mail "
				   "server takes");
	}
	if (find_destination(session->service, user, &destination)) {
		opened = open_maildrop(session, &destination, mechanism, secret, failure);
	} else {
		failure_set(failure, FAILURE_AUTH, "no route matches this user");
		failure_advise(failure, "add a route whose match fits the user name");
	}
	destination_release(&destination);
	return opened;
}

/* Guessing gets slower with every wrong password of a session. */
SUSPENDS static void delay_refusal(struct session *session, const struct failure *failure)
{
	const struct config_limits *limits = &session->service->config->limits;
	uint64_t delay_ms = limits->sign_in_delay_min_ms;

	if (failure->kind != FAILURE_AUTH) {
		return;
	}
	for (unsigned i = 0; i < session->failed_sign_ins && delay_ms < UINT32_MAX; i++) {
		delay_ms *= 2;
	}
	if (delay_ms > limits->sign_in_delay_max_ms) {
		delay_ms = limits->sign_in_delay_max_ms;
	}
	session->failed_sign_ins++;
	task_sleep_until(loop_deadline_ms(delay_ms));
}

SUSPENDS enum next sign_in(struct session *session, enum sasl_mechanism mechanism,
			   struct bytes user, struct bytes secret)
{
	const uint64_t since = loop_now_ms();
	struct failure failure;

	if (!attempt(session, mechanism, user, secret, &failure)) {
		delay_refusal(session, &failure);
		session->sign_in_deadline_ms += loop_now_ms() - since;
		return session_count_error(session, reply_failure(session, &failure));
	}
	session->signed_in = true;
	session->hash_at_start = snapshot_hash(&session->maildrop.snapshot);
	if (reply_ok(session, "%" PRIu32 " messages (%" PRIu64 " octets)",
		     session->maildrop.snapshot.count,
		     session->maildrop.snapshot.octets) != NEXT_COMMAND) {
		return NEXT_CLOSE;
	}
	return NEXT_STATE;
}
