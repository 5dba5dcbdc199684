#include "proxy/base/descriptors.h"

#include <sys/resource.h>

#define KEPT_BACK 64 // or half of all, where there are very few
#define OF_A_SESSION 2

void descriptors_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); // else it stays what it is
	}
}

uint32_t descriptors_sessions(uint32_t parked)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX) {
		return UINT32_MAX;
	}
	const uint32_t all = (uint32_t)limit.rlim_cur;
	const uint32_t wanted = KEPT_BACK + parked;
	const uint32_t kept = all / 2 < wanted ? all / 2 : wanted;
	const uint32_t sessions = (all - kept) / OF_A_SESSION;

	return sessions > 0 ? sessions : 1;
}
