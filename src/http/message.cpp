#include "http/message.h"

#include <ctime>

#include "base/text.h"

namespace seatrial::http {
namespace {

std::optional<std::string_view> find(const Pairs& pairs, std::string_view name) {
    for (const auto& [key, value] : pairs) {
        if (key == name) {
            return value;
        }
    }
    return std::nullopt;
}

int hex_value(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    const char lower = static_cast<char>(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

Result<std::string> decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char byte = text[i];
        if (byte == '%') {
            const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
            const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
            if (low < 0) {
                return fail(Code::invalid, "bad percent escape in the URL");
            }
            byte = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        out += byte;
    }
    if (!is_valid_utf8(out)) {
        return fail(Code::invalid, "the URL is not valid UTF-8");
    }
    for (const char byte : out) {
        const auto code = static_cast<unsigned char>(byte);
        if (code < 0x20 || code == 0x7f) {
            return fail(Code::invalid, "control character in the URL");
        }
    }
    return out;
}

Status parse_query(std::string_view text, Request& request) {
    for (const auto part : split(text, '&')) {
        if (part.empty()) {
            continue;
        }
        const auto equals = part.find('=');
        TRY_ASSIGN(auto name, decode(part.substr(0, equals), true));
        const bool bare = equals == std::string_view::npos;
        TRY_ASSIGN(auto value, decode(bare ? std::string_view{} : part.substr(equals + 1), true));
        request.query.emplace_back(std::move(name), std::move(value));
    }
    return {};
}

struct StatusOf {
    Code code;
    int status;
};
constexpr StatusOf status_table[] = {
    {Code::invalid, 400},   {Code::failed, 422},    {Code::not_found, 404},
    {Code::conflict, 409},  {Code::refused, 403},   {Code::unavailable, 503},
    {Code::timed_out, 504}, {Code::cancelled, 503}, {Code::internal, 500},
};

struct ReasonOf {
    int status;
    std::string_view reason;
};
constexpr ReasonOf reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {303, "See Other"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {507, "Insufficient Storage"},
};

std::string render_date() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[40];
    const auto size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return {text, size};
}

void append_header(std::string& head, std::string_view name, std::string_view value) {
    head += name;
    head += ": ";
    for (const char byte : value) {
        const auto code = static_cast<unsigned char>(byte);
        head += code < 0x20 && byte != '\t' ? ' ' : byte;
    }
    head += "\r\n";
}

std::string problem_body(int status, std::string_view code, std::string_view message,
                         std::string_view hint, std::string_view field) {
    std::string body = R"({"type":"about:blank","title":)" + json_string(reason_of(status)) +
                       ",\"status\":" + std::to_string(status) +
                       ",\"detail\":" + json_string(message) + ",\"code\":" + json_string(code);
    if (!hint.empty()) {
        body += ",\"hint\":" + json_string(hint);
    }
    if (!field.empty()) {
        body += ",\"field\":" + json_string(field);
    }
    return body + "}\n";
}

}    // namespace

std::optional<std::string_view> Request::header(std::string_view lower_case_name) const {
    return find(headers, lower_case_name);
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
    return find(query, name);
}

std::string_view Request::param(std::string_view name) const {
    return find(params, name).value_or("");
}

Response json(int status, std::string body) {
    return {status, {{"content-type", "application/json"}}, std::move(body)};
}

Response problem(int status, std::string_view code, std::string_view message,
                 std::string_view hint) {
    return {status,
            {{"content-type", "application/problem+json"}},
            problem_body(status, code, message, hint, {})};
}

Response problem(const Error& error) {
    const int status = status_of(error.code);
    // The field has a member of its own; it would only be told twice.
    Error bare = error;
    bare.field.clear();
    Response response{
        status,
        {{"content-type", "application/problem+json"}},
        problem_body(status, to_string(error.code), render_error(bare), error.hint, error.field)};
    if (status == 503) {
        response.headers.emplace_back("retry-after", "1");
    }
    return response;
}

int status_of(Code code) {
    for (const auto& row : status_table) {
        if (row.code == code) {
            return row.status;
        }
    }
    return 500;
}

std::string_view reason_of(int status) {
    for (const auto& row : reasons) {
        if (row.status == status) {
            return row.reason;
        }
    }
    return "Unknown";
}

std::string json_string(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    // Newlines survive printable() here only to be escaped below.
    const std::string safe = is_valid_utf8(text) ? std::string(text) : printable(text, true);
    std::string out = "\"";
    for (const char byte : safe) {
        const auto code = static_cast<unsigned char>(byte);
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += byte;
        } else if (byte == '\n') {
            out += "\\n";
        } else if (code < 0x20) {
            out += "\\u00";
            out += digits[code >> 4];
            out += digits[code & 15];
        } else {
            out += byte;
        }
    }
    return out + "\"";
}

Status parse_target(std::string_view target, Request& request) {
    request.target = target;
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (target.starts_with(scheme)) {
            const auto slash = target.find_first_of("/?", scheme.size());
            target = slash == std::string_view::npos ? "/" : target.substr(slash);
        }
    }
    target = target.substr(0, target.find('#'));
    const auto question = target.find('?');
    const auto path = target.substr(0, question);
    if (!path.starts_with('/')) {
        return fail(Code::invalid, "the URL has no path");
    }
    TRY_ASSIGN(request.path, decode(path, false));
    request.segments.clear();
    request.query.clear();
    if (path.size() > 1) {
        for (const auto segment : split(path.substr(1), '/')) {
            TRY_ASSIGN(auto decoded, decode(segment, false));
            request.segments.push_back(std::move(decoded));
        }
    }
    return question == std::string_view::npos ? Status{}
                                              : parse_query(target.substr(question + 1), request);
}

std::string render_head(const Response& response, std::optional<std::size_t> length,
                        bool keep_alive) {
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
    head += reason_of(response.status);
    head += "\r\n";
    append_header(head, "date", render_date());
    for (const auto& [name, value] : response.headers) {
        append_header(head, name, value);
    }
    if (length && response.status != 204 && response.status != 304) {
        append_header(head, "content-length", std::to_string(*length));
    }
    append_header(head, "connection", keep_alive ? "keep-alive" : "close");
    return head + "\r\n";
}

}    // namespace seatrial::http
