/*
 * What earlier sessions left for this one, and what it leaves: the connection
 * (parking.h), and where the route has min-poll the list (recent.h).
 */
#include "proxy/mailbox/maildrop_internal.h"

static struct owner owner_of(const struct maildrop *maildrop)
{
	return (struct owner){
		.upstream = maildrop->upstream,
		.mechanism = maildrop->mechanism,
		.user = secret_bytes(&maildrop->user),
		.secret = secret_bytes(&maildrop->secret),
		.account = maildrop->account,
		.registered = maildrop->proof.len > 0,
		.client = maildrop->client.address,
	};
}

void maildrop_park(struct maildrop *maildrop)
{
	const struct owner owner = owner_of(maildrop);

	if (maildrop->parking && maildrop->imap && !imap_is_expecting(maildrop->imap)) {
		parking_keep(maildrop->parking, &owner, maildrop->imap,
			     maildrop->verified_ms);
		maildrop->imap = NULL;
	}
}

bool maildrop_take_parked(struct maildrop *maildrop)
{
	const struct owner owner = owner_of(maildrop);

	if (maildrop->parking) {
		maildrop->imap =
			parking_take(maildrop->parking, &owner, &maildrop->verified_ms);
	}
	if (!maildrop->imap) {
		return false;
	}
	imap_serve(maildrop->imap, &maildrop->client);
	maildrop->capabilities = imap_capabilities(maildrop->imap);
	return true;
}

static bool has_min_poll(const struct maildrop *maildrop)
{
	return maildrop->recent && maildrop->upstream->route->min_poll_ms > 0;
}

void maildrop_keep_list(const struct maildrop *maildrop, uint64_t asked_ms)
{
	const struct owner owner = owner_of(maildrop);
	const struct recent_view view = { &maildrop->snapshot, maildrop->mailbox,
					  maildrop->capabilities, asked_ms };

	if (has_min_poll(maildrop)) {
		recent_keep(maildrop->recent, &owner, maildrop->exact_name, &view);
	}
}

/* Another worker may have found out that it is wrong, or was asked for too early. */
static struct recent_view find(const struct maildrop *maildrop)
{
	const struct owner owner = owner_of(maildrop);
	struct recent_view view = { 0 };

	if (has_min_poll(maildrop)) {
		view = recent_find(maildrop->recent, &owner, maildrop->exact_name);
	}
	return view.asked_ms > allowance_changed_ms(&maildrop->allowance)
		       ? view
		       : (struct recent_view){ 0 };
}

bool maildrop_has_list(const struct maildrop *maildrop)
{
	return find(maildrop).snapshot != NULL;
}

bool maildrop_take_list(struct maildrop *maildrop)
{
	const struct recent_view view = find(maildrop);

	if (!view.snapshot) {
		return false;
	}
	snapshot_copy(&maildrop->snapshot, view.snapshot);
	maildrop->mailbox = view.mailbox;
	maildrop->capabilities = view.capabilities;
	maildrop->unasked = true;
	metrics_count(METRICS_LISTS_REUSED);
	return true;
}

void maildrop_forget_list(const struct maildrop *maildrop)
{
	if (has_min_poll(maildrop)) {
		allowance_note_change(&maildrop->allowance);
		recent_forget(maildrop->recent, maildrop->upstream, maildrop->exact_name);
	}
}
