#include "resource/postgres_lease.h"

namespace seatrial::resource {
namespace {

constexpr std::size_t most_kept = 8;    // of one place
constexpr std::chrono::seconds unlock_time{2};

}    // namespace

std::shared_ptr<void> PostgresShelf::hold(const std::shared_ptr<PostgresShelf>& shelf) {
    const std::lock_guard lock(shelf->mutex_);
    ++shelf->holds_;
    return {shelf.get(), [shelf](void*) { shelf->end_hold(); }};
}

void PostgresShelf::end_hold() {
    std::map<std::string, std::vector<sql::Postgres>> closed;    // after the lock
    const std::lock_guard lock(mutex_);
    if (--holds_ == 0) {
        closed.swap(kept_);
    }
}

std::optional<sql::Postgres> PostgresShelf::take(const std::string& place) {
    while (true) {
        std::optional<sql::Postgres> db;
        {
            const std::lock_guard lock(mutex_);
            const auto found = kept_.find(place);
            if (found == kept_.end() || found->second.empty()) {
                return std::nullopt;
            }
            db = std::move(found->second.back());
            found->second.pop_back();
        }
        if (db->reusable()) {
            return db;
        }
    }
}

void PostgresShelf::give(const std::string& place, sql::Postgres db) {
    const std::lock_guard lock(mutex_);
    auto& kept = kept_[place];
    if (holds_ > 0 && kept.size() < most_kept) {
        kept.push_back(std::move(db));
    }
}

PostgresLease::PostgresLease(sql::Postgres db, std::shared_ptr<PostgresShelf> shelf,
                             std::string place)
    : sql::Postgres(std::move(db)), shelf_(std::move(shelf)), place_(std::move(place)) {}

PostgresLease& PostgresLease::operator=(PostgresLease&& other) noexcept {
    const PostgresLease ended(std::move(*this));
    sql::Postgres::operator=(static_cast<sql::Postgres&&>(other));
    shelf_ = std::move(other.shelf_);
    place_ = std::move(other.place_);
    locked_ = other.locked_;
    return *this;
}

PostgresLease::~PostgresLease() {
    if (shelf_ == nullptr || !reusable()) {
        return;
    }
    // Whoever waits for one of them gets it now; a server too slow for that loses the connection.
    if (locked_ &&
        !execute("SELECT pg_advisory_unlock_all()", Context().with_timeout(unlock_time))) {
        return;
    }
    shelf_->give(place_, std::move(*this));
}

}    // namespace seatrial::resource
