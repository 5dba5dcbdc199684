# shellcheck shell=sh
# Sourced by tests/run and proxy/demo: need_packages PACKAGE... installs what is missing,
# need_test_provider what the OAuth2 provider of the tests consists of.
# Debian's Dovecot and fail2ban would start services of their own at once and at every boot;
# here they are only tools. What was there before is left exactly as it is.

missing_packages() {
	for package in "$@"; do
		state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || state=none
		case $state in
		installed*) ;;
		*) printf '%s ' "$package" ;;
		esac
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "$0: neither root nor sudo; please run as root: $*" >&2
		return 1
	fi
}

# The file by which Debian's packages ask whether they may start their services.
forbid_services() {
	policy=/usr/sbin/policy-rc.d
	[ ! -e "$policy" ] || return 0
	printf '#!/bin/sh\n# popbridge: while its test tools are installed\nexit 101\n' |
		as_root tee "$policy" >/dev/null
	as_root chmod 755 "$policy"
	forbidden=yes
	trap allow_services EXIT
	trap 'exit 1' HUP INT TERM
}

allow_services() {
	[ "${forbidden-}" != yes ] || as_root rm -f /usr/sbin/policy-rc.d
	forbidden=no
}

# keep_off SERVICE: now and at the next boot.
keep_off() {
	if [ -d /run/systemd/system ]; then
		as_root systemctl --quiet disable --now "$1.service" || :
		as_root systemctl --quiet disable --now "$1.socket" 2>/dev/null || :
	elif command -v update-rc.d >/dev/null; then
		as_root update-rc.d "$1" disable >/dev/null 2>&1 || :
	fi
}

need_packages() {
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "$0: no apt-get here; please install what these Debian packages hold: $missing" >&2
		return 1
	fi
	echo "== installing: $missing"
	services=""
	case " $missing" in *" dovecot-core "*) services=dovecot ;; esac
	case " $missing" in *" fail2ban "*) services="$services fail2ban" ;; esac
	[ -z "$services" ] || forbid_services
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update || return 1
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 install \
		--no-install-recommends $missing || return 1
	if [ -n "$services" ]; then
		for service in $services; do
			keep_off "$service"
		done
		allow_services
		trap - EXIT HUP INT TERM
	fi
}

need_test_provider() {
	[ ! -d tests/e2e/oauth/node_modules/oidc-provider ] || return 0
	# Where nodejs is not Debian's, its npm comes with it.
	command -v npm >/dev/null || need_packages npm || return 1
	echo "== installing: the tests' OAuth2 provider (npm oidc-provider)"
	npm ci --prefix tests/e2e/oauth --no-audit --no-fund --loglevel=error </dev/null
}
