#include "config/nginx.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "config/nginx_syntax.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

constexpr std::size_t left_out_limit = 100;

// What the edge does anyway, or what only nginx itself is about. A name ending in '*' is a prefix.
constexpr std::string_view done_anyway[] = {
    "access_log",
    "access_log_*",
    "charset",
    "daemon",
    "default_type",
    "error_log",
    "events",
    "keepalive*",
    "log_format",
    "pid",
    "proxy_buffer*",
    "proxy_busy_buffers_size",
    "proxy_cache_bypass",
    "proxy_connect_timeout",
    "proxy_http_version",
    "proxy_pass_header",
    "proxy_read_timeout",
    "proxy_redirect",
    "proxy_request_buffering",
    "proxy_send_timeout",
    "proxy_set_header",
    "reset_timedout_connection",
    "resolver*",
    "sendfile",
    "server_names_hash*",
    "server_tokens",
    "ssl_certificate*",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "ssl_protocols",
    "ssl_session*",
    "tcp_nodelay",
    "tcp_nopush",
    "types",
    "types_hash*",
    "underscores_in_headers",
    "user",
    "worker_*",
    "client_body_*",
    "client_header_*",
    "send_timeout",
    "http2",
    "ssl",
    "listen",
    "server_name",
    "location",
    "proxy_pass",
    "upstream",
};

struct Reason {
    std::string_view name, why;
};
constexpr Reason reasons[] = {
    {"include", "it is not followed; look into that file yourself"},
    {"add_header", "let the app send the header"},
    {"more_set_headers", "let the app send the header"},
    {"alias", "serve files from a component"},
    {"root", "serve files from a component"},
    {"index", "serve files from a component"},
    {"try_files", "serve files from a component"},
    {"autoindex", "serve files from a component"},
    {"error_page", "let the app answer"},
    {"auth_basic", "let the app ask who it is"},
    {"allow", "listen on an address that only they reach"},
    {"deny", "listen on an address that only they reach"},
    {"gzip", "let the app compress"},
    {"rewrite", "let the app answer at the path that users ask for"},
    {"return", "let the app redirect"},
    {"client_max_body_size", "the edge has no limit; let the app have one"},
    {"limit_req", "let the app limit"},
    {"limit_conn", "let the app limit"},
    {"map", "its variables are not known to the edge"},
    {"if", "conditions are not known to the edge"},
    {"stream", "the edge speaks HTTP alone"},
};

bool is_known(std::string_view name) {
    return std::ranges::any_of(done_anyway, [&](std::string_view known) {
        return known.ends_with('*') ? name.starts_with(known.substr(0, known.size() - 1))
                                    : name == known;
    });
}

class Reader {
public:
    explicit Reader(Nginx& out) : out_(out) {}

    // A whole nginx.conf, or one that is included into `http`.
    void read(const std::vector<NginxDirective>& directives) {
        for (const auto& one : directives) {
            if (one.name == "http") {
                collect_upstreams(one.children);
            }
        }
        collect_upstreams(directives);
        read_level(directives);
    }

private:
    struct Upstream {
        std::string name, host;
        int port = 0;
    };

    void leave(const NginxDirective& one, const std::string& what, std::string_view why = "") {
        if (out_.left_out.size() < left_out_limit) {
            out_.left_out.push_back({one.line, printable(what), std::string(why)});
        }
    }
    void leave_unknown(const NginxDirective& one) {
        if (is_known(one.name)) {
            return;
        }
        const auto* const reason = std::ranges::find(reasons, one.name, &Reason::name);
        // What most of them include is about nginx itself.
        const bool types =
            one.name == "include" && !one.words.empty() && one.words[0].ends_with("mime.types");
        if (types || (one.name == "gzip" && one.words == std::vector<std::string>{"off"})) {
            return;
        }
        leave(one, one.name + (one.words.empty() ? "" : " " + one.words[0]),
              reason == std::end(reasons) ? "" : reason->why);
    }

    void collect_upstreams(const std::vector<NginxDirective>& directives) {
        for (const auto& one : directives) {
            if (one.name != "upstream" || one.words.empty()) {
                continue;
            }
            int servers = 0;
            for (const auto& line : one.children) {
                if (line.name != "server" || line.words.empty()) {
                    leave_unknown(line);
                    continue;
                }
                if (++servers == 1) {
                    Upstream made{one.words[0], "", 0};
                    split_host(line.words[0], made.host, made.port);
                    upstreams_.push_back(std::move(made));
                } else {
                    leave(line, "upstream " + one.words[0] + "'s further server",
                          "give its component `instances`");
                }
            }
        }
    }

    void read_level(const std::vector<NginxDirective>& directives) {
        for (const auto& one : directives) {
            if (one.name == "http") {
                read_level(one.children);
            } else if (one.name == "server") {
                read_server(one);
            } else {
                leave_unknown(one);
            }
        }
    }

    static void split_host(std::string_view text, std::string& host, int& port) {
        const auto colon = text.rfind(':');
        const auto number =
            colon == std::string_view::npos ? std::nullopt : parse_integer(text.substr(colon + 1));
        port = number && *number > 0 && *number <= 65535 ? static_cast<int>(*number) : 80;
        host = text.substr(0, number ? colon : text.size());
    }

    void read_listen(const NginxDirective& one, NginxServer& out) {
        const std::string_view text = one.words.empty() ? "" : std::string_view(one.words[0]);
        const auto colon = text.rfind(':');
        const auto port =
            parse_integer(text.substr(colon == std::string_view::npos ? 0 : colon + 1));
        if (!port || *port < 1 || *port > 65535) {
            leave(one, "listen " + std::string(text), "name a port");
        } else if (std::ranges::find(out.ports, static_cast<int>(*port)) == out.ports.end()) {
            out.ports.push_back(static_cast<int>(*port));    // [::]:80 beside 80 is the same
        }
    }

    void read_server(const NginxDirective& server) {
        NginxServer out;
        out.line = server.line;
        for (const auto& one : server.children) {
            if (one.name == "listen") {
                read_listen(one, out);
            } else if (one.name == "server_name") {
                out.names = one.words;
                std::erase(out.names, "_");
            } else if (one.name == "location") {
                read_location(one, out);
            } else if (one.name.starts_with("ssl_certificate") && !one.words.empty()) {
                (one.name.ends_with("_key") ? out.certificate_key : out.certificate) = one.words[0];
            } else {
                leave_unknown(one);
            }
        }
        if (out.ports.empty()) {
            out.ports.push_back(80);
        }
        out_.servers.push_back(std::move(out));
    }

    void read_location(const NginxDirective& location, NginxServer& out) {
        const auto& words = location.words;
        const std::string modifier = words.size() > 1 ? words[0] : "";
        const std::string text = words.empty() ? "" : words.back();
        const std::string what = "location " + (modifier.empty() ? "" : modifier + " ") + text;
        bool passed = false;
        for (const auto& one : location.children) {
            if (one.name == "proxy_pass") {
                passed = true;
                if (modifier == "~" || modifier == "~*") {
                    leave(location, what, "routes go by prefix, not by a pattern");
                } else if (modifier == "=") {
                    leave(location, what,
                          "routes go by prefix: it goes where " + text + " goes otherwise");
                } else {
                    read_route(one, text, what, out);
                }
            } else if (one.name == "location") {
                read_location(one, out);
            } else {
                leave_unknown(one);
            }
        }
        if (!passed && location.children.empty()) {
            leave(location, what);
        }
    }

    void read_route(const NginxDirective& pass, const std::string& path, const std::string& what,
                    NginxServer& out) {
        const std::string_view url = pass.words.empty() ? "" : std::string_view(pass.words[0]);
        const auto scheme = url.find("://");
        if (!url.starts_with("http") || scheme == std::string_view::npos ||
            url.find('$') != std::string_view::npos || !path.starts_with('/')) {
            leave(pass, "proxy_pass " + std::string(url), "name a component");
            return;
        }
        const std::string_view rest = url.substr(scheme + 3);
        const auto slash = rest.find('/');
        NginxRoute route;
        route.line = pass.line;
        const auto clean = path.size() > 1 && path.ends_with('/') ? path.size() - 1 : path.size();
        route.path = path.substr(0, clean);
        const std::string host(rest.substr(0, slash));
        const auto known = std::ranges::find(upstreams_, host, &Upstream::name);
        if (known == upstreams_.end()) {
            split_host(host, route.host, route.port);
        } else {
            route.host = known->host;
            route.port = known->port;
        }
        // With a path of its own nginx puts that in place of the location's.
        const auto target =
            slash == std::string_view::npos ? path : std::string(rest.substr(slash));
        if (target != path && !(route.path == "/" && target == "/")) {
            leave(pass, what + "'s other path at its upstream (" + target + ")",
                  "let the component answer at " + route.path);
        }
        out.routes.push_back(std::move(route));
    }

    Nginx& out_;
    std::vector<Upstream> upstreams_;
};

}    // namespace

Nginx read_nginx(std::string_view text) {
    Nginx out;
    const auto directives = parse_nginx(text, out.fault);
    if (out.fault.empty()) {
        Reader(out).read(directives);
    }
    return out;
}

}    // namespace seatrial::config
