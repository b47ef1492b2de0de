#include "resource/postgres_database.h"

#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "base/text.h"
#include "resource/postgres_mark.h"
#include "resource/postgres_owner.h"

namespace seatrial::resource {
namespace {

// Copied for a database without a template: what initdb made, without local additions.
constexpr const char* empty_template = "template0";

Result<plan::Observation> look(sql::Postgres& db, const std::string& instance,
                               const std::string& name, const Context& ctx) {
    TRY_ASSIGN(const auto row, find_database(db, name, ctx));
    return judge_database(row, instance);
}

tl::unexpected<Error> foreign(const std::string& name, const plan::Observation& seen) {
    return fail(Code::conflict, "database " + name + " is not ours: " + seen.detail);
}

}    // namespace

plan::Traits PostgresDatabase::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::keep;
    traits.pool = "clone";
    traits.rank = 20;
    traits.lane = "database";
    traits.title = "database";
    return traits;
}

Result<std::vector<std::string>> PostgresDatabase::list(const std::string& place,
                                                        const Context& ctx) {
    TRY_ASSIGN(auto db, servers_.open(place, ctx));
    const std::string& instance = servers_.instance();
    TRY_ASSIGN(const auto databases, list_databases(db, name_mark(instance), ctx));
    std::vector<std::string> names;
    for (const auto& database : databases) {
        // Others with our mark are templates: those belong to the admin.
        if (is_our_name(instance, database.owner)) {
            names.push_back(database.name);
        }
    }
    return names;
}

Result<plan::Observation> PostgresDatabase::observe(const plan::Ref& ref, const Context& ctx) {
    TRY(check_name(servers_.instance(), ref));
    TRY_ASSIGN(auto db, servers_.open_locked(ref.place, name(), ref.name, ctx));
    return look(db, servers_.instance(), ref.name, ctx);
}

Status PostgresDatabase::create(const plan::Ref& ref, const nlohmann::json& spec,
                                const plan::Progress& /*progress*/, const Context& ctx) {
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
        TRY(failpoint("pg-database.create", "cleared"));
    }
    TRY(failpoint("pg-database.create", "before"));
    TRY(clone(db, ref, spec, ctx));
    TRY(failpoint("pg-database.create", "cloned"));
    TRY(furnish(db, ref, spec, ctx));
    TRY(failpoint("pg-database.create", "furnished"));
    const Mark mark{servers_.instance(), plan::spec_hash(spec), "", ""};
    TRY(db.execute("COMMENT ON DATABASE " + db.quote_identifier(ref.name) + " IS " +
                       db.quote_literal(render_mark(mark)),
                   ctx));
    return failpoint("pg-database.create", "after");
}

Status PostgresDatabase::clone(sql::Postgres& db, const plan::Ref& ref, const nlohmann::json& spec,
                               const Context& ctx) {
    const std::string& instance = servers_.instance();
    const std::string owner = spec.value("owner", "");
    std::string from = spec.value("template", "");
    if (!is_our_name(instance, owner)) {
        return fail(Code::invalid, "the owner of a database must be a role of ours");
    }
    if (from.empty()) {
        from = empty_template;
    } else {
        TRY(check_name(instance, {"pg-template", ref.place, from}));
        TRY_ASSIGN(const auto row, find_database(db, from, ctx));
        if (judge_template(row, instance).presence != plan::Presence::ready) {
            return fail(Code::unavailable, "template " + from + " is not there");
        }
    }
    Status cloned = clone_database(db, ref.name, from, owner, ctx);
    if (cloned || cloned.error().code == Code::unavailable) {
        return cloned;
    }
    Error error = cloned.error();
    // Under the lock nobody of ours makes it: a stranger does, or template or role went just now.
    const bool moving = error.code == Code::not_found || error.code == Code::conflict;
    error.code = moving ? Code::unavailable : error.code;
    return wrap(std::move(error), "clone " + from);
}

Status PostgresDatabase::furnish(sql::Postgres& db, const plan::Ref& ref,
                                 const nlohmann::json& spec, const Context& ctx) {
    TRY(db.execute("REVOKE ALL ON DATABASE " + db.quote_identifier(ref.name) + " FROM PUBLIC",
                   ctx));
    {
        TRY_ASSIGN(auto inside, servers_.open(ref.place, ctx, ref.name));
        TRY(give_objects_to(inside, spec.value("owner", ""), ctx));
    }
    const std::string from = spec.value("template", "");
    if (from.empty()) {
        return {};
    }
    return copy_settings(servers_, ref.place, db, from, ref.name, ctx);
}

Result<plan::Removal> PostgresDatabase::destroy(const plan::Ref& ref, const Context& ctx) {
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
    TRY(failpoint("pg-database.destroy", "before"));
    TRY(drop_database(db, ref.name, ctx));
    TRY(failpoint("pg-database.destroy", "after"));
    removal.note = "dropped";
    return removal;
}

}    // namespace seatrial::resource
