# ./dev demo and ./dev demo-stop. Everything lives in one folder: the private PostgreSQL, the
# app's repository, the daemon's data. As root that is /var/lib/seatrial-demo and not the clone,
# because previews run as users who may not enter a home.

demo_key=DEMO-1
demo_branch=feature/DEMO-1-new-greeting

demo_folder() {
    if [[ -n ${SEATRIAL_DEMO_DIR:-} ]]; then
        realpath -m -- "$SEATRIAL_DEMO_DIR"
    elif is_root; then
        echo /var/lib/seatrial-demo
    else
        echo "$root/.demo"
    fi
}

# Only a folder that ./dev demo made is ever filled or removed.
demo_check_folder() {
    local folder=$1
    if [[ -e $folder && ! -e $folder/.seatrial-demo && -n $(ls -A -- "$folder") ]]; then
        say_error "$folder is not empty and no demo of ours; set SEATRIAL_DEMO_DIR"
        return 2
    fi
}

dev_demo() {
    local demo
    demo=$(demo_folder)
    demo_check_folder "$demo" || return
    dev_setup build postgres node || return
    build_preset release seatrial seatrial-helper || return
    mkdir -p -- "$demo"
    chmod 755 "$demo"
    touch -- "$demo/.seatrial-demo"
    say_step "database"
    demo_database "$demo" || return
    demo_repository "$demo" || return
    demo_server_file "$demo" || return
    say_step "seatrial up --issue $demo_key"
    (cd -- "$demo/shop" && demo_seatrial "$demo" up --issue $demo_key) || {
        local status=$?
        say_error "the preview did not start; ./dev demo-stop removes what is there"
        return $status
    }
    demo_look "$demo"
}

demo_seatrial() {
    local demo=$1
    shift
    SEATRIAL_DATA=$demo/data SEATRIAL_CONFIG=$demo/server.yaml "$root/build/release/bin/seatrial" "$@"
}

# The template is ready when it bears its last name: a demo that was cut short starts it anew.
demo_database() {
    local demo=$1 made
    "$python" tools/private_postgres start "$demo/pg" || return
    made=$(demo_psql "$demo" postgres <<<"SELECT 1 FROM pg_database WHERE datname = 'shop_dev'") ||
        return
    if [[ $made != 1 ]]; then
        demo_psql "$demo" postgres <<<"DROP DATABASE IF EXISTS shop_dev_new;" || return
        demo_psql "$demo" postgres <<<"CREATE DATABASE shop_dev_new;" || return
        demo_psql "$demo" shop_dev_new -1 -f examples/shop/db/template.sql || return
        demo_psql "$demo" postgres <<<"ALTER DATABASE shop_dev_new RENAME TO shop_dev;" || return
    fi
}

# demo_psql DEMO DATABASE [ARG...]: as the role that Seatrial uses, quiet.
demo_psql() {
    local demo=$1 database=$2
    shift 2
    local PGHOST PGPORT ADMIN_URL BINDIR
    eval "$("$python" tools/private_postgres env "$demo/pg")"
    PGOPTIONS="-c client_min_messages=warning" \
        psql -X -A -t -q -v ON_ERROR_STOP=1 "$@" -d "${ADMIN_URL%/postgres}/$database"
}

# A repository of the example app: main, and a branch that changes the page and adds a migration.
demo_repository() {
    local demo=$1 repo=$1/shop
    [[ ! -e $repo/.git/seatrial-demo-ready ]] || return 0
    say_step "repository"
    # A step that fails leaves no mark, and the next demo begins anew.
    rm -rf -- "$repo" && cp -R -- examples/shop "$repo" && rm -rf -- "$repo/node_modules" &&
        demo_git "$repo" init -q -b main && demo_git "$repo" add -A &&
        demo_git "$repo" commit -q -m "The shop as it is" &&
        demo_git "$repo" switch -q -c "$demo_branch" || return
    cat >"$repo/web/greeting.js" <<'JS'
export const greeting = 'Fair winds! New in: things that float';
JS
    cat >"$repo/migrations/0003_lifebuoy.sql" <<'SQL'
INSERT INTO product (name, description, picture, price_cents)
VALUES ('Lifebuoy', 'Added by the migration of this branch.', '🛟', 4450);
SQL
    demo_git "$repo" add -A &&
        demo_git "$repo" commit -q -m "$demo_key: greet anew, sell lifebuoys" || return
    touch -- "$repo/.git/seatrial-demo-ready"
}

demo_git() {
    local repo=$1
    shift
    git -C "$repo" -c user.name="Seatrial demo" -c user.email=demo@example.org \
        -c commit.gpgsign=false -c core.hooksPath=/dev/null "$@"
}

demo_server_file() {
    local demo=$1 file=$1/server.yaml
    local PGHOST PGPORT ADMIN_URL BINDIR
    eval "$("$python" tools/private_postgres env "$demo/pg")"
    # It holds a password: for the daemon's user only.
    (umask 077 && printf 'environments:\n  int: { provider: local, ttl: 24h, max: 5 }\n%s\n' \
        "postgres: { url: \"$ADMIN_URL\" }" >"$file.new")
    ! is_root || chown root:seatrial "$file.new"
    ! is_root || chmod 640 "$file.new"
    mv -f -- "$file.new" "$file"
}

# Both addresses answer, and the row that came with the cloned database is on the page.
demo_look() {
    local demo=$1 web api
    local shown
    shown=$(demo_seatrial "$demo" show $demo_key --json) || return
    web=$("$python" tools/preview_url web <<<"$shown") || return
    api=$("$python" tools/preview_url api <<<"$shown") || return
    say_step "both answer"
    say "$web   $(curl -fsS --max-time 10 -- "$web" | grep -o '<h1>.*</h1>' | sed 's/<[^>]*>//g')"
    say "$api/products"
    curl -fsS --max-time 10 -- "${api%/}/products" | "$python" -c '
import json, sys
for row in json.load(sys.stdin):
    print("   ", row["picture"], row["name"] + ":", row["description"])' || return
    local bin="SEATRIAL_DATA=$demo/data $root/build/release/bin/seatrial"
    cat <<TEXT

The preview of $demo_key is running:  $web

  look     $bin show $demo_key
           $bin logs $demo_key web
           $bin ls
  change   commit something in $demo/shop, then ./dev demo again: the preview moves there
  stop     ./dev demo-stop
TEXT
}

dev_demo_stop() {
    local demo status=0
    demo=$(demo_folder)
    demo_check_folder "$demo" || return
    if [[ ! -e $demo ]]; then
        say "no demo in $demo"
        return 0
    fi
    demo_stop_preview "$demo" || status=1
    demo_stop_daemon "$demo"
    # What an unclean end left: processes of the demo's runs, mounts and groups.
    "$python" tests/e2e/census.py --data "$demo/data" --clear || status=1
    "$python" tools/private_postgres stop "$demo/pg" --remove || status=1
    rm -rf -- "$demo"
    if [[ -e $demo ]]; then
        say_error "$demo could not be removed whole"
        return 1
    fi
    [[ $status -eq 0 ]] && say "the demo is gone; nothing of it is left"
    return $status
}

demo_stop_preview() {
    local demo=$1
    [[ -x build/release/bin/seatrial && -e $demo/data && -e $demo/pg/ready ]] || return 0
    "$python" tools/private_postgres start "$demo/pg" || return
    local status=0
    # Its daemon may have died; what it knew is on the disk.
    if ! demo_seatrial "$demo" ls >/dev/null 2>&1; then
        demo_seatrial "$demo" serve --data "$demo/data" --port 0 --log-file >/dev/null 2>&1 </dev/null &
        wait_until 30 demo_seatrial "$demo" ls || return
    fi
    demo_seatrial "$demo" stop $demo_key || status=$?
    # 4: there is no such preview (any more).
    [[ $status -eq 0 || $status -eq 4 ]]
}

demo_stop_daemon() {
    local demo=$1 pid
    for pid in $(demo_daemons "$demo"); do
        kill -TERM "$pid" 2>/dev/null || continue
        wait_gone "$pid" 20 || kill -KILL "$pid" 2>/dev/null || true
        wait_gone "$pid" 5 || return
    done
}

# Process ids of daemons on the demo's data, also of one whose folder somebody took away.
demo_daemons() {
    local data=$1/data folder
    for folder in /proc/[0-9]*; do
        [[ $(cat -- "$folder/comm" 2>/dev/null) == seatrial ]] || continue
        if tr '\0' '\n' 2>/dev/null <"$folder/cmdline" | grep -qxF -- "$data"; then
            basename -- "$folder"
        fi
    done
}
