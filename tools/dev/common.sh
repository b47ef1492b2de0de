# Shared by the sub-commands of ./dev. Sourced, with the repository as working directory.

say() { printf '%s\n' "$*"; }
say_step() { printf '\033[1m==> %s\033[0m\n' "$*"; }
say_error() { printf 'dev: %s\n' "$*" >&2; }
[[ -t 1 ]] || say_step() { printf '==> %s\n' "$*"; }

is_root() { [[ $(id -u) -eq 0 ]]; }

# as_user NAME COMMAND...: runs it as that user when we are root, else as ourselves.
as_user() {
    local user=$1
    shift
    if is_root; then
        setpriv --reuid="$user" --regid="$user" --init-groups --inh-caps=-all -- \
            env HOME=/ USER="$user" LOGNAME="$user" "$@"
    else
        "$@"
    fi
}

# wait_until SECONDS COMMAND...: asks until it succeeds; 1 when the time is over.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# wait_gone PID SECONDS: until no process has that id.
wait_gone() { wait_until "$2" not kill -0 "$1"; }
not() { ! "$@"; }
