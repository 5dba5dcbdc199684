#include "proxy/session/credential.h"

static bool is_password(enum sasl_mechanism mechanism)
{
	return mechanism == SASL_PLAIN || mechanism == SASL_LOGIN;
}

/* Its route and folder; the user is the account's mailbox, whatever the route makes. */
static bool find_registered(const struct service *service, struct bytes account,
			    struct credential *out, struct failure *failure)
{
	const struct keeper_credential *keeper = &out->keeper;
	struct destination *destination = &out->destination;
	const bool has_route = keeper->route && *keeper->route;

	if (!destination_find(service, has_route ? bytes_of(keeper->route) : account,
			      destination, failure)) {
		failure->kind = FAILURE_PERMANENT; // the password is right
		return failure_prefix(failure, "registered account");
	}
	buffer_clear(&destination->user);
	if (!buffer_append(&destination->user, bytes_of(keeper->mailbox))) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "the account's mailbox name is too long");
	}
	if (keeper->folder && *keeper->folder) {
		buffer_clear(&destination->folder);
		buffer_append(&destination->folder, bytes_of(keeper->folder));
		buffer_append(&destination->folder, (struct bytes){ "", 1 });
	}
	return true;
}

static void use_keepers(const struct credential_said *said, struct credential *out)
{
	out->registered = true;
	switch (out->keeper.kind) {
	case KEEPER_OWN_PASSWORD:
		out->registered = false;
		out->secret = said->who->secret;
		break;
	case KEEPER_PASSWORD:
		out->mechanism = SASL_PLAIN;
		out->secret = secret_bytes(&out->keeper.secret);
		break;
	case KEEPER_TOKEN:
		out->mechanism = SASL_XOAUTH2; // or what else the server takes tokens by
		out->secret = secret_bytes(&out->keeper.secret);
		break;
	case KEEPER_CREDENTIAL_KINDS:
		break;
	}
}

SUSPENDS bool credential_find(const struct service *service,
			      const struct credential_said *said, uint64_t deadline_ms,
			      struct credential *out, struct failure *failure)
{
	const struct bytes account = said->who->account;
	enum keeper_proof proof = KEEPER_UNREGISTERED;

	*out = (struct credential){ .mechanism = said->mechanism,
				    .secret = said->who->secret };
	if (is_password(said->mechanism)) {
		proof = keeper_prove(service->keeper, said->who,
				     said->stamp.len > 0 ? KEEPER_PROVE_APOP
							 : KEEPER_PROVE_PASSWORD,
				     said->stamp, deadline_ms, &out->keeper, failure);
	}
	switch (proof) {
	case KEEPER_UNREGISTERED:
		if (said->stamp.len > 0) {
			return failure_set(failure, FAILURE_AUTH,
					   "no device password for APOP");
		}
		return destination_find(service, account, &out->destination, failure);
	case KEEPER_PROVEN:
		use_keepers(said, out);
		return find_registered(service, account, out, failure);
	case KEEPER_DISPROVEN:
	case KEEPER_UNPROVABLE:
	case KEEPER_PROOFS:
		break;
	}
	return false;
}

void credential_release(struct credential *credential)
{
	destination_release(&credential->destination);
	keeper_credential_release(&credential->keeper);
}
