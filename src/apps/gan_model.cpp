#include "apps/gan_model.h"

#include "apps/weights.h"

#include <weft/io.h>
#include <weft/weft.h>

#include <algorithm>
#include <string>

namespace weft::apps {

GanModel::GanModel(const GanModelOptions& options) : graph_(std::make_unique<Graph>()), run_options_{.backend = options.backend} {
  Graph& g = *graph_;
  g.set_seed(options.seed);
  generator_ = std::make_unique<Generator>(g);
  discriminator_ = std::make_unique<Discriminator>(g);
  images_ = g.placeholder({dynamic, 28, 28}, f32, "images");
  const Tensor real = expand_dims(images_, -1) * 2.0 - 1.0;
  // As much noise as there are images.
  const Tensor noise = random_normal_like(slice(reshape(images_, {dynamic, 28 * 28}), 1, 0, Generator::noise_size));
  step_ = gan_step(g, *generator_, *discriminator_, real, noise, options.learning_rate, true);
  noise_ = g.placeholder({dynamic, Generator::noise_size}, f32, "noise");
  drawn_ = reshape(generator_->infer(noise_) * 0.5 + 0.5, {dynamic, 28, 28});
}

GanModel::Losses GanModel::train(const NDArray& images) {
  const auto r = graph_->run({{images_, images}}, {step_.discriminator_loss, step_.generator_loss}, step_.updates, run_options_);
  return {r[0].item(), r[1].item()};
}

NDArray GanModel::draw(std::int64_t count, std::uint64_t seed) {
  Graph g;
  const Tensor noise = random_normal(g, {count, Generator::noise_size}, {.seed = seed});
  const NDArray values = g.run({}, {noise}, {}, {.backend = Backend::reference})[0];
  return graph_->run({{noise_, values}}, {drawn_}, {}, run_options_)[0];
}

std::vector<Tensor> GanModel::saved() const {
  std::vector<Tensor> list = generator_->averages();
  list.insert(list.end(), generator_->statistics().begin(), generator_->statistics().end());
  return list;
}

void GanModel::save(const std::filesystem::path& path, bool half) const {
  io::save_safetensors(path, weights_of(*graph_, saved(), "weft gan", half));
}

void GanModel::load(const std::filesystem::path& path) {
  const auto content = io::load_safetensors(path);
  const auto fail = [&](const std::string& what) { throw RunError("weights \"" + path.string() + "\": " + what); };
  for (const Tensor& w : saved()) {
    const auto found = content.tensors.find(w.name());
    if (found == content.tensors.end()) fail("there is no tensor \"" + w.name() + "\", so these are not weights of the generator of digits");
    if (found->second.shape() != w.shape() || !is_floating(found->second.dtype()))
      fail("\"" + w.name() + "\" is " + found->second.type().str() + ", the generator's is " + w.type().str());
  }
  for (const Tensor& w : saved()) graph_->set_value(w, content.tensors.at(w.name()).cast(f32));
}

}  // namespace weft::apps
