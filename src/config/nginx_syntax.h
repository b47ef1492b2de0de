// nginx's configuration syntax as a tree: words, then ';' or a block. Knows no directive.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace seatrial::config {

struct NginxDirective {
    int line = 0;
    std::string name;
    std::vector<std::string> words;
    std::vector<NginxDirective> children;
};

// At most 1 MB, 20 levels, 10,000 directives. `fault`: "line 3: ..." when it ended there.
std::vector<NginxDirective> parse_nginx(std::string_view text, std::string& fault);

}    // namespace seatrial::config
