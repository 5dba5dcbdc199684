/*
 * `popbridge account password`.
 */
#include "proxy/cli/account.h"
#include "proxy/cli/output.h"
#include "proxy/cli/password.h"

#include <inttypes.h>
#include <stdio.h>

static int remove_one(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	uint64_t sessions;

	if (!account_do(enquiry,
			&(struct admin_message){
				.type = ADMIN_REMOVE_DEVICE,
				.number[ADMIN_ID] = arguments->remove_id,
				.text[ADMIN_USER] = bytes_of(arguments->user),
			},
			&sessions)) {
		return 1;
	}
	if (!arguments->json) {
		printf("device password %" PRIu32 " of %s is gone; %" PRIu64
		       " session%s ended\n",
		       arguments->remove_id, arguments->user, sessions,
		       sessions == 1 ? "" : "s");
	}
	return 0;
}

static void print_made(const struct account_arguments *arguments,
		       const struct admin_message *row)
{
	if (arguments->json) {
		printf("{\"number\":%" PRIu64 ",\"password\":", row->number[ADMIN_ID]);
		output_json(stdout, row->text[ADMIN_SECRET]);
		printf("}\n");
	} else if (arguments->secret_file) {
		printf("device password %" PRIu64 " of %s is set\n",
		       row->number[ADMIN_ID], arguments->user);
	} else {
		printf("%.*s\n", (int)row->text[ADMIN_SECRET].len,
		       row->text[ADMIN_SECRET].at);
		fprintf(stderr,
			"This is device password %" PRIu64
			" of %s. It is not shown again; hyphens and capitals do not "
			"matter.\n",
			row->number[ADMIN_ID], arguments->user);
	}
}

static int add_one(struct enquiry *enquiry, const struct account_arguments *arguments,
		   struct bytes given)
{
	struct admin_message row = { .type = ADMIN_ADD_DEVICE };
	struct failure failure;
	bool done = false;

	row.number[ADMIN_TYPE] = arguments->apop ? ACCOUNT_APOP
				 : given.len > 0 ? ACCOUNT_CHOSEN
						 : ACCOUNT_GENERATED;
	row.number[ADMIN_RIGHTS] = arguments->rights;
	row.number[ADMIN_UNTIL_S] = arguments->until_s;
	row.number[ADMIN_DIGITS] = arguments->digits;
	row.text[ADMIN_USER] = bytes_of(arguments->user);
	row.text[ADMIN_LABEL] = bytes_of(arguments->label ? arguments->label : "");
	row.text[ADMIN_FOLDER] = bytes_of(arguments->folder ? arguments->folder : "");
	row.text[ADMIN_NETWORKS] = buffer_bytes(&arguments->networks);
	row.text[ADMIN_SECRET] = given;
	if (!enquiry_ask(enquiry, &row, &failure)) {
		return output_failure(&failure);
	}
	while (enquiry_next(enquiry, &row, &failure)) {
		if (row.type == ADMIN_END) {
			return done ? 0 : 1;
		}
		print_made(arguments, &row);
		done = true;
	}
	return output_failure(&failure);
}

int account_password(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct secret given = { 0 };
	int result = 1;

	if (arguments->remove_id > 0) {
		return remove_one(enquiry, arguments);
	}
	if (!arguments->secret_file || password_get(arguments->secret_file, &given)) {
		result = add_one(enquiry, arguments, secret_bytes(&given));
	}
	secret_release(&given);
	return result;
}
