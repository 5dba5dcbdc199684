/*
 * `popbridge status --problems` and `--legacy`: who needs somebody's attention.
 */
#include "proxy/cli/problems.h"

#include "proxy/cli/output.h"
#include "proxy/ipc/keeper_message.h"

#include <inttypes.h>

static const struct {
	enum admin_problem bit;
	const char *name;
} problems[] = {
	{ ADMIN_PROBLEM_WRONG, "wrong-password" },
	{ ADMIN_PROBLEM_UNANSWERED, "unanswered" },
	{ ADMIN_PROBLEM_SILENT, "silent" },
	{ ADMIN_PROBLEM_LOST, "no-quit" },
	{ ADMIN_PROBLEM_SUSPECT, "worker-deaths" },
};

#define PROBLEMS (sizeof(problems) / sizeof(*problems))

/* "once", "3 times in a row". */
static const char *times(uint64_t count, char out[OUTPUT_TIME_MAX])
{
	if (count == 1) {
		return "once";
	}
	snprintf(out, OUTPUT_TIME_MAX, "%" PRIu64 " times in a row", count);
	return out;
}

static void print_problem(const struct admin_message *row, enum admin_problem problem)
{
	const uint64_t *number = row->number;
	char time[OUTPUT_TIME_MAX];
	char age[OUTPUT_TIME_MAX];
	char count[OUTPUT_TIME_MAX];

	switch (problem) {
	case ADMIN_PROBLEM_WRONG:
		printf("  its password was refused %s, the last time %s (%s)\n",
		       times(number[ADMIN_WRONG], count),
		       output_time(number[ADMIN_LAST_WRONG_S], time),
		       output_age(number[ADMIN_LAST_WRONG_S], age));
		break;
	case ADMIN_PROBLEM_UNANSWERED:
		printf("  its mail server could not answer a sign-in, %s\n",
		       times(number[ADMIN_UNANSWERED], count));
		break;
	case ADMIN_PROBLEM_SILENT:
		printf("  it fell silent: last signed in %s (%s)\n",
		       output_time(number[ADMIN_LAST_RIGHT_S], time),
		       output_age(number[ADMIN_LAST_RIGHT_S], age));
		break;
	case ADMIN_PROBLEM_LOST:
		printf("  it marked messages with DELE and left without QUIT, so nothing "
		       "was deleted, %s, the last time %s (%s)\n",
		       times(number[ADMIN_LOST], count),
		       output_time(number[ADMIN_LAST_LOST_S], time),
		       output_age(number[ADMIN_LAST_LOST_S], age));
		break;
	case ADMIN_PROBLEM_SUSPECT:
		printf("  workers died while it signed in: please report it\n");
		break;
	}
}

static void print_account(const struct admin_message *row)
{
	output_text(stdout, row->text[ADMIN_USER]);
	printf(" (last from ");
	output_text(stdout, row->text[ADMIN_ADDRESS]);
	printf(")\n");
	for (size_t i = 0; i < PROBLEMS; i++) {
		if (row->number[ADMIN_PROBLEMS] & problems[i].bit) {
			print_problem(row, problems[i].bit);
		}
	}
}

static void print_json_account(const struct admin_message *row)
{
	const char *comma = "";

	printf("{\"user\":");
	output_json(stdout, row->text[ADMIN_USER]);
	printf(",\"address\":");
	output_json(stdout, row->text[ADMIN_ADDRESS]);
	printf(",\"problems\":[");
	for (size_t i = 0; i < PROBLEMS; i++) {
		if (row->number[ADMIN_PROBLEMS] & problems[i].bit) {
			printf("%s\"%s\"", comma, problems[i].name);
			comma = ",";
		}
	}
	printf("],\"wrong_passwords\":%" PRIu64 ",\"unanswered\":%" PRIu64
	       ",\"sessions_without_quit\":%" PRIu64 ",\"last_sign_in\":",
	       row->number[ADMIN_WRONG], row->number[ADMIN_UNANSWERED],
	       row->number[ADMIN_LOST]);
	output_json_time(stdout, row->number[ADMIN_LAST_RIGHT_S]);
	printf(",\"last_wrong_password\":");
	output_json_time(stdout, row->number[ADMIN_LAST_WRONG_S]);
	printf(",\"last_without_quit\":");
	output_json_time(stdout, row->number[ADMIN_LAST_LOST_S]);
	putchar('}');
}

static const char *tls_name(uint64_t tls)
{
	return tls == KEEPER_NO_TLS    ? "none"
	       : tls == KEEPER_TLS_1_0 ? "TLS 1.0"
				       : "TLS 1.1";
}

static void print_legacy(const struct admin_message *row, bool is_first)
{
	char time[OUTPUT_TIME_MAX];

	if (is_first) {
		printf("USER  ADDRESS  TLS  LAST SIGN-IN  HOW MANY\n");
	}
	output_text(stdout, row->text[ADMIN_USER]);
	printf("  ");
	output_text(stdout, row->text[ADMIN_ADDRESS]);
	printf("  %s  %s  %" PRIu64 " sign-ins\n", tls_name(row->number[ADMIN_TLS]),
	       output_time(row->number[ADMIN_AT_S], time), row->number[ADMIN_COUNT]);
}

static void print_json_legacy(const struct admin_message *row)
{
	printf("{\"user\":");
	output_json(stdout, row->text[ADMIN_USER]);
	printf(",\"address\":");
	output_json(stdout, row->text[ADMIN_ADDRESS]);
	printf(",\"tls\":\"%s\",\"last\":", tls_name(row->number[ADMIN_TLS]));
	output_json_time(stdout, row->number[ADMIN_AT_S]);
	printf(",\"sign_ins\":%" PRIu64 "}", row->number[ADMIN_COUNT]);
}

/* Every row, each by its type. The end is left in *row. */
static bool print_rows(struct enquiry *enquiry, bool json, uint64_t *count,
		       struct admin_message *row, struct failure *failure)
{
	while (enquiry_next(enquiry, row, failure)) {
		if (row->type == ADMIN_END) {
			return true;
		}
		printf("%s", json && *count > 0 ? "," : "");
		if (row->type == ADMIN_ACCOUNT) {
			(json ? print_json_account : print_account)(row);
		} else if (json) {
			print_json_legacy(row);
		} else {
			print_legacy(row, *count == 0);
		}
		++*count;
	}
	return false;
}

static bool ask(const struct enquiry_place *place, const struct admin_message *asked,
		bool json, uint64_t *count, struct admin_message *end)
{
	struct enquiry enquiry;
	struct failure failure;
	bool done = enquiry_open(&enquiry, place, &failure);

	if (done) {
		printf("%s", !json                             ? ""
			     : asked->type == ADMIN_ASK_LEGACY ? "{\"legacy\":["
							       : "{\"accounts\":[");
		done = enquiry_ask(&enquiry, asked, &failure) &&
		       print_rows(&enquiry, json, count, end, &failure);
		enquiry_close(&enquiry);
	}
	if (!done) {
		output_failure(&failure);
	}
	return done;
}

int problems_print(const struct enquiry_place *place, uint64_t silent_s, bool json)
{
	const struct admin_message asked = { .type = ADMIN_ASK_PROBLEMS,
					     .number[ADMIN_SILENT_S] = silent_s };
	struct admin_message end;
	uint64_t count = 0;

	if (!ask(place, &asked, json, &count, &end)) {
		return 1;
	}
	const uint64_t strangers = end.number[ADMIN_COUNT];

	if (json) {
		printf("],\"never_signed_in\":%" PRIu64 "}\n", strangers);
	} else {
		if (count == 0) {
			printf("no account that signed in before has a problem\n");
		}
		if (strangers > 0) {
			printf("%" PRIu64
			       " name%s that never signed in %s tried: guesses, "
			       "or devices that were never set up right (popbridge "
			       "explain NAME)\n",
			       strangers, strangers == 1 ? "" : "s",
			       strangers == 1 ? "was" : "were");
		}
	}
	return count > 0 ? PROBLEMS_THERE_ARE : 0;
}

int legacy_print(const struct enquiry_place *place, bool json)
{
	const struct admin_message asked = { .type = ADMIN_ASK_LEGACY };
	struct admin_message end;
	uint64_t count = 0;

	if (!ask(place, &asked, json, &count, &end)) {
		return 1;
	}
	if (json) {
		printf("]}\n");
	} else if (count == 0) {
		printf("nobody signed in without TLS or with one older than 1.2\n");
	}
	return 0;
}
