#include "sql/postgres.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "sql/postgres_error.h"
#include "support/postgres.h"
#include "support/temp_dir.h"

namespace seatrial::sql {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::PrivatePostgres;
using testing::HasSubstr;
using testing::Not;

Context soon() {
    return Context().with_timeout(seconds(30));
}

class PostgresTest : public testing::Test {
protected:
    PrivatePostgres& server_ = PrivatePostgres::shared();
};

TEST_F(PostgresTest, ValuesGoAndComeBack) {
    Postgres db = server_.connect();
    const auto rows = db.query("SELECT $1::text, $2::int + 1, $3::text, ''",
                               {"a'\"\\ \n\xC3\xA9", "41", {}}, soon());
    ASSERT_TRUE(rows) << render_error(rows.error());
    ASSERT_EQ(rows->size(), 1U);
    EXPECT_EQ((*rows)[0], (PgRow{"a'\"\\ \n\xC3\xA9", "42", std::nullopt, ""}));
    EXPECT_GE(db.server_version(), 130000);
    EXPECT_EQ(db.port(), std::to_string(server_.port()));
    EXPECT_THAT(db.host(), HasSubstr("/sock"));
}

TEST_F(PostgresTest, LargeStatementsAndResultsPass) {
    Postgres db = server_.connect();
    const std::string large(9 << 20, 'x');
    const auto rows = db.query("SELECT $1::text || generate_series(1, 3)", {large}, soon());
    ASSERT_TRUE(rows) << render_error(rows.error());
    ASSERT_EQ(rows->size(), 3U);
    EXPECT_EQ((*rows)[2][0]->size(), large.size() + 1);
}

TEST_F(PostgresTest, ExecuteRunsSeveralStatementsAsOne) {
    Postgres db = server_.connect();
    ASSERT_TRUE(db.execute("CREATE TEMP TABLE t (v int); INSERT INTO t VALUES (1), (2)", soon()));
    const Status failed = db.execute("INSERT INTO t VALUES (3); SELECT 1/0", soon());
    EXPECT_EQ(sqlstate_of(failed.error()), "22012");
    EXPECT_EQ(failed.error().code, Code::invalid);
    const auto rows = db.query("SELECT count(*) FROM t", {}, soon());
    ASSERT_TRUE(rows);
    EXPECT_EQ((*rows)[0][0], "2");
}

TEST_F(PostgresTest, QuotingIsSafe) {
    Postgres db = server_.connect();
    const std::string odd = "a\"; DROP TABLE x; --'\\";
    const auto rows =
        db.query("SELECT " + db.quote_literal(odd) + " AS " + db.quote_identifier(odd), {}, soon());
    ASSERT_TRUE(rows) << render_error(rows.error());
    EXPECT_EQ((*rows)[0][0], odd);
    EXPECT_FALSE(db.execute("SELECT " + db.quote_literal("\xC3' OR true"), soon()));
    EXPECT_FALSE(db.execute("SELECT 1 AS " + db.quote_identifier("\xFF\""), soon()));
}

TEST_F(PostgresTest, ZeroBytesAreRefusedNotCut) {
    Postgres db = server_.connect();
    EXPECT_EQ(db.query("SELECT $1", {std::string("a\0b", 3)}, soon()).error().code, Code::invalid);
    EXPECT_FALSE(db.execute(std::string_view("SELECT 1;\0 x", 12), soon()));
}

TEST_F(PostgresTest, ErrorsKeepTheirState) {
    Postgres db = server_.connect();
    const struct {
        std::string_view sql;
        std::string_view state;
        Code code;
    } cases[] = {
        {"CREATE DATABASE postgres", "42P04", Code::conflict},
        {"CREATE ROLE postgres", "42710", Code::conflict},
        {"DROP ROLE nobody_here", "42704", Code::not_found},
        {"DROP DATABASE nothing_here", "3D000", Code::not_found},
        {"SELEC 1", "42601", Code::internal},
        {"SELECT * FROM nothing_here", "42P01", Code::not_found},
        {"SET lock_timeout = '10ms'; LOCK TABLE pg_class; SELECT 1/0", "22012", Code::invalid},
    };
    for (const auto& one : cases) {
        const Status failed = db.execute(one.sql, soon());
        ASSERT_FALSE(failed) << one.sql;
        EXPECT_EQ(sqlstate_of(failed.error()), one.state) << render_error(failed.error());
        EXPECT_EQ(failed.error().code, one.code) << one.sql;
        EXPECT_THAT(render_error(failed.error()), Not(HasSubstr("sqlstate")));
    }
    const auto wrapped = wrap(fail_sqlstate("42P04", "there").value(), "outer");
    EXPECT_EQ(sqlstate_of(wrapped.value()), "42P04");
}

TEST_F(PostgresTest, ConnectionErrorsSayWhoMayRetry) {
    const auto login =
        Postgres::open({Secret(server_.tcp_conninfo("postgres", "wrong-pw-1")), {}}, soon());
    ASSERT_FALSE(login);
    EXPECT_EQ(login.error().code, Code::refused);
    EXPECT_EQ(sqlstate_of(login.error()), "28P01");
    EXPECT_THAT(render_error(login.error()), Not(HasSubstr("wrong-pw-1")));
    EXPECT_THAT(render_error(login.error()), Not(HasSubstr("LOCATION")));

    const auto missing = Postgres::open({Secret(server_.conninfo()), "nothing_here"}, soon());
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Code::not_found);

    const auto nobody = Postgres::open({Secret("host=127.0.0.1 port=1"), {}}, soon());
    ASSERT_FALSE(nobody);
    EXPECT_EQ(nobody.error().code, Code::unavailable);

    for (const char* unreadable :
         {"password=hunter2 host", "postgresql://u:hunter2@[::1/x", "hunter2"}) {
        const auto invalid = Postgres::open({Secret(unreadable), {}}, soon());
        ASSERT_FALSE(invalid) << unreadable;
        EXPECT_EQ(invalid.error().code, Code::invalid);
        EXPECT_THAT(render_error(invalid.error()), Not(HasSubstr("hunter2")));
    }
}

TEST_F(PostgresTest, FindsTheStateInAVerboseMessage) {
    EXPECT_EQ(find_sqlstate("to server at \"h\", port 1 failed: FATAL:  28P01: password auth"),
              "28P01");
    EXPECT_EQ(find_sqlstate("FATAL:  sorry, too many"), "");
    EXPECT_EQ(find_sqlstate("FATAL:  53300:"), "53300");
    EXPECT_EQ(find_sqlstate(""), "");
}

TEST_F(PostgresTest, TooManyConnectionsIsUnavailable) {
    server_.execute("CREATE ROLE limited LOGIN CONNECTION LIMIT 1");
    {
        Postgres first = server_.connect("postgres", "limited");
        const auto second = Postgres::open(server_.target("limited"), soon());
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Code::unavailable);
        EXPECT_EQ(sqlstate_of(second.error()), "53300");
    }
    server_.execute("DROP ROLE limited");
}

TEST_F(PostgresTest, CancellingEndsTheStatementOnTheServerToo) {
    Postgres db = server_.connect();
    Postgres watcher = server_.connect();
    const auto pid = db.query("SELECT pg_backend_pid()", {}, soon());
    ASSERT_TRUE(pid);
    CancelSource source;
    std::jthread canceller([&] {
        // Only when the server is really at it.
        const std::string sql =
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' "
            "AND state = 'active' AND pid = " +
            *(*pid)[0][0];
        while (true) {
            const auto rows = watcher.query(sql, {}, soon());
            if (!rows || !rows->empty()) {
                source.cancel();
                return;
            }
        }
    });
    const auto started = std::chrono::steady_clock::now();
    const auto slept =
        db.query("SELECT pg_sleep(60)", {}, source.context().with_timeout(seconds(30)));
    EXPECT_EQ(slept.error().code, Code::cancelled);
    EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(20));
    // The connection stays usable: the statement has ended there.
    const auto rows = db.query("SELECT 7", {}, soon());
    ASSERT_TRUE(rows) << render_error(rows.error());
    EXPECT_EQ((*rows)[0][0], "7");
}

TEST_F(PostgresTest, DeadlinesHold) {
    Postgres db = server_.connect();
    const auto slept =
        db.query("SELECT pg_sleep(60)", {}, Context().with_timeout(milliseconds(50)));
    EXPECT_EQ(slept.error().code, Code::timed_out);
    CancelSource source;
    source.cancel();
    EXPECT_EQ(db.query("SELECT 1", {}, source.context()).error().code, Code::cancelled);
    EXPECT_EQ(Postgres::open(server_.target(), source.context()).error().code, Code::cancelled);
}

TEST_F(PostgresTest, AServerThatNeverAnswersIsGivenUp) {
    const test::TempDir dir;
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir.path() / ".s.PGSQL.5432";
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    const auto opened = Postgres::open({Secret("port=5432 host=" + dir.path().string()), {}},
                                       Context().with_timeout(milliseconds(50)));
    EXPECT_EQ(opened.error().code, Code::timed_out);
    ::close(listener);
}

TEST_F(PostgresTest, ScramVerifierLogsInWithoutThePasswordEverSent) {
    Postgres db = server_.connect();
    const Secret password("correct horse 8271");
    const auto verifier = db.scram_verifier("scrammy", password);
    ASSERT_TRUE(verifier);
    EXPECT_THAT(*verifier, testing::StartsWith("SCRAM-SHA-256$"));
    ASSERT_TRUE(
        db.execute("CREATE ROLE scrammy LOGIN PASSWORD " + db.quote_literal(*verifier), soon()));
    const auto in =
        Postgres::open({Secret("host=127.0.0.1 dbname=postgres user=scrammy password='" +
                               password.reveal() + "' port=" + std::to_string(server_.port())),
                        {}},
                       soon());
    EXPECT_TRUE(in) << render_error(in.error());
    EXPECT_THAT(server_.log(), Not(HasSubstr(password.reveal())));
    ASSERT_TRUE(db.execute("DROP ROLE scrammy", soon()));
}

TEST_F(PostgresTest, ToolEnvironmentSaysHowToConnect) {
    Postgres db = server_.connect();
    const auto lines = db.tool_environment();
    EXPECT_THAT(lines, testing::Contains("PGPORT=" + std::to_string(server_.port())));
    EXPECT_THAT(lines, testing::Contains("PGUSER=postgres"));
    EXPECT_THAT(lines, testing::Contains("PGHOST=" + db.host()));
    EXPECT_THAT(lines, Not(testing::Contains(testing::StartsWith("PGDATABASE="))));
}

TEST_F(PostgresTest, CopyIsRefusedAndTheConnectionGivenUp) {
    Postgres db = server_.connect();
    EXPECT_EQ(db.execute("COPY pg_class TO STDOUT", soon()).error().code, Code::internal);
    EXPECT_EQ(db.query("SELECT 1", {}, soon()).error().code, Code::unavailable);
    EXPECT_EQ(db.quote_identifier("x"), "\"\"");
    EXPECT_EQ(db.server_version(), 0);
}

TEST(PostgresCrash, ALostServerIsUnavailableAndComesBack) {
    const auto server = PrivatePostgres::start();
    Postgres db = server->connect();
    ASSERT_TRUE(db.query("SELECT 1", {}, soon()));
    server->crash();
    EXPECT_EQ(db.query("SELECT 1", {}, soon()).error().code, Code::unavailable);
    EXPECT_EQ(db.query("SELECT 1", {}, soon()).error().code, Code::unavailable);
    EXPECT_EQ(Postgres::open(server->target(), soon()).error().code, Code::unavailable);
    server->start_again();
    EXPECT_EQ(server->value("SELECT 5"), "5");
    server->stop();
    server->start_again();
    EXPECT_EQ(server->value("SELECT 6"), "6");
}

}    // namespace
}    // namespace seatrial::sql
