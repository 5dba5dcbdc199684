#include "proxy/base/privilege.h"

#include "protocol/bytes.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const unsigned kept[] = { CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE };

#define KEPT (sizeof(kept) / sizeof(kept[0]))

bool privilege_find(const char *name, struct privilege_user *out, struct failure *failure)
{
	const struct passwd *found = getpwnam(name ? name : "popbridge");
	struct bytes text = bytes_of(name ? name : "");
	uint32_t number;

	if (!found && !name) {
		found = getpwnam("nobody");
	}
	if (found) {
		*out = (struct privilege_user){ .uid = found->pw_uid,
						.gid = found->pw_gid };
		snprintf(out->name, sizeof(out->name), "%s", found->pw_name);
		return true;
	}
	if (name && bytes_take_u32(&text, &number) && text.len == 0) {
		*out = (struct privilege_user){ .uid = number, .gid = number };
		snprintf(out->name, sizeof(out->name), "%s", name);
		return true;
	}
	return failure_set(failure, FAILURE_PERMANENT, "user: there is no user %s here",
			   name ? name : "popbridge or nobody");
}

/* False: errno says why. */
static bool set_capabilities(uint32_t bits)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = bits, .permitted = bits, .inheritable = bits },
	};

	return syscall(SYS_capset, &header, data) == 0;
}

static uint32_t capabilities(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	return syscall(SYS_capget, &header, data) == 0
		       ? data[0].permitted | data[1].permitted
		       : 0;
}

static uint32_t bits_kept(void)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < KEPT; i++) {
		bits |= 1U << kept[i];
	}
	return bits;
}

bool privilege_become(const struct privilege_user *user, struct failure *failure)
{
	const uint32_t bits = capabilities() & bits_kept();

	prctl(PR_SET_KEEPCAPS, 1);
	if ((initgroups(user->name, user->gid) != 0 && setgroups(0, NULL) != 0) ||
	    setresgid(user->gid, user->gid, user->gid) != 0 ||
	    setresuid(user->uid, user->uid, user->uid) != 0) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "cannot become the user %s: %s", user->name,
				   strerror(errno));
	}
	set_capabilities(bits);
#if defined(__SANITIZE_ADDRESS__) // which needs ptrace
	prctl(PR_SET_DUMPABLE, 1);
#endif
	return true;
}

void privilege_never_gain(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

void privilege_lend(void)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (size_t i = 0; geteuid() != 0 && i < KEPT; i++) {
		/* Fails, and nothing is lost, where we have none to lend. */
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0);
	}
}

void privilege_keep_over_exec(bool is_kept)
{
	if (!is_kept) {
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	}
	for (size_t i = 0; is_kept && geteuid() != 0 && i < KEPT; i++) {
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0);
	}
}

void privilege_forget(void)
{
	privilege_never_gain();
	if (geteuid() != 0 && capabilities() != 0) {
		set_capabilities(0);
	}
}
