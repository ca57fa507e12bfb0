#include "apps/text_model.h"

#include "apps/weights.h"

#include <weft/io.h>
#include <weft/weft.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

namespace weft::apps {
namespace {

namespace fs = std::filesystem;

constexpr const char* model_name = "weft text";
constexpr double most_gradient = 1;
constexpr std::int64_t read_at_once = 32;  ///< parts of a text that is only read

[[noreturn]] void fail(const fs::path& path, const std::string& what) { throw RunError("\"" + path.string() + "\": " + what); }

std::int64_t number_in(const io::Safetensors& content, const fs::path& path, const std::string& key) {
  const auto found = content.metadata.find(key);
  std::int64_t n = 0;
  if (found == content.metadata.end()) fail(path, "there is no \"" + key + "\", so these are not weights of a text model");
  const char *first = found->second.data(), *last = first + found->second.size();
  if (const auto r = std::from_chars(first, last, n); r.ec != std::errc() || r.ptr != last || n < 1) fail(path, "\"" + key + "\" is no number");
  return n;
}

/// Zero but for the forget gates', which begin open.
NDArray first_bias(std::int64_t hidden) {
  NDArray bias(f32, {4 * hidden});
  const auto b = bias.elements<float>();
  std::fill(b.begin() + hidden, b.begin() + 2 * hidden, 1.0f);
  return bias;
}

}  // namespace

TextModel::TextModel(Vocabulary vocabulary, const TextModelOptions& options)
    : vocabulary_(std::move(vocabulary)), options_(options), run_options_{.backend = options.backend}, graph_(std::make_unique<Graph>()) {
  graph_->set_seed(options.seed);
  make_weights();
  build_training();
  build_evaluation();
  build_generation();
}

Tensor TextModel::weight(Initializer initializer, const std::string& name) {
  weights_.push_back(graph_->variable(std::move(initializer), name));
  return weights_.back();
}

void TextModel::make_weights() {
  const std::int64_t hidden = options_.hidden;
  embedding_ = weight(init::normal({vocabulary_.size(), hidden}, 0, 0.5), "embedding");
  for (std::int64_t i = 0; i < options_.layers; ++i) {
    const std::string name = "lstm" + std::to_string(i + 1);
    LayerWeights& l = layers_.emplace_back();
    l.input = weight(init::glorot({4 * hidden, hidden}, init::Fan::out_in), name + ".input");
    l.recurrent = weight(init::glorot({4 * hidden, hidden}, init::Fan::out_in), name + ".recurrent");
    l.bias = weight(init::literal(first_bias(hidden)), name + ".bias");
  }
  output_ = weight(init::glorot({hidden, vocabulary_.size()}), "output");
  output_bias_ = weight(init::zeros({vocabulary_.size()}), "output.bias");
}

Tensor TextModel::dropped(Tensor x, Tensor* random) {
  if (!random || options_.dropout == 0) return x;
  const RandomResult u = random_uniform(*random, x.shape());
  *random = u.state;
  return select(u.values >= options_.dropout, x * (1 / (1 - options_.dropout)), 0);
}

Tensor TextModel::read(Tensor characters, std::vector<State>& states, Tensor* random) {
  Tensor x = gather(embedding_, characters);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LstmOptions o;
    o.input_weight = layers_[i].input, o.bias = layers_[i].bias;
    o.initial_state = states[i].h, o.initial_cell = states[i].c;
    const Lstm l = lstm(dropped(x, random), layers_[i].recurrent, o);
    states[i] = {l.state, l.cell};
    x = l.y;
  }
  return matmul(reshape(dropped(x, random), {dynamic, options_.hidden}), output_) + output_bias_;
}

void TextModel::build_training() {
  Graph& g = *graph_;
  const Shape batch{options_.sequence, options_.batch};
  characters_ = g.placeholder(batch, i32, "characters");
  next_ = g.placeholder(batch, i32, "next");
  learning_rate_ = g.placeholder({}, f32, "learning_rate");
  keeps_ = g.placeholder({options_.batch, 1}, f32, "keeps");
  const auto remember = [&](Initializer initializer, const std::string& name) { return g.variable(std::move(initializer), name); };
  const std::size_t first = g.variables().size();
  std::vector<State> before, states;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string name = "stream" + std::to_string(i + 1);
    before.push_back({remember(init::zeros({options_.batch, options_.hidden}), name + ".h"),
                      remember(init::zeros({options_.batch, options_.hidden}), name + ".c")});
    states.push_back({before[i].h * keeps_, before[i].c * keeps_});
  }
  const Tensor dropout_state = g.variable(random_state(options_.seed), "dropout");
  Tensor random = dropout_state;
  const Tensor logits = read(characters_, states, &random);
  loss_ = softmax_cross_entropy(logits, reshape(next_, {options_.sequence * options_.batch})).named("loss");
  updates_ = adam(weights_, clip_by_global_norm(g.gradients(loss_, weights_), most_gradient), learning_rate_);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    updates_.push_back(g.assign(before[i].h, states[i].h));
    updates_.push_back(g.assign(before[i].c, states[i].c));
  }
  if (options_.dropout > 0) updates_.push_back(g.assign(dropout_state, random));
  const auto all = g.variables();
  remembered_.assign(all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
}

void TextModel::build_evaluation() {
  Graph& g = *graph_;
  read_characters_ = g.placeholder({options_.sequence, dynamic}, i32, "read");
  read_next_ = g.placeholder({options_.sequence, dynamic}, i32, "read_next");
  for (std::size_t i = 0; i < layers_.size(); ++i)
    before_.push_back({g.placeholder({dynamic, options_.hidden}, f32, "h"), g.placeholder({dynamic, options_.hidden}, f32, "c")});
  after_ = before_;
  const Tensor logits = read(read_characters_, after_);
  read_loss_ = softmax_cross_entropy(logits, reshape(read_next_, {dynamic}));
}

void TextModel::build_generation() {
  Graph& g = *graph_;
  last_ = g.variable(init::zeros({1, 1}, i32), "last");
  random_ = g.variable(random_state(0), "draws");
  given_ = g.placeholder({1, 1}, i32, "given");
  temperature_ = g.placeholder({}, f32, "temperature");
  for (std::size_t i = 0; i < layers_.size(); ++i)
    spoken_.push_back({g.variable(init::zeros({1, options_.hidden}), "spoken.h"), g.variable(init::zeros({1, options_.hidden}), "spoken.c")});
  std::vector<State> states = spoken_;
  const Tensor logits = read(last_, states);
  const RandomResult draw = categorical(random_, logits, {.temperature = temperature_});
  drawn_ = draw.values;
  std::vector<Operation> advance;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    advance.push_back(g.assign(spoken_[i].h, states[i].h));
    advance.push_back(g.assign(spoken_[i].c, states[i].c));
  }
  take_ = speak_ = advance;
  take_.push_back(g.assign(last_, given_));
  speak_.push_back(g.assign(last_, reshape(drawn_, {1, 1})));
  speak_.push_back(g.assign(random_, draw.state));
}

double TextModel::train(const TextBatches::Batch& batch, double learning_rate) {
  const Feeds feeds{{characters_, batch.characters},
                    {next_, batch.next},
                    {keeps_, batch.keeps},
                    {learning_rate_, NDArray::of<float>({}, {static_cast<float>(learning_rate)})}};
  return graph_->run(feeds, {loss_}, updates_, run_options_)[loss_].item();
}

double TextModel::loss(const std::vector<std::int32_t>& text) {
  const std::int64_t parts = std::max<std::int64_t>(1, std::min(read_at_once, std::ssize(text) / (options_.sequence + 1)));
  TextBatches batches(text, options_.sequence, parts);
  std::vector<NDArray> states(2 * layers_.size(), NDArray(f32, {parts, options_.hidden}));
  std::vector<Tensor> targets{read_loss_};
  for (const State& s : after_) targets.push_back(s.h), targets.push_back(s.c);
  double sum = 0;
  for (std::int64_t step = 0; step < batches.steps_per_epoch(); ++step) {
    const auto& batch = batches.of_step(step);
    Feeds feeds{{read_characters_, batch.characters}, {read_next_, batch.next}};
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      feeds.emplace(before_[i].h, states[2 * i]);
      feeds.emplace(before_[i].c, states[2 * i + 1]);
    }
    const RunResult r = graph_->run(feeds, targets, {}, run_options_);
    sum += r[0].item();
    for (std::size_t i = 0; i < states.size(); ++i) states[i] = r[i + 1];
  }
  return sum / static_cast<double>(batches.steps_per_epoch());
}

void TextModel::begin(const std::vector<std::int32_t>& text, std::uint64_t seed) {
  if (text.empty()) throw RunError("text is generated from a beginning of at least one character");
  for (const State& s : spoken_)
    for (const Tensor& v : {s.h, s.c}) graph_->set_value(v, NDArray(f32, v.shape()));
  graph_->set_value(random_, random_state(seed));
  graph_->set_value(last_, NDArray::of<std::int32_t>({1, 1}, {text[0]}));
  for (std::size_t i = 1; i < text.size(); ++i) graph_->run({{given_, NDArray::of<std::int32_t>({1, 1}, {text[i]})}}, {}, take_, run_options_);
}

std::int32_t TextModel::generate(double temperature) {
  return static_cast<std::int32_t>(
      graph_->run({{temperature_, NDArray::of<float>({}, {static_cast<float>(temperature)})}}, {drawn_}, speak_, run_options_)[drawn_].item());
}

std::vector<std::pair<std::string, std::string>> TextModel::metadata() const {
  return {{"model", model_name},
          {"vocabulary", vocabulary_.text()},
          {"layers", std::to_string(options_.layers)},
          {"hidden", std::to_string(options_.hidden)}};
}

void TextModel::save(const fs::path& path, bool half) const {
  io::Safetensors content = weights_of(*graph_, weights_, model_name, half);
  for (const auto& [key, value] : metadata()) content.metadata[key] = value;
  io::save_safetensors(path, content);
}

TextModel TextModel::load(const fs::path& path, Backend backend) {
  const auto content = io::load_safetensors(path);
  TextModelOptions options;
  options.layers = number_in(content, path, "layers");
  options.hidden = number_in(content, path, "hidden");
  options.backend = backend;
  if (options.layers > 64 || options.hidden > 1 << 16) fail(path, "layers or their size are beyond all measure");
  const auto characters = content.metadata.find("vocabulary");
  if (characters == content.metadata.end()) fail(path, "there is no \"vocabulary\", so these are not weights of a text model");
  TextModel model(Vocabulary(characters->second), options);
  if (content.tensors.size() != model.weights_.size())
    fail(path, "there are " + std::to_string(content.tensors.size()) + " tensors, the model has " + std::to_string(model.weights_.size()));
  for (const Tensor& w : model.weights_) {
    const auto found = content.tensors.find(w.name());
    if (found == content.tensors.end()) fail(path, "there is no tensor \"" + w.name() + "\"");
    if (found->second.shape() != w.shape() || !is_floating(found->second.dtype()))
      fail(path, "\"" + w.name() + "\" is " + found->second.type().str() + ", the model's is " + w.type().str());
    model.graph_->set_value(w, found->second.cast(f32));
  }
  return model;
}

void TextModel::save_checkpoint(const fs::path& path, std::int64_t steps) const {
  io::Safetensors content = weights_of(*graph_, weights_, model_name);
  content.tensors.merge(weights_of(*graph_, remembered_, model_name).tensors);
  for (const auto& [key, value] : metadata()) content.metadata[key] = value;
  content.metadata["steps"] = std::to_string(steps);
  io::save_safetensors(path, content);
}

std::int64_t TextModel::restore(const fs::path& path) {
  const auto content = io::load_safetensors(path);
  const std::int64_t steps = number_in(content, path, "steps");
  for (const auto& [key, value] : metadata())
    if (const auto found = content.metadata.find(key); found == content.metadata.end() || found->second != value)
      fail(path, "the training that this would go on with had another " + (key == "vocabulary" ? std::string("text") : key));
  for (const auto* list : {&weights_, &remembered_})
    for (const Tensor& v : *list) {
      const auto found = content.tensors.find(v.name());
      if (found == content.tensors.end()) fail(path, "there is no tensor \"" + v.name() + "\", so the training had other options");
      if (found->second.type() != v.type())
        fail(path, "\"" + v.name() + "\" is " + found->second.type().str() + ", with these options " + v.type().str());
    }
  for (const auto* list : {&weights_, &remembered_})
    for (const Tensor& v : *list) graph_->set_value(v, content.tensors.at(v.name()));
  return steps;
}

std::optional<fs::path> find_model(std::string_view name) {
  std::vector<fs::path> folders;
  if (const char* own = std::getenv("WEFT_MODELS_DIR"); own && *own) folders.emplace_back(own);
  std::error_code error;
  if (const auto program = fs::read_symlink("/proc/self/exe", error); !error) folders.push_back(program.parent_path() / "../share/weft/models");
  folders.emplace_back(WEFT_MODELS);
  for (const auto& folder : folders)
    if (const fs::path path = folder / name; fs::is_regular_file(path, error)) return path;
  return std::nullopt;
}

}  // namespace weft::apps
