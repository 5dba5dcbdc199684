/*
 * What the files of `popbridge account` share. Nobody else includes this.
 *
 * account.c           the actions and their options
 * account_show.c      list, show, export
 * account_password.c  device passwords
 * account_consent.c   consent by the device flow, or an invitation to the page
 * account_import.c    many at once, from CSV or JSON
 */
#ifndef PROXY_CLI_ACCOUNT_H
#define PROXY_CLI_ACCOUNT_H

#include "proxy/base/memory.h"
#include "proxy/cli/enquiry.h"

/* As enum registered_kind and enum device_kind of the keeper. */
enum account_kind {
	ACCOUNT_PASS_THROUGH,
	ACCOUNT_PASSWORD,
	ACCOUNT_OAUTH,
	ACCOUNT_KINDS
};
enum account_proof { ACCOUNT_GENERATED, ACCOUNT_CHOSEN, ACCOUNT_APOP };

#define ACCOUNT_NO_DELETE 1
#define ACCOUNT_READ_ONLY 2

extern const char *const account_kinds[ACCOUNT_KINDS]; // as they are spelt

/* What was said on the command line; all borrowed but lists. */
struct account_arguments {
	struct enquiry_place place;
	const char *user; // or a file, for export and import
	const char *mailbox, *route, *signs_in_as, *provider;
	struct buffer aliases, networks; // one a line
	int kind;                        // enum account_kind; -1: not said
	const char *secret_file;
	const char *label, *folder;
	uint64_t until_s;
	unsigned rights;
	bool digits, apop, json, csv;
	uint32_t remove_id; // 0: none
};

/* Each gives an exit code; the socket is open. */
int account_list(struct enquiry *enquiry, const struct account_arguments *arguments);
int account_show(struct enquiry *enquiry, const struct account_arguments *arguments);
int account_export(struct enquiry *enquiry, const struct account_arguments *arguments);
int account_password(struct enquiry *enquiry, const struct account_arguments *arguments);
int account_consent(struct enquiry *enquiry, const struct account_arguments *arguments);
int account_invite(struct enquiry *enquiry, const struct account_arguments *arguments);
int account_import(struct enquiry *enquiry, const struct account_arguments *arguments);

/* Asks what has no rows but the end. Prints the failure. False: failed. */
bool account_do(struct enquiry *enquiry, const struct admin_message *message,
		uint64_t *count);

#endif
