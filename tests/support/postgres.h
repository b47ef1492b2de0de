// A private PostgreSQL server for tests: own data folder, own socket, own port on 127.0.0.1,
// gone with everything it had when the object goes (or, at the latest, when this program dies).
// As root it runs as user postgres. The administrator comes in through the socket without a
// password; everybody else needs one over TCP.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sql/postgres.h"

namespace seatrial::test {

// Thread: one at a time; start it on the main thread (the server dies with the thread that
// started it).
class PrivatePostgres {
public:
    // `settings`: lines for postgresql.conf on top of the test defaults (fsync off, every
    // statement in the log). Aborts when the server cannot be started: nothing can be tested then.
    static std::unique_ptr<PrivatePostgres> start(const std::vector<std::string>& settings = {});
    // One for the whole program, started at the first call.
    static PrivatePostgres& shared();
    PrivatePostgres(const PrivatePostgres&) = delete;
    PrivatePostgres& operator=(const PrivatePostgres&) = delete;
    ~PrivatePostgres();

    // libpq key=value pairs. `user` without password through the socket.
    std::string conninfo(const std::string& user = "postgres") const;
    std::string tcp_conninfo(const std::string& user, const std::string& password) const;
    sql::PostgresTarget target(const std::string& user = "postgres") const;
    // Opens, runs, closes; fails the running test and returns nothing on an error.
    std::vector<sql::PgRow> query(std::string_view sql, const std::string& database = "postgres",
                                  const std::string& user = "postgres") const;
    void execute(std::string_view sql, const std::string& database = "postgres",
                 const std::string& user = "postgres") const;
    // First column of the first row, "" when there is none.
    std::string value(std::string_view sql, const std::string& database = "postgres") const;
    sql::Postgres connect(const std::string& database = "postgres",
                          const std::string& user = "postgres") const;

    void stop();           // in order: sessions are ended, data is written
    void crash();          // SIGKILL of the server's first process; returns when all are gone
    void start_again();    // after stop() or crash(); returns when it answers
    std::string log() const;
    int port() const { return port_; }

private:
    PrivatePostgres() = default;
    void spawn();
    void wait_gone();

    std::filesystem::path folder_;
    int port_ = 0;
    pid_t pid_ = -1;
};

}    // namespace seatrial::test
