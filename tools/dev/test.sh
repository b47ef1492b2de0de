# ./dev test: every test there is, and one line of totals at the end.

dev_test() {
    dev_setup build postgres node test || return
    build_preset asan || return
    local status=0
    run_ctest asan "$@" || status=1
    run_pytest "$@" || status=1
    "$python" tools/totals build/asan/results tests/skips.txt || status=1
    return $status
}

# run_ctest PRESET [FILTER]: GoogleTest programs, two at a time. Each writes its cases as XML,
# from which the totals are counted.
run_ctest() {
    local preset=$1 filter=${2:-}
    local results=$root/build/$preset/results
    rm -rf -- "$results"
    mkdir -p -- "$results"
    say_step "unit and integration tests ($preset)"
    GTEST_OUTPUT="xml:$results/" GTEST_BRIEF=1 ctest --test-dir "build/$preset" -j 2 \
        --output-on-failure --no-tests=ignore --output-junit "$results/ctest.junit" \
        ${filter:+-R "$filter"}
}

# run_pytest [FILTER]: the program as its users see it, from outside.
run_pytest() {
    local filter=${1:-} status=0
    say_step "tools and end-to-end tests"
    SEATRIAL_BIN=${SEATRIAL_BIN:-$root/build/asan/bin/seatrial} PYTHONDONTWRITEBYTECODE=1 \
        "$python" -m pytest -q -p no:cacheprovider --rootdir "$root" -rfE \
        --basetemp "$root/build/asan/results/tmp" \
        --junitxml "$root/build/asan/results/pytest.xml" tools tests ${filter:+-k "$filter"} ||
        status=$?
    # 5: the filter chose no test here.
    [[ $status -eq 5 && -n $filter ]] || return $status
}
