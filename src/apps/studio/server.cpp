#include "apps/studio/server.h"

#include "apps/studio/files.h"
#include "apps/studio/guard.h"
#include "apps/studio/rate.h"

#include <weft/error.h>

#include <httplib.h>

#include <atomic>
#include <thread>
#include <utility>

namespace weft::apps::studio {
namespace {

constexpr std::size_t threads = 64;
/// Pages that follow the news at a time; each keeps a thread.
constexpr int most_followers = 48;
constexpr std::chrono::seconds silence(10);
/// How long it takes at most to see that a page has left.
constexpr std::chrono::milliseconds glance(500);

/// No page but the studio's own, and nothing from elsewhere.
constexpr const char* page_policy =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
constexpr const char* script_policy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

void send_error(httplib::Response& response, int status, const std::string& message) {
  response.status = status;
  response.set_content(answer({{"error", message}}).body, "application/json");
}

void send(httplib::Response& response, Answer reply) {
  if (!reply.save_as.empty()) response.set_header("Content-Disposition", "attachment; filename=\"" + reply.save_as + "\"");
  response.set_header("Content-Security-Policy", reply.is_page ? script_policy : page_policy);
  response.set_content(std::move(reply.body), reply.type);
}

Call call_of(const httplib::Request& request) {
  Call call;
  call.body = request.body;
  for (const auto& [name, value] : request.params) call.arguments[name] = value;
  if (request.method == "POST" && !request.get_header_value("Content-Type").starts_with("application/octet-stream")) {
    if (!request.get_header_value("Content-Type").starts_with("application/json")) throw BadRequest("the body must be JSON (application/json)");
    try {
      call.arguments = Json::parse(request.body);
    } catch (const Json::exception&) { throw BadRequest("the body is not JSON"); }
    if (!call.arguments.is_object()) throw BadRequest("the body must be a JSON object");
  }
  return call;
}

}  // namespace

struct Server::State {
  Options options;
  Routes routes;
  Board& board;
  int port = 0;
  httplib::Server server;
  std::atomic<int> followers = 0;
  std::thread thread;

  State(const Options& o, Routes r, Board& b) : options(o), routes(std::move(r)), board(b) {}

  /// Wraps what answers a request.
  template <class F> httplib::Server::Handler guarded(F handler) {
    return [this, handler](const httplib::Request& request, httplib::Response& response) {
      const auto header = [&](const char* name) { return request.get_header_value(name); };
      const std::string host = header("Host"), origin = header("Origin"), site = header("Sec-Fetch-Site"), mode = header("Sec-Fetch-Mode");
      if (const auto why = why_refused({host, origin, site, mode}, options.host); !why.empty()) return send_error(response, 403, why);
      try {
        handler(request, response);
      } catch (const BadRequest& e) { send_error(response, 400, e.what()); } catch (const Error& e) {
        send_error(response, 422, e.what());
      } catch (const std::exception& e) { send_error(response, 500, e.what()); }
    };
  }

  void follow(httplib::Response& response) {
    if (followers.fetch_add(1) >= most_followers) {
      --followers;
      return send_error(response, 503, "too many pages are open");
    }
    struct Page {
      std::uint64_t seen = 0;
      Clock::time_point told = Clock::now();
    };
    const auto page = std::make_shared<Page>();
    response.set_chunked_content_provider(
        "text/event-stream",
        [this, page](std::size_t, httplib::DataSink& sink) {
          const Board::News news = board.after(page->seen, glance);
          if (board.is_closed() || !sink.is_writable()) return false;
          page->seen = news.upto;
          if (news.entries.empty() && Clock::now() - page->told < silence) return true;
          page->told = Clock::now();
          std::string events = news.entries.empty() ? ":\n\n" : "";
          for (const auto& entry : news.entries) events += "data: " + entry + "\n\n";
          return sink.write(events.data(), events.size());
        },
        [this](bool) { --followers; });
  }

  void add_routes() {
    const auto file = [this](const std::string& path, std::string_view name) {
      server.Get(path, guarded([name](const httplib::Request&, httplib::Response& response) {
                   const File* f = find_file(name);
                   send(response, {std::string(f->content), std::string(f->type)});
                 }));
    };
    file("/", "index.html");
    server.Get("/page/([a-z0-9_.-]+)", guarded([](const httplib::Request& request, httplib::Response& response) {
                 if (const File* f = find_file(request.matches[1].str())) return send(response, {std::string(f->content), std::string(f->type)});
                 send_error(response, 404, "there is no \"" + request.path + "\"");
               }));
    server.Get("/events", guarded([this](const httplib::Request&, httplib::Response& response) { follow(response); }));
    const auto answered = [this](const Routes::Handler& handler) {
      return guarded([&handler](const httplib::Request& request, httplib::Response& response) { send(response, handler(call_of(request))); });
    };
    for (const auto& [path, handler] : routes.gets) server.Get(path, answered(handler));
    for (const auto& [path, handler] : routes.posts) server.Post(path, answered(handler));
  }

  void configure() {
    server.new_task_queue = [] { return new httplib::ThreadPool(threads); };
    // One request a connection: what is left unread of a refused one can never be taken for the next.
    server.set_keep_alive_max_count(1);
    server.set_payload_max_length(largest_body);
    server.set_tcp_nodelay(true);
    // Unlike the library's default, doesn't share the port with another studio.
    server.set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server.set_default_headers({{"Cache-Control", "no-store"},
                                {"X-Content-Type-Options", "nosniff"},
                                {"Cross-Origin-Resource-Policy", "same-origin"},
                                {"Referrer-Policy", "no-referrer"}});
    // A length is needed to refuse what is too long.
    server.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
      if (!request.has_header("Transfer-Encoding")) return httplib::Server::HandlerResponse::Unhandled;
      send_error(response, 411, "bodies must come with their length");
      return httplib::Server::HandlerResponse::Handled;
    });
    server.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty()) return;
      if (response.status == 404) return send_error(response, 404, "there is no \"" + request.path + "\"");
      if (response.status == 413) return send_error(response, 413, "the body is longer than " + std::to_string(largest_body) + " bytes");
      send_error(response, response.status, "the request was not understood");
    });
    add_routes();
  }
};

Server::Server(const Options& options, Routes routes, Board& board) : state_(std::make_unique<State>(options, std::move(routes), board)) {
  State& s = *state_;
  s.configure();
  s.port = options.port == 0 ? s.server.bind_to_any_port(options.host) : s.server.bind_to_port(options.host, options.port) ? options.port : -1;
  if (s.port < 0)
    throw RunError("the studio can't listen on " + options.host + ":" + std::to_string(options.port) +
                   "; perhaps another program does: --port names another port, 0 any that is free");
  s.thread = std::thread([&s] { s.server.listen_after_bind(); });
  while (!s.server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

Server::~Server() {
  state_->board.close();
  state_->server.stop();
  state_->thread.join();
}

int Server::port() const { return state_->port; }

std::string Server::address() const {
  const std::string& host = state_->options.host;
  return "http://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(state_->port) + "/";
}

}  // namespace weft::apps::studio
