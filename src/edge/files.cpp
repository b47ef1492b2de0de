#include "edge/files.h"

#include <cstdint>

namespace seatrial::edge {
namespace {

// Lines of a configuration file.
class Lines {
public:
    void section(const std::string& text) { text_ += text + "\n"; }
    void add(const std::string& text) { text_ += "  " + text + "\n"; }
    std::string take() { return std::move(text_); }

private:
    std::string text_;
};

std::string address_of(const Server& server) {
    const bool v6 = server.address.find(':') != std::string::npos;
    return (v6 ? "[" + server.address + "]" : server.address) + ":" + std::to_string(server.port);
}

void add_global(const Wanted& wanted, const std::filesystem::path& folder,
                const std::string& structure, Lines& out) {
    const std::string here = folder.string();
    out.section("global");
    if (!structure.empty()) {
        out.add("description " + structure);
    }
    out.add("stats socket unix@" + here + "/admin.sock mode 600 level admin expose-fd listeners");
    // Old workers end after the 60 s in which their sessions may.
    out.add("hard-stop-after 70s");
    out.add("maxconn " + std::to_string(wanted.most_connections));
    out.add("localpeer edge");
    out.add("lua-load " + here + "/pause.lua");
    out.section("defaults");
    out.add("mode http");
    // The pause before a retry, too.
    out.add("timeout connect 100ms");
    out.add("timeout client 75s");
    out.add("timeout server 75s");
    out.add("timeout queue 30s");
    out.add("timeout tunnel 1h");
    out.add("timeout http-request 15s");
    out.add("timeout http-keep-alive 60s");
    out.add("retries 3");
    out.add("option redispatch 1");
    out.add("retry-on conn-failure empty-response");
    out.add("http-reuse safe");
    // Without it a reload closes idle connections under their clients' next request.
    out.add("option idle-close-on-response");
    // Without it an event of a stream waits for its neighbours (200 ms).
    out.add("option http-no-delay");
    // The windows of the tables survive a reload: the new worker learns them from the old one.
    out.section("peers loop");
    out.add("bind unix@" + here + "/peers.sock mode 600");
    out.add("server edge");
    out.section("backend counts");
    out.add(
        "stick-table type string len 160 size 4k expire 2h peers loop store "
        "http_req_cnt,http_req_rate(300s),http_fail_cnt,http_fail_rate(300s),gpc0,"
        "gpc0_rate(300s)");
    out.section("backend kinds");
    out.add("stick-table type string len 160 size 4k expire 2h store conn_cur");
    out.section("backend none");
    out.add(
        "http-request return status 503 content-type text/plain hdr retry-after 5 "
        "string \"nothing is deployed here yet\\n\" if { var(txn.component) -m found }");
    out.add(
        "http-request return status 404 content-type text/plain string "
        "\"no route leads here\\n\"");
}

void add_binds(const std::vector<Listen>& listens, Lines& out) {
    for (const auto& listen : listens) {
        out.add("bind " + listen.address + ":" + std::to_string(listen.port) +
                (listen.certificate.empty()
                     ? ""
                     : " ssl crt " + listen.certificate.string() + " alpn h2,http/1.1"));
    }
}

void add_forwarding(Lines& out) {
    // Whatever the client claims, the app sees who really called.
    out.add("http-request set-header x-forwarded-for %[src]");
    out.add("http-request set-header x-forwarded-proto https if { ssl_fc }");
    out.add("http-request set-header x-forwarded-proto http unless { ssl_fc }");
    out.add("http-request set-header x-forwarded-host %[req.hdr(host)]");
}

std::string map_of(const std::filesystem::path& folder, const std::string& name) {
    return (folder / (name + ".map")).string();
}

// The slot of a request: stable, unless its share, its user or its probe header says otherwise.
void add_choice(const Site& site, const std::filesystem::path& folder, Lines& out) {
    const auto map = [&](const std::string& name) { return map_of(folder, name); };
    const std::string name = site.name;
    const std::string candidate = "str(" + name + "),map_str(" + map("candidate") + ",none)";
    const std::string share = "str(" + name + "),map_str_int(" + map("share") + ",0)";
    const std::string known = "req.cook(seatrial_share) -m int 0:999";
    out.add("http-request set-var(txn.slot) str(" + name + "),map_str(" + map("stable") + ",none)");
    out.add("http-request set-var(txn.share) " + share);
    out.add("http-request set-var(txn.bucket) req.cook(seatrial_share) if { " + known + " }");
    out.add("http-request set-var(txn.bucket) rand(1000) unless { var(txn.bucket) -m found }");
    out.add("http-request set-var(txn.newcomer) bool(true) unless { " + known + " }");
    out.add("http-request set-var(txn.slot) " + candidate +
            " if { var(txn.bucket),sub(txn.share) -m int lt 0 }");
    const std::string user = "req.cook(" + site.user_cookie + ")";
    out.add("http-request set-var(txn.slot) " + user + ",map_str(" + map("allow-" + name) +
            ") if { " + user + ",map_str(" + map("allow-" + name) + ") -m found }");
    const std::string probe = "req.hdr(x-seatrial-probe),map_str(" + map("probe-" + name) + ")";
    out.add("http-request set-var(txn.slot) " + probe + " if { " + probe + " -m found }");
    out.add("http-request set-var(txn.probe) bool(true) if { " + probe + " -m found }");
    out.add("http-request del-header x-seatrial-probe");
}

void add_counting(const Site& site, Lines& out) {
    out.add("http-request set-var(txn.t0) date(0,us)");
    out.add("http-request set-var(txn.key) str(" + site.name +
            "),concat(.,txn.slot,.),concat(,txn.component)");
    // Probes are no users: they must not tip a gate.
    out.add("http-request track-sc0 var(txn.key) table counts unless { var(txn.probe) -m found }");
    out.add(
        "http-request set-var(txn.kind) var(txn.key),concat(,,!websockets) if { "
        "req.hdr(upgrade) -i websocket }");
    out.add("http-request track-sc1 var(txn.kind) table kinds if { var(txn.kind) -m found }");
    out.add("http-response set-var(txn.kind) var(txn.key),concat(,,!streams)");
    out.add(
        "http-response track-sc2 var(txn.kind) table kinds if { res.hdr(content-type) -m beg "
        "text/event-stream }");
    out.add("http-response sc-inc-gpc0(0) if { date(0,us),sub(txn.t0) gt " +
            std::to_string(static_cast<std::int64_t>(site.slow_ms) * 1000) +
            " } !{ var(txn.probe) -m found }");
    out.add(
        "http-response add-header set-cookie \"seatrial_share=%[var(txn.bucket)]; Path=/; "
        "Max-Age=86400; SameSite=Lax; HttpOnly\" if { var(txn.newcomer) -m bool } { "
        "var(txn.share) -m int gt 0 }");
}

void add_frontend(const Site& site, const std::filesystem::path& folder, Lines& out) {
    const std::string routes = map_of(folder, "routes-" + site.name);
    out.section("frontend " + site.name);
    add_binds(site.listens, out);
    // The gate costs a quarter of the throughput, so it runs only while the map says so.
    out.add("http-request set-var(txn.site) str(" + site.name + ")");
    out.add("http-request lua.pause if { str(" + site.name + "),map_str(" +
            map_of(folder, "pause") + ") -m found }");
    // An unsafe request that broke may have been done already.
    out.add("http-request disable-l7-retry unless METH_GET or { method HEAD }");
    out.add("http-request set-var(txn.path) path");
    out.add(
        "http-request set-var(txn.component) req.hdr(host),field(1,:),lower,"
        "concat(,txn.path,/),map_beg(" +
        routes + ")");
    out.add("http-request set-var(txn.component) str(*),concat(,txn.path,/),map_beg(" + routes +
            ") unless { var(txn.component) -m found }");
    add_choice(site, folder, out);
    add_counting(site, out);
    add_forwarding(out);
    out.add("use_backend %[var(txn.key)] if { var(txn.component) -m found }");
    out.add("default_backend none");
}

void add_backends(const Site& site, Lines& out) {
    for (const std::string_view slot : slot_names) {
        for (const auto& component : site.components) {
            out.section("backend " + backend_name(site.name, slot, component));
            if (site.sticky_sessions) {
                out.add("cookie seatrial_instance insert indirect nocache httponly");
            }
            const std::vector<Server>* servers = nullptr;
            if (const auto parts = site.slots.find(std::string(slot)); parts != site.slots.end()) {
                const auto found = parts->second.find(component);
                servers = found == parts->second.end() ? nullptr : &found->second;
            }
            for (int i = 0; i < site.instances; ++i) {
                const bool used =
                    servers != nullptr && static_cast<std::size_t>(i) < servers->size();
                out.add(
                    "server " + server_name(i) + " " +
                    (used ? address_of((*servers)[static_cast<std::size_t>(i)]) : "127.0.0.1:1") +
                    " check inter 500ms" +
                    (site.sticky_sessions ? " cookie " + server_name(i) : "") +
                    (used ? "" : " disabled"));
            }
        }
    }
}

// Shards, because a server found by name is looked for one by one. Only the waker takes part in
// balancing: a preview's server that is unknown, down or refuses must never be replaced by
// another preview's.
void add_previews(const Wanted& wanted, const PreviewSeats& seats,
                  const std::filesystem::path& folder, Lines& out) {
    if (wanted.preview_listens.empty()) {
        return;
    }
    out.section("frontend previews");
    add_binds(wanted.preview_listens, out);
    out.add("http-request set-var(txn.seat) req.hdr(host),field(1,:),lower,map_str(" +
            map_of(folder, "previews") + ")");
    add_forwarding(out);
    out.add("use_backend previews.%[var(txn.seat),field(1,/)] if { var(txn.seat) -m found }");
    out.add("default_backend previews.0");
    std::map<std::string, std::vector<std::string>> servers;    // backend → lines
    for (const auto& preview : wanted.previews) {
        const auto seat = seats.find(preview.host);
        if (seat == seats.end()) {
            continue;
        }
        const std::size_t slash = seat->second.find('/');
        servers["previews." + seat->second.substr(0, slash)].push_back(
            "server " + seat->second.substr(slash + 1) + " " + address_of(preview.server) +
            " weight 0");
    }
    for (int shard = 0; shard < preview_shards; ++shard) {
        out.section("backend " + preview_backend(shard));
        out.add("use-server %[var(txn.seat),field(2,/)] if { var(txn.seat) -m found }");
        out.add("server waker " + wanted.waker + " weight 1");
        for (const auto& line : servers[preview_backend(shard)]) {
            out.add(line);
        }
    }
}

}    // namespace

// FNV-1a: spreads names evenly; the number is kept in the map, so any change of it is harmless.
int preview_shard(std::string_view host) {
    std::uint32_t hash = 2166136261U;
    for (const char c : host) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    return static_cast<int>(hash % preview_shards);
}

std::string preview_backend(int shard) {
    return "previews." + std::to_string(shard);
}

std::string server_name(int instance) {
    return "r" + std::to_string(instance + 1);
}

Maps render_maps(const Wanted& wanted, const PreviewSeats& seats) {
    Maps out{{"stable", {}}, {"candidate", {}}, {"share", {}}, {"pause", {}}};
    // HAProxy knows only the maps that its configuration names.
    if (wanted.sites.empty()) {
        out = {{"pause", {}}};
    }
    if (!wanted.preview_listens.empty()) {
        out["previews"] = {};
    }
    for (const auto& site : wanted.sites) {
        Rows& routes = out["routes-" + site.name];
        for (const auto& route : site.routes) {
            const std::string path = route.path.back() == '/' ? route.path : route.path + "/";
            routes[(route.host.empty() ? "*" : route.host) + path] = route.component;
        }
        if (!site.stable.empty()) {
            out["stable"][site.name] = site.stable;
        }
        Rows& allow = out["allow-" + site.name];
        if (site.canary) {
            out["candidate"][site.name] = site.canary->slot;
            out["share"][site.name] = std::to_string(site.canary->per_mille);
            for (const auto& user : site.canary->allow) {
                allow[user] = site.canary->slot;
            }
        }
        Rows& probe = out["probe-" + site.name];
        for (const auto& [slot, value] : site.probes) {
            probe[value.reveal()] = slot;
        }
        if (site.paused) {
            out["pause"][site.name] = "paused";
        }
    }
    for (const auto& preview : wanted.previews) {
        if (const auto seat = seats.find(preview.host); seat != seats.end()) {
            out["previews"][preview.host] = seat->second;
        }
    }
    return out;
}

std::string render_map(const Rows& rows) {
    std::string out;
    for (const auto& [key, value] : rows) {
        out += key + " " + value + "\n";
    }
    return out;
}

std::string render_config(const Wanted& wanted, const PreviewSeats& seats,
                          const std::filesystem::path& folder, const std::string& structure) {
    Lines out;
    add_global(wanted, folder, structure, out);
    for (const auto& site : wanted.sites) {
        add_frontend(site, folder, out);
        add_backends(site, out);
    }
    add_previews(wanted, seats, folder, out);
    return out.take();
}

std::string render_pause_gate(const std::filesystem::path& folder) {
    return "local paused = Map.new(\"" + map_of(folder, "pause") +
           "\", Map._str)\n"
           "core.register_action(\"pause\", {\"http-req\"}, function(txn)\n"
           "  local site = txn:get_var(\"txn.site\")\n"
           "  local waited = 0\n"
           "  while paused:lookup(site) do\n"
           "    if waited >= 30000 then\n"
           "      local reply = txn:reply{status = 503}\n"
           "      reply:add_header(\"retry-after\", \"5\")\n"
           "      txn:done(reply)\n"
           "      return\n"
           "    end\n"
           "    core.msleep(20)\n"
           "    waited = waited + 20\n"
           "  end\n"
           "end, 0)\n";
}

std::string structure_of(const Wanted& wanted, const std::filesystem::path& folder) {
    Wanted blank = wanted;
    blank.previews.clear();
    for (auto& site : blank.sites) {
        site.slots.clear();
    }
    return render_config(blank, {}, folder, "") + render_pause_gate(folder);
}

}    // namespace seatrial::edge
