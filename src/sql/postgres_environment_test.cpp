#include "sql/postgres_environment.h"

#include <gmock/gmock.h>

namespace seatrial::sql {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

std::map<std::string, std::string> read(const std::string& url) {
    const auto out = postgres_environment(Secret(url));
    EXPECT_TRUE(out) << render_error(out.error());
    std::map<std::string, std::string> shown;
    for (const auto& [name, value] : *out) {
        shown[name] = value.reveal();
    }
    return shown;
}

TEST(PostgresEnvironment, AUrlAsLibpqsVariables) {
    EXPECT_THAT(read("postgres://me:p%40ss@db.example:6432/shop?sslmode=require"),
                ElementsAre(Pair("PGDATABASE", "shop"), Pair("PGHOST", "db.example"),
                            Pair("PGPASSWORD", "p@ss"), Pair("PGPORT", "6432"),
                            Pair("PGSSLMODE", "require"), Pair("PGUSER", "me")));
}

TEST(PostgresEnvironment, WhatOtherLibrariesWrite) {
    for (const std::string url :
         {"postgresql+psycopg://me:x@db/shop", "postgresql://me:x@db/shop?schema=public",
          "jdbc:postgresql://db/shop?user=me&password=x&currentSchema=a",
          "postgresql://me:x@db/shop?connection_limit=5&pgbouncer=true"}) {
        EXPECT_THAT(read(url), ElementsAre(Pair("PGDATABASE", "shop"), Pair("PGHOST", "db"),
                                           Pair("PGPASSWORD", "x"), Pair("PGUSER", "me")))
            << url;
    }
}

TEST(PostgresEnvironment, WhatIsNoneIsRefusedWithoutAWordOfIt) {
    for (const std::string url : {"", "mysql://me:hidden@db/shop", "host=hidden", "hidden",
                                  "postgres://me:hidden@db", "postgres://me:hidden@[::1/shop"}) {
        const auto out = postgres_environment(Secret(url));
        ASSERT_FALSE(out) << url;
        EXPECT_EQ(out.error().code, Code::invalid);
        EXPECT_THAT(render_error(out.error()), Not(HasSubstr("hidden")));
    }
}

}    // namespace
}    // namespace seatrial::sql
