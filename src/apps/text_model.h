// The character model: what a text goes on with, learnt from a text.
#pragma once

#include "apps/text_data.h"

#include <weft/executable.h>
#include <weft/graph.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace weft::apps {

struct TextModelOptions {
  std::int64_t layers = 2, hidden = 256;
  std::int64_t sequence = 64, batch = 32;
  double dropout = 0;  ///< of what the layers and the output read
  std::uint64_t seed = 1;
  Backend backend = Backend::automatic;
};

/// An embedding, LSTM layers, and a dense layer whose softmax is the distribution of the next character. Trained by truncated
/// backpropagation: a step goes on with the states in which the one before left the streams. Adam, gradients clipped to norm 1.
/// S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997; A. Graves, "Generating sequences with recurrent neural networks", 2013.
class TextModel {
 public:
  TextModel(Vocabulary vocabulary, const TextModelOptions& options);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const TextModelOptions& options() const { return options_; }

  /// One step. Returns the mean cross entropy before it, in nats a character.
  double train(const TextBatches::Batch& batch, double learning_rate);
  /// The mean cross entropy of a text, read from states of zero, in nats a character.
  double loss(const std::vector<std::int32_t>& text);

  /// What generated text begins with, at least a character. Draws that follow depend on the seed alone.
  void begin(const std::vector<std::int32_t>& text, std::uint64_t seed);
  /// The next character.
  std::int32_t generate(double temperature);

  /// Saves what has been learnt, as f16 with `half`.
  void save(const std::filesystem::path& path, bool half) const;
  /// The model that save has written, to generate with or to be trained anew. Throws RunError, naming the file.
  static TextModel load(const std::filesystem::path& path, Backend backend);

  /// Saves all that training depends on; steps that follow its restoration are those that would have followed, to the bit.
  void save_checkpoint(const std::filesystem::path& path, std::int64_t steps) const;
  /// Returns the number of steps. Throws RunError when the file is of a model with other options, or can't be read; nothing changes then.
  std::int64_t restore(const std::filesystem::path& path);

  /// Where runs take place from now on.
  void use(Backend backend) { run_options_.backend = backend; }

  Graph& graph() { return *graph_; }

 private:
  struct State {
    Tensor h, c;
  };
  struct LayerWeights {
    Tensor input, recurrent, bias;
  };

  Tensor weight(Initializer initializer, const std::string& name);
  void make_weights();
  /// Logits [T N, characters] of characters [T, N]; the states are those after them.
  Tensor read(Tensor characters, std::vector<State>& states, Tensor* random = nullptr);
  Tensor dropped(Tensor x, Tensor* random);
  void build_training();
  void build_evaluation();
  void build_generation();
  std::vector<std::pair<std::string, std::string>> metadata() const;

  Vocabulary vocabulary_;
  TextModelOptions options_;
  RunOptions run_options_;
  std::unique_ptr<Graph> graph_;

  Tensor embedding_, output_, output_bias_;
  std::vector<LayerWeights> layers_;
  std::vector<Tensor> weights_;

  Tensor characters_, next_, learning_rate_, keeps_, loss_;
  std::vector<Operation> updates_;
  std::vector<Tensor> remembered_;  ///< variables of the training beside the weights

  Tensor read_characters_, read_next_, read_loss_;
  std::vector<State> before_, after_;

  Tensor last_, given_, temperature_, drawn_, random_;
  std::vector<State> spoken_;
  std::vector<Operation> take_, speak_;
};

/// A file of the models that come with weft: in $WEFT_MODELS_DIR, beside the installed command, or in the sources.
std::optional<std::filesystem::path> find_model(std::string_view name);

}  // namespace weft::apps
