/*
 * `popbridge account consent`: the device flow (RFC 8628) at a terminal; and `popbridge
 * account invite`: a link to the consent page.
 */
#include "proxy/cli/account.h"
#include "proxy/cli/output.h"
#include "proxy/cli/password.h"

#include <inttypes.h>
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two rows of the code in one line of text; dark on light, with its quiet zone. */
static void print_code_picture(const char *url)
{
	static const char *const halves[] = { "█", "▀", "▄", " " };
	QRcode *code = QRcode_encodeString(url, 0, QR_ECLEVEL_L, QR_MODE_8, 1);

	if (!code) {
		return; // too long for one: there is the address
	}
	for (int y = -2; y < code->width + 2; y += 2) {
		fputs("  ", stdout);
		for (int x = -2; x < code->width + 2; x++) {
			unsigned half = 0;

			for (int row = 0; row < 2; row++) {
				const bool inside = x >= 0 && x < code->width &&
						    y + row >= 0 && y + row < code->width;

				if (inside &&
				    code->data[(y + row) * code->width + x] & 1) {
					half |= row == 0 ? 2U : 1U;
				}
			}
			fputs(halves[half], stdout);
		}
		putchar('\n');
	}
	QRcode_free(code);
}

static void show_code(const struct account_arguments *arguments,
		      const struct admin_message *row)
{
	char until[OUTPUT_TIME_MAX];
	const struct bytes complete = row->text[ADMIN_URL_COMPLETE];
	const struct bytes best = complete.len > 0 ? complete : row->text[ADMIN_URL];

	if (arguments->json) {
		printf("{\"user_code\":");
		output_json(stdout, row->text[ADMIN_USER_CODE]);
		printf(",\"url\":");
		output_json(stdout, row->text[ADMIN_URL]);
		printf(",\"url_complete\":");
		output_json(stdout, complete);
		printf("}\n");
		fflush(stdout);
		return;
	}
	printf("Consent for the account %s: in a browser, open\n\n    ", arguments->user);
	output_text(stdout, row->text[ADMIN_URL]);
	printf("\n\nand type in the code\n\n    ");
	output_text(stdout, row->text[ADMIN_USER_CODE]);
	printf("\n\nthen sign in there as the account's owner. The code is good until "
	       "%s; give it\nto nobody who does not know what it is for.\n\n",
	       output_time(row->number[ADMIN_UNTIL_S], until));
	if (isatty(STDOUT_FILENO)) {
		char *url = memory_copy_text(best);

		print_code_picture(url);
		free(url);
	}
	printf("Waiting ... (Ctrl-C gives up)\n");
	fflush(stdout);
}

static int run_flow(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct admin_message row = { .type = ADMIN_CONSENT };
	struct failure failure;

	row.text[ADMIN_USER] = bytes_of(arguments->user);
	if (!enquiry_ask(enquiry, &row, &failure)) {
		return output_failure(&failure);
	}
	while (enquiry_next(enquiry, &row, &failure)) {
		if (row.type == ADMIN_END) {
			printf(arguments->json ? "{\"consent\":true}\n"
					       : "Done: the account has its consent.\n");
			return 0;
		}
		if (row.type == ADMIN_CODE) {
			show_code(arguments, &row);
		}
	}
	return output_failure(&failure);
}

static void show_link(const struct account_arguments *arguments,
		      const struct admin_message *row)
{
	char until[OUTPUT_TIME_MAX];

	output_time(row->number[ADMIN_UNTIL_S], until);
	if (arguments->json) {
		printf("{\"url\":");
		output_json(stdout, row->text[ADMIN_URL]);
		printf(",\"until\":\"%s\"}\n", until);
		return;
	}
	printf("Send this link to the owner of %s, and to nobody else:\n\n    ",
	       arguments->user);
	output_text(stdout, row->text[ADMIN_URL]);
	printf("\n\nIt is good once, until %s. The owner signs in with the provider "
	       "there, and gets\nthe settings and a password for the device.\n",
	       until);
}

int account_invite(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct admin_message row = { .type = ADMIN_INVITE };
	struct failure failure;

	row.text[ADMIN_USER] = bytes_of(arguments->user);
	if (!enquiry_ask(enquiry, &row, &failure)) {
		return output_failure(&failure);
	}
	while (enquiry_next(enquiry, &row, &failure)) {
		if (row.type == ADMIN_END) {
			return 0;
		}
		if (row.type == ADMIN_INVITATION) {
			show_link(arguments, &row);
		}
	}
	return output_failure(&failure);
}

int account_consent(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct secret token = { 0 };
	uint64_t count;
	bool done;

	enquiry_be_patient(enquiry);
	if (!arguments->secret_file) {
		return run_flow(enquiry, arguments);
	}
	done = password_get(arguments->secret_file, &token) &&
	       account_do(enquiry,
			  &(struct admin_message){
				  .type = ADMIN_GRANT,
				  .text[ADMIN_USER] = bytes_of(arguments->user),
				  .text[ADMIN_SECRET] = secret_bytes(&token),
			  },
			  &count);
	secret_release(&token);
	if (done && !arguments->json) {
		printf("The token works, and is the account's.\n");
	}
	return done ? 0 : 1;
}
