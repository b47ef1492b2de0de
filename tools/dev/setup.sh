# ./dev setup: the Debian 12 packages that building, testing and the demo need, and the system
# user previews are served by. One dpkg-query when nothing is missing.

packages_build=(git ca-certificates ccache clang-19 lld-19 llvm-19 libclang-rt-19-dev cmake
    ninja-build pkg-config libboost1.81-dev libexpected-dev nlohmann-json3-dev libyaml-cpp-dev
    libspdlog-dev libfmt-dev libcli11-dev libsqlite3-dev libpq-dev libcurl4-openssl-dev libssl-dev
    libseccomp-dev libre2-dev python3 curl)
packages_postgres=(postgresql-15 postgresql-client-15)
packages_test=(libgtest-dev libgmock-dev python3-pytest haproxy docker.io docker-registry
    busybox-static iproute2 python3-venv python3-pip redis-server nginx-light
    prometheus)
packages_bench=(wrk)
packages_lint=(clang-tidy-19 clang-format-19)

# The packages of the groups, one a line. Node.js counts by its command: any version from 18 on
# that another user can run is as good as Debian's.
wanted_packages() {
    local group
    for group in "$@"; do
        case $group in
            build) printf '%s\n' "${packages_build[@]}" ;;
            postgres) printf '%s\n' "${packages_postgres[@]}" ;;
            test) printf '%s\n' "${packages_test[@]}" ;;
            bench) printf '%s\n' "${packages_bench[@]}" ;;
            lint) printf '%s\n' "${packages_lint[@]}" ;;
            node)
                command_usable node || echo nodejs
                command_usable npm || echo npm
                ;;
            *)
                say_error "unknown group '$group'; groups are build postgres node test bench lint"
                return 2
                ;;
        esac
    done
}

# Present, and reachable by the users that previews run as (not below somebody's home).
command_usable() {
    local path
    path=$(command -v "$1") || return 1
    path=$(readlink -f "$path")
    ! is_root || setpriv --reuid=65534 --regid=65534 --clear-groups test -r "$path"
}

missing_packages() {
    local wanted
    wanted=$(wanted_packages "$@") || return
    # shellcheck disable=SC2086
    comm -23 <(sort -u <<<"$wanted") \
        <(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' $wanted 2>/dev/null |
            awk '$2 ~ /^.i/ {print $1}' | sort -u) | grep . || true
}

# The packages of tests/requirements.txt, in a Python of their own; nothing is done when they are
# there.
install_test_python() {
    local folder=$root/.cache/test-python wanted
    wanted=$(sha256sum <"$root/tests/requirements.txt")
    [[ $(cat -- "$folder/installed" 2>/dev/null) != "$wanted" ]] || return 0
    say_step "installing what tests need of Python (tests/requirements.txt)"
    rm -rf -- "$folder"
    "$python" -m venv "$folder" &&
        "$folder/bin/pip" install -q --disable-pip-version-check -r tests/requirements.txt &&
        printf '%s\n' "$wanted" >"$folder/installed"
}

dev_setup() {
    [[ $# -gt 0 ]] || set -- build postgres node test lint
    local missing
    missing=$(missing_packages "$@") || return
    if [[ -n $missing ]]; then
        install_packages "$missing" || return
    fi
    if [[ " $* " == *" test "* ]]; then
        install_test_python || return
        "$python" tools/python_packages >/dev/null || return
    fi
    if is_root && ! getent passwd seatrial >/dev/null; then
        useradd --system --user-group --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin seatrial
    fi
}

install_packages() {
    local missing
    missing=$(tr '\n' ' ' <<<"$1")
    if ! command -v apt-get >/dev/null; then
        say_error "this machine is not Debian; needed are the counterparts of: $missing"
        return 1
    fi
    if ! is_root; then
        say_error "missing packages: $missing"
        say_error "install them with: sudo apt-get install --no-install-recommends $missing"
        return 1
    fi
    say_step "installing $missing"
    # In a subshell, so that its clean-up runs whatever happens.
    (apt_install "$missing")
}

# Installing a server package starts a service, and PostgreSQL's also makes a cluster: both are
# denied while we install, so that nothing of this machine's own services is touched.
apt_install() {
    local missing=$1 deny=/usr/sbin/policy-rc.d conf=/etc/postgresql-common/createcluster.conf
    # Not local: the trap runs when this function's own variables are gone.
    apt_undo=()
    apt_log=$(mktemp)
    trap 'rm -f -- "$apt_log"; for undo in "${apt_undo[@]}"; do eval "$undo"; done' EXIT
    trap 'exit 130' INT TERM
    if [[ ! -e $deny ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$deny"
        chmod 755 "$deny"
        apt_undo+=("rm -f -- $deny")
    fi
    apt_quiet "$apt_log" update || return
    if [[ " $missing " == *" postgresql-15 "* ]]; then
        apt_quiet "$apt_log" install postgresql-common || return
        cp -p -- "$conf" "$conf.before-seatrial"
        apt_undo+=("mv -f -- $conf.before-seatrial $conf")
        sed -i -E 's/^#?create_main_cluster.*/create_main_cluster = false/' "$conf"
    fi
    # shellcheck disable=SC2086
    apt_quiet "$apt_log" install $missing
}

# apt_quiet LOG update | install PACKAGE...: silent unless it fails.
apt_quiet() {
    local log=$1 verb=$2
    shift 2
    [[ $verb != install ]] || set -- --no-install-recommends "$@"
    if ! DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        "$verb" "$@" >"$log" 2>&1 </dev/null; then
        tail -n 25 -- "$log" >&2
        say_error "apt-get $verb failed${*:+ for: $*}"
        return 1
    fi
}
