#include "edge/haproxy.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "base/failpoint.h"
#include "edge/disk.h"
#include "edge/worker.h"

namespace seatrial::edge {
namespace {

constexpr int servers_only = 4;
constexpr int servers_and_total = 6;

std::string seat_name(int shard, int number) {
    return std::to_string(shard) + "/p" + std::to_string(number);
}

// Hosts keep their seats; a new one takes the lowest that is free in its shard and not busy.
PreviewSeats seat(const Wanted& wanted, const PreviewSeats& before, std::set<std::string> taken) {
    PreviewSeats out;
    for (const auto& preview : wanted.previews) {
        if (const auto found = before.find(preview.host); found != before.end()) {
            out.insert(*found);
            taken.insert(found->second);
        }
    }
    std::map<int, int> from;    // shard → first number that may be free
    for (const auto& preview : wanted.previews) {
        if (out.count(preview.host) == 0) {
            const int shard = preview_shard(preview.host);
            int& number = from[shard];
            while (!taken.insert(seat_name(shard, number)).second) {
                ++number;
            }
            out[preview.host] = seat_name(shard, number);
        }
    }
    return out;
}

std::int64_t value_of(const std::map<std::string, std::map<std::string, std::int64_t>>& table,
                      const std::string& key, const std::string& name) {
    const auto row = table.find(key);
    if (row == table.end()) {
        return 0;
    }
    const auto value = row->second.find(name);
    return value == row->second.end() ? 0 : value->second;
}

}    // namespace

struct Haproxy::Impl {
    Impl(std::filesystem::path folder, std::string program)
        : disk(std::move(folder), std::move(program)), worker(disk), seats(disk.read_seats()) {}

    // A seat freed lately may still have sessions of the preview that went.
    Result<std::set<std::string>> busy_seats(const Wanted& wanted, const Context& ctx) const {
        constexpr std::string_view backends = "previews.";
        std::set<std::string> out;
        if (std::all_of(
                wanted.previews.begin(), wanted.previews.end(),
                [&](const PreviewRoute& preview) { return seats.count(preview.host) != 0; })) {
            return out;
        }
        TRY_ASSIGN(const auto rows, worker.stat("-1", servers_only, 0, ctx));
        for (const auto& row : rows) {
            const std::string& backend = row.at("pxname");
            if (number_in(row, "scur") > 0 && backend.starts_with(backends)) {
                out.insert(backend.substr(backends.size()) + "/" + row.at("svname"));
            }
        }
        return out;
    }

    Result<Applied> apply(const Wanted& asked, const Context& ctx) {
        TRY(validate(asked));
        TRY_ASSIGN(const std::string running, worker.structure(ctx));
        Applied out;
        TRY_ASSIGN(const Wanted wanted, disk.usable(asked, &out.warnings, ctx));
        TRY_ASSIGN(auto busy, busy_seats(wanted, ctx));
        seats = seat(wanted, seats, std::move(busy));
        const Maps maps = render_maps(wanted, seats);
        const std::string structure = disk.structure(wanted);
        if (running != structure) {
            TRY(disk.write_maps(maps));
            TRY(disk.write_config(wanted, seats, structure, true, ctx));
            TRY(failpoint("edge.written"));
            TRY(worker.reload(structure, ctx));
            out.reloaded = true;
        }
        TRY(worker.repair(maps, wanted_servers(wanted, seats), ctx));
        TRY(disk.write_maps(maps));
        TRY(disk.write_config(wanted, seats, structure, false, ctx));
        return out;
    }

    Status add_stat(const std::string& backend, pid_t of, Counts* out, const Context& ctx) const {
        TRY_ASSIGN(const auto rows, worker.stat(backend, servers_and_total, of, ctx));
        for (const auto& row : rows) {
            const bool total = row.at("svname") == "BACKEND";
            const std::int64_t failed = number_in(row, "hrsp_5xx");
            out->failed_by_edge += total ? failed : -failed;
            out->open += total ? static_cast<int>(number_in(row, "scur")) : 0;
        }
        return {};
    }

    Result<Counts> counts(const std::string& start, const Context& ctx) const {
        Counts out;
        TRY_ASSIGN(const auto table, worker.table("counts", ctx));
        TRY_ASSIGN(const auto kinds, worker.table("kinds", ctx));
        TRY_ASSIGN(auto workers, worker.old_workers(ctx));
        out.old_workers = static_cast<int>(workers.size());
        workers.push_back(0);
        TRY_ASSIGN(const auto backends, worker.backends(start, ctx));
        for (const auto& backend : backends) {
            for (const pid_t of : workers) {
                TRY(add_stat(backend, of, &out, ctx));
            }
            out.requests += value_of(table, backend, "http_req_cnt");
            out.failed_by_app += value_of(table, backend, "http_fail_cnt");
            out.slow += value_of(table, backend, "gpc0");
            out.window.requests += value_of(table, backend, "http_req_rate");
            out.window.failed_by_app += value_of(table, backend, "http_fail_rate");
            out.window.slow += value_of(table, backend, "gpc0_rate");
            out.websockets +=
                static_cast<int>(value_of(kinds, backend + "!websockets", "conn_cur"));
            out.streams += static_cast<int>(value_of(kinds, backend + "!streams", "conn_cur"));
        }
        return out;
    }

    std::mutex mutex;
    Disk disk;
    Worker worker;
    PreviewSeats seats;
};

Haproxy::Haproxy(std::filesystem::path folder, std::string program)
    : impl_(std::make_unique<Impl>(std::move(folder), std::move(program))) {}

Haproxy::~Haproxy() = default;

std::vector<std::string> Haproxy::command() const {
    const Disk& disk = impl_->disk;
    return {disk.program(), "-W",
            "-S",           disk.master().string() + ",mode,600",
            "-f",           (disk.folder() / "haproxy.cfg").string()};
}

Result<Applied> Haproxy::write(const Wanted& asked, const Context& ctx) {
    const std::lock_guard lock(impl_->mutex);
    Disk& disk = impl_->disk;
    TRY(validate(asked));
    Applied out;
    TRY_ASSIGN(const Wanted wanted, disk.usable(asked, &out.warnings, ctx));
    impl_->seats = seat(wanted, impl_->seats, {});
    TRY(disk.write_maps(render_maps(wanted, impl_->seats)));
    TRY(disk.write_config(wanted, impl_->seats, disk.structure(wanted), true, ctx));
    return out;
}

Result<Applied> Haproxy::apply(const Wanted& wanted, const Context& ctx) {
    const std::lock_guard lock(impl_->mutex);
    return impl_->apply(wanted, ctx);
}

Result<bool> Haproxy::trusts(const std::string& site, const std::string& slot, const Context& ctx) {
    const std::lock_guard lock(impl_->mutex);
    const Worker& worker = impl_->worker;
    TRY_ASSIGN(const auto backends, worker.backends(site + "." + slot + ".", ctx));
    for (const auto& backend : backends) {
        TRY_ASSIGN(const auto rows, worker.stat(backend, 4, 0, ctx));
        for (const auto& row : rows) {    // "DOWN", "DOWN 1/2"; in maintenance: not of this slot
            if (row.at("status").starts_with("DOWN")) {
                return false;
            }
        }
    }
    return true;
}

Result<Counts> Haproxy::counts(const std::string& site, const std::string& slot,
                               const Context& ctx) {
    const std::lock_guard lock(impl_->mutex);
    return impl_->counts(site + "." + slot + ".", ctx);
}

Status Haproxy::close_sessions(const std::string& site, const std::string& slot,
                               const Context& ctx) {
    const std::lock_guard lock(impl_->mutex);
    TRY_ASSIGN(const auto backends, impl_->worker.backends(site + "." + slot + ".", ctx));
    return impl_->worker.close_sessions(backends, ctx);
}

Status Haproxy::close_dead(const std::string& site, const std::string& slot, const Server& dead,
                           const Context& ctx) {
    const std::lock_guard lock(impl_->mutex);
    TRY_ASSIGN(const auto backends, impl_->worker.backends(site + "." + slot + ".", ctx));
    return impl_->worker.close_dead(backends, dead, ctx);
}

Result<std::string> Haproxy::worker(const Context& ctx) {
    return impl_->worker.pid(ctx);
}

}    // namespace seatrial::edge
