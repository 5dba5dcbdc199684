/*
 * SELECT: a folder without lasting UIDs is refused, an answer that leaves something out
 * or contradicts itself too.
 */
#include "proxy/upstream/imap_internal.h"

#include "protocol/imap_mailbox_name.h"

#include <strings.h>

/* By its IMAP4rev1 name: that is what servers take until another revision is enabled. */
SUSPENDS static bool select_by_name(struct imap *imap, const char *folder,
				    struct failure *failure)
{
	const struct bytes utf8 = bytes_of(folder);
	struct buffer name;
	bool done;

	buffer_init(&name, utf8.len * IMAP_MAILBOX_NAME_GROWTH + 1);
	if (imap_mailbox_name_encode(utf8, &name) &&
	    buffer_append(&name, (struct bytes){ "", 1 })) {
		done = dialogue_select(imap, name.data, failure);
	} else {
		done = failure_set(failure, FAILURE_PERMANENT,
				   "the folder name is not UTF-8");
	}
	buffer_release(&name);
	return done;
}

static bool select_refused(const struct imap *imap, const char *folder,
			   struct failure *failure)
{
	const enum failure_kind kind = imap_select_refusal_kind(&imap->answer, folder);

	imap_refused(imap, kind, "SELECT", failure);
	return failure_advise(
		failure, kind == FAILURE_PERMANENT && strcasecmp(folder, "INBOX") != 0
				 ? "check the folder's name and the right to open it"
				 : ADVICE_NOT_CONNECTED);
}

SUSPENDS bool imap_select(struct imap *imap, const char *folder, struct imap_mailbox *out,
			  struct failure *failure)
{
	const struct imap_selection *selection = &imap->selection;

	imap->selection = (struct imap_selection){ .mailbox.deletable = true };
	if (!select_by_name(imap, folder, failure)) {
		return false;
	}
	if (imap->answer.condition != IMAP_WIRE_OK) {
		return select_refused(imap, folder, failure);
	}
	if (!selection->exists_given) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "SELECT said OK but not how many messages exist");
	}
	if (selection->shrank) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "SELECT gave two numbers of messages");
	}
	if (selection->mailbox.uidvalidity == 0 || selection->uid_not_sticky) {
		failure_set(failure, FAILURE_PERMANENT,
			    selection->uid_not_sticky
				    ? "the folder does not keep its UIDs (UIDNOTSTICKY)"
				    : "SELECT gave no UIDVALIDITY");
		return failure_advise(failure,
				      "without lasting UIDs clients would download "
				      "everything again; choose another folder");
	}
	*out = selection->mailbox;
	return true;
}
