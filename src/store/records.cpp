#include "store/records.h"

#include <fcntl.h>
#include <unistd.h>

#include <mutex>

#include "base/file.h"
#include "store/schema.h"
#include "store/select.h"

namespace seatrial::store {
namespace {

constexpr off_t reserve_bytes = 2 << 20;

bool means_full(const Error& error) {
    return error.mark == "sqlite:13" || error.mark == "sqlite:4874";    // FULL, IOERR_SHMSIZE
}

}    // namespace

struct Records::Impl {
    Impl(sql::Sqlite writer, sql::Sqlite reader, std::filesystem::path file)
        : writer_db(std::move(writer)), reader_db(std::move(reader)), reserve(std::move(file)) {}

    Status write_once(sql::Durability durability, const std::function<Status(Writer&)>& body,
                      std::vector<Event>& events) {
        events.clear();
        return writer_db.transaction(durability, [&]() -> Status {
            Writer writer(writer_db, events);
            return body(writer);
        });
    }

    template <class Function>
    auto read(Function&& function) {
        const std::lock_guard lock(reader_mutex);
        return function(reader_db);
    }

    std::mutex writer_mutex;
    sql::Sqlite writer_db;
    std::mutex reader_mutex;
    sql::Sqlite reader_db;
    std::filesystem::path reserve;
    std::mutex listener_mutex;
    std::function<void(const std::vector<Event>&)> listener;
};

Records::Records(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Records::~Records() = default;

Result<std::unique_ptr<Records>> Records::open(const std::filesystem::path& file) {
    TRY_ASSIGN(auto writer, sql::Sqlite::open(file));
    TRY(migrate_schema(writer));
    TRY_ASSIGN(auto reader, sql::Sqlite::open(file));
    auto reserve = file;
    reserve += ".reserve";
    std::unique_ptr<Records> records(new Records(
        std::make_unique<Impl>(std::move(writer), std::move(reader), std::move(reserve))));
    records->keep_reserve();
    return records;
}

void Records::keep_reserve() {
    const Fd fd(::open(impl_->reserve.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd || ::posix_fallocate(fd.get(), 0, reserve_bytes) != 0) {
        ::unlink(impl_->reserve.c_str());    // without room there is none; the next call tries
    }
}

Status Records::write(sql::Durability durability, const std::function<Status(Writer&)>& body) {
    std::vector<Event> events;
    {
        const std::lock_guard lock(impl_->writer_mutex);
        Status written = impl_->write_once(durability, body, events);
        if (!written && means_full(written.error()) && ::unlink(impl_->reserve.c_str()) == 0) {
            written = impl_->write_once(durability, body, events);
        }
        TRY(written);
    }
    if (!events.empty()) {
        std::function<void(const std::vector<Event>&)> listener;
        {
            const std::lock_guard lock(impl_->listener_mutex);
            listener = impl_->listener;
        }
        if (listener) {
            listener(events);
        }
    }
    return {};
}

void Records::on_events(std::function<void(const std::vector<Event>&)> listener) {
    const std::lock_guard lock(impl_->listener_mutex);
    impl_->listener = std::move(listener);
}

Result<std::optional<Life>> Records::life(const std::string& id) {
    return impl_->read([&](sql::Sqlite& db) { return select_life(db, "id = ?", {id}); });
}

Result<std::vector<Life>> Records::lives(const LifeFilter& filter) {
    std::string where = filter.removed ? "1 = 1" : "state <> 'removed'";
    std::vector<sql::Value> values;
    const auto add = [&](std::string_view column, const std::string& value) {
        if (!value.empty()) {
            where += " AND " + std::string(column) + " = ?";
            values.emplace_back(value);
        }
    };
    add("kind", filter.kind);
    add("app", filter.app);
    add("key", filter.key);
    add("env", filter.env);
    return impl_->read(
        [&](sql::Sqlite& db) { return select_lives(db, where + " ORDER BY id", values); });
}

Result<std::vector<std::string>> Records::unfinished(const std::string& kind) {
    std::vector<std::string> ids;
    const auto status = impl_->read([&](sql::Sqlite& db) {
        return db.run("SELECT id FROM life WHERE state <> 'removed' AND kind = ? ORDER BY id",
                      {kind}, [&](const sql::Row& row) -> Status {
                          ids.push_back(row.text(0));
                          return {};
                      });
    });
    TRY(status);
    return ids;
}

Result<std::vector<Life>> Records::expiring(WallTime before, int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        return select_lives(db,
                            "wanted = 1 AND pinned = 0 AND expires_at <= ? ORDER BY expires_at "
                            "LIMIT ?",
                            {millis(before), limit});
    });
}

Result<std::vector<Life>> Records::unwarned(WallTime before, int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        return select_lives(db,
                            "wanted = 1 AND pinned = 0 AND warned = 0 AND expires_at <= ? ORDER BY "
                            "expires_at LIMIT ?",
                            {millis(before), limit});
    });
}

Result<std::int64_t> Records::ending() {
    std::int64_t count = 0;
    TRY(impl_->read([&](sql::Sqlite& db) {
        return db.run("SELECT count(*) FROM life WHERE wanted = 0 AND state <> 'removed'", {},
                      [&](const sql::Row& row) -> Status {
                          count = row.integer(0);
                          return {};
                      });
    }));
    return count;
}

Result<std::optional<WallTime>> Records::next_expiry(bool warnings) {
    std::optional<WallTime> next;
    const std::string extra = warnings ? " AND warned = 0" : "";
    const auto status = impl_->read([&](sql::Sqlite& db) {
        return db.run("SELECT min(expires_at) FROM life WHERE wanted = 1 AND pinned = 0" + extra,
                      {}, [&](const sql::Row& row) -> Status {
                          if (!row.null(0)) {
                              next = wall(row.integer(0));
                          }
                          return {};
                      });
    });
    TRY(status);
    return next;
}

Result<std::vector<Owned>> Records::owned(const std::string& life) {
    return impl_->read([&](sql::Sqlite& db) {
        return select_owned(db, "WHERE life = ? ORDER BY position", {life});
    });
}

Result<std::vector<Owned>> Records::owned_all() {
    return impl_->read([&](sql::Sqlite& db) { return select_owned(db, "", {}); });
}

Result<std::vector<Owned>> Records::shared_unused() {
    return impl_->read([&](sql::Sqlite& db) {
        return select_owned(db,
                            "AS o WHERE life = '' AND NOT EXISTS (SELECT 1 FROM uses AS u WHERE "
                            "u.type = o.type AND u.place = o.place AND u.name = o.name)",
                            {});
    });
}

Result<std::vector<Slot>> Records::slots(const std::string& kind, const std::string& place) {
    return impl_->read(
        [&](sql::Sqlite& db) { return select_slots(db, "kind = ? AND place = ?", {kind, place}); });
}

Result<std::vector<Slot>> Records::slots_of(const std::string& life) {
    return impl_->read([&](sql::Sqlite& db) { return select_slots(db, "life = ?", {life}); });
}

Result<std::vector<Release>> Records::releases(const std::string& app, int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        return app.empty() ? select_releases(db, "true ORDER BY id DESC LIMIT ?", {limit})
                           : select_releases(db, "app = ? ORDER BY id DESC LIMIT ?", {app, limit});
    });
}

Result<std::optional<Release>> Records::release(const std::string& id) {
    TRY_ASSIGN(auto found,
               impl_->read([&](sql::Sqlite& db) { return select_releases(db, "id = ?", {id}); }));
    return found.empty() ? std::optional<Release>() : std::move(found.front());
}

Result<std::vector<Incident>> Records::incidents(const std::string& app, const std::string& env,
                                                 int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        return select_incidents(db,
                                "(? = '' OR app = ?) AND (? = '' OR env = ?) ORDER BY id DESC "
                                "LIMIT ?",
                                {app, app, env, env, limit});
    });
}

Result<std::optional<Approval>> Records::approval(const std::string& id) {
    TRY_ASSIGN(auto found,
               impl_->read([&](sql::Sqlite& db) { return select_approvals(db, "id = ?", {id}); }));
    return found.empty() ? std::optional<Approval>() : std::move(found.front());
}

Result<std::vector<Approval>> Records::approvals(const std::string& app, const std::string& env,
                                                 bool open, int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        return select_approvals(db,
                                "(? = '' OR app = ?) AND (? = '' OR env = ?) AND (? = 0 OR state = "
                                "'open') ORDER BY id DESC LIMIT ?",
                                {app, app, env, env, open, limit});
    });
}

Result<std::optional<WallTime>> Records::next_approval_expiry() {
    std::optional<WallTime> next;
    TRY(impl_->read([&](sql::Sqlite& db) {
        return db.run("SELECT min(expires_at) FROM approval WHERE state = 'open'", {},
                      [&](const sql::Row& row) -> Status {
                          if (!row.null(0)) {
                              next = wall(row.integer(0));
                          }
                          return {};
                      });
    }));
    return next;
}

Result<std::vector<Event>> Records::events(std::int64_t after, const std::string& life, int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        if (life.empty()) {
            return select_events(db, "seq > ? ORDER BY seq LIMIT ?", {after, limit});
        }
        return select_events(db, "life = ? AND seq > ? ORDER BY seq LIMIT ?", {life, after, limit});
    });
}

Result<std::vector<Event>> Records::steps(const std::string& life, std::int64_t generation) {
    return impl_->read([&](sql::Sqlite& db) {
        if (generation > 0) {
            return select_events(db, "life = ? AND kind = 'step' AND generation = ? ORDER BY seq",
                                 {life, generation});
        }
        return select_events(db,
                             "life = ? AND kind = 'step' AND generation = (SELECT max(generation) "
                             "FROM event WHERE life = ? AND kind = 'step') ORDER BY seq",
                             {life, life});
    });
}

Result<std::int64_t> Records::last_event() {
    return impl_->read([&](sql::Sqlite& db) {
        return select_number(db, "SELECT coalesce(max(seq), 0) FROM event", {});
    });
}

Result<std::optional<std::string>> Records::meta(const std::string& key) {
    std::optional<std::string> value;
    const auto status = impl_->read([&](sql::Sqlite& db) {
        return db.run("SELECT value FROM meta WHERE key = ?", {key},
                      [&](const sql::Row& row) -> Status {
                          value = row.text(0);
                          return {};
                      });
    });
    TRY(status);
    return value;
}

Status Records::integrity_check(const std::filesystem::path& file) {
    TRY_ASSIGN(auto db, sql::Sqlite::open(file, true));
    return db.integrity_check();
}

Status Records::backup_to(const std::filesystem::path& file) {
    const std::lock_guard lock(impl_->reader_mutex);
    return impl_->reader_db.backup_to(file);
}

std::int64_t Records::synced_commits() const {
    return impl_->writer_db.synced_commits();
}

}    // namespace seatrial::store
