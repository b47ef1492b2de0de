// The routes of an nginx.conf: which port and path leads to which upstream, and what of the file
// cannot be carried. Source: nginx's documentation of ngx_http_core_module, proxy and upstream.
// Any text, at most 1 MB, 20 levels and 10,000 directives; `include` is not followed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/left_out.h"

namespace seatrial::config {

struct NginxRoute {
    int line = 0;
    std::string path;    // a prefix
    std::string host;    // upstream's first server
    int port = 0;
};

struct NginxServer {
    int line = 0;
    std::vector<int> ports;
    std::vector<std::string> names;
    std::string certificate, certificate_key;
    std::vector<NginxRoute> routes;
};

struct Nginx {
    std::vector<NginxServer> servers;
    std::vector<LeftOut> left_out;
    std::string fault;    // why nothing could be read: "line 3: ..."
};

Nginx read_nginx(std::string_view text);

}    // namespace seatrial::config
