#include "proxy/cli/check_unique_ids.h"

#include "proxy/cli/enquiry.h"
#include "proxy/cli/output.h"
#include "proxy/config/config_unique_ids.h"
#include "proxy/keeper/keeper.h"

#include <inttypes.h>
#include <stdio.h>

static bool ask(struct enquiry *enquiry, const struct config *config,
		struct config_verdict *verdict, struct failure *failure)
{
	struct admin_message row = { .type = ADMIN_ASK_UNIQUE_IDS };

	if (!enquiry_ask(enquiry, &row, failure)) {
		return false;
	}
	while (enquiry_next(enquiry, &row, failure)) {
		if (row.type == ADMIN_END) {
			return true;
		}
		config_changes(
			config,
			&(struct config_known){ .account = row.text[ADMIN_USER],
						.routed_as = row.text[ADMIN_ROUTE],
						.folder = row.text[ADMIN_FOLDER],
						.unique_id = row.text[ADMIN_TEMPLATE] },
			verdict);
	}
	return false;
}

static bool accept_change(struct enquiry *enquiry, const struct config *config,
			  const struct config_verdict *verdict, struct failure *failure)
{
	struct admin_message message = { .type = ADMIN_ACCEPT_UNIQUE_IDS };
	uint64_t ignored;

	message.number[ADMIN_DIGEST] = config_unique_ids_digest(config);
	if (!enquiry_count(enquiry, &message, &ignored, failure)) {
		return false;
	}
	fprintf(stderr,
		"%s: %" PRIu64 " known accounts get other unique-ids with the next "
		"reload\n",
		verdict->why.text, verdict->changed);
	return true;
}

static bool judge(struct enquiry *enquiry, const struct config *config, bool accept,
		  struct failure *failure)
{
	struct config_verdict verdict = { 0 };

	if (!ask(enquiry, config, &verdict, failure)) {
		return false;
	}
	if (verdict.changed == 0) {
		return true;
	}
	return accept ? accept_change(enquiry, config, &verdict, failure)
		      : config_refuse_change(&verdict, failure);
}

/* No service answers: what is in its directory. What cannot be read is no mistake. */
static bool judge_by_store(const struct config *config, struct failure *failure)
{
	struct config_verdict verdict = { 0 };

	if (!keeper_judge_at(config->state, config, &verdict, failure)) {
		fprintf(stderr, "whether unique-ids stay as they are is not known: %s\n",
			failure->text);
		return true;
	}
	return verdict.changed == 0 || config_refuse_change(&verdict, failure);
}

bool check_unique_ids(const struct config *config, bool accept)
{
	struct enquiry enquiry;
	struct failure failure;
	bool good = true;

	if (config->control && enquiry_open_at(&enquiry, config->control, &failure)) {
		good = judge(&enquiry, config, accept, &failure);
		enquiry_close(&enquiry);
	} else if (config->state) {
		good = judge_by_store(config, &failure);
	}
	if (!good) {
		output_failure(&failure);
	}
	return good;
}
