# ./dev lint: everything that can be judged without running the program.

dev_lint() {
    local all=${1:-}
    if [[ -n $all && $all != --all ]]; then
        say_error "lint takes --all or nothing"
        return 2
    fi
    dev_setup build lint test || return
    local status=0
    lint_step "format" lint_format || status=1
    lint_step "layers" "$python" tools/check_layers || status=1
    lint_step "source rules" "$python" tools/check_source || status=1
    lint_step "scripts" lint_scripts || status=1
    lint_step "clang-tidy" lint_tidy "$all" || status=1
    return $status
}

lint_step() {
    local name=$1
    shift
    if "$@"; then
        say "lint: $name ok"
    else
        say_error "lint: $name failed"
        return 1
    fi
}

tracked() { git ls-files --cached --others --exclude-standard -z -- "$@"; }

lint_format() {
    tracked '*.h' '*.cpp' | xargs -0 -r clang-format-19 --dry-run --Werror
}

lint_scripts() {
    local status=0 file
    while IFS= read -r -d '' file; do
        case $(head -c 64 -- "$file" | tr -d '\0' | head -n 1) in
            '#!'*bash* | '#!'*/sh*) bash -n "$file" || status=1 ;;
            '#!'*python*) compiles "$file" || status=1 ;;
            *)
                case $file in
                    *.sh) bash -n "$file" || status=1 ;;
                    *.py) compiles "$file" || status=1 ;;
                esac
                ;;
        esac
    done < <(tracked dev .ci tools tests bench examples)
    if command -v shellcheck >/dev/null; then
        shellcheck -x -S warning dev .ci/run bench/*.sh || status=1
    fi
    return $status
}

compiles() {
    "$python" -c 'import sys; compile(open(sys.argv[1], "rb").read(), sys.argv[1], "exec")' "$1"
}

# Needs the compile commands, not the build.
lint_tidy() {
    run_logged build/asan.configure.log cmake --preset asan \
        $(command -v ccache >/dev/null && echo -DCMAKE_CXX_COMPILER_LAUNCHER=ccache) || return
    "$python" tools/tidy --build build/asan ${1:+"$1"}
}
