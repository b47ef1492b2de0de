#include "release/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::release {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Values = std::map<std::string, std::string>;

config::Environment place(const std::string& name, const Values& env) {
    config::Environment out;
    out.name = name;
    out.release.listen = {"4400"};
    out.env = env;
    return out;
}

std::vector<std::string> differ(const config::Environment& from, const config::Environment& to) {
    Reader reader({}, Context());
    return differences(from, to, reader).value();
}

std::vector<Shared> shared_by(const config::Server& server, const config::Environment& one) {
    Reader reader({}, Context());
    return shared_databases(server, one, reader).value();
}

std::vector<std::string> notes_of(const config::Server& server, const config::Environment& one) {
    Reader reader({}, Context());
    return environment_notes(server, one, reader).value();
}

TEST(Differences, NamesAreTheSameAndValuesUnlessDeclared) {
    const auto stg = place("stg", {{"PORT", "1"},
                                   {"COOKIE_DOMAIN", "a"},
                                   {"LEVEL", "debug"},
                                   {"ONLY", "x"},
                                   {"SAME", "hunter2"}});
    auto prd = place("prd", {{"PORT", "2"},
                             {"COOKIE_DOMAIN", "b"},
                             {"LEVEL", "info"},
                             {"NEW", "y"},
                             {"SAME", "hunter2"}});
    EXPECT_THAT(differ(stg, prd), ElementsAre("LEVEL has another value in prd than in stg",
                                              "NEW is only in prd", "ONLY is only in stg"));
    prd.release.may_differ = {"LEV*", "PORT", "COOKIE_DOMAIN", "ONLY"};
    EXPECT_THAT(differ(stg, prd), ElementsAre("NEW is only in prd", "ONLY is only in stg"));
    EXPECT_THAT(differ(stg, stg), IsEmpty());
}

TEST(DatabaseOf, IsThePlaceWhoeverLogsIn) {
    EXPECT_EQ(database_of("postgres://u:p%40@DB.example:5432/shop?sslmode=off"),
              "db.example:5432/shop");
    EXPECT_EQ(database_of("postgresql+psycopg://other@db.example/shop"), "db.example:5432/shop");
    EXPECT_EQ(database_of("mysql://db/shop"), "db:3306/shop");
    EXPECT_EQ(database_of("jdbc:mariadb://db/shop"), "db:3306/shop");
    EXPECT_EQ(database_of("postgres://127.0.0.1/shop"), database_of("postgres://localhost/shop"));
    EXPECT_EQ(database_of("postgres://[::1]:5432/a"), "localhost:5432/a");
    EXPECT_EQ(database_of("postgres://u:p@w@h/a"), "h:5432/a");
    for (const char* none : {"", "://", "http://db/shop", "redis://db/1", "shop", "postgres:/x"}) {
        EXPECT_EQ(database_of(none), "") << none;
    }
}

TEST(SharedDatabases, AreFoundUnderAnyName) {
    config::Server server;
    server.environments["int"] = config::Environment();    // takes no releases
    server.environments["int"].env = {{"DATABASE_URL", "postgres://db/shop"}};
    server.environments["prd"] = place("prd", {{"MAIN_DB", "postgres://b@db:5432/shop"}});
    server.environments["prd"].approval = true;
    const auto stg = place("stg", {{"A", "x"}, {"DATABASE_URL", "postgres://a@db/shop"}});
    server.environments["stg"] = stg;
    const auto shared = shared_by(server, stg);
    ASSERT_EQ(shared.size(), 1U);
    EXPECT_EQ(shared[0].env, "prd");
    EXPECT_EQ(shared[0].variable, "DATABASE_URL");
    EXPECT_THAT(notes_of(server, stg),
                ElementsAre(HasSubstr("DATABASE_URL is the database of prd, too: migrations may "
                                      "only add, and need an approval")));
    server.environments["prd"].env = {{"MAIN_DB", "postgres://b@db:5432/shop_prd"}};
    EXPECT_THAT(notes_of(server, stg), IsEmpty());
}

TEST(SharedDatabases, WhatCannotBeToldIsNotNo) {
    config::Server server;
    server.environments["prd"] = place("prd", {});
    server.environments["prd"].release.secrets.resize(1);    // of no known kind
    const auto stg = place("stg", {{"DATABASE_URL", "postgres://a@db/shop"}});
    const auto shared = shared_by(server, stg);
    ASSERT_EQ(shared.size(), 1U);
    EXPECT_EQ(shared[0].variable, "");
    EXPECT_THAT(shared[0].why, HasSubstr("no such source"));
    EXPECT_THAT(notes_of(server, stg), ElementsAre(HasSubstr("cannot be told")));
}

TEST(EnvironmentNotes, OneCookieDomainForTwo) {
    config::Server server;
    server.environments["prd"] = place("prd", {{"COOKIE_DOMAIN", ".shop.example"}});
    const auto stg = place("stg", {{"COOKIE_DOMAIN", ".shop.example"}});
    EXPECT_THAT(notes_of(server, stg), ElementsAre(HasSubstr("COOKIE_DOMAIN is that of prd")));
    EXPECT_THAT(notes_of(server, place("stg", {{"COOKIE_DOMAIN", ""}})), IsEmpty());
    EXPECT_THAT(notes_of(server, place("stg", {{"COOKIE_DOMAIN", ".x"}})), IsEmpty());
}

}    // namespace
}    // namespace seatrial::release
