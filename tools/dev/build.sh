# ./dev build and what the others build with.

# build_preset PRESET [TARGET...]: configures when needed, builds, quiet unless it fails.
# ccache finds its results again from any clone because paths are cut off (see CMakeLists.txt).
build_preset() {
    local preset=$1
    shift
    local launcher=()
    export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
    ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    say_step "building $preset"
    run_logged "build/$preset.configure.log" cmake --preset "$preset" "${launcher[@]}" || return
    ninja -C "build/$preset" -j "$(build_jobs)" "$@"
}

# Clang needs up to 1 GB for one file: no more jobs than cores, nor than memory allows.
build_jobs() {
    local cores memory
    cores=$(nproc)
    memory=$(awk '/^MemAvailable/ {print int($2 / 1200000)}' /proc/meminfo)
    ((memory >= 1)) || memory=1
    echo $((cores < memory ? cores : memory))
}

# run_logged LOG COMMAND...: its output only when it fails.
run_logged() {
    local log=$1
    shift
    mkdir -p -- "$(dirname -- "$log")"
    if ! "$@" >"$log" 2>&1; then
        cat -- "$log" >&2
        return 1
    fi
}

dev_build() {
    build_preset "$1"
}

dev_sanitize() {
    dev_setup build test postgres node || return
    build_preset tsan || return
    run_ctest tsan "$@"
}

dev_fuzz() {
    local seconds=${1:-60} target count=0 failed=0
    dev_setup build || return
    build_preset fuzz || return
    for target in build/fuzz/bin/*_fuzz; do
        [[ -x $target ]] || continue
        count=$((count + 1))
        local name corpus
        name=$(basename -- "$target")
        corpus=build/fuzz/corpus/$name
        mkdir -p -- "$corpus"
        say_step "$name for $seconds s"
        local seeds=() options=()
        [[ ! -d tests/fuzz/corpus/$name ]] || seeds=("tests/fuzz/corpus/$name")
        [[ ! -f tests/fuzz/${name%_fuzz}.dict ]] || options=("-dict=tests/fuzz/${name%_fuzz}.dict")
        "$target" "${options[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
            -artifact_prefix="build/fuzz/$name." "$corpus" "${seeds[@]}" 2>"build/fuzz/$name.log" ||
            { failed=$((failed + 1)); tail -n 30 -- "build/fuzz/$name.log" >&2; }
    done
    say "$count fuzz targets, $failed failed"
    ((count > 0 && failed == 0))
}

dev_bench() {
    local script=run groups=(build postgres node)
    if [[ ${1:-} == releases ]]; then
        script=releases groups+=(test bench)
        shift
    fi
    dev_setup "${groups[@]}" || return
    build_preset release || return
    "$python" "bench/$script.py" "$@"
}

dev_soak() {
    local sweep=sweep
    if [[ ${1:-} == releases ]]; then
        sweep=release_sweep
        shift
    fi
    dev_setup build test postgres node || return
    build_preset asan || return
    SEATRIAL_BIN=${SEATRIAL_BIN:-$root/build/asan/bin/seatrial} \
        "$python" "tests/fault/$sweep.py" --full "$@"
}
