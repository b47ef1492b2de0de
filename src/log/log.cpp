#include "log/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <cerrno>
#include <cmath>
#include <mutex>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

namespace seatrial::log {
namespace {

constexpr std::string_view level_names[] = {"debug", "info", "warn", "error", "off"};
constexpr spdlog::level::level_enum library_levels[] = {spdlog::level::debug, spdlog::level::info,
                                                        spdlog::level::warn, spdlog::level::err,
                                                        spdlog::level::off};

struct Output {
    std::shared_ptr<spdlog::sinks::sink> sink;
    Format format = Format::logfmt;
};

using Sink = std::shared_ptr<spdlog::sinks::sink>;

std::shared_ptr<const Output> make_output(Sink sink, Format format) {
    sink->set_pattern("%v");    // the line is ours, the library writes it
    return std::make_shared<const Output>(Output{std::move(sink), format});
}

Sink stderr_sink() {
    return std::make_shared<spdlog::sinks::stderr_sink_mt>();
}

struct State {
    std::mutex mutex;
    std::shared_ptr<const Output> output = make_output(stderr_sink(), Format::logfmt);
};

// Never destroyed before exit handlers have logged their last.
State& state() {
    static State& only = *new State;
    return only;
}

std::shared_ptr<const Output> current() {
    const std::lock_guard lock(state().mutex);
    return state().output;
}

void append_quoted(std::string& line, std::string_view text) {
    line += '"';
    for (const char byte : text) {
        if (byte == '"' || byte == '\\') {
            line += '\\';
        }
        if (byte == '\t') {
            line += "\\t";
        } else {
            line += byte;
        }
    }
    line += '"';
}

bool needs_quotes(std::string_view text) {
    return text.empty() || text.find_first_of(" =\"\\\t") != std::string_view::npos;
}

struct Writer {
    std::string& line;
    Format format;

    void key(std::string_view name) const {
        if (format == Format::json) {
            line += line.size() == 1 ? "" : ",";
            append_quoted(line, name);
            line += ':';
        } else {
            line += line.empty() ? "" : " ";
            line += name;
            line += '=';
        }
    }
    void operator()(std::string_view text) const {
        const std::string safe = printable(text);
        if (format == Format::json || needs_quotes(safe)) {
            append_quoted(line, safe);
        } else {
            line += safe;
        }
    }
    void operator()(bool value) const { line += value ? "true" : "false"; }
    void operator()(std::int64_t value) const { line += fmt::format("{}", value); }
    void operator()(double value) const {
        line += std::isfinite(value) ? fmt::format("{}", value) : "null";
    }
    void field(std::string_view name, const Value& value) const {
        key(name);
        std::visit(*this, value.get());
    }
};

void emit(Level level, std::string_view message, const Error* cause, Fields fields) {
    const auto output = current();
    const auto index = static_cast<std::size_t>(level);
    std::string line = output->format == Format::json ? "{" : "";
    const Writer writer{line, output->format};
    writer.field("time", render_time(now_utc()));
    writer.field("level", level_names[index]);
    writer.field("msg", message);
    for (const auto& field : fields) {
        writer.field(field.key, field.value);
    }
    if (cause != nullptr) {
        writer.field("code", to_string(cause->code));
        writer.field("error", render_error(*cause));
        if (!cause->hint.empty()) {
            writer.field("hint", cause->hint);
        }
    }
    if (output->format == Format::json) {
        line += '}';
    }
    // The sink's own lock keeps lines whole; a full disk loses lines, never the program.
    try {
        output->sink->log(spdlog::details::log_msg("seatrial", library_levels[index], line));
        output->sink->flush();
    } catch (const std::exception&) {
        return;
    }
}

}    // namespace

Result<Level> parse_level(std::string_view text) {
    for (std::size_t i = 0; i < std::size(level_names); ++i) {
        if (level_names[i] == text) {
            return static_cast<Level>(i);
        }
    }
    return fail(Code::invalid, "unknown log level \"" + printable(text) + "\"",
                "one of debug, info, warn, error, off");
}

Result<Format> parse_format(std::string_view text) {
    if (text == "logfmt") {
        return Format::logfmt;
    }
    if (text == "json") {
        return Format::json;
    }
    return fail(Code::invalid, "unknown log format \"" + printable(text) + "\"",
                "one of logfmt, json");
}

Status open(const Options& options) {
    std::shared_ptr<const Output> output;
    if (options.file.empty()) {
        output = make_output(stderr_sink(), options.format);
    } else {
        // Made here, so that it is ours alone to read and a link is not followed.
        const Fd made(::open(options.file.c_str(),
                             O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
        if (!made) {
            return fail_errno("log file " + options.file.string(), errno);
        }
        try {
            output = make_output(
                std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file.string()),
                options.format);
        } catch (const std::exception& error) {
            return fail(Code::unavailable, error.what());
        }
    }
    {
        const std::lock_guard lock(state().mutex);
        state().output.swap(output);
    }
    threshold = options.level;
    return {};    // the former output closes as its last user lets go
}

void write(Level level, std::string_view message, Fields fields) {
    emit(level, message, nullptr, fields);
}

void write(Level level, std::string_view message, const Error& error, Fields fields) {
    emit(level, message, &error, fields);
}

}    // namespace seatrial::log
