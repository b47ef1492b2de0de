#include "resource/postgres_template.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/names.h"
#include "base/text.h"
#include "process/command.h"
#include "resource/postgres_mark.h"
#include "resource/postgres_owner.h"

namespace seatrial::resource {
namespace {

constexpr std::string_view in_use = "55006";

Result<plan::Observation> look(sql::Postgres& db, const std::string& instance,
                               const std::string& name, const Context& ctx) {
    TRY_ASSIGN(const auto row, find_database(db, name, ctx));
    return judge_template(row, instance);
}

tl::unexpected<Error> foreign(const std::string& name, const plan::Observation& seen) {
    return fail(Code::conflict, "template " + name + " is not ours: " + seen.detail);
}

// Somebody connected to the source makes a clone wait five seconds and then fail. Our own visits
// (schema_hash) may still be on their way out: for those the wait is long enough.
Result<bool> is_idle(sql::Postgres& db, const std::string& source, const Context& ctx) {
    TRY_ASSIGN(const auto rows,
               db.query("SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
                        " AND application_name <> 'seatrial'"
                        " AND coalesce(backend_type, '') <> 'autovacuum worker')"
                        " + (SELECT count(*) FROM pg_prepared_xacts WHERE database = $1)",
                        {source}, ctx));
    return rows[0][0] == "0";
}

// What pg_dump writes goes straight into pg_restore. The first error counts: the other tool only
// sees its peer's end.
Status run_pipe(process::Command dump, process::Command restore, const Context& ctx) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail_errno("pipe", errno);
    }
    Fd reader(ends[0]);
    Fd writer(ends[1]);
    restore.stdin_fd = reader.get();
    dump.stdout_fd = writer.get();
    CancelSource both(ctx);
    Result<process::Output> restored;
    std::jthread restorer([&] {
        restored = process::run_checked(restore, both.context());
        reader.reset();    // a dump that goes on writing ends
        if (!restored) {
            both.cancel();
        }
    });
    const auto dumped = process::run_checked(dump, both.context());
    const bool dump_failed = !dumped && dumped.error().code != Code::cancelled;
    if (dump_failed) {
        both.cancel();
    }
    writer.reset();
    restorer.join();
    TRY(ctx.ok());
    if (dump_failed) {
        return wrap(dumped.error(), "pg_dump");
    }
    if (!restored) {
        return wrap(restored.error(), "pg_restore");
    }
    return dumped ? Status() : Status(tl::unexpected(dumped.error()));
}

}    // namespace

plan::Traits PostgresTemplate::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::keep;
    traits.pool = "clone";
    traits.rank = 5;
    traits.shared = true;
    traits.title = "template";
    return traits;
}

Result<std::vector<std::string>> PostgresTemplate::list(const std::string& place,
                                                        const Context& ctx) {
    TRY_ASSIGN(auto db, servers_.open(place, ctx));
    const std::string& instance = servers_.instance();
    TRY_ASSIGN(const auto databases, list_databases(db, name_mark(instance), ctx));
    std::vector<std::string> names;
    for (const auto& database : databases) {
        if (!is_our_name(instance, database.owner)) {    // those are previews' databases
            names.push_back(database.name);
        }
    }
    return names;
}

Result<plan::Observation> PostgresTemplate::observe(const plan::Ref& ref, const Context& ctx) {
    TRY(check_name(servers_.instance(), ref));
    TRY_ASSIGN(auto db, servers_.open_locked(ref.place, name(), ref.name, ctx));
    return look(db, servers_.instance(), ref.name, ctx);
}

Status PostgresTemplate::create(const plan::Ref& ref, const nlohmann::json& spec,
                                const plan::Progress& progress, const Context& ctx) {
    TRY(check_name(servers_.instance(), ref));
    TRY_ASSIGN(auto db, servers_.open_locked(ref.place, name(), ref.name, ctx));
    TRY_ASSIGN(const auto seen, look(db, servers_.instance(), ref.name, ctx));
    if (seen.presence == plan::Presence::foreign) {
        return foreign(ref.name, seen);
    }
    if (seen.presence == plan::Presence::ready) {
        return {};
    }
    if (seen.presence == plan::Presence::partial) {
        TRY(drop_database(db, ref.name, ctx));
        TRY(failpoint("pg-template.create", "cleared"));
    }
    TRY(failpoint("pg-template.create", "before"));
    TRY(copy(db, ref, spec.value("source", ""), progress, ctx));
    TRY(failpoint("pg-template.create", "copied"));
    TRY(freeze(db, ref, spec, ctx));
    return failpoint("pg-template.create", "after");
}

Status PostgresTemplate::copy(sql::Postgres& db, const plan::Ref& ref, const std::string& source,
                              const plan::Progress& progress, const Context& ctx) {
    TRY_ASSIGN(const auto row, find_database(db, source, ctx));
    if (!row) {
        return fail(Code::invalid,
                    "the template's source database " + printable(source) +
                        " does not exist on this server",
                    "create it, or mend `database.template` in seatrial.yaml");
    }
    std::string reason;
    {    // our own visit ends here: it would keep the source busy
        TRY_ASSIGN(auto inside, servers_.open(ref.place, ctx, source));
        TRY_ASSIGN(reason, objects_out_of_reach(inside, ctx));
    }
    TRY_ASSIGN(const bool idle, is_idle(db, source, ctx));
    if (reason.empty() && idle) {
        TRY_ASSIGN(const auto me, db.query("SELECT current_user", {}, ctx));
        const Status cloned = clone_database(db, ref.name, source, me[0][0].value_or(""), ctx);
        const bool other_way = !cloned && (sql::sqlstate_of(cloned.error()) == in_use ||
                                           cloned.error().code == Code::refused);
        if (!other_way) {
            return cloned;
        }
    }
    if (progress) {
        progress(idle
                     ? "copying " + printable(source) + " with pg_dump: the server may not clone it"
                     : printable(source) + " is in use: copying it with pg_dump");
    }
    return dump(db, ref, source, ctx);
}

Status PostgresTemplate::dump(sql::Postgres& db, const plan::Ref& ref, const std::string& source,
                              const Context& ctx) {
    TRY_ASSIGN(const auto facts, db.query("SELECT pg_encoding_to_char(encoding), datcollate,"
                                          " datctype FROM pg_database WHERE datname = $1",
                                          {source}, ctx));
    if (facts.empty()) {
        return fail(Code::unavailable, "database " + printable(source) + " went away");
    }
    TRY(db.execute("CREATE DATABASE " + db.quote_identifier(ref.name) +
                       " TEMPLATE template0 ENCODING " +
                       db.quote_literal(facts[0][0].value_or("")) + " LC_COLLATE " +
                       db.quote_literal(facts[0][1].value_or("")) + " LC_CTYPE " +
                       db.quote_literal(facts[0][2].value_or("")),
                   ctx));
    TRY(failpoint("pg-template.create", "emptied"));
    process::Command out;
    // The name travels in the environment: in an argument it could pass for an option or for a
    // connection string.
    out.argv = {"pg_dump",  "--format=custom",    "--compress=0",     "--no-owner",
                "--no-acl", "--no-subscriptions", "--no-publications"};
    out.env = db.tool_environment();
    process::Command in;
    in.argv = {"pg_restore", "--no-owner", "--no-acl", "--exit-on-error", "--dbname=" + ref.name};
    in.env = out.env;
    out.env.push_back("PGDATABASE=" + source);
    const Status done = run_pipe(std::move(out), std::move(in), ctx);
    if (done) {
        TRY_ASSIGN(auto inside, servers_.open(ref.place, ctx, ref.name));
        return inside.execute("ANALYZE", ctx);    // a restored database has no statistics
    }
    Error error = done.error();
    if (error.code == Code::not_found) {
        error.code = Code::unavailable;
        error.hint = "install PostgreSQL's client tools (postgresql-client)";
    }
    return wrap(std::move(error), "copy " + printable(source));
}

// Stored passwords go, the doors are closed, then the mark: in one transaction with the freeze.
Status PostgresTemplate::freeze(sql::Postgres& db, const plan::Ref& ref, const nlohmann::json& spec,
                                const Context& ctx) {
    const std::string quoted = db.quote_identifier(ref.name);
    TRY(db.execute("REVOKE ALL ON DATABASE " + quoted + " FROM PUBLIC", ctx));
    {
        TRY_ASSIGN(auto inside, servers_.open(ref.place, ctx, ref.name));
        TRY(drop_stored_passwords(inside, ctx));
    }
    TRY(copy_settings(servers_, ref.place, db, spec.value("source", ""), ref.name, ctx));
    TRY(failpoint("pg-template.create", "cleaned"));
    const Mark mark{servers_.instance(), plan::spec_hash(spec), "", ""};
    TRY(db.execute("ALTER DATABASE " + quoted + " IS_TEMPLATE true ALLOW_CONNECTIONS false;" +
                       "COMMENT ON DATABASE " + quoted + " IS " +
                       db.quote_literal(render_mark(mark)),
                   ctx));
    // Who came in while it was open would keep it from being cloned.
    return db
        .query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
            " AND coalesce(backend_type, '') <> 'autovacuum worker'",
            {ref.name}, ctx)
        .map([](const auto&) {});
}

Result<plan::Removal> PostgresTemplate::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY(check_name(servers_.instance(), ref));
    TRY_ASSIGN(auto db, servers_.open_locked(ref.place, name(), ref.name, ctx));
    TRY_ASSIGN(const auto seen, look(db, servers_.instance(), ref.name, ctx));
    plan::Removal removal;
    if (seen.presence == plan::Presence::absent) {
        removal.note = "was not there";
        return removal;
    }
    if (seen.presence == plan::Presence::foreign) {
        return foreign(ref.name, seen);
    }
    TRY(failpoint("pg-template.destroy", "before"));
    TRY(drop_database(db, ref.name, ctx));
    TRY(failpoint("pg-template.destroy", "after"));
    removal.note = "dropped";
    return removal;
}

}    // namespace seatrial::resource
