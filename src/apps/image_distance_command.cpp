// weft image distance
#include "apps/commands.h"

#include "apps/command_support.h"
#include "apps/workloads/floors.h"
#include "apps/workloads/timing.h"

#include <weft/error.h>
#include <weft/image_file.h>
#include <weft/io.h>
#include <weft/primitives/distance_transform.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>

namespace weft::apps {
namespace {

struct ImageDistanceOptions {
  std::string in, out;
  double limit = std::numeric_limits<double>::infinity();
  int threshold = 0, bits = 8;
  double step = 0;  ///< pixels; 0: so that the farthest is white
  bool invert = false, json = false, measure = false;
  Backend backend = Backend::automatic;
};

/// 1 where a channel, alpha aside, is above the threshold; the other way round if inverted.
NDArray sites_of(const NDArray& picture, const ImageDistanceOptions& options) {
  const std::int64_t height = picture.shape()[0], width = picture.shape()[1], channels = picture.rank() == 2 ? 1 : picture.shape()[2];
  const std::int64_t colours = channels % 2 == 0 ? channels - 1 : channels;
  NDArray sites(u8, {height, width});
  const auto from = picture.elements<std::uint8_t>();
  auto to = sites.elements<std::uint8_t>();
  for (std::size_t i = 0; i < to.size(); ++i) {
    const auto pixel = from.subspan(i * static_cast<std::size_t>(channels), static_cast<std::size_t>(colours));
    to[i] = (*std::max_element(pixel.begin(), pixel.end()) > options.threshold) != options.invert;
  }
  return sites;
}

/// The greatest distance that is finite.
float farthest(const NDArray& distances) {
  float greatest = 0;
  for (const float d : distances.elements<float>())
    if (std::isfinite(d)) greatest = std::max(greatest, d);
  return greatest;
}

/// Grey from 0 at sites to the most that T holds at `white`, beyond, and where no site lies within the limit.
template <class T> NDArray grey(const NDArray& distances, double white) {
  constexpr T most = std::numeric_limits<T>::max();
  NDArray picture(dtype_of<T>, distances.shape());
  const auto from = distances.elements<float>();
  auto to = picture.elements<T>();
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i] < white ? static_cast<T>(std::lround(most * from[i] / white)) : from[i] > 0 ? most : 0;
  return picture;
}

struct Measured {
  double seconds = 0, floor_seconds = 0;
};

/// The median of many calls with the picture and the result in the device's memory, and what reading and writing them once takes there.
Measured measure(const DistanceTransform& transform, const NDArray& sites, Device device) {
  const NDArray pixels = sites.to(device);
  NDArray distances(f32, sites.shape(), device);
  const auto call = [&] { transform(pixels, distances); };
  const auto finish = [&] { device.wait(); };
  call();
  finish();
  const double once = seconds_of_loops(1, 1, call, finish)[0];
  const int iterations = std::clamp(static_cast<int>(0.02 / once), 1, 100);
  const auto times = seconds_of_loops(std::clamp(static_cast<int>(1 / (once * iterations)), 5, 50), iterations, call, finish);
  const std::int64_t read = pixels.byte_count(), written = distances.byte_count();
  return {times[times.size() / 2], device.is_cpu() ? seconds_to_stream(read, written) : seconds_to_copy(device, (read + written) / 2)};
}

void image_distance(const ImageDistanceOptions& options) {
  check_writable({options.out});
  const bool is_exact = options.out.ends_with(".npy"), is_picture = !options.out.empty() && !is_exact;
  if (!is_picture && (options.bits != 8 || options.step > 0))
    throw RunError("--bits and --step are for distances in a picture; give its name, such as OUT.png");
  const NDArray sites = sites_of(io::load_image(options.in), options);
  const DistanceTransform transform({.search_limit_radius = options.limit}, {.backend = options.backend});
  const NDArray distances = transform(sites);
  const float greatest = farthest(distances);
  const int most = options.bits == 16 ? 65535 : 255;
  const double white = options.step > 0 ? most * options.step : greatest;
  if (is_exact) io::save_npy(options.out, distances);
  if (is_picture) io::save_image(options.out, options.bits == 16 ? grey<std::uint16_t>(distances, white) : grey<std::uint8_t>(distances, white));

  const auto pixels = sites.elements<std::uint8_t>();
  const auto count = std::count(pixels.begin(), pixels.end(), 1);
  nlohmann::ordered_json record = {{"height", sites.shape()[0]}, {"width", sites.shape()[1]}, {"sites", count}, {"farthest", greatest}};
  if (is_picture) record["step"] = white / most;
  if (options.measure) {
    // Where `automatic` goes: the GPU if there is one.
    const auto devices = Device::all();
    const bool on_gpu = options.backend == Backend::cuda || (options.backend == Backend::automatic && devices.size() > 1);
    const Device device = on_gpu ? Device::cuda() : Device::cpu();
    const Measured m = measure(transform, sites, device);
    record["device"] = device.str();
    record["ms"] = 1e3 * m.seconds;
    record["floor_ms"] = 1e3 * m.floor_seconds;
  }
  if (options.json) {
    std::printf("%s\n", record.dump().c_str());
    return;
  }
  std::printf("%lld x %lld pixels, %lld of them sites; the farthest is %g pixels from one\n", static_cast<long long>(sites.shape()[1]),
              static_cast<long long>(sites.shape()[0]), static_cast<long long>(count), static_cast<double>(greatest));
  if (is_picture) std::printf("in %s, one step of grey is %g pixels\n", options.out.c_str(), white / most);
  if (options.measure)
    std::printf("%.3f ms on %s; reading and writing the pictures once takes %.3f ms\n", record["ms"].get<double>(),
                record["device"].get<std::string>().c_str(), record["floor_ms"].get<double>());
}

}  // namespace

void add_image_distance_command(CLI::App& image) {
  const auto o = std::make_shared<ImageDistanceOptions>();
  CLI::App* command = image.add_subcommand("distance", "Euclidean distance of each pixel to the closest one that is not black");
  command->add_option("in", o->in, "The picture")->required()->type_name("IN");
  command->add_option("out", o->out, "Distances: scaled to grey in a picture, exact (f32) in an npy file")->type_name("OUT.png|jpg|ppm|npy");
  command->add_option("--bits", o->bits, "Bits of grey in a png, ppm or pgm file; 8 if not given")
      ->check(quietly(CLI::IsMember({8, 16})))
      ->type_name("8|16");
  command
      ->add_option("--step", o->step,
                   "Pixels of distance that one step of grey stands for, what is too far being white; if not given, the farthest is white")
      ->check(positive_and_finite)
      ->type_name("PIXELS");
  command->add_option("--limit", o->limit, "Look no farther than so many pixels")->check(positive_and_finite)->type_name("PIXELS");
  command->add_option("--threshold", o->threshold, "Measure to pixels of which a channel is above this; 0 if not given")
      ->check(quietly(CLI::Range(0, 254)))
      ->type_name("0..254");
  command->add_flag("--invert", o->invert, "Measure to the other pixels");
  command->add_flag("--measure", o->measure, "Say how long it takes, and how long the least traffic with memory would");
  command->add_flag("--json", o->json, "Print what there is to say as JSON");
  add_backend_option(*command, o->backend);
  command->callback([o] { image_distance(*o); });
}

}  // namespace weft::apps
