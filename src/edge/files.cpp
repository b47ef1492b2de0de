#include "edge/files.h"

#include <algorithm>
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
}

void add_binds(const std::vector<Listen>& listens, Lines& out) {
    for (const auto& listen : listens) {
        out.add("bind " + listen.address + ":" + std::to_string(listen.port) +
                (listen.certificate.empty()
                     ? ""
                     : " ssl crt " + listen.certificate.string() + " alpn h2,http/1.1"));
    }
}

// Whatever the client claims, the app sees who really called.
void add_forwarding(const std::vector<Listen>& listens, Lines& out) {
    const auto secure = std::count_if(listens.begin(), listens.end(), [](const Listen& listen) {
        return !listen.certificate.empty();
    });
    const std::string protocol = secure == 0 ? "http"
                                 : static_cast<std::size_t>(secure) == listens.size()
                                     ? "https"
                                     : "%[ssl_fc,iif(https,http)]";
    // The option adds it for half of what a set-header would cost.
    out.add("http-request del-header x-forwarded-for");
    out.add("option forwardfor header x-forwarded-for");
    out.add("http-request set-header x-forwarded-proto " + protocol);
    out.add("http-request set-header x-forwarded-host %[req.hdr(host)]");
}

std::string map_of(const std::filesystem::path& folder, const std::string& name) {
    return (folder / (name + ".map")).string();
}

// The row of the site in a map of all sites.
std::string row_of(const Site& site, const std::filesystem::path& folder, const std::string& name,
                   const std::string& kind = "map_str") {
    return "str(" + site.name + ")," + kind + "(" + map_of(folder, name) + ")";
}

// The slot of a request: stable, unless its share, its user or its probe header says otherwise.
// A variable whose source is not found stays as it is.
void add_choice(const Site& site, const std::filesystem::path& folder, Lines& out) {
    const std::string canary = "{ var(txn.share) -m found }";
    const std::string cookie = "req.cook(seatrial_share)";
    // As a number any word would be 0.
    const std::string known = "{ " + cookie + " -m reg ^[0-9]{1,3}$ }";
    out.add("http-request set-var(txn.share) " + row_of(site, folder, "share", "map_str_int"));
    out.add("http-request set-var(txn.newcomer) rand(1000) if { var(txn.share) -m int gt 0 } !" +
            known);
    out.add("http-request set-var(txn.slot) " + row_of(site, folder, "candidate") +
            " if { var(txn.newcomer),sub(txn.share) -m int lt 0 }" +    //
            " or " + canary + " " + known + " { " + cookie + ",sub(txn.share) -m int lt 0 }" +
            " or " + canary + " { req.cook(" + site.user_cookie + "),map_str(" +
            map_of(folder, "allow-" + site.name) + ") -m found }");
    out.add("http-request set-var(txn.probe) req.hdr(x-seatrial-probe),map_str(" +
            map_of(folder, "probe-" + site.name) + ")");
    out.add("http-request set-var(txn.slot) var(txn.probe)");
    out.add("http-request del-header x-seatrial-probe");
    out.add(
        "http-response add-header set-cookie \"seatrial_share=%[var(txn.newcomer)]; Path=/; "
        "Max-Age=86400; SameSite=Lax; HttpOnly\" if { var(txn.newcomer) -m found }");
}

// Every rule costs every request, so those of the rare cases end at their first condition, and
// what is the same for all of a site is text, not a variable.
void add_frontend(const Site& site, const std::filesystem::path& folder, Lines& out) {
    const std::string any_host =
        "path,concat(/),map_beg(" + map_of(folder, "routes-" + site.name) + ")";
    const std::string own = "{ var(txn.component) -m found }";
    out.section("frontend " + site.name);
    add_binds(site.listens, out);
    // The gate costs a quarter of the throughput, so it runs only while the map says so.
    out.add("http-request lua.pause " + site.name + " if { " + row_of(site, folder, "pause") +
            " -m found }");
    // An unsafe request that broke may have been done already.
    out.add("http-request disable-l7-retry unless METH_GET or { method HEAD }");
    add_choice(site, folder, out);
    // Routes of hosts of their own, where the site has any.
    out.add("http-request set-var(txn.path) path if { " + row_of(site, folder, "hosted") +
            " -m found }");
    out.add(
        "http-request set-var(txn.component) req.hdr(host),field(1,:),lower,"
        "concat(,txn.path,/),map_beg(" +
        map_of(folder, "hosts-" + site.name) + ") if { var(txn.path) -m found }");
    add_forwarding(site.listens, out);
    // Text in place of variables: nearly every request ends at the first of these.
    const std::string chosen = "{ var(txn.slot) -m found }";
    const std::string stable =
        "use_backend " + site.name + ".%[" + row_of(site, folder, "stable") + "].%[";
    const std::string other = "use_backend " + site.name + ".%[var(txn.slot)].%[";
    out.add(stable + any_host + "] unless " + chosen + " or " + own);
    out.add(other + any_host + "] unless " + own);
    out.add(stable + "var(txn.component)] unless " + chosen);
    out.add(other + "var(txn.component)]");
    // Where no backend has such a name.
    out.add("default_backend none." + site.name);
    out.section("backend none." + site.name);
    out.add(
        "http-request return status 503 content-type text/plain hdr retry-after 5 "
        "string \"nothing is deployed here yet\\n\" if " +
        own + " or { " + any_host + " -m found }");
    out.add(
        "http-request return status 404 content-type text/plain string "
        "\"no route leads here\\n\"");
}

// In the backend its name is text, and so is the key.
void add_counting(const Site& site, const std::string& key, Lines& out) {
    out.add("http-request set-var(txn.t0) date(0,us)");
    // Probes are no users: they must not tip a gate. What is not tracked is not counted as slow.
    out.add("http-request track-sc0 str(" + key +
            ") table counts unless { var(txn.probe) -m found }");
    out.add("http-response track-sc1 str(" + key +
            "!websockets) table kinds if { status 101 } { res.hdr(upgrade) -i websocket }");
    // By its number: else a header that does not match is looked for once more.
    out.add("http-response track-sc2 str(" + key +
            "!streams) table kinds if { res.hdr(content-type,1) -m beg text/event-stream }");
    out.add("http-response sc-inc-gpc0(0) if { date(0,us),sub(txn.t0) gt " +
            std::to_string(static_cast<std::int64_t>(site.slow_ms) * 1000) + " }");
}

void add_backends(const Site& site, Lines& out) {
    for (const std::string_view slot : slot_names) {
        for (const auto& component : site.components) {
            const std::string name = backend_name(site.name, slot, component);
            out.section("backend " + name);
            add_counting(site, name, out);
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
    add_forwarding(wanted.preview_listens, out);
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
    Maps out{{"stable", {}}, {"candidate", {}}, {"share", {}}, {"pause", {}}, {"hosted", {}}};
    // HAProxy knows only the maps that its configuration names.
    if (wanted.sites.empty()) {
        out = {{"pause", {}}};
    }
    if (!wanted.preview_listens.empty()) {
        out["previews"] = {};
    }
    for (const auto& site : wanted.sites) {
        Rows& any_host = out["routes-" + site.name];
        Rows& hosts = out["hosts-" + site.name];
        for (const auto& route : site.routes) {
            const std::string path = route.path.back() == '/' ? route.path : route.path + "/";
            (route.host.empty() ? any_host : hosts)[route.host + path] = route.component;
        }
        if (!hosts.empty()) {
            out["hosted"][site.name] = "yes";
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
           "core.register_action(\"pause\", {\"http-req\"}, function(txn, site)\n"
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
           "end, 1)\n";
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
