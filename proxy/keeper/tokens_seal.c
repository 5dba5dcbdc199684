/*
 * Upstream secrets, sealed: each opens only as what it was sealed for, an account's
 * record in one version.
 */
#include "proxy/keeper/tokens_internal.h"

#include <inttypes.h>

#define CONTEXT_MAX (REGISTRY_TEXT_MAX + 64)

/* A record opens only as what it was sealed for. */
static struct bytes context_of(const struct registered *registered, const char *what,
			       struct buffer *text)
{
	buffer_init(text, CONTEXT_MAX);
	buffer_printf(text, "%s %" PRIu64 " %s", what, registered->version,
		      registered->account);
	return buffer_bytes(text);
}

void tokens_seal_part(struct tokens *tokens, const struct registered *registered,
		      const char *what, struct bytes secret, struct buffer *out)
{
	struct buffer context;

	buffer_init(out, REGISTRY_SECRET_MAX);
	vault_seal(tokens->vault, context_of(registered, what, &context), secret, out);
	buffer_release(&context);
}

bool tokens_unseal_part(struct tokens *tokens, const struct registered *registered,
			const char *what, const struct buffer *sealed, struct secret *out,
			struct failure *failure)
{
	struct buffer context;
	bool opened;

	opened = vault_unseal(tokens->vault, context_of(registered, what, &context),
			      buffer_bytes(sealed), out, failure);
	buffer_release(&context);
	return opened || failure_prefix(failure, "account %s", registered->account);
}

bool tokens_seal(struct tokens *tokens, struct registered *registered,
		 struct bytes secret, struct failure *failure)
{
	if (!vault_can_seal(tokens->vault, failure)) {
		return false;
	}
	buffer_release(&registered->secret);
	buffer_release(&registered->access);
	registered->version++;
	tokens_seal_part(tokens, registered, "secret", secret, &registered->secret);
	return true;
}

bool tokens_unseal(struct tokens *tokens, const struct registered *registered,
		   struct secret *out, struct failure *failure)
{
	return tokens_unseal_part(tokens, registered, "secret", &registered->secret, out,
				  failure);
}

static void reseal_one(struct tokens *tokens, struct registered *registered,
		       const char *what, struct buffer *sealed, struct secret *plain)
{
	buffer_release(sealed);
	tokens_seal_part(tokens, registered, what, secret_bytes(plain), sealed);
	secret_release(plain);
}

bool tokens_reseal(struct tokens *tokens, struct registered *registered,
		   struct failure *failure)
{
	struct secret secret = { 0 };
	struct secret access = { 0 };
	const bool has_access = registered->access.len > 0;

	if (registered->secret.len == 0 && !has_access) {
		return true;
	}
	if ((registered->secret.len > 0 &&
	     !tokens_unseal_part(tokens, registered, "secret", &registered->secret,
				 &secret, failure)) ||
	    (has_access && !tokens_unseal_part(tokens, registered, "access",
					       &registered->access, &access, failure))) {
		secret_release(&secret);
		return false;
	}
	if (registered->secret.len > 0) {
		reseal_one(tokens, registered, "secret", &registered->secret, &secret);
	}
	if (has_access) {
		reseal_one(tokens, registered, "access", &registered->access, &access);
	}
	return registry_save(tokens->store, registered) ||
	       failure_set(failure, FAILURE_TEMPORARY, "the store cannot be written");
}
