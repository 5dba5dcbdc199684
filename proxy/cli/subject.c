#include "proxy/cli/subject.h"

const struct argp_option subject_options[] = {
	{ "json", 'j', NULL, 0, "For programs", 0 },
	{ 0 },
};

error_t subject_take(int key, char *value, struct argp_state *state)
{
	struct subject *subject = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &subject->place;
		return 0;
	case 'j':
		subject->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (subject->name) {
			argp_error(state, "one at a time");
		}
		subject->name = value;
		return 0;
	case ARGP_KEY_END:
		if (!subject->name) {
			argp_error(state, "of which user?");
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}
