// The numbers of the paper and of its authors' notebooks [Koo et al. 2021], and when a found number agrees with one.
#ifndef RB_APPS_REPRODUCE_ANCHORS_H_
#define RB_APPS_REPRODUCE_ANCHORS_H_

#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace rb::apps {

// How near is near enough; ToleranceOf says how much and why.
enum class Rule { kPearson, kEffect, kRSquared, kCorrelation, kRank, kLevel };

struct Tolerance {
  Rule rule;
  double size;
  bool relative;     // of the expected number
  const char* text;  // in anchors.tsv
  const char* why;
};
std::span<const Tolerance> Tolerances();
const Tolerance& ToleranceOf(Rule rule);

inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

struct Anchor {
  const char* figure;    // figure1 .. figure4, table-s1
  const char* key;       // of what is found; several anchors may want one (text and notebook)
  const char* quantity;  // for a reader
  double expected;       // NaN: the source says no number
  Rule rule;
  const char* source;      // "text", "text, Fig. 1d", "notebook"
  const char* experiment;  // of which it holds; "" of all
  int64_t of;              // experiments that it averages; 0: a single one
};
std::span<const Anchor> Anchors();

// What a run found for a key.
struct Finding {
  double value = kNoNumber;
  int64_t n = 0;       // experiments behind it, where an anchor averages some
  std::string reason;  // why it is not to be compared although there is a number; or empty
  std::string note;    // what a reader should know: epochs of the model, a paired comparison on those present
};

// "agrees"; "differs"; "not comparable (n=40 of 244)" and other reasons: no value, no expected number, Finding::reason.
std::string Judge(const Anchor& anchor, const Finding& finding);

// anchors.tsv: quantity, expected, source, found, tolerance, verdict, note; a row for each anchor of `figure` and, with
// several numbers expected of one key, for each. What was not found is "not comparable (..)" with `missing`.
std::string AnchorsTsv(const std::string& figure, const std::map<std::string, Finding>& findings,
                       const std::string& missing);
// The same for reading.
std::string AnchorsText(const std::string& figure, const std::map<std::string, Finding>& findings,
                        const std::string& missing);

// Dissociation constants of seven 7-mers and RBFOX1, nM [Auweter et al. 2006, as the notebook has them].
struct Affinity {
  const char* kmer;
  double nanomolar;
};
std::span<const Affinity> RbfoxAffinities();

}  // namespace rb::apps

#endif  // RB_APPS_REPRODUCE_ANCHORS_H_
