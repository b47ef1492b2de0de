// pg-role and pg-database as the server's superuser and as an admin who has CREATEDB and CREATEROLE
// only; pg-template from an idle source and from one in use.
#include <gtest/gtest.h>

#include "conformance/type_conformance.h"
#include "resource/postgres_database.h"
#include "resource/postgres_role.h"
#include "resource/postgres_template.h"
#include "support/postgres_world.h"

namespace seatrial::conformance {
namespace {

using test::PrivatePostgres;

constexpr const char* source = "conformance_source";
constexpr const char* template_name = "st-tstcfm-template-0123456789ab";
constexpr const char* owner_name = "st-tstcfm-owner-0123456789ab";

enum class Kind { role, database, copy, dump };

class PostgresSubject : public Subject {
public:
    PostgresSubject(Kind kind, const std::string& admin, const std::string& world)
        : kind_(kind), mine_(world.empty()), world_(world) {
        if (mine_) {
            PrivatePostgres& server = PrivatePostgres::shared();
            test::make_admin(server);
            world_ = server.conninfo(admin);
        }
        servers_ =
            std::make_unique<resource::PostgresServers>(test::make_servers(world_, instance));
        if (kind == Kind::role) {
            type_ = std::make_unique<resource::PostgresRole>(*servers_);
        } else if (kind == Kind::database) {
            type_ = std::make_unique<resource::PostgresDatabase>(*servers_);
        } else {
            type_ = std::make_unique<resource::PostgresTemplate>(*servers_);
        }
        if (mine_ && kind != Kind::role) {
            set_up(admin);
        }
    }
    ~PostgresSubject() override {
        if (!mine_ || kind_ == Kind::role) {
            return;
        }
        visitor_.reset();
        if (kind_ == Kind::database) {
            resource::PostgresTemplate templates(*servers_);
            resource::PostgresRole roles(*servers_);
            must(templates.destroy({"pg-template", place(), template_name}, {}));
            must(roles.destroy({"pg-role", place(), owner_name}, {}));
        }
        PrivatePostgres::shared().execute(std::string("DROP DATABASE ") + source + " WITH (FORCE)");
    }

    std::string world() const override { return world_; }
    plan::Type& type() override { return *type_; }
    std::string place() const override { return test::postgres_place; }
    nlohmann::json spec(const std::string&) override {
        switch (kind_) {
            case Kind::role: return nlohmann::json::object();
            case Kind::database: return {{"template", template_name}, {"owner", owner_name}};
            case Kind::copy:
            case Kind::dump: break;
        }
        return {{"source", source}};
    }
    nlohmann::json changed_spec(const std::string& name) override {
        nlohmann::json changed = spec(name);
        changed["more"] = 1;
        return changed;
    }
    bool make_foreign(const std::string& name) override {
        const std::string quoted = "\"" + name + "\"";
        PrivatePostgres& server = PrivatePostgres::shared();
        if (kind_ == Kind::role) {
            server.execute("CREATE ROLE " + quoted + " SUPERUSER");
            return true;
        }
        server.execute("CREATE ROLE stranger");
        server.execute("CREATE DATABASE " + quoted + " OWNER stranger");
        server.execute("COMMENT ON DATABASE " + quoted + " IS 'the books'");
        return true;
    }
    bool foreign_intact(const std::string& name) override {
        PrivatePostgres& server = PrivatePostgres::shared();
        if (kind_ == Kind::role) {
            return server.value("SELECT rolsuper FROM pg_roles WHERE rolname = '" + name + "'") ==
                   "t";
        }
        return server.value(
                   "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
                   " WHERE datname = '" +
                   name + "' AND pg_get_userbyid(datdba) = 'stranger'") == "the books";
    }
    void remove_foreign(const std::string& name) override {
        PrivatePostgres& server = PrivatePostgres::shared();
        if (kind_ == Kind::role) {
            server.execute("DROP ROLE \"" + name + "\"");
            return;
        }
        server.execute("DROP DATABASE \"" + name + "\"");
        server.execute("DROP ROLE stranger");
    }
    std::string census() override { return test::postgres_census(world_); }

private:
    template <class T>
    static void must(const T& done) {
        EXPECT_TRUE(done) << render_error(done.error());
    }
    void set_up(const std::string& admin) {
        PrivatePostgres& server = PrivatePostgres::shared();
        test::make_source(server, source, admin);
        if (kind_ == Kind::dump) {
            visitor_ = std::make_unique<sql::Postgres>(server.connect(source));
            must(visitor_->execute("SET application_name = 'psql'", {}));    // not one of ours
        }
        if (kind_ == Kind::database) {
            resource::PostgresTemplate templates(*servers_);
            resource::PostgresRole roles(*servers_);
            must(templates.create({"pg-template", place(), template_name}, {{"source", source}}, {},
                                  {}));
            must(roles.create({"pg-role", place(), owner_name}, nlohmann::json::object(), {}, {}));
        }
    }

    Kind kind_;
    bool mine_;
    std::string world_;
    std::unique_ptr<resource::PostgresServers> servers_;
    std::unique_ptr<plan::Type> type_;
    std::unique_ptr<sql::Postgres> visitor_;    // keeps the source in use
};

template <Kind kind, bool superuser>
std::unique_ptr<Subject> make(const std::string& world) {
    return std::make_unique<PostgresSubject>(kind, superuser ? "postgres" : "admin", world);
}

const bool added[] = {
    add_subject("pg-role as superuser", &make<Kind::role, true>),
    add_subject("pg-role as admin", &make<Kind::role, false>),
    add_subject("pg-database as superuser", &make<Kind::database, true>),
    add_subject("pg-database as admin", &make<Kind::database, false>),
    add_subject("pg-template from an idle source as superuser", &make<Kind::copy, true>),
    add_subject("pg-template from a source in use as admin", &make<Kind::dump, false>),
};

}    // namespace
}    // namespace seatrial::conformance
