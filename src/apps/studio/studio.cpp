#include "apps/studio/studio.h"

#include "apps/command_support.h"
#include "compile/backend.h"
#include "compile/pipeline.h"

#include <weft/device.h>
#include <weft/error.h>

#include <array>

namespace weft::apps::studio {
namespace {

constexpr const char* topic = "studio";

/// From the fastest on.
constexpr std::array backends = {Backend::cuda, Backend::cpu, Backend::reference};

bool can_use(Backend backend) { return has_backend(backend) && (backend != Backend::cuda || Device::why_no_gpu().empty()); }

std::string description(Backend backend) {
  if (backend == Backend::reference) return "Reference (slow)";
  if (backend == Backend::cpu) return "CPU";
  try {
    return Device::cuda().properties().name;
  } catch (const RunError&) { return "GPU"; }  // it can't be started, for want of memory perhaps: whoever uses it will hear why
}

}  // namespace

Studio::Studio(const StudioOptions& options)
    : backend_(resolve(options.backend)),
      shelf_(options.data),
      text_(board_, options.text, backend_),
      digits_(board_, shelf_, backend_),
      gan_(board_, shelf_, backend_),
      graph_(board_, backend_) {
  tell_devices();
  server_ = std::make_unique<Server>(options.server, routes(), board_);
}

Routes Studio::routes() {
  Routes routes;
  text_.add_to(routes);
  digits_.add_to(routes);
  gan_.add_to(routes);
  graph_.add_to(routes);
  routes.posts["/api/device"] = [this](const Call& call) {
    choose_device(text(call, "device", 20, ""));
    return done();
  };
  return routes;
}

void Studio::choose_device(const std::string& name) {
  for (const Backend b : backends) {
    if (name != name_of(b) || !can_use(b)) continue;
    text_.use(b);
    digits_.use(b);
    gan_.use(b);
    graph_.use(b);
    board_.set(topic, {{"device", name}});
    return;
  }
  throw BadRequest("there is no device \"" + name + "\"");
}

void Studio::tell_devices() {
  Json devices = Json::array();
  for (const Backend b : backends)
    if (can_use(b)) devices.push_back({{"name", name_of(b)}, {"description", description(b)}});
  board_.set(topic, {{"device", name_of(backend_)}, {"devices", devices}});
}

}  // namespace weft::apps::studio
