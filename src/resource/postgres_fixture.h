// What the tests of the pg-* types share: a server, a source database, one of each type, and a
// census that must be the same afterwards.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/names.h"
#include "crypto/crypto.h"
#include "resource/postgres_database.h"
#include "resource/postgres_role.h"
#include "resource/postgres_template.h"
#include "support/postgres_world.h"

namespace seatrial::resource {

class PostgresFixture : public testing::Test {
protected:
    // `admin`: who we are on the server, and whose the source is.
    explicit PostgresFixture(std::string admin = "admin",
                             test::PrivatePostgres& server = test::PrivatePostgres::shared())
        : admin_(std::move(admin)), server_(server) {}
    void SetUp() override {
        test::make_admin(server_);
        before_ = census();
        test::make_source(server_, source_, admin_);
    }
    void TearDown() override {
        destroy(database_ref());
        destroy(role_ref());
        destroy(template_ref());
        server_.execute("DROP DATABASE IF EXISTS " + source_ + " WITH (FORCE)");
        EXPECT_EQ(census(), before_) << "something is left";
    }

    static Context soon() { return Context().with_timeout(std::chrono::seconds(60)); }
    static std::string name_for(const std::string& what) {
        return make_name("tstres", what, crypto::sha256_hex(what));
    }
    static plan::Ref template_ref() {
        return {"pg-template", test::postgres_place, name_for("template")};
    }
    static plan::Ref role_ref() { return {"pg-role", test::postgres_place, name_for("role")}; }
    static plan::Ref database_ref() {
        return {"pg-database", test::postgres_place, name_for("database")};
    }
    plan::Type& type_of(const plan::Ref& ref) {
        if (ref.type == "pg-role") {
            return roles_;
        }
        return ref.type == "pg-template" ? static_cast<plan::Type&>(templates_) : databases_;
    }
    nlohmann::json spec_of(const plan::Ref& ref) const {
        if (ref.type == "pg-role") {
            return nlohmann::json::object();
        }
        if (ref.type == "pg-template") {
            return {{"source", source_}};
        }
        return {{"template", template_ref().name}, {"owner", role_ref().name}};
    }

    Status try_create(const plan::Ref& ref) {
        return type_of(ref).create(ref, spec_of(ref), {}, soon());
    }
    void create(const plan::Ref& ref) {
        const Status made = try_create(ref);
        ASSERT_TRUE(made) << render_error(made.error());
    }
    void create_all() {
        create(template_ref());
        create(role_ref());
        create(database_ref());
    }
    void destroy(const plan::Ref& ref) {
        const auto removal = type_of(ref).destroy(ref, soon());
        EXPECT_TRUE(removal) << render_error(removal.error());
    }
    plan::Presence presence(const plan::Ref& ref) {
        const auto seen = type_of(ref).observe(ref, soon());
        EXPECT_TRUE(seen) << render_error(seen.error());
        return seen ? seen->presence : plan::Presence::foreign;
    }
    std::string census() const { return test::postgres_census(server_.conninfo()); }
    // As the app does it: with the URL, over TCP, with the role's password.
    Result<sql::Postgres> connect_as_app() {
        auto url = servers_.database_url(test::postgres_place, database_ref().name, role_ref().name,
                                         soon());
        if (!url) {
            return tl::unexpected(url.error());
        }
        return sql::Postgres::open({*url, ""}, soon());
    }
    // Makes `source_` busy for others: by somebody who is not us.
    sql::Postgres visit(const std::string& database) {
        sql::Postgres visitor = server_.connect(database);
        const Status named = visitor.execute("SET application_name = 'psql'", soon());
        EXPECT_TRUE(named);
        return visitor;
    }
    // Waits until a session of the server fits `condition` on pg_stat_activity.
    void wait_for_session(const std::string& condition) {
        const Context ctx = soon();
        while (server_
                   .value("SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND " +
                          condition)
                   .empty()) {
            ASSERT_TRUE(wait_for(std::chrono::milliseconds(2), ctx)) << condition;
        }
    }

    std::string admin_;
    test::PrivatePostgres& server_;
    std::string source_ = "resource_source";
    PostgresServers servers_ = test::make_servers(server_.conninfo(admin_), "tstres");
    PostgresTemplate templates_{servers_};
    PostgresRole roles_{servers_};
    PostgresDatabase databases_{servers_};
    std::string before_;
};

class PostgresAsAdmin : public PostgresFixture {};
class PostgresAsSuperuser : public PostgresFixture {
protected:
    PostgresAsSuperuser() : PostgresFixture("postgres") {}
};

}    // namespace seatrial::resource
