/*
 * One exchange with a provider: from a request in the field's terms to its answer. Blocks
 * for as long as the provider may take; call through offload().
 */
#ifndef PROXY_OAUTH_EXCHANGE_H
#define PROXY_OAUTH_EXCHANGE_H

#include "proxy/base/failure.h"
#include "proxy/config/config_provider.h"
#include "proxy/ipc/oauth_message.h"
#include "proxy/oauth/answer.h"

/*
 * Where this provider is asked: what the configuration says, else its discovery document.
 * FAILURE_TEMPORARY, FAILURE_PERMANENT: the document cannot be had, or is of another
 * issuer.
 */
bool exchange_discover(const struct config_provider *provider,
		       struct answer_endpoints *out, struct failure *failure);

/*
 * What proves to a provider who we are: its files, read once, while they may be read. The
 * same for all requests, which only look. Zeroed is valid: none.
 */
struct exchange_papers {
	struct buffer client_secret;
	struct buffer certificate, key;
	struct buffer service_account;
};

/* FAILURE_PERMANENT: a file cannot be read. Release it either way. */
bool exchange_read_papers(const struct config_provider *provider,
			  struct exchange_papers *out, struct failure *failure);
void exchange_papers_release(struct exchange_papers *papers);

struct exchange_result {
	struct answer answer;
	char identity[OAUTH_IDENTITY_MAX]; // who consented; "": the provider does not say
};

/*
 * Always writes *result whole: what could not be asked is OAUTH_TEMPORARY (network, the
 * provider's fault) or OAUTH_REFUSED (ours: a key that is none, no such endpoint),
 * with the reason. An id_token that is not what it should be is OAUTH_REFUSED, and no
 * token is given out with it.
 */
void exchange(const struct config_provider *provider,
	      const struct exchange_papers *papers,
	      const struct answer_endpoints *endpoints,
	      const struct oauth_request *request, struct exchange_result *result);

void exchange_result_release(struct exchange_result *result);

#endif
