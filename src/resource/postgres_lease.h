// Connections to the maintenance databases that stay open from one step of a reconcile to the
// next: making one costs two logins' worth of hashing and a process of the server.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sql/postgres.h"

namespace seatrial::resource {

// What is kept, by place. Thread: any.
class PostgresShelf {
public:
    // Until the last hold has ended, leases that end leave their connection here.
    static std::shared_ptr<void> hold(const std::shared_ptr<PostgresShelf>& shelf);
    // One that the server has not ended meanwhile.
    std::optional<sql::Postgres> take(const std::string& place);
    void give(const std::string& place, sql::Postgres db);

private:
    void end_hold();

    std::mutex mutex_;
    int holds_ = 0;
    std::map<std::string, std::vector<sql::Postgres>> kept_;
};

// A connection for one user at a time. At its end its locks are gone and it goes back to its
// shelf, or is closed.
class PostgresLease : public sql::Postgres {
public:
    // Without a shelf it is closed at its end.
    explicit PostgresLease(sql::Postgres db, std::shared_ptr<PostgresShelf> shelf = nullptr,
                           std::string place = {});
    PostgresLease(PostgresLease&&) noexcept = default;
    PostgresLease& operator=(PostgresLease&& other) noexcept;    // ends this one
    ~PostgresLease();
    // Holds advisory locks from here on.
    void set_locked() { locked_ = true; }

private:
    std::shared_ptr<PostgresShelf> shelf_;
    std::string place_;
    bool locked_ = false;
};

}    // namespace seatrial::resource
